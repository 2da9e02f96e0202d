//! Tasks that move from state to state, a batch at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum as _, ConnectionTrait, DbErr, FromQueryResult, QueryResult};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use titan_error::{Error, Result};
use titan_ids::{AgentId, ChangeId, GoalId, OrgId, ProjectId, TaskId};
use titan_store::{Combined, sql};
use uuid::Uuid;

use crate::domain::budget::{Budget, Spent};
use crate::domain::limits::{self, Held};
use crate::domain::task::{Backoff, OnFailure, Task, TaskState, Transition};

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

/// The goals these tasks belong to, which never changes.
pub(crate) async fn goals_of(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<GoalId>> {
    let select = "SELECT DISTINCT goal_id FROM task WHERE id = ANY($1) AND goal_id IS NOT NULL ORDER BY 1";
    let rows = db.query_all_raw(sql(select, [ids.to_vec().into()])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "goal_id")?)).collect()
}

/// Where a task stands in the inbox, and what it is under.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) lane_id: i32,
    pub(crate) held: Option<Held>,
    pub(crate) concurrency_key: Option<String>,
    pub(crate) rate_keys: Vec<String>,
    /// Its goal is.
    pub(crate) paused: bool,
    /// Its time has not come.
    pub(crate) later: bool,
}

impl FromQueryResult for Place {
    fn from_query_result(row: &QueryResult, prefix: &str) -> std::result::Result<Self, DbErr> {
        let held: Option<String> = row.try_get(prefix, "held")?;
        Ok(Self {
            lane_id: row.try_get(prefix, "lane_id")?,
            held: held.as_deref().map(Held::parse),
            concurrency_key: row.try_get(prefix, "concurrency_key")?,
            rate_keys: row.try_get::<Option<Vec<String>>>(prefix, "rate_keys")?.unwrap_or_default(),
            paused: row.try_get(prefix, "paused")?,
            later: row.try_get(prefix, "later")?,
        })
    }
}

impl Place {
    /// Where it stands after the transition.
    pub(crate) fn after(&self, next: &Transition) -> Option<Held> {
        if next.task.state != TaskState::Inbox || (next.admitted && !self.paused) {
            return None;
        }
        Self { later: next.retry_after.map_or(self.later, |wait| !wait.is_zero()), ..self.clone() }.stand()
    }

    /// Where it stands in the inbox anew.
    pub(crate) fn stand(&self) -> Option<Held> {
        limits::held(self.paused, self.later, self.concurrency_key.iter().chain(&self.rate_keys).cloned())
    }
}

/// A task nobody else can change before the caller's commit.
#[derive(Debug, FromQueryResult)]
pub(crate) struct Locked {
    pub(crate) id: TaskId,
    #[sea_orm(nested)]
    pub(crate) task: Task,
    #[sea_orm(nested)]
    pub(crate) place: Place,
    pub(crate) org_id: OrgId,
    pub(crate) project_id: ProjectId,
    pub(crate) goal_id: Option<GoalId>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    /// Its retry policy, where it has its own.
    pub(crate) retry: Option<Value>,
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) traceparent: String,
    pub(crate) agent_id: Option<AgentId>,
    pub(crate) agent_name: Option<String>,
    /// Of the accepted result.
    pub(crate) digest: Option<String>,
    /// Its own deadline has passed.
    pub(crate) expired: bool,
    budget: Option<Value>,
    spent: Option<Value>,
}

/// In id order; those that do not exist are left out.
pub(crate) async fn lock(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<Locked>> {
    let select = "SELECT t.id, t.state, t.attempt, t.failures, t.losses, t.rejections, t.max_attempts, t.org_id, t.project_id, t.goal_id,
            t.lane_id, t.held, t.concurrency_key, t.rate_keys, coalesce(g.paused, false) AS paused, coalesce(t.run_after > now(), false) AS later, t.started_at, p.retry,
            t.kind, p.title, p.traceparent, t.agent_id, a.name AS agent_name, p.digest, p.budget, p.spent, coalesce(t.deadline_at < now(), false) AS expired
        FROM task t JOIN task_payload p ON p.task_id = t.id LEFT JOIN agent a ON a.id = t.agent_id LEFT JOIN goal g ON g.id = t.goal_id
        WHERE t.id = ANY($1) ORDER BY t.id FOR UPDATE OF t";
    Ok(Locked::find_by_statement(sql(select, [ids.to_vec().into()])).all(db).await?)
}

/// How a task is tried again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RetryPolicy {
    pub(crate) base_ms: Option<u64>,
    pub(crate) most_ms: Option<u64>,
    pub(crate) jitter: Option<f64>,
    /// Codes of errors after which it is not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) final_errors: Vec<String>,
}

impl RetryPolicy {
    pub(crate) fn backoff(&self) -> Backoff {
        let Backoff { base, most, jitter } = Backoff::default();
        let millis = |given: Option<u64>, default| given.map_or(default, Duration::from_millis);
        let base = millis(self.base_ms, base);
        Backoff { base, most: millis(self.most_ms, most).max(base), jitter: self.jitter.unwrap_or(jitter) }
    }
}

impl Locked {
    pub(crate) fn retry_policy(&self) -> RetryPolicy {
        parsed(self.retry.as_ref())
    }
    pub(crate) fn budget(&self) -> Budget {
        parsed(self.budget.as_ref())
    }
    pub(crate) fn spent(&self) -> Spent {
        parsed(self.spent.as_ref())
    }
}

/// What was written by this program; the default where there is none.
pub(crate) fn parsed<T: DeserializeOwned + Default>(column: Option<&Value>) -> T {
    column.and_then(|value| T::deserialize(value).ok()).unwrap_or_default()
}

/// What a task becomes.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) id: TaskId,
    pub(crate) next: Transition,
    /// Its attempt began now.
    pub(crate) started: bool,
    pub(crate) held: Option<Held>,
    /// What it became does not fail its goal.
    pub(crate) tolerated: bool,
}

pub(crate) fn write(to: &mut Combined, writes: &[Write], now: DateTime<Utc>) {
    if writes.is_empty() {
        return;
    }
    let column = |of: fn(&Write) -> i32| writes.iter().map(of).collect::<Vec<i32>>();
    let ids: Vec<Uuid> = writes.iter().map(|w| w.id.uuid()).collect();
    let states: Vec<String> = writes.iter().map(|w| w.next.task.state.to_value()).collect();
    let started: Vec<bool> = writes.iter().map(|w| w.started).collect();
    let millis = |wait: Duration| i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
    // -1: no pause before the next claim.
    let waits: Vec<i64> = writes.iter().map(|w| w.next.retry_after.map_or(-1, millis)).collect();
    let held: Vec<String> = writes.iter().map(|w| w.held.as_ref().map_or("", Held::text).to_owned()).collect();
    let tolerated: Vec<bool> = writes.iter().map(|w| w.tolerated).collect();
    let update = "UPDATE task t SET state = w.state, held = nullif(w.held, ''), tolerated = w.tolerated, failures = w.failures, losses = w.losses, rejections = w.rejections,
            started_at = CASE WHEN w.started THEN $8 ELSE t.started_at END,
            finished_at = CASE WHEN w.state IN ('done', 'failed', 'cancelled') THEN $8 END,
            run_after = CASE WHEN w.wait_ms < 0 THEN t.run_after ELSE now() + w.wait_ms * interval '1 millisecond' END,
            deadline_at = CASE WHEN t.state IN ('failed', 'cancelled') THEN NULL ELSE t.deadline_at END,
            session_id = CASE WHEN w.state = 'in_progress' THEN t.session_id END,
            attempt_deadline = CASE WHEN w.state = 'in_progress' THEN t.attempt_deadline END
        FROM unnest($1::uuid[], $2::text[], $3::int[], $4::int[], $5::int[], $6::bool[], $7::bigint[], $9::text[], $10::bool[])
            AS w(id, state, failures, losses, rejections, started, wait_ms, held, tolerated)
        WHERE t.id = w.id";
    let values = [
        ids.into(),
        states.into(),
        column(|w| w.next.task.failures).into(),
        column(|w| w.next.task.losses).into(),
        column(|w| w.next.task.rejections).into(),
        started.into(),
        waits.into(),
        now.into(),
        held.into(),
        tolerated.into(),
    ];
    to.add(update, values);
}

/// How an attempt ended, for those who ask.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) id: TaskId,
    pub(crate) result: Option<Value>,
    pub(crate) digest: Option<String>,
    pub(crate) error: String,
    /// Where it has changed.
    pub(crate) spent: Option<Spent>,
}

pub(crate) fn write_results(to: &mut Combined, ended: &[Ended]) {
    if ended.is_empty() {
        return;
    }
    let ids: Vec<Uuid> = ended.iter().map(|e| e.id.uuid()).collect();
    // Arrays without nulls: an empty text stands for none.
    let results: Vec<String> = ended.iter().map(|e| e.result.as_ref().map(Value::to_string).unwrap_or_default()).collect();
    let digests: Vec<String> = ended.iter().map(|e| e.digest.clone().unwrap_or_default()).collect();
    let errors: Vec<String> = ended.iter().map(|e| e.error.clone()).collect();
    let spent: Vec<String> = ended.iter().map(|e| e.spent.map(|spent| json!(spent).to_string()).unwrap_or_default()).collect();
    let update = "UPDATE task_payload p SET result = coalesce(nullif(e.result, '')::jsonb, p.result),
            digest = coalesce(nullif(e.digest, ''), p.digest), error = e.error, spent = coalesce(nullif(e.spent, '')::jsonb, p.spent)
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[]) AS e(id, result, digest, error, spent) WHERE p.task_id = e.id";
    to.add(update, [ids.into(), results.into(), digests.into(), errors.into(), spent.into()]);
}

/// Of attempts that go on; of those that ended it is written with how they did.
pub(crate) fn write_spent(to: &mut Combined, spent: &[(TaskId, Spent)]) {
    if spent.is_empty() {
        return;
    }
    let ids: Vec<Uuid> = spent.iter().map(|(id, _)| id.uuid()).collect();
    let values: Vec<Value> = spent.iter().map(|(_, spent)| json!(spent)).collect();
    let update = "UPDATE task_payload p SET spent = s.spent FROM unnest($1::uuid[], $2::jsonb[]) AS s(id, spent) WHERE p.task_id = s.id";
    to.add(update, [ids.into(), values.into()]);
}

/// One line of a task's history.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) task: TaskId,
    pub(crate) from: TaskState,
    pub(crate) to: TaskState,
    pub(crate) attempt: i32,
    pub(crate) actor: String,
    pub(crate) reason: String,
    /// Of a claim: why this agent.
    pub(crate) choice: Option<Value>,
}

pub(crate) fn record(to: &mut Combined, changes: &[Change], now: DateTime<Utc>) {
    if changes.is_empty() {
        return;
    }
    let text = |of: fn(&Change) -> String| changes.iter().map(of).collect::<Vec<String>>();
    let ids: Vec<Uuid> = changes.iter().map(|_| ChangeId::generate().uuid()).collect();
    let tasks: Vec<Uuid> = changes.iter().map(|c| c.task.uuid()).collect();
    let attempts: Vec<i32> = changes.iter().map(|c| c.attempt).collect();
    let choices: Vec<String> = changes.iter().map(|c| c.choice.as_ref().map(Value::to_string).unwrap_or_default()).collect();
    let insert = "INSERT INTO task_change (id, task_id, at, from_state, to_state, attempt, actor, reason, choice)
        SELECT c.id, c.task, $8, c.from_state, c.to_state, c.attempt, c.actor, c.reason, nullif(c.choice, '')::jsonb
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $9::text[])
            AS c(id, task, from_state, to_state, attempt, actor, reason, choice)";
    let values = [
        ids.into(),
        tasks.into(),
        text(|c| c.from.to_value()).into(),
        text(|c| c.to.to_value()).into(),
        attempts.into(),
        text(|c| c.actor.clone()).into(),
        text(|c| c.reason.clone()).into(),
        now.into(),
        choices.into(),
    ];
    to.add(insert, values);
}

/// A task that another one's end has an effect on, locked.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct Affected {
    pub(crate) id: TaskId,
    pub(crate) org_id: OrgId,
    pub(crate) project_id: ProjectId,
    pub(crate) traceparent: String,
    pub(crate) goal_id: Option<GoalId>,
    #[sea_orm(nested)]
    pub(crate) task: Task,
    #[sea_orm(nested)]
    pub(crate) place: Place,
}

const AFFECTED: &str =
    "SELECT t.id, t.org_id, t.project_id, p.traceparent, t.goal_id, t.state, t.attempt, t.failures, t.losses, t.rejections, t.max_attempts,
        t.lane_id, t.held, t.concurrency_key, t.rate_keys, coalesce(g.paused, false) AS paused, coalesce(t.run_after > now(), false) AS later
    FROM task t JOIN task_payload p ON p.task_id = t.id LEFT JOIN goal g ON g.id = t.goal_id";

/// A task that waits for another one, and what it does when that one fails.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(crate) struct Edge {
    pub(crate) task_id: TaskId,
    pub(crate) depends_on: TaskId,
    pub(crate) on_failure: OnFailure,
}

/// The tasks that wait for one of `parents`. Called after the parents' locks were taken, as a second
/// statement, so that it sees every dependent that was added before.
/// The third: parents that something ran after although they had failed, before they were tried again.
pub(crate) async fn lock_dependents(db: &impl ConnectionTrait, parents: &[Uuid]) -> Result<(Vec<Affected>, Vec<Edge>, BTreeSet<TaskId>)> {
    // Most tasks have none, and then nothing else is looked at.
    let select = "SELECT DISTINCT task_id FROM task_dependency WHERE depends_on = ANY($1)";
    let rows = db.query_all_raw(sql(select, [parents.to_vec().into()])).await?;
    let ids = rows.iter().map(|row| Ok(row.try_get("", "task_id")?)).collect::<Result<Vec<Uuid>>>()?;
    if ids.is_empty() {
        return Ok((Vec::new(), Vec::new(), BTreeSet::new()));
    }
    let select = format!("{AFFECTED} WHERE t.state IN ('inbox', 'blocked') AND t.id = ANY($1) ORDER BY t.id FOR UPDATE OF t");
    let dependents = Affected::find_by_statement(sql(&select, [ids.into()])).all(db).await?;
    let ids: Vec<Uuid> = dependents.iter().map(|d| d.id.uuid()).collect();
    let select = "SELECT task_id, depends_on, on_failure FROM task_dependency
        WHERE task_id = ANY($1) AND depends_on = ANY($2) AND NOT counted";
    let edges = Edge::find_by_statement(sql(select, [ids.into(), parents.to_vec().into()])).all(db).await?;
    let select = "SELECT DISTINCT depends_on FROM task_dependency WHERE depends_on = ANY($1) AND counted AND on_failure = 'run'";
    let rows = db.query_all_raw(sql(select, [parents.to_vec().into()])).await?;
    let handled = rows.iter().map(|row| Ok(row.try_get("", "depends_on")?)).collect::<Result<_>>()?;
    Ok((dependents, edges, handled))
}

/// These tasks with their subtasks, and theirs.
pub(crate) async fn with_subtasks(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<Uuid>> {
    let select = "WITH RECURSIVE part AS (SELECT unnest($1::uuid[]) AS id
            UNION SELECT p.task_id FROM task_payload p JOIN part ON p.parent_id = part.id) SELECT id FROM part ORDER BY id";
    let rows = db.query_all_raw(sql(select, [ids.to_vec().into()])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}

pub(crate) async fn set_lane(db: &impl ConnectionTrait, id: TaskId, lane: i32) -> Result<()> {
    db.execute_raw(sql("UPDATE task SET lane_id = $2 WHERE id = $1", [id.into(), lane.into()])).await?;
    Ok(())
}

/// Tasks that are tried again by hand have their whole budget, and are dead letters when they fail again.
pub(crate) async fn forget_former_life(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<()> {
    let update = "UPDATE task_payload SET discarded = false, spent = NULL WHERE task_id = ANY($1) AND (discarded OR spent IS NOT NULL)";
    db.execute_raw(sql(update, [ids.to_vec().into()])).await?;
    Ok(())
}

/// The part of a goal that has not begun.
pub(crate) async fn lock_rest_of_goal(db: &impl ConnectionTrait, goal: GoalId) -> Result<Vec<Affected>> {
    let select = format!("{AFFECTED} WHERE t.state IN ('inbox', 'blocked') AND t.goal_id = $1 ORDER BY t.id FOR UPDATE OF t");
    Ok(Affected::find_by_statement(sql(&select, [goal.into()])).all(db).await?)
}

/// What was cancelled because `parent` would never be done — below it, or in its goal — and not by hand.
pub(crate) async fn lock_cancelled_with(
    db: &impl ConnectionTrait,
    parent: TaskId,
    goal: Option<GoalId>,
    engine: &str,
) -> Result<Vec<Affected>> {
    let select = format!(
        "{AFFECTED} WHERE t.state = 'cancelled' AND t.id <> $1
        AND t.id IN (WITH RECURSIVE below AS (SELECT task_id FROM task_dependency WHERE depends_on = $1
            UNION SELECT d.task_id FROM task_dependency d JOIN below b ON d.depends_on = b.task_id)
            SELECT task_id FROM below UNION SELECT id FROM task WHERE goal_id = $2)
        AND (SELECT actor FROM task_change c WHERE c.task_id = t.id AND c.to_state = 'cancelled' AND c.from_state <> 'cancelled'
            ORDER BY c.id DESC LIMIT 1) = $3
        ORDER BY t.id FOR UPDATE OF t"
    );
    Ok(Affected::find_by_statement(sql(&select, [parent.into(), goal.into(), engine.into()])).all(db).await?)
}

/// (task, what it waits for) of these tasks, where the latter has ended without being done and it does not run anyway.
pub(crate) async fn hopeless(db: &impl ConnectionTrait, tasks: &[Uuid]) -> Result<Vec<(TaskId, TaskId)>> {
    let select = "SELECT d.task_id, d.depends_on FROM task_dependency d JOIN task o ON o.id = d.depends_on
        WHERE d.task_id = ANY($1) AND o.state IN ('failed', 'cancelled') AND d.on_failure <> 'run'";
    let rows = db.query_all_raw(sql(select, [tasks.to_vec().into()])).await?;
    rows.iter().map(|row| Ok((row.try_get("", "task_id")?, row.try_get("", "depends_on")?))).collect()
}

/// Counts anew what these tasks wait for: while they were cancelled nobody counted for them.
pub(crate) async fn recount(db: &impl ConnectionTrait, tasks: &[Uuid]) -> Result<()> {
    let lock = "SELECT id FROM task WHERE id IN (SELECT depends_on FROM task_dependency WHERE task_id = ANY($1)) ORDER BY id FOR SHARE";
    db.execute_raw(sql(lock, [tasks.to_vec().into()])).await?;
    let mark = "UPDATE task_dependency d SET counted = (d.on_failure = 'run' AND o.state IN ('failed', 'cancelled') AND o.id <> ALL($1))
        FROM task o WHERE d.task_id = ANY($1) AND o.id = d.depends_on";
    db.execute_raw(sql(mark, [tasks.to_vec().into()])).await?;
    let update = "UPDATE task t SET waiting_on = (SELECT count(*) FROM task_dependency d JOIN task o ON o.id = d.depends_on
            WHERE d.task_id = t.id AND o.state <> 'done' AND NOT d.counted) WHERE t.id = ANY($1)";
    db.execute_raw(sql(update, [tasks.to_vec().into()])).await?;
    Ok(())
}

/// These run anyway, and are not counted again.
pub(crate) async fn mark_counted(db: &impl ConnectionTrait, edges: impl Iterator<Item = &Edge>) -> Result<()> {
    let (tasks, parents): (Vec<Uuid>, Vec<Uuid>) = edges.map(|edge| (edge.task_id.uuid(), edge.depends_on.uuid())).unzip();
    if tasks.is_empty() {
        return Ok(());
    }
    let update = "UPDATE task_dependency d SET counted = true FROM unnest($1::uuid[], $2::uuid[]) AS e(task_id, depends_on)
        WHERE d.task_id = e.task_id AND d.depends_on = e.depends_on";
    db.execute_raw(sql(update, [tasks.into(), parents.into()])).await?;
    Ok(())
}

/// Counts this many things off those each task waits for. Returns the tasks that wait for nothing any more.
pub(crate) async fn count_down(db: &impl ConnectionTrait, counts: &BTreeMap<TaskId, i32>) -> Result<BTreeSet<TaskId>> {
    if counts.is_empty() {
        return Ok(BTreeSet::new());
    }
    let (ids, counts): (Vec<Uuid>, Vec<i32>) = counts.iter().map(|(id, n)| (id.uuid(), *n)).unzip();
    let update = "UPDATE task t SET waiting_on = t.waiting_on - d.n FROM unnest($1::uuid[], $2::int[]) AS d(id, n)
        WHERE t.id = d.id RETURNING t.id, t.waiting_on";
    let rows = db.query_all_raw(sql(update, [ids.into(), counts.into()])).await?;
    let mut free = BTreeSet::new();
    for row in rows {
        if row.try_get::<i32>("", "waiting_on")? == 0 {
            free.insert(row.try_get("", "id")?);
        }
    }
    Ok(free)
}

/// Adds one unfinished dependency to a task that waits.
pub(crate) async fn add_dependency(db: &impl ConnectionTrait, task: TaskId, on: Uuid) -> Result<()> {
    db.execute_raw(sql("INSERT INTO task_dependency (task_id, depends_on) VALUES ($1, $2)", [task.into(), on.into()])).await?;
    db.execute_raw(sql("UPDATE task SET waiting_on = waiting_on + 1 WHERE id = $1", [task.into()])).await?;
    Ok(())
}

/// The newest task this one depends on: the work it judges.
pub(crate) async fn judged(db: &impl ConnectionTrait, task: TaskId) -> Result<Option<TaskId>> {
    let select = "SELECT depends_on AS id FROM task_dependency WHERE task_id = $1 ORDER BY depends_on DESC LIMIT 1";
    let row = db.query_one_raw(sql(select, [task.into()])).await?;
    Ok(row.map(|row| row.try_get("", "id")).transpose()?)
}

/// What a task was asked to do, for one that does it again.
#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct Work {
    pub(crate) org_id: OrgId,
    pub(crate) project_id: ProjectId,
    pub(crate) kind: String,
    pub(crate) lane_id: i32,
    pub(crate) pool: String,
    pub(crate) role: String,
    pub(crate) demands: Value,
    pub(crate) concurrency_key: Option<String>,
    pub(crate) rate_keys: Option<Vec<String>>,
    pub(crate) retry: Option<Value>,
    pub(crate) budget: Option<Value>,
    pub(crate) title: String,
    pub(crate) input: Value,
    pub(crate) priority: i32,
    pub(crate) max_attempts: i32,
    pub(crate) timeout_s: i32,
    pub(crate) traceparent: String,
}

pub(crate) async fn work(db: &impl ConnectionTrait, id: TaskId) -> Result<Work> {
    let select = "SELECT t.org_id, t.project_id, t.kind, t.lane_id, l.pool, l.role, l.demands, t.concurrency_key, t.rate_keys,
            p.retry, p.budget, p.title, p.input, t.priority, t.max_attempts, t.timeout_s,
            p.traceparent
        FROM task t JOIN task_payload p ON p.task_id = t.id JOIN lane l ON l.id = t.lane_id WHERE t.id = $1";
    let row = Work::find_by_statement(sql(select, [id.into()])).one(db).await?;
    row.ok_or_else(|| Error::not_found(format!("task {id}")))
}
