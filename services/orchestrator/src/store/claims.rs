//! From ready to claimed.

use std::collections::BTreeMap;

use sea_orm::{ActiveEnum as _, ConnectionTrait, FromQueryResult, QueryResult};
use serde_json::Value;
use titan_error::Result;
use titan_ids::{GoalId, OrgId, ProjectId, TaskId};
use titan_store::sql;
use uuid::Uuid;

use crate::domain::matching::{Candidate, Choice};
use crate::domain::task::Task;

/// Tasks that could start now, most urgent first, locked until the commit. Those that another replica is claiming are
/// passed over: two that read the same ones would do the work twice for one to get them.
pub(crate) async fn ready(db: &impl ConnectionTrait, room: &BTreeMap<String, u32>) -> Result<Vec<Candidate>> {
    // A role at a time, so that each scan follows the index and ends at the limit, however long the queue, and no role's urgent
    // tasks keep another's agents idle. A key is locked while one of its tasks is claimed; the claim looks again.
    let select = "SELECT c.* FROM unnest($1::text[], $2::int[]) AS r(role, room), LATERAL (
            SELECT t.id, t.role, t.exclusive_key, t.priority, t.state, t.attempt, t.failures, t.losses, t.rejections, t.max_attempts FROM task t
            WHERE t.state = 'inbox' AND t.waiting_on = 0 AND t.role = r.role AND (t.run_after IS NULL OR t.run_after <= now())
                AND (t.exclusive_key IS NULL OR (pg_try_advisory_xact_lock(hashtextextended(t.exclusive_key, 0)) AND NOT EXISTS
                    (SELECT FROM task o WHERE o.exclusive_key = t.exclusive_key AND o.state IN ('assigned', 'in_progress'))))
            ORDER BY t.priority DESC, t.id LIMIT r.room FOR UPDATE OF t SKIP LOCKED) c
        ORDER BY c.priority DESC, c.id";
    let roles: Vec<String> = room.keys().cloned().collect();
    let most: Vec<i32> = room.values().map(|n| i32::try_from(*n).unwrap_or(i32::MAX)).collect();
    let rows = db.query_all_raw(sql(select, [roles.into(), most.into()])).await?;
    let candidate = |row: &QueryResult| {
        let task = Task::from_query_result(row, "")?;
        Ok(Candidate { id: row.try_get("", "id")?, task, role: row.try_get("", "role")?, exclusive_key: row.try_get("", "exclusive_key")? })
    };
    rows.iter().map(candidate).collect()
}

/// The compare-and-set: takes the tasks that are still at the attempt seen, for sessions that are still at
/// the epoch seen. Rows are locked in id order. A session that says hello again waits for this commit, and then finds what it
/// was given; one that is just doing so is given nothing. Returns the tasks taken.
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
        live AS MATERIALIZED (SELECT s.id, s.epoch FROM worker_session s WHERE s.id = ANY($3) AND s.state = 'connected' ORDER BY s.id FOR SHARE SKIP LOCKED),
        locked AS MATERIALIZED (SELECT t.id FROM task t JOIN choice c ON c.id = t.id WHERE t.state = 'inbox' AND t.attempt = c.attempt ORDER BY t.id FOR UPDATE OF t)
        UPDATE task t SET state = c.state, attempt = c.next, session_id = c.session, agent_id = c.agent,
            attempt_deadline = now() + t.timeout_s * interval '1 second'
        FROM locked l JOIN choice c ON c.id = l.id JOIN live s ON s.id = c.session AND s.epoch = c.epoch
        WHERE t.id = l.id AND t.state = 'inbox' AND t.attempt = c.attempt AND t.waiting_on = 0
            AND (t.exclusive_key IS NULL OR NOT EXISTS
                (SELECT FROM task o WHERE o.exclusive_key = t.exclusive_key AND o.state IN ('assigned', 'in_progress')))
        RETURNING t.id";
    let values = [tasks.into(), attempts.into(), sessions.into(), epochs.into(), agents.into(), next.into(), states.into()];
    let rows = db.query_all_raw(sql(update, values)).await?;
    rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
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
