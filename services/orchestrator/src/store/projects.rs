use std::collections::HashMap;

use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::{OrgId, ProjectId};
use titan_store::{Page, sql};

use super::entity::project::{Column, Entity, Model, Status};
use crate::domain::matching::Weights;

/// The project's own weights of the factors of a choice, where it has some.
pub(crate) fn weights(matching: Option<Value>) -> Option<Weights> {
    matching.and_then(|matching| serde_json::from_value(matching).ok())
}

/// By id or slug, in the organisation; an archived one only by id.
pub(crate) async fn find(db: &impl ConnectionTrait, org: OrgId, id_or_slug: &str) -> Result<Model> {
    one(db, org, id_or_slug).await?.ok_or_else(|| Error::not_found(format!("project {id_or_slug:?}")))
}

async fn one(db: &impl ConnectionTrait, org: OrgId, id_or_slug: &str) -> Result<Option<Model>> {
    let scoped = Entity::find().filter(Column::OrgId.eq(org));
    let query = match id_or_slug.parse::<ProjectId>() {
        Ok(id) => scoped.filter(Column::Id.eq(id)),
        Err(_) => scoped.filter(Column::Slug.eq(id_or_slug)),
    };
    Ok(query.one(db).await?)
}

/// Those of the named (organisation, id or slug) that there are, under the names given.
pub(crate) async fn find_all(
    db: &impl ConnectionTrait,
    named: impl IntoIterator<Item = (OrgId, String)>,
) -> Result<HashMap<(OrgId, String), Model>> {
    let mut found = HashMap::new();
    for (org, name) in named {
        if let Some(project) = one(db, org, &name).await? {
            found.insert((org, name), project);
        }
    }
    Ok(found)
}

pub(crate) async fn by_key(db: &impl ConnectionTrait, org: OrgId, key: &str) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::OrgId.eq(org)).filter(Column::IdempotencyKey.eq(key)).one(db).await?)
}

pub(crate) async fn list(db: &impl ConnectionTrait, org: OrgId, page: Page) -> Result<Vec<Model>> {
    let scoped = Entity::find().filter(Column::OrgId.eq(org)).filter(Column::Status.eq(Status::Active));
    Ok(scoped.filter(Column::Id.lt(page.before)).order_by_desc(Column::Id).limit(page.fetch()).all(db).await?)
}

/// False when the slug is taken.
pub(crate) async fn insert(db: &impl ConnectionTrait, project: &Model) -> Result<bool> {
    let Model { id, org_id, slug, name, description, status: _, owner, idempotency_key, created_at, .. } = project.clone();
    let insert = "INSERT INTO project (id, org_id, slug, name, description, status, owner, idempotency_key, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, 'active', $6, $7, $8, $8) ON CONFLICT (org_id, slug) DO NOTHING";
    let values =
        [id.into(), org_id.into(), slug.into(), name.into(), description.into(), owner.into(), idempotency_key.into(), created_at.into()];
    Ok(db.execute_raw(sql(insert, values)).await?.rows_affected() == 1)
}

/// False when `version` is no longer current.
pub(crate) async fn update(db: &impl ConnectionTrait, project: &Model, version: i64) -> Result<bool> {
    let Model { id, name, description, weight, matching, updated_at, .. } = project.clone();
    let update = "UPDATE project SET name = $3, description = $4, updated_at = $5, weight = $6, matching = $7, version = version + 1
        WHERE id = $1 AND version = $2 RETURNING pg_notify('titan_projects', '')";
    let values = [id.into(), version.into(), name.into(), description.into(), updated_at.into(), weight.into(), matching.into()];
    Ok(db.query_one_raw(sql(update, values)).await?.is_some())
}

/// False while it has goals that are not finished.
pub(crate) async fn archive(db: &impl ConnectionTrait, id: ProjectId) -> Result<bool> {
    let update = "UPDATE project SET status = 'archived', version = version + 1, updated_at = now()
        WHERE id = $1 AND NOT EXISTS (SELECT FROM goal WHERE project_id = $1 AND state = 'running')
        RETURNING pg_notify('titan_projects', '')";
    Ok(db.query_one_raw(sql(update, [id.into()])).await?.is_some())
}
