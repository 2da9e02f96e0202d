use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait as _, ConnectionTrait, EntityTrait as _, FromQueryResult, QueryFilter as _, QueryOrder as _, QuerySelect as _};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::{GoalId, OrgId, ProjectId};
use titan_store::{Page, sql};

use super::entity::goal::{Column, Entity, Model, State};
use super::entity::project;

pub(crate) type GoalOf = (Model, Option<project::Model>);

pub(crate) async fn find(db: &impl ConnectionTrait, org: OrgId, id: GoalId) -> Result<GoalOf> {
    let query = Entity::find_by_id(id).filter(Column::OrgId.eq(org)).find_also_related(project::Entity);
    query.one(db).await?.ok_or_else(|| Error::not_found(format!("goal {id}")))
}

pub(crate) async fn by_key(db: &impl ConnectionTrait, org: OrgId, key: &str) -> Result<Option<GoalOf>> {
    let query = Entity::find().filter(Column::OrgId.eq(org)).filter(Column::IdempotencyKey.eq(key));
    Ok(query.find_also_related(project::Entity).one(db).await?)
}

pub(crate) async fn list(db: &impl ConnectionTrait, org: OrgId, project: Option<ProjectId>, page: Page) -> Result<Vec<GoalOf>> {
    let mut query = Entity::find().filter(Column::OrgId.eq(org)).filter(Column::Id.lt(page.before));
    if let Some(project) = project {
        query = query.filter(Column::ProjectId.eq(project));
    }
    Ok(query.find_also_related(project::Entity).order_by_desc(Column::Id).limit(page.fetch()).all(db).await?)
}

/// False when the idempotency key is taken.
pub(crate) async fn insert(db: &impl ConnectionTrait, goal: &Model) -> Result<bool> {
    let Model { id, org_id, project_id, sentence, created_by, idempotency_key, traceparent, created_at, .. } = goal.clone();
    let insert = "INSERT INTO goal (id, org_id, project_id, sentence, state, created_by, idempotency_key, traceparent, created_at)
        VALUES ($1, $2, $3, $4, 'running', $5, $6, $7, $8) ON CONFLICT (org_id, idempotency_key) DO NOTHING";
    let values = [
        id.into(),
        org_id.into(),
        project_id.into(),
        sentence.into(),
        created_by.into(),
        idempotency_key.into(),
        traceparent.into(),
        created_at.into(),
    ];
    Ok(db.execute_raw(sql(insert, values)).await?.rows_affected() == 1)
}

/// Serialises everything that can finish the goal.
pub(crate) async fn lock(db: &impl ConnectionTrait, id: GoalId) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).lock_exclusive().one(db).await?)
}

/// How the tasks of a goal stand.
#[derive(Debug, FromQueryResult)]
pub(crate) struct Tally {
    /// Of the first task that failed, or else was cancelled.
    pub(crate) error: Option<String>,
    /// Results by kind of task; the last one of a kind counts.
    pub(crate) results: Option<Value>,
}

pub(crate) async fn any_open(db: &impl ConnectionTrait, id: GoalId) -> Result<bool> {
    let select = "SELECT FROM task WHERE goal_id = $1 AND state NOT IN ('done', 'failed', 'cancelled') LIMIT 1";
    Ok(db.query_one_raw(sql(select, [id.into()])).await?.is_some())
}

pub(crate) async fn tally(db: &impl ConnectionTrait, id: GoalId) -> Result<Tally> {
    let select = "SELECT (array_agg(p.title || ': ' || CASE t.state WHEN 'failed' THEN p.error ELSE 'was cancelled' END
                ORDER BY t.state DESC, t.finished_at) FILTER (WHERE t.state IN ('failed', 'cancelled') AND NOT t.tolerated))[1] AS error,
            jsonb_object_agg(t.kind, p.result ORDER BY t.id) FILTER (WHERE t.state = 'done') AS results
        FROM task t JOIN task_payload p ON p.task_id = t.id WHERE t.goal_id = $1";
    let tally = Tally::find_by_statement(sql(select, [id.into()])).one(db).await?;
    tally.ok_or_else(|| Error::internal("an aggregate without a row"))
}

pub(crate) async fn set_paused(db: &impl ConnectionTrait, id: GoalId, paused: bool) -> Result<()> {
    db.execute_raw(sql("UPDATE goal SET paused = $2 WHERE id = $1", [id.into(), paused.into()])).await?;
    Ok(())
}

/// A goal that failed goes on.
pub(crate) async fn reopen(db: &impl ConnectionTrait, id: GoalId) -> Result<()> {
    let update = "UPDATE goal SET state = 'running', result = NULL, error = '', finished_at = NULL WHERE id = $1";
    db.execute_raw(sql(update, [id.into()])).await?;
    Ok(())
}

/// It is not paused any more: what is tried again of it later goes on, and a goal that is finished cannot be resumed.
pub(crate) async fn finish(
    db: &impl ConnectionTrait,
    id: GoalId,
    state: State,
    result: Option<Value>,
    error: &str,
    now: DateTime<Utc>,
) -> Result<()> {
    use sea_orm::ActiveEnum as _;
    let update = "UPDATE goal SET state = $2, result = $3, error = $4, finished_at = $5, paused = false WHERE id = $1";
    db.execute_raw(sql(update, [id.into(), state.to_value().into(), result.into(), error.into(), now.into()])).await?;
    Ok(())
}
