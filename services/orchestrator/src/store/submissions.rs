//! New tasks, and which submission made them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum as _, ConnectionTrait, FromQueryResult, SqlErr};
use serde::Serialize;
use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::{GoalId, OrgId, ProjectId, TaskId};
use titan_store::{Combined, sql};
use uuid::Uuid;

use super::limits::Stated;
use super::transitions::RetryPolicy;
use crate::domain::limits;
use crate::domain::matching::{Demands, Wishes};
use crate::domain::readiness::Ready;
use crate::domain::task::{OnFailure, TaskState};

/// A task to be stored.
#[derive(Clone, Debug)]
pub(crate) struct NewTask {
    pub(crate) id: Uuid,
    pub(crate) kind: String,
    pub(crate) pool: String,
    pub(crate) role: String,
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
    pub(crate) limits: Vec<Stated>,
    pub(crate) wishes: Option<Wishes>,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) budget: Option<Value>,
    pub(crate) parent_id: Option<Uuid>,
    pub(crate) depends_on: Vec<Dependency>,
    pub(crate) waiting_on: i32,
    pub(crate) held: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) on: Uuid,
    pub(crate) on_failure: OnFailure,
    /// What it waits for failed before, and it runs anyway.
    pub(crate) counted: bool,
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

    pub(crate) fn is_ready(&self) -> bool {
        self.held.is_none() && self.waiting_on == 0
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

/// What few tasks have, in one column of what is sent.
#[derive(Serialize)]
struct Rest<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    run_after: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    rate_keys: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    wishes: Option<&'a Wishes>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    labels: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<&'a RetryPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<Uuid>,
}

/// Empty when the task has nothing of it.
fn rest(task: &NewTask) -> Result<String> {
    let NewTask { run_after, due_at, deadline_at, parent_id, .. } = *task;
    let rest = Rest {
        run_after,
        due_at,
        deadline_at,
        concurrency_key: task.concurrency_key.as_deref(),
        rate_keys: &task.rate_keys,
        wishes: task.wishes.as_ref(),
        labels: &task.demands.labels,
        retry: task.retry.as_ref(),
        budget: task.budget.as_ref(),
        parent_id,
    };
    let text = serde_json::to_string(&rest).map_err(Error::internal)?;
    Ok(if text == "{}" { String::new() } else { text })
}

pub(crate) fn insert(writes: &mut Combined, tasks: &[(&Scope, &NewTask)], now: DateTime<Utc>) -> Result<()> {
    // Arrays without nulls: an empty text stands for none. Typed columns: a JSON document a task took three times as long.
    let with = "r AS MATERIALIZED (SELECT id, org_id, project_id, nullif(goal, '')::uuid AS goal_id, traceparent, created_by, kind, lane_id, title,
                priority, input::jsonb AS input, max_attempts, timeout_s, waiting_on, nullif(held, '') AS held, nullif(rest, '')::jsonb AS rest
            FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int[], $10::text[], $11::int[],
                $12::text[], $13::int[], $14::int[], $15::int[], $16::text[], $17::text[])
            AS r(id, org_id, project_id, goal, traceparent, created_by, kind, lane_id, title, priority, input, max_attempts, timeout_s, waiting_on, held, rest)),
        payload AS (INSERT INTO task_payload (task_id, project_id, title, input, labels, retry, budget, parent_id, created_by, traceparent)
            SELECT id, project_id, title, input,
                CASE WHEN rest ? 'labels' THEN ARRAY(SELECT jsonb_array_elements_text(rest->'labels')) END,
                rest->'retry', rest->'budget', (rest->>'parent_id')::uuid, created_by, traceparent FROM r)";
    let insert = "INSERT INTO task (id, org_id, project_id, goal_id, kind, lane_id, state, priority, max_attempts, timeout_s, waiting_on, held, run_after,
            due_at, deadline_at, concurrency_key, rate_keys, wishes, created_at)
        SELECT id, org_id, project_id, goal_id, kind, lane_id, 'inbox', priority, max_attempts, timeout_s, waiting_on, held,
            (rest->>'run_after')::timestamptz, coalesce((rest->>'due_at')::timestamptz, 'infinity'), (rest->>'deadline_at')::timestamptz,
            rest->>'concurrency_key',
            CASE WHEN rest ? 'rate_keys' THEN ARRAY(SELECT jsonb_array_elements_text(rest->'rate_keys')) END, rest->'wishes', $1 FROM r";
    let scope = |of: fn(&Scope) -> Uuid| tasks.iter().map(|(scope, _)| of(scope)).collect::<Vec<Uuid>>();
    let number = |of: fn(&NewTask) -> i32| tasks.iter().map(|(_, task)| of(task)).collect::<Vec<i32>>();
    let text = |of: fn(&Scope, &NewTask) -> String| tasks.iter().map(|(scope, task)| of(scope, task)).collect::<Vec<String>>();
    let values = [
        now.into(),
        tasks.iter().map(|(_, task)| task.id).collect::<Vec<_>>().into(),
        scope(|s| s.org.uuid()).into(),
        scope(|s| s.project.uuid()).into(),
        text(|s, _| s.goal.map(|goal| goal.uuid().to_string()).unwrap_or_default()).into(),
        text(|s, _| s.traceparent.clone()).into(),
        text(|s, _| s.by.clone()).into(),
        text(|_, t| t.kind.clone()).into(),
        number(|t| t.lane_id).into(),
        text(|_, t| t.title.clone()).into(),
        number(|t| t.priority).into(),
        text(|_, t| t.input.to_string()).into(),
        number(|t| t.max_attempts).into(),
        number(|t| t.timeout_s).into(),
        number(|t| t.waiting_on).into(),
        text(|_, t| t.held.clone().unwrap_or_default()).into(),
        tasks.iter().map(|(_, task)| rest(task)).collect::<Result<Vec<_>>>()?.into(),
    ];
    writes.add_with(with, insert, values);
    insert_edges(writes, tasks);
    Ok(())
}

fn insert_edges(writes: &mut Combined, tasks: &[(&Scope, &NewTask)]) {
    let edges: Vec<(Uuid, Dependency)> = tasks.iter().flat_map(|(_, task)| task.depends_on.iter().map(|edge| (task.id, *edge))).collect();
    if edges.is_empty() {
        return;
    }
    let insert = "INSERT INTO task_dependency (task_id, depends_on, on_failure, counted)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bool[])";
    let values = [
        edges.iter().map(|(task, _)| *task).collect::<Vec<_>>().into(),
        edges.iter().map(|(_, edge)| edge.on).collect::<Vec<_>>().into(),
        edges.iter().map(|(_, edge)| edge.on_failure.to_value()).collect::<Vec<String>>().into(),
        edges.iter().map(|(_, edge)| edge.counted).collect::<Vec<_>>().into(),
    ];
    writes.add(insert, values);
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
#[derive(Debug)]
pub(crate) struct NewKey {
    pub(crate) project_id: Uuid,
    pub(crate) idempotency_key: String,
    pub(crate) task_ids: Vec<Uuid>,
}

const INSERT_KEYS: &str = "INSERT INTO submission (project_id, idempotency_key, task_ids)
    SELECT project_id, idempotency_key, task_ids::uuid[] FROM unnest($1::uuid[], $2::text[], $3::text[]) AS r(project_id, idempotency_key, task_ids)
    ORDER BY project_id, idempotency_key";

fn key_values(keys: &[NewKey]) -> [sea_orm::Value; 3] {
    let array = |key: &NewKey| format!("{{{}}}", key.task_ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(","));
    [
        keys.iter().map(|key| key.project_id).collect::<Vec<_>>().into(),
        keys.iter().map(|key| key.idempotency_key.clone()).collect::<Vec<_>>().into(),
        keys.iter().map(array).collect::<Vec<_>>().into(),
    ]
}

/// Takes keys that are free.
pub(crate) fn add_keys(writes: &mut Combined, keys: &[NewKey]) {
    writes.add(INSERT_KEYS, key_values(keys));
}

/// False, and nothing is written, when a key is not free.
pub(crate) async fn store(db: &impl ConnectionTrait, writes: Combined) -> Result<bool> {
    match db.query_all_raw(writes.into_statement()).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Takes the keys that are free; returns, by position, whether the key was.
pub(crate) async fn take_keys(db: &impl ConnectionTrait, keys: &[NewKey]) -> Result<Vec<bool>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let insert = format!("{INSERT_KEYS} ON CONFLICT DO NOTHING RETURNING task_ids[1] AS first");
    let rows = db.query_all_raw(sql(&insert, key_values(keys))).await?;
    let taken = rows.iter().map(|row| Ok(row.try_get("", "first")?)).collect::<Result<std::collections::HashSet<Uuid>>>()?;
    Ok(keys.iter().map(|key| key.task_ids.first().is_some_and(|id| taken.contains(id))).collect())
}

/// Tells the other replicas what there is to claim, when the transaction commits.
pub(crate) fn notify_ready(writes: &mut Combined, by: Uuid, ready: &Ready) {
    if !ready.is_nothing() {
        writes.call("pg_notify('titan_ready', $1)", [ready.told(by).into()]);
    }
}
