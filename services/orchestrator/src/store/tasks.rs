use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum as _, ConnectionTrait, DbErr, FromQueryResult, QueryResult};
use serde::Serialize;
use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::{AgentId, ChangeId, GoalId, OrgId, ProjectId, TaskId};
use titan_store::{Page, sql};
use uuid::Uuid;

use crate::domain::matching::{Candidate, Choice};
use crate::domain::task::{Task, TaskState, Transition};

/// A task as it is shown.
#[derive(Debug, FromQueryResult)]
pub(crate) struct TaskRow {
    pub(crate) id: TaskId,
    pub(crate) project_id: ProjectId,
    pub(crate) goal_id: Option<GoalId>,
    pub(crate) kind: String,
    pub(crate) role: String,
    pub(crate) title: String,
    pub(crate) state: TaskState,
    pub(crate) priority: i32,
    pub(crate) attempt: i32,
    pub(crate) max_attempts: i32,
    pub(crate) waiting_on: i32,
    pub(crate) agent_id: Option<AgentId>,
    pub(crate) agent_name: Option<String>,
    pub(crate) input: Value,
    pub(crate) result: Option<Value>,
    pub(crate) error: String,
    pub(crate) choice: Option<Value>,
    pub(crate) depends_on: Vec<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
}

const SHOWN: &str = "SELECT t.id, t.project_id, t.goal_id, t.kind, t.role, p.title, t.state, t.priority, t.attempt, t.max_attempts,
        t.waiting_on, t.agent_id, a.name AS agent_name, p.input, p.result, p.error, p.choice, t.created_at, t.started_at, t.finished_at,
        ARRAY(SELECT depends_on FROM task_dependency d WHERE d.task_id = t.id ORDER BY 1) AS depends_on
    FROM task t JOIN task_payload p ON p.task_id = t.id LEFT JOIN agent a ON a.id = t.agent_id";

pub(crate) async fn find(db: &impl ConnectionTrait, org: OrgId, id: TaskId) -> Result<TaskRow> {
    let select = format!("{SHOWN} WHERE t.org_id = $1 AND t.id = $2");
    let row = TaskRow::find_by_statement(sql(&select, [org.into(), id.into()])).one(db).await?;
    row.ok_or_else(|| Error::not_found(format!("task {id}")))
}

pub(crate) async fn find_all(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<TaskRow>> {
    let select = format!("{SHOWN} JOIN unnest($1::uuid[]) WITH ORDINALITY AS wanted(id, n) ON wanted.id = t.id ORDER BY wanted.n");
    Ok(TaskRow::find_by_statement(sql(&select, [ids.to_vec().into()])).all(db).await?)
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) project: Option<ProjectId>,
    pub(crate) goal: Option<GoalId>,
    pub(crate) state: Option<TaskState>,
}

pub(crate) async fn list(db: &impl ConnectionTrait, org: OrgId, filter: Filter, page: Page) -> Result<Vec<TaskRow>> {
    let select = format!(
        "{SHOWN} WHERE t.org_id = $1 AND t.id < $2 AND ($3::uuid IS NULL OR t.project_id = $3) AND ($4::uuid IS NULL OR t.goal_id = $4)
            AND ($5::text IS NULL OR t.state = $5) ORDER BY t.id DESC LIMIT $6"
    );
    let state = filter.state.map(|s| s.to_value());
    let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
    let values = [org.into(), page.before.into(), filter.project.into(), filter.goal.into(), state.into(), limit.into()];
    Ok(TaskRow::find_by_statement(sql(&select, values)).all(db).await?)
}

#[derive(Debug, FromQueryResult)]
pub(crate) struct ChangeRow {
    pub(crate) at: DateTime<Utc>,
    pub(crate) from_state: TaskState,
    pub(crate) to_state: TaskState,
    pub(crate) attempt: i32,
    pub(crate) actor: String,
    pub(crate) reason: String,
}

pub(crate) async fn history(db: &impl ConnectionTrait, id: TaskId) -> Result<Vec<ChangeRow>> {
    let select = "SELECT at, from_state, to_state, attempt, actor, reason FROM task_change WHERE task_id = $1 ORDER BY id";
    Ok(ChangeRow::find_by_statement(sql(select, [id.into()])).all(db).await?)
}

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

pub(crate) async fn insert(db: &impl ConnectionTrait, scope: &Scope, tasks: &[NewTask], now: DateTime<Utc>) -> Result<()> {
    let rows = serde_json::to_value(tasks).map_err(Error::internal)?;
    let record = "jsonb_to_recordset($1) AS r(id uuid, kind text, role text, title text, priority int, input jsonb, max_attempts int,
        timeout_s int, run_after timestamptz, exclusive_key text, depends_on uuid[], waiting_on int)";
    let task = format!(
        "INSERT INTO task (id, org_id, project_id, goal_id, kind, role, state, priority, max_attempts, timeout_s, waiting_on, run_after, exclusive_key, created_at)
        SELECT id, $2, $3, $4, kind, role, 'inbox', priority, max_attempts, timeout_s, waiting_on, run_after, exclusive_key, $5 FROM {record}"
    );
    let (org, project, goal) = (scope.org, scope.project, scope.goal);
    db.execute_raw(sql(&task, [rows.clone().into(), org.into(), project.into(), goal.into(), now.into()])).await?;
    let payload = format!("INSERT INTO task_payload (task_id, title, input, traceparent) SELECT id, title, input, $2 FROM {record}");
    db.execute_raw(sql(&payload, [rows.clone().into(), scope.traceparent.clone().into()])).await?;
    let edges = format!("INSERT INTO task_dependency (task_id, depends_on) SELECT DISTINCT id, unnest(depends_on) FROM {record}");
    db.execute_raw(sql(&edges, [rows.into()])).await?;
    Ok(())
}

/// Those of `parents` that are not finished yet, locked so that they cannot finish before the caller's
/// commit; who finishes one reads its dependents after taking its lock.
pub(crate) async fn lock_parents(db: &impl ConnectionTrait, project: ProjectId, parents: &[Uuid]) -> Result<Vec<(Uuid, TaskState)>> {
    let select = "SELECT id, state FROM task WHERE project_id = $1 AND id = ANY($2) ORDER BY id FOR SHARE";
    let rows = db.query_all_raw(sql(select, [project.into(), parents.to_vec().into()])).await?;
    rows.iter().map(|row| Ok((row.try_get("", "id")?, row.try_get("", "state")?))).collect()
}

/// Adds one unfinished dependency to a task that waits.
pub(crate) async fn add_dependency(db: &impl ConnectionTrait, task: TaskId, on: Uuid) -> Result<()> {
    db.execute_raw(sql("INSERT INTO task_dependency (task_id, depends_on) VALUES ($1, $2)", [task.into(), on.into()])).await?;
    db.execute_raw(sql("UPDATE task SET waiting_on = waiting_on + 1 WHERE id = $1", [task.into()])).await?;
    Ok(())
}

pub(crate) async fn submission(db: &impl ConnectionTrait, project: ProjectId, key: &str) -> Result<Option<Vec<Uuid>>> {
    let select = "SELECT task_ids FROM submission WHERE project_id = $1 AND idempotency_key = $2";
    let row = db.query_one_raw(sql(select, [project.into(), key.into()])).await?;
    Ok(row.map(|row| row.try_get("", "task_ids")).transpose()?)
}

/// False when the key is taken.
pub(crate) async fn insert_submission(db: &impl ConnectionTrait, project: ProjectId, key: &str, tasks: &[NewTask]) -> Result<bool> {
    let ids: Vec<Uuid> = tasks.iter().map(|t| t.id).collect();
    let insert = "INSERT INTO submission (project_id, idempotency_key, task_ids) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    Ok(db.execute_raw(sql(insert, [project.into(), key.into(), ids.into()])).await?.rows_affected() == 1)
}

/// Tells every replica that there may be work, when the transaction commits.
pub(crate) async fn notify_ready(db: &impl ConnectionTrait) -> Result<()> {
    db.execute_raw(sql("SELECT pg_notify('titan_ready', '')", [])).await?;
    Ok(())
}

/// Tasks that could start now, most urgent first. Reads without locks; the claim checks again.
pub(crate) async fn ready(db: &impl ConnectionTrait, roles: Vec<String>, limit: u32) -> Result<Vec<Candidate>> {
    let select = "SELECT t.id, t.role, t.exclusive_key, t.state, t.attempt, t.failures, t.losses, t.rejections, t.max_attempts FROM task t
        WHERE t.state = 'inbox' AND t.waiting_on = 0 AND t.role = ANY($1) AND (t.run_after IS NULL OR t.run_after <= now())
            AND (t.exclusive_key IS NULL OR NOT EXISTS
                (SELECT FROM task o WHERE o.exclusive_key = t.exclusive_key AND o.state IN ('assigned', 'in_progress')))
        ORDER BY t.priority DESC, t.id LIMIT $2";
    let rows = db.query_all_raw(sql(select, [roles.into(), i64::from(limit).into()])).await?;
    let candidate = |row: &QueryResult| {
        let task = Task::from_query_result(row, "")?;
        Ok(Candidate { id: row.try_get("", "id")?, task, role: row.try_get("", "role")?, exclusive_key: row.try_get("", "exclusive_key")? })
    };
    rows.iter().map(candidate).collect()
}

/// The compare-and-set: takes the tasks that are still at the attempt seen, for sessions that are still at
/// the epoch seen. Rows are locked in id order. Returns the tasks taken.
pub(crate) async fn claim(db: &impl ConnectionTrait, choices: &[Choice]) -> Result<Vec<TaskId>> {
    let tasks: Vec<Uuid> = choices.iter().map(|c| c.candidate.id.uuid()).collect();
    let attempts: Vec<i32> = choices.iter().map(|c| c.candidate.task.attempt).collect();
    let next: Vec<i32> = choices.iter().map(|c| c.next.attempt).collect();
    let states: Vec<String> = choices.iter().map(|c| c.next.state.to_value()).collect();
    let sessions: Vec<Uuid> = choices.iter().map(|c| c.slot.session.uuid()).collect();
    let epochs: Vec<i64> = choices.iter().map(|c| c.slot.epoch).collect();
    let agents: Vec<Uuid> = choices.iter().map(|c| c.slot.agent.uuid()).collect();
    let update = "WITH choice AS (SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::bigint[], $5::uuid[], $6::int[], $7::text[])
            AS c(id, attempt, session, epoch, agent, next, state)),
        locked AS (SELECT t.id FROM task t JOIN choice c ON c.id = t.id WHERE t.state = 'inbox' AND t.attempt = c.attempt ORDER BY t.id FOR UPDATE OF t)
        UPDATE task t SET state = c.state, attempt = c.next, session_id = c.session, agent_id = c.agent,
            attempt_deadline = now() + t.timeout_s * interval '1 second'
        FROM locked l JOIN choice c ON c.id = l.id JOIN worker_session s ON s.id = c.session AND s.epoch = c.epoch AND s.state = 'connected'
        WHERE t.id = l.id AND t.state = 'inbox' AND t.attempt = c.attempt AND t.waiting_on = 0
        RETURNING t.id";
    let values = [tasks.into(), attempts.into(), sessions.into(), epochs.into(), agents.into(), next.into(), states.into()];
    let rows = db.query_all_raw(sql(update, values)).await?;
    rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}

pub(crate) async fn store_choice(db: &impl ConnectionTrait, task: TaskId, choice: Value) -> Result<()> {
    db.execute_raw(sql("UPDATE task_payload SET choice = $2 WHERE task_id = $1", [task.into(), choice.into()])).await?;
    Ok(())
}

/// What an assignment carries.
#[derive(Debug, FromQueryResult)]
pub(crate) struct AssignmentRow {
    pub(crate) id: TaskId,
    pub(crate) attempt: i32,
    pub(crate) org_id: OrgId,
    pub(crate) project_id: ProjectId,
    pub(crate) project_slug: String,
    pub(crate) goal_id: Option<GoalId>,
    pub(crate) kind: String,
    pub(crate) role: String,
    pub(crate) title: String,
    pub(crate) input: Value,
    pub(crate) traceparent: String,
    pub(crate) agent_name: String,
    pub(crate) exclusive_key: Option<String>,
    pub(crate) timeout_s: i32,
    pub(crate) remaining_ms: i64,
    /// `[{id, kind, result}]`, oldest first.
    pub(crate) dependencies: Value,
}

pub(crate) async fn assignments(db: &impl ConnectionTrait, ids: &[TaskId]) -> Result<Vec<AssignmentRow>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let select = "SELECT t.id, t.attempt, t.org_id, t.project_id, j.slug AS project_slug, t.goal_id, t.kind, t.role, p.title, p.input, p.traceparent,
            a.name AS agent_name, t.exclusive_key, t.timeout_s,
            greatest(0, (extract(epoch FROM t.attempt_deadline - now()) * 1000)::bigint) AS remaining_ms,
            coalesce((SELECT jsonb_agg(jsonb_build_object('id', o.id, 'kind', o.kind, 'result', op.result) ORDER BY o.id)
                FROM task_dependency d JOIN task o ON o.id = d.depends_on JOIN task_payload op ON op.task_id = o.id
                WHERE d.task_id = t.id), '[]') AS dependencies
        FROM task t JOIN task_payload p ON p.task_id = t.id JOIN project j ON j.id = t.project_id JOIN agent a ON a.id = t.agent_id
        WHERE t.id = ANY($1) AND t.state IN ('assigned', 'in_progress')";
    Ok(AssignmentRow::find_by_statement(sql(select, [ids.into()])).all(db).await?)
}

/// What does not change in the life of a task.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct Identity {
    pub(crate) org_id: OrgId,
    pub(crate) project_id: ProjectId,
    pub(crate) goal_id: Option<GoalId>,
    pub(crate) kind: String,
    pub(crate) role: String,
    pub(crate) title: String,
    pub(crate) input: Value,
    pub(crate) priority: i32,
    pub(crate) max_attempts: i32,
    pub(crate) timeout_s: i32,
    pub(crate) traceparent: String,
}

pub(crate) async fn identity(db: &impl ConnectionTrait, id: TaskId) -> Result<Identity> {
    let select =
        "SELECT t.org_id, t.project_id, t.goal_id, t.kind, t.role, p.title, p.input, t.priority, t.max_attempts, t.timeout_s, p.traceparent
        FROM task t JOIN task_payload p ON p.task_id = t.id WHERE t.id = $1";
    let row = Identity::find_by_statement(sql(select, [id.into()])).one(db).await?;
    row.ok_or_else(|| Error::not_found(format!("task {id}")))
}

impl FromQueryResult for Task {
    fn from_query_result(row: &QueryResult, prefix: &str) -> std::result::Result<Self, DbErr> {
        Ok(Self {
            state: row.try_get(prefix, "state")?,
            attempt: row.try_get(prefix, "attempt")?,
            failures: row.try_get(prefix, "failures")?,
            losses: row.try_get(prefix, "losses")?,
            rejections: row.try_get(prefix, "rejections")?,
            max_attempts: row.try_get(prefix, "max_attempts")?,
        })
    }
}

/// A task nobody else can change before the caller's commit.
#[derive(Debug)]
pub(crate) struct Locked {
    pub(crate) task: Task,
    pub(crate) agent: Option<AgentId>,
    pub(crate) agent_name: String,
    /// Of the accepted result.
    pub(crate) digest: Option<String>,
}

pub(crate) async fn lock(db: &impl ConnectionTrait, id: TaskId) -> Result<Locked> {
    let select = "SELECT t.state, t.attempt, t.failures, t.losses, t.rejections, t.max_attempts, t.agent_id, a.name AS agent_name, p.digest
        FROM task t JOIN task_payload p ON p.task_id = t.id LEFT JOIN agent a ON a.id = t.agent_id WHERE t.id = $1 FOR UPDATE OF t";
    let row = db.query_one_raw(sql(select, [id.into()])).await?;
    let row = row.ok_or_else(|| Error::not_found(format!("task {id}")))?;
    let agent_name: Option<String> = row.try_get("", "agent_name")?;
    let (task, agent) = (Task::from_query_result(&row, "")?, row.try_get("", "agent_id")?);
    Ok(Locked { task, agent, agent_name: agent_name.unwrap_or_default(), digest: row.try_get("", "digest")? })
}

pub(crate) async fn write(db: &impl ConnectionTrait, id: TaskId, next: &Transition, now: DateTime<Utc>) -> Result<()> {
    let Task { state, attempt: _, failures, losses, rejections, max_attempts: _ } = next.task;
    let wait = next.retry_after.map(|d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    let update = "UPDATE task SET state = $2, failures = $3, losses = $4, rejections = $5,
            started_at = CASE WHEN $2 = 'in_progress' THEN $6 ELSE started_at END,
            finished_at = CASE WHEN $2 IN ('done', 'failed', 'cancelled') THEN $6 END,
            run_after = CASE WHEN $7::bigint IS NULL THEN run_after ELSE now() + $7 * interval '1 millisecond' END,
            session_id = CASE WHEN $2 = 'in_progress' THEN session_id END,
            attempt_deadline = CASE WHEN $2 = 'in_progress' THEN attempt_deadline END
        WHERE id = $1";
    let values = [id.into(), state.to_value().into(), failures.into(), losses.into(), rejections.into(), now.into(), wait.into()];
    db.execute_raw(sql(update, values)).await?;
    Ok(())
}

pub(crate) async fn write_result(
    db: &impl ConnectionTrait,
    id: TaskId,
    result: Option<Value>,
    digest: Option<String>,
    error: &str,
) -> Result<()> {
    let update = "UPDATE task_payload SET result = coalesce($2, result), digest = coalesce($3, digest), error = $4 WHERE task_id = $1";
    db.execute_raw(sql(update, [id.into(), result.into(), digest.into(), error.into()])).await?;
    Ok(())
}

/// One line of a task's history.
#[derive(Clone, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) task: TaskId,
    pub(crate) from: TaskState,
    pub(crate) to: TaskState,
    pub(crate) attempt: i32,
    pub(crate) actor: &'a str,
    pub(crate) reason: &'a str,
}

pub(crate) async fn record(db: &impl ConnectionTrait, change: Change<'_>, now: DateTime<Utc>) -> Result<()> {
    let Change { task, from, to, attempt, actor, reason } = change;
    let insert =
        "INSERT INTO task_change (id, task_id, at, from_state, to_state, attempt, actor, reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let id = ChangeId::generate();
    let values =
        [id.into(), task.into(), now.into(), from.to_value().into(), to.to_value().into(), attempt.into(), actor.into(), reason.into()];
    db.execute_raw(sql(insert, values)).await?;
    Ok(())
}

/// A task that another one's end has an effect on, locked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Affected {
    pub(crate) id: TaskId,
    pub(crate) task: Task,
    pub(crate) waiting_on: i32,
}

async fn affected<const N: usize>(db: &impl ConnectionTrait, condition: &str, values: [sea_orm::Value; N]) -> Result<Vec<Affected>> {
    let select = format!(
        "SELECT t.id, t.waiting_on, t.state, t.attempt, t.failures, t.losses, t.rejections, t.max_attempts FROM task t
        WHERE t.state IN ('inbox', 'blocked') AND {condition} ORDER BY t.id FOR UPDATE"
    );
    let rows = db.query_all_raw(sql(&select, values)).await?;
    let affected = |row: &QueryResult| {
        let task = Task::from_query_result(row, "")?;
        Ok(Affected { id: row.try_get("", "id")?, task, waiting_on: row.try_get("", "waiting_on")? })
    };
    rows.iter().map(affected).collect()
}

/// The tasks that wait for `parent`. Called after the parent's lock was taken, as a second statement, so
/// that it sees every dependent that was added before.
pub(crate) async fn lock_dependents(db: &impl ConnectionTrait, parent: TaskId) -> Result<Vec<Affected>> {
    affected(db, "t.id IN (SELECT task_id FROM task_dependency WHERE depends_on = $1)", [parent.into()]).await
}

/// What can no longer happen after `failed`: everything below it, and the rest of its goal.
pub(crate) async fn lock_unreachable(db: &impl ConnectionTrait, failed: TaskId, goal: Option<GoalId>) -> Result<Vec<Affected>> {
    let below = "(t.goal_id = $2 OR t.id IN (WITH RECURSIVE below AS (SELECT task_id FROM task_dependency WHERE depends_on = $1
        UNION SELECT d.task_id FROM task_dependency d JOIN below b ON d.depends_on = b.task_id) SELECT task_id FROM below))";
    affected(db, below, [failed.into(), goal.into()]).await
}

/// One dependency of these tasks is done.
pub(crate) async fn count_down(db: &impl ConnectionTrait, tasks: &[Affected]) -> Result<()> {
    let ids: Vec<Uuid> = tasks.iter().map(|t| t.id.uuid()).collect();
    db.execute_raw(sql("UPDATE task SET waiting_on = waiting_on - 1 WHERE id = ANY($1)", [ids.into()])).await?;
    Ok(())
}

/// The newest task this one depends on: the work it judges.
pub(crate) async fn judged(db: &impl ConnectionTrait, task: TaskId) -> Result<Option<TaskId>> {
    let select = "SELECT depends_on AS id FROM task_dependency WHERE task_id = $1 ORDER BY depends_on DESC LIMIT 1";
    let row = db.query_one_raw(sql(select, [task.into()])).await?;
    Ok(row.map(|row| row.try_get("", "id")).transpose()?)
}
