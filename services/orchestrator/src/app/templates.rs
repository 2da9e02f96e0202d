//! What projects are built from, beside what is built in.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::TransactionTrait as _;
use serde_json::json;
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_templates::{Library, LibraryError, OwnTemplate, RenderedFile};

use super::App;
use crate::store::templates::{self, TemplateRow};

const TEMPLATES_MOST: usize = 50;
const FILES_MOST: usize = 200;
const BYTES_MOST: usize = 512 << 10;

impl App {
    pub(crate) async fn put_template(
        &self,
        who: &Principal,
        name: &str,
        about: String,
        files: BTreeMap<String, String>,
        now: DateTime<Utc>,
    ) -> Result<TemplateRow> {
        if files.len() > FILES_MOST || files.iter().map(|(path, contents)| path.len() + contents.len()).sum::<usize>() > BYTES_MOST {
            return Err(Error::invalid("files", format!("must be at most {FILES_MOST}, of {} KiB together", BYTES_MOST >> 10)));
        }
        if about.contains('\0') || files.iter().any(|(path, contents)| path.contains('\0') || contents.contains('\0')) {
            return Err(Error::invalid("files", "must be text without NUL characters"));
        }
        let tx = self.db.begin().await?;
        templates::lock(&tx, who.org).await?;
        let mut all = templates::all(&tx, who.org).await?;
        all.retain(|row| row.name != name);
        if all.len() >= TEMPLATES_MOST {
            return Err(Error::precondition(format!("there are {TEMPLATES_MOST} templates already; delete one first")));
        }
        let row = TemplateRow { name: name.to_owned(), about, files: json!(files), updated_by: who.id.to_string(), updated_at: now };
        all.push(row.clone());
        library(&all).map_err(|error| Error::invalid(field(&error), error.to_string()))?;
        templates::put(&tx, who.org, &row).await?;
        tx.commit().await?;
        Ok(row)
    }

    pub(crate) async fn template(&self, who: &Principal, name: &str) -> Result<TemplateRow> {
        let found = templates::all(&self.db, who.org).await?.into_iter().find(|row| row.name == name);
        found.ok_or_else(|| Error::not_found(format!("template {name:?} of your own")))
    }

    /// Those of its own, and all with their summaries.
    pub(crate) async fn templates(&self, who: &Principal) -> Result<(Vec<TemplateRow>, Vec<(String, String)>)> {
        let own = templates::all(&self.db, who.org).await?;
        let library = library(&own).map_err(Error::internal)?;
        let all = library.templates().map(|(name, summary)| (name.to_owned(), summary.to_owned())).collect();
        Ok((own, all))
    }

    pub(crate) async fn delete_template(&self, who: &Principal, name: &str) -> Result<TemplateRow> {
        let tx = self.db.begin().await?;
        templates::lock(&tx, who.org).await?;
        let (gone, rest): (Vec<_>, Vec<_>) = templates::all(&tx, who.org).await?.into_iter().partition(|row| row.name == name);
        let gone = gone.into_iter().next().ok_or_else(|| Error::not_found(format!("template {name:?} of your own")))?;
        library(&rest).map_err(|error| Error::precondition(format!("another one needs it: {error}")))?;
        templates::delete(&tx, who.org, name).await?;
        tx.commit().await?;
        Ok(gone)
    }

    /// All of the organisation's own, where `version` is not what they are; with their version.
    pub(crate) async fn fetch_templates(&self, who: &Principal, version: &str) -> Result<(String, Vec<TemplateRow>)> {
        who.require_service()?;
        let now = templates::version(&self.db, who.org).await?;
        let all = if now == version { Vec::new() } else { templates::all(&self.db, who.org).await? };
        Ok((now, all))
    }
}

fn library(own: &[TemplateRow]) -> std::result::Result<Library, LibraryError> {
    let own = own.iter().map(|row| OwnTemplate {
        name: row.name.clone(),
        about: row.about.clone(),
        files: row.files().into_iter().map(|(path, contents)| RenderedFile { path, contents }).collect(),
    });
    Library::open(None)?.with(own)
}

/// What is to be mended.
fn field(error: &LibraryError) -> &'static str {
    match error {
        LibraryError::Name { .. } => "name",
        LibraryError::Unknown { .. } | LibraryError::Wrong { .. } => "about",
        LibraryError::File { .. }
        | LibraryError::Empty { .. }
        | LibraryError::NoFile { .. }
        | LibraryError::NotText { .. }
        | LibraryError::Unreadable { .. } => "files",
    }
}
