//! What the apps of an environment find in theirs.

use std::collections::BTreeMap;

use sea_orm::ConnectionTrait;
use titan_error::Result;
use titan_ids::{OrgId, ProjectId};
use titan_store::sql;

/// An environment of a project.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Of<'a> {
    pub(crate) org: OrgId,
    pub(crate) project: ProjectId,
    pub(crate) environment: &'a str,
}

pub(crate) async fn all(db: &impl ConnectionTrait, of: Of<'_>) -> Result<BTreeMap<String, String>> {
    let select = "SELECT name, value FROM variable WHERE org_id = $1 AND project_id = $2 AND environment = $3 ORDER BY name";
    let rows = db.query_all_raw(sql(select, [of.org.into(), of.project.into(), of.environment.into()])).await?;
    rows.iter().map(|row| Ok((row.try_get("", "name")?, row.try_get("", "value")?))).collect()
}

pub(crate) async fn set(db: &impl ConnectionTrait, of: Of<'_>, name: &str, value: &str, by: &str) -> Result<()> {
    let insert = "INSERT INTO variable (org_id, project_id, environment, name, value, changed_by) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (org_id, project_id, environment, name) DO UPDATE SET value = excluded.value, changed_at = now(), changed_by = excluded.changed_by";
    let values = [of.org.into(), of.project.into(), of.environment.into(), name.into(), value.into(), by.into()];
    db.execute_raw(sql(insert, values)).await?;
    Ok(())
}

pub(crate) async fn unset(db: &impl ConnectionTrait, of: Of<'_>, names: &[String]) -> Result<()> {
    let delete = "DELETE FROM variable WHERE org_id = $1 AND project_id = $2 AND environment = $3 AND name = ANY($4)";
    db.execute_raw(sql(delete, [of.org.into(), of.project.into(), of.environment.into(), names.to_vec().into()])).await?;
    Ok(())
}
