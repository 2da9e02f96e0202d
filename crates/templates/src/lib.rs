//! This crate only turns a sentence into a project: it understands what it can, says what it assumed and
//! what it did not understand, refuses the rest, and renders a template. No model, no guessing: the same
//! sentence always gives the same files.

mod render;
mod understand;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use render::{Library, LibraryError, RenderError, RenderedFile, render_line};
pub use understand::{Refusal, understand};

/// What a sentence asks for, as far as it was understood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Understanding {
    pub kind: Kind,
    /// Name of the template that builds it.
    pub template: String,
    pub resource: Resource,
    pub fields: Vec<Field>,
    /// What was asked for beside that.
    #[serde(default)]
    pub blocks: Vec<Block>,
    /// What was not said and is decided here; each a sentence for people.
    pub assumed: Vec<String>,
    /// Parts of the sentence that are left out, as they were given.
    pub not_understood: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    RestApi,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Block {
    /// By words, in all texts.
    Search,
    Pagination,
}

/// The thing the project keeps, in words and in URLs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    pub singular: String,
    pub plural: String,
    /// `grocery-items`
    pub path: String,
    /// `grocery_item`
    pub identifier: String,
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
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RestApi => "REST API",
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
        })
    }
}
