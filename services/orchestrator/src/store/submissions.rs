//! New tasks, and which submission made them.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::Serialize;
use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::{GoalId, OrgId, ProjectId};
use titan_store::sql;
use uuid::Uuid;

use crate::domain::task::TaskState;

/// A task to be stored.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NewTask {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) role: String,
    pub(crate) title: String,
    pub(crate) priority: i32,
    pub(crate) input: Value,
    pub(crate) max_attempts: i32,
    pub(crate) timeout_s: i32,
    pub(crate) run_after: Option<DateTime<Utc>>,
    pub(crate) exclusive_key: Option<String>,
    pub(crate) depends_on: Vec<Uuid>,
    pub(crate) waiting_on: i32,
}

/// Where new tasks belong.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) org: OrgId,
    pub(crate) project: ProjectId,
    pub(crate) goal: Option<GoalId>,
    pub(crate) traceparent: String,
}

#[derive(Serialize)]
struct Row<'a> {
    org_id: Uuid,
    project_id: Uuid,
    goal_id: Option<Uuid>,
    traceparent: &'a str,
    #[serde(flatten)]
    task: &'a NewTask,
}

pub(crate) async fn insert(db: &impl ConnectionTrait, tasks: &[(&Scope, &NewTask)], now: DateTime<Utc>) -> Result<()> {
    let row = |(scope, task): &(&'_ Scope, &'_ NewTask)| -> Result<Value> {
        let Scope { org, project, goal, traceparent } = scope;
        let (org_id, project_id, goal_id) = (org.uuid(), project.uuid(), goal.map(|g| g.uuid()));
        serde_json::to_value(Row { org_id, project_id, goal_id, traceparent, task }).map_err(Error::internal)
    };
    let rows = tasks.iter().map(row).collect::<Result<Vec<_>>>()?;
    let insert = "WITH r AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1) AS r(id uuid, org_id uuid, project_id uuid, goal_id uuid,
            traceparent text, kind text, role text, title text, priority int, input jsonb, max_attempts int, timeout_s int,
            run_after timestamptz, exclusive_key text, depends_on uuid[], waiting_on int)),
        payload AS (INSERT INTO task_payload (task_id, project_id, title, input, traceparent) SELECT id, project_id, title, input, traceparent FROM r),
        edges AS (INSERT INTO task_dependency (task_id, depends_on) SELECT DISTINCT id, unnest(depends_on) FROM r)
        INSERT INTO task (id, org_id, project_id, goal_id, kind, role, state, priority, max_attempts, timeout_s, waiting_on, run_after, exclusive_key, created_at)
        SELECT id, org_id, project_id, goal_id, kind, role, 'inbox', priority, max_attempts, timeout_s, waiting_on, run_after, exclusive_key, $2 FROM r";
    db.execute_raw(sql(insert, [Value::Array(rows).into(), now.into()])).await?;
    Ok(())
}

#[derive(Debug, FromQueryResult)]
pub(crate) struct Parent {
    pub(crate) id: Uuid,
    pub(crate) project_id: ProjectId,
    pub(crate) state: TaskState,
}

/// Those of `parents` that exist, locked so that they cannot finish before the caller's commit; who finishes
/// one reads its dependents after taking its lock.
pub(crate) async fn lock_parents(db: &impl ConnectionTrait, parents: &[Uuid]) -> Result<Vec<Parent>> {
    let select = "SELECT id, project_id, state FROM task WHERE id = ANY($1) ORDER BY id FOR SHARE";
    Ok(Parent::find_by_statement(sql(select, [parents.to_vec().into()])).all(db).await?)
}

/// The tasks that the submission with this key made.
pub(crate) async fn submission(db: &impl ConnectionTrait, project: ProjectId, key: &str) -> Result<Option<Vec<Uuid>>> {
    let select = "SELECT task_ids FROM submission WHERE project_id = $1 AND idempotency_key = $2";
    let row = db.query_one_raw(sql(select, [project.into(), key.into()])).await?;
    Ok(row.map(|row| row.try_get("", "task_ids")).transpose()?)
}

/// A submission's key, to be taken.
#[derive(Debug, Serialize)]
pub(crate) struct NewKey {
    pub(crate) project_id: Uuid,
    pub(crate) idempotency_key: String,
    pub(crate) task_ids: Vec<Uuid>,
}

/// Takes the keys that are free; returns, by position, whether the key was.
pub(crate) async fn take_keys(db: &impl ConnectionTrait, keys: &[NewKey]) -> Result<Vec<bool>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let insert = "INSERT INTO submission (project_id, idempotency_key, task_ids)
        SELECT project_id, idempotency_key, task_ids FROM jsonb_to_recordset($1) AS r(project_id uuid, idempotency_key text, task_ids uuid[])
        ORDER BY project_id, idempotency_key ON CONFLICT DO NOTHING RETURNING task_ids[1] AS first";
    let rows = db.query_all_raw(sql(insert, [serde_json::to_value(keys).map_err(Error::internal)?.into()])).await?;
    let taken = rows.iter().map(|row| Ok(row.try_get("", "first")?)).collect::<Result<std::collections::HashSet<Uuid>>>()?;
    Ok(keys.iter().map(|key| key.task_ids.first().is_some_and(|id| taken.contains(id))).collect())
}

/// Tells every replica that there may be work, when the transaction commits.
pub(crate) async fn notify_ready(db: &impl ConnectionTrait) -> Result<()> {
    db.execute_raw(sql("SELECT pg_notify('titan_ready', '')", [])).await?;
    Ok(())
}
