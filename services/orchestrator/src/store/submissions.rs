//! New tasks, and which submission made them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum as _, ConnectionTrait, FromQueryResult};
use serde::Serialize;
use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::{GoalId, OrgId, ProjectId, TaskId};
use titan_store::sql;
use uuid::Uuid;

use super::limits::Stated;
use super::transitions::RetryPolicy;
use crate::domain::limits;
use crate::domain::matching::{Demands, Wishes};
use crate::domain::task::{OnFailure, TaskState};

/// A task to be stored.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NewTask {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    #[serde(skip)]
    pub(crate) pool: String,
    #[serde(skip)]
    pub(crate) role: String,
    #[serde(skip)]
    pub(crate) demands: Demands,
    /// Of these three; 0 until it is looked up.
    pub(crate) lane_id: i32,
    pub(crate) title: String,
    pub(crate) priority: i32,
    pub(crate) input: Value,
    pub(crate) max_attempts: i32,
    pub(crate) timeout_s: i32,
    pub(crate) run_after: Option<DateTime<Utc>>,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) deadline_at: Option<DateTime<Utc>>,
    pub(crate) concurrency_key: Option<String>,
    pub(crate) rate_keys: Vec<String>,
    /// What the keys stand for.
    #[serde(skip)]
    pub(crate) limits: Vec<Stated>,
    pub(crate) wishes: Option<Wishes>,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) budget: Option<Value>,
    pub(crate) parent_id: Option<Uuid>,
    pub(crate) depends_on: Vec<Dependency>,
    pub(crate) waiting_on: i32,
    pub(crate) held: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Dependency {
    pub(crate) on: Uuid,
    #[serde(serialize_with = "on_failure")]
    pub(crate) on_failure: OnFailure,
    /// What it waits for failed before, and it runs anyway.
    pub(crate) counted: bool,
}

fn on_failure<S: serde::Serializer>(policy: &OnFailure, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.serialize_str(&policy.to_value())
}

impl NewTask {
    /// With nothing but what every task has.
    pub(crate) fn plain(kind: &str, role: &str, title: String, input: Value) -> Self {
        Self {
            id: TaskId::generate().uuid(),
            kind: kind.to_owned(),
            pool: DEFAULT_POOL.to_owned(),
            role: role.to_owned(),
            demands: Demands::default(),
            lane_id: 0,
            title,
            priority: 0,
            input,
            max_attempts: ATTEMPTS,
            timeout_s: TIMEOUT_S,
            run_after: None,
            due_at: None,
            deadline_at: None,
            concurrency_key: None,
            rate_keys: Vec::new(),
            limits: Vec::new(),
            wishes: None,
            retry: None,
            budget: None,
            parent_id: None,
            depends_on: Vec::new(),
            waiting_on: 0,
            held: None,
        }
    }

    /// Where it stands first.
    pub(crate) fn place(&mut self, paused: bool, now: DateTime<Utc>) {
        let keys = self.concurrency_key.iter().chain(&self.rate_keys).cloned();
        self.held = limits::held(paused, self.run_after.is_some_and(|at| at > now), keys).map(|held| held.text().to_owned());
    }
}

pub(crate) const DEFAULT_POOL: &str = "default";
pub(crate) const ATTEMPTS: i32 = 3;
pub(crate) const TIMEOUT_S: i32 = 300;

/// Where new tasks belong.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    pub(crate) org: OrgId,
    pub(crate) project: ProjectId,
    pub(crate) goal: Option<GoalId>,
    /// Who submits.
    pub(crate) by: String,
    pub(crate) traceparent: String,
}

#[derive(Serialize)]
struct Row<'a> {
    org_id: Uuid,
    project_id: Uuid,
    goal_id: Option<Uuid>,
    traceparent: &'a str,
    created_by: &'a str,
    labels: Option<&'a BTreeSet<String>>,
    #[serde(flatten)]
    task: &'a NewTask,
}

pub(crate) async fn insert(db: &impl ConnectionTrait, tasks: &[(&Scope, &NewTask)], now: DateTime<Utc>) -> Result<()> {
    let row = |(scope, task): &(&'_ Scope, &'_ NewTask)| -> Result<Value> {
        let Scope { org, project, goal, by: created_by, traceparent } = scope;
        let (org_id, project_id, goal_id) = (org.uuid(), project.uuid(), goal.map(|g| g.uuid()));
        let labels = Some(&task.demands.labels).filter(|labels| !labels.is_empty());
        serde_json::to_value(Row { org_id, project_id, goal_id, traceparent, created_by, labels, task }).map_err(Error::internal)
    };
    let rows = tasks.iter().map(row).collect::<Result<Vec<_>>>()?;
    let insert = "WITH r AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1) AS r(id uuid, org_id uuid, project_id uuid, goal_id uuid,
            traceparent text, created_by text, kind text, lane_id int, title text, priority int, input jsonb, max_attempts int, timeout_s int,
            run_after timestamptz, due_at timestamptz, deadline_at timestamptz, concurrency_key text, rate_keys text[], wishes jsonb,
            labels text[], retry jsonb, budget jsonb, parent_id uuid, depends_on jsonb, waiting_on int, held text)),
        payload AS (INSERT INTO task_payload (task_id, project_id, title, input, labels, retry, budget, parent_id, created_by, traceparent)
            SELECT id, project_id, title, input, labels, retry, budget, parent_id, created_by, traceparent FROM r),
        edges AS (INSERT INTO task_dependency (task_id, depends_on, on_failure, counted)
            SELECT r.id, e.\"on\", e.on_failure, e.counted FROM r, jsonb_to_recordset(r.depends_on) AS e(\"on\" uuid, on_failure text, counted boolean))
        INSERT INTO task (id, org_id, project_id, goal_id, kind, lane_id, state, priority, max_attempts, timeout_s, waiting_on, held, run_after,
            due_at, deadline_at, concurrency_key, rate_keys, wishes, created_at)
        SELECT id, org_id, project_id, goal_id, kind, lane_id, 'inbox', priority, max_attempts, timeout_s, waiting_on, held, run_after,
            coalesce(due_at, 'infinity'), deadline_at, concurrency_key, nullif(rate_keys, '{}'), wishes, $2 FROM r";
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
