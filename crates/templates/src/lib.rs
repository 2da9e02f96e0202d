//! This crate only turns a sentence into a project: it understands what it can, says what it assumed and
//! what it did not understand, refuses the rest, and renders a template. No model, no guessing: the same
//! sentence always gives the same files.

mod migrations;
mod modify;
mod render;
mod understand;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use migrations::{Column, Rules, Step};
pub use modify::{Modification, modify};
pub use render::{Impact, Library, LibraryError, OwnTemplate, PROJECT, RenderError, RenderedFile, render_line};
pub use understand::{Refusal, understand};

/// What a sentence asks for, as far as it was understood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Understanding {
    pub kind: Kind,
    /// Name of the template that builds it.
    pub template: String,
    /// `Products and warehouses API`
    pub title: String,
    pub resources: Vec<Resource>,
    /// What was asked for beside that.
    #[serde(default)]
    pub blocks: Vec<Block>,
    /// Of a data pipeline, seconds from one run to the next.
    #[serde(default)]
    pub every_s: Option<u32>,
    /// What a data pipeline reads.
    #[serde(default)]
    pub formats: Vec<Format>,
    /// What became of the data with each version, oldest first.
    #[serde(default)]
    pub migrations: Vec<Vec<Step>>,
    /// What was not said and is decided here; each a sentence for people.
    pub assumed: Vec<String>,
    /// Parts of the sentence that are left out, as they were given.
    pub not_understood: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    RestApi,
    WebApp,
    MobileBackend,
    DataPipeline,
    Microservice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Block {
    /// By words, in all texts.
    Search,
    Pagination,
    /// Everybody sees only their own.
    Authentication,
    /// Files are kept with items.
    FileUpload,
    /// Live updates.
    Websocket,
    /// Items are paid for.
    Payment,
}

impl Block {
    pub(crate) const ALL: [Self; 6] =
        [Self::Search, Self::Pagination, Self::Authentication, Self::FileUpload, Self::Websocket, Self::Payment];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Csv,
    Json,
}

/// A thing the project keeps, in words and in URLs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    pub singular: String,
    pub plural: String,
    /// `grocery-items`
    pub path: String,
    /// `grocery_item`
    pub identifier: String,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// `due_date`
    pub name: String,
    #[serde(rename = "type")]
    pub field_type: FieldType,
    pub required: bool,
    /// No two have the same.
    #[serde(default)]
    pub unique: bool,
    /// The only values there are; empty: any.
    #[serde(default)]
    pub choices: Vec<String>,
    /// Of numbers their bounds, of texts those of their length.
    #[serde(default)]
    pub least: Option<f64>,
    #[serde(default)]
    pub most: Option<f64>,
    /// Path of the resource it is the id of.
    #[serde(default)]
    pub references: Option<String>,
    /// Of what was there before the field was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<serde_json::Value>,
}

impl Resource {
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    Text,
    Integer,
    Number,
    Boolean,
    Date,
    Datetime,
    Email,
    Url,
    /// The id of another thing.
    Reference,
}

impl Understanding {
    /// `products and warehouses`
    #[must_use]
    pub fn things(&self) -> String {
        let names: Vec<&str> = self.resources.iter().map(|resource| resource.plural.as_str()).collect();
        match names.split_last() {
            Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
            _ => names.concat(),
        }
    }
}

impl Kind {
    /// The built-in template that builds it.
    #[must_use]
    pub fn template(self) -> &'static str {
        match self {
            Self::RestApi => "rest-api",
            Self::WebApp => "web-app",
            Self::MobileBackend => "mobile-backend",
            Self::DataPipeline => "data-pipeline",
            Self::Microservice => "microservice",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RestApi => "REST API",
            Self::WebApp => "web app",
            Self::MobileBackend => "mobile backend",
            Self::DataPipeline => "data pipeline",
            Self::Microservice => "microservice",
        })
    }
}

impl Block {
    /// As it is stored, and as its folder is named.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Pagination => "pagination",
            Self::Authentication => "authentication",
            Self::FileUpload => "file-upload",
            Self::Websocket => "websocket",
            Self::Payment => "payment",
        }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Search => "search",
            Self::Pagination => "pagination",
            Self::Authentication => "login",
            Self::FileUpload => "file upload",
            Self::Websocket => "live updates",
            Self::Payment => "payments",
        })
    }
}

impl FieldType {
    pub(crate) fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Email | Self::Url)
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Integer => "whole number",
            Self::Number => "number",
            Self::Boolean => "yes or no",
            Self::Date => "date",
            Self::Datetime => "date and time",
            Self::Email => "e-mail address",
            Self::Url => "URL",
            Self::Reference => "reference",
        })
    }
}
