use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::{Value, json};
use titan_error::{Error, Result};
use titan_ids::OrgId;
use titan_store::sql;

#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct TemplateRow {
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) files: Value,
    pub(crate) updated_by: String,
    pub(crate) updated_at: DateTime<Utc>,
}

impl TemplateRow {
    pub(crate) fn files(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.files.clone()).unwrap_or_default()
    }
}

const SELECT: &str = "SELECT name, about, files, updated_by, updated_at FROM template";

pub(crate) async fn all(db: &impl ConnectionTrait, org: OrgId) -> Result<Vec<TemplateRow>> {
    let select = format!("{SELECT} WHERE org_id = $1 ORDER BY name");
    Ok(TemplateRow::find_by_statement(sql(&select, [org.into()])).all(db).await?)
}

/// Nobody else changes the organisation's templates before the caller's commit.
pub(crate) async fn lock(db: &impl ConnectionTrait, org: OrgId) -> Result<()> {
    db.execute_raw(sql("SELECT FROM organisation WHERE id = $1 FOR NO KEY UPDATE", [org.into()])).await?;
    Ok(())
}

/// Another one after each change.
pub(crate) async fn version(db: &impl ConnectionTrait, org: OrgId) -> Result<String> {
    let select =
        "SELECT coalesce(md5(string_agg(name || updated_at::text, ' ' ORDER BY name)), 'none') AS version FROM template WHERE org_id = $1";
    let row = db.query_one_raw(sql(select, [org.into()])).await?;
    Ok(row.ok_or_else(|| Error::internal("an aggregate without a row"))?.try_get("", "version")?)
}

pub(crate) async fn put(db: &impl ConnectionTrait, org: OrgId, row: &TemplateRow) -> Result<()> {
    let TemplateRow { name, about, files, updated_by, updated_at } = row.clone();
    let upsert = "INSERT INTO template (org_id, name, about, files, updated_by, updated_at) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (org_id, name) DO UPDATE SET about = $3, files = $4, updated_by = $5, updated_at = $6";
    let values = [org.into(), name.into(), about.into(), json!(files).into(), updated_by.into(), updated_at.into()];
    db.execute_raw(sql(upsert, values)).await?;
    Ok(())
}

pub(crate) async fn delete(db: &impl ConnectionTrait, org: OrgId, name: &str) -> Result<()> {
    db.execute_raw(sql("DELETE FROM template WHERE org_id = $1 AND name = $2", [org.into(), name.into()])).await?;
    Ok(())
}
