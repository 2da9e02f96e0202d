//! From ready to claimed.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum as _, ConnectionTrait, FromQueryResult, QueryResult};
use serde_json::{Value, json};
use titan_error::{Error, Result};
use titan_ids::{GoalId, OrgId, ProjectId, TaskId};
use titan_store::{Combined, sql};
use uuid::Uuid;

use super::projects::weights;
use crate::domain::backlog::{PROJECTS, Queued};
use crate::domain::matching::{Candidate, Choice, Origin};
use crate::domain::offer::Group;
use crate::domain::task::{Task, TaskState};

/// What a [`Candidate`] is made of, beside what its project and its payload say.
const COLUMNS: &str = "t.id, t.org_id, t.goal_id, t.project_id, t.lane_id, t.kind, t.priority, nullif(t.due_at, 'infinity') AS due_at, t.timeout_s, t.agent_id,
    t.wishes, t.state, t.attempt, t.failures, t.losses, t.rejections, t.max_attempts";

/// Tasks that could start now, locked until the commit: of each group's lanes, from the projects whose virtual time is lowest
/// (`ahead`: how far each is ahead of those not named), most urgent first. Those that another replica is claiming are passed
/// over: two that read the same ones would do the work twice for one to get them. Without `lock` they are read as they are.
pub(crate) async fn ready(db: &impl ConnectionTrait, groups: &[Group], ahead: &[(ProjectId, f64)], lock: bool) -> Result<Vec<Candidate>> {
    let lock = if lock { "FOR UPDATE OF t SKIP LOCKED" } else { "" };
    // The projects with something ready are found by skipping through the index, so that neither a long queue nor one of tasks
    // that are held costs anything.
    let select = format!(
        "WITH lane AS (SELECT g.n, g.org, g.projects, g.priority, g.room, l.id AS lane_id
            FROM jsonb_to_recordset($1) AS g(n int, org uuid, lanes int[], projects uuid[], priority int, room int), unnest(g.lanes) AS l(id)),
        pair AS (SELECT l.*, p.project_id, dense_rank() OVER (PARTITION BY l.n ORDER BY coalesce(a.ahead, 0), p.project_id) AS turn, j.weight, j.matching
            FROM lane l, LATERAL (WITH RECURSIVE next AS (
                    (SELECT t.project_id FROM task t WHERE t.state = 'inbox' AND t.waiting_on = 0 AND t.held IS NULL AND t.lane_id = l.lane_id
                        ORDER BY t.project_id LIMIT 1)
                    UNION ALL
                    SELECT (SELECT t.project_id FROM task t WHERE t.state = 'inbox' AND t.waiting_on = 0 AND t.held IS NULL
                        AND t.lane_id = l.lane_id AND t.project_id > next.project_id ORDER BY t.project_id LIMIT 1)
                    FROM next WHERE next.project_id IS NOT NULL)
                SELECT project_id FROM next WHERE project_id IS NOT NULL) p
            JOIN project j ON j.id = p.project_id
            LEFT JOIN unnest($2::uuid[], $3::float8[]) AS a(project_id, ahead) ON a.project_id = p.project_id
            WHERE j.org_id = l.org AND (cardinality(l.projects) = 0 OR p.project_id = ANY(l.projects))
                AND (l.priority = 0 OR EXISTS (SELECT FROM task t WHERE t.state = 'inbox' AND t.waiting_on = 0 AND t.held IS NULL
                    AND t.lane_id = l.lane_id AND t.project_id = p.project_id AND -t.priority <= -l.priority))),
        turn AS MATERIALIZED (SELECT pair.*, count(*) OVER (PARTITION BY pair.n) AS pairs FROM pair WHERE pair.turn <= $4)
        SELECT turn.n, turn.weight, turn.matching, c.*, p.title, p.traceparent FROM turn, LATERAL (
            SELECT {COLUMNS}
            FROM task t WHERE t.state = 'inbox' AND t.waiting_on = 0 AND t.held IS NULL AND t.lane_id = turn.lane_id
                AND t.project_id = turn.project_id AND -t.priority <= -turn.priority
            ORDER BY -t.priority, t.due_at, t.id LIMIT (turn.room + turn.pairs - 1) / turn.pairs {lock}) c,
            LATERAL (SELECT title, traceparent FROM task_payload WHERE task_id = c.id LIMIT 1) p
        ORDER BY c.priority DESC, c.due_at NULLS LAST, c.id"
    );
    let groups = groups.iter().enumerate();
    let groups: Value = groups
        .map(|(n, g)| {
            let projects: Vec<Uuid> = g.projects.iter().map(|p| p.uuid()).collect();
            json!({ "n": n, "org": g.org.uuid(), "lanes": g.lanes, "projects": projects, "priority": g.priority, "room": g.room })
        })
        .collect();
    let (projects, ahead): (Vec<Uuid>, Vec<f64>) = ahead.iter().map(|(project, ahead)| (project.uuid(), *ahead)).unzip();
    let rows = db
        .query_all_raw(sql(&select, [groups.into(), projects.into(), ahead.into(), i32::try_from(PROJECTS).unwrap_or(i32::MAX).into()]))
        .await?;
    let of_group = |row: &QueryResult| {
        let group = usize::try_from(row.try_get::<i32>("", "n")?).map_err(Error::internal)?;
        Ok(Candidate { group, ..candidate(row)? })
    };
    rows.iter().map(of_group).collect()
}

/// What became of tasks that were looked at by their ids.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Locked, each for a group that takes it, in the order of [`ready`].
    pub(crate) candidates: Vec<Candidate>,
    /// Ready, but another transaction has them just now.
    pub(crate) elsewhere: Vec<TaskId>,
    /// The lanes of those that fit no group.
    pub(crate) unfit: Vec<i32>,
}

/// Of a row named by its id. `state || ''`, here and wherever rows are: the state as partial indexes say it makes the planner
/// read the whole of such an index, with all that was in it since the last vacuum, instead of these rows.
const READY: &str = "t.state || '' = 'inbox' AND t.waiting_on = 0 AND t.held IS NULL";

/// Looks at tasks by their ids. Behind a subquery their number is not known to the planner, which else makes a new plan each
/// time, 0.3 ms, because for so few one looks cheaper.
pub(crate) async fn these(db: &impl ConnectionTrait, groups: &[Group], ids: &[TaskId]) -> Result<Seen> {
    let mut asked: BTreeSet<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let select = format!(
        "SELECT j.weight, j.matching, p.title, p.traceparent, {COLUMNS} FROM task t JOIN project j ON j.id = t.project_id JOIN task_payload p ON p.task_id = t.id
        WHERE t.id = ANY(ARRAY(SELECT unnest($1))) AND {READY} ORDER BY -t.priority, t.due_at, t.id FOR UPDATE OF t SKIP LOCKED"
    );
    let rows = db.query_all_raw(sql(&select, [asked.iter().copied().collect::<Vec<_>>().into()])).await?;
    let (mut seen, mut room) = (Seen::default(), groups.iter().map(|group| group.room).collect::<Vec<u32>>());
    for row in &rows {
        let candidate = candidate(row)?;
        asked.remove(&candidate.id.uuid());
        let takes = |(_, group): &(usize, &Group)| group.takes(&candidate);
        let mut taking = groups.iter().enumerate().filter(takes).map(|(n, _)| n);
        // One that has room left, if there is one; whose turn it is is decided by others.
        let first = taking.next();
        match first.into_iter().chain(taking).find(|n| room[*n] > 0).or(first) {
            Some(group) => {
                room[group] = room[group].saturating_sub(1);
                seen.candidates.push(Candidate { group, ..candidate });
            }
            None => seen.unfit.push(candidate.lane),
        }
    }
    if asked.is_empty() {
        return Ok(seen);
    }
    let select = format!("SELECT t.id FROM task t WHERE t.id = ANY($1) AND {READY}");
    for row in db.query_all_raw(sql(&select, [asked.into_iter().collect::<Vec<_>>().into()])).await? {
        seen.elsewhere.push(row.try_get("", "id")?);
    }
    Ok(seen)
}

/// Those of `ids` that are ready, whoever has them just now.
pub(crate) async fn queued(db: &impl ConnectionTrait, ids: &[TaskId]) -> Result<Vec<Queued>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let select = format!(
        "SELECT t.id, t.org_id, t.lane_id, t.project_id, t.priority, nullif(t.due_at, 'infinity') AS due_at FROM task t
        WHERE t.id = ANY(ARRAY(SELECT unnest($1))) AND {READY}"
    );
    let rows = db.query_all_raw(sql(&select, [ids.into()])).await?;
    let queued = |row: &QueryResult| {
        Ok(Queued {
            id: row.try_get("", "id")?,
            org: row.try_get("", "org_id")?,
            lane: row.try_get("", "lane_id")?,
            project: row.try_get("", "project_id")?,
            priority: row.try_get("", "priority")?,
            due_at: row.try_get("", "due_at")?,
        })
    };
    rows.iter().map(queued).collect()
}

fn candidate(row: &QueryResult) -> Result<Candidate> {
    let wishes: Option<Value> = row.try_get("", "wishes")?;
    let due_at: Option<DateTime<Utc>> = row.try_get("", "due_at")?;
    Ok(Candidate {
        id: row.try_get("", "id")?,
        task: Task::from_query_result(row, "")?,
        origin: Origin {
            org: row.try_get("", "org_id")?,
            goal: row.try_get("", "goal_id")?,
            title: row.try_get("", "title")?,
            traceparent: row.try_get("", "traceparent")?,
        },
        project: row.try_get("", "project_id")?,
        project_weight: row.try_get("", "weight")?,
        kind: row.try_get("", "kind")?,
        lane: row.try_get("", "lane_id")?,
        priority: row.try_get("", "priority")?,
        due_at,
        timeout_s: row.try_get("", "timeout_s")?,
        wishes: wishes.and_then(|wishes| serde_json::from_value(wishes).ok()).unwrap_or_default(),
        last_agent: row.try_get("", "agent_id")?,
        weights: weights(row.try_get("", "matching")?),
        group: 0,
    })
}

/// The compare-and-set: takes the tasks that are still at the attempt seen, for sessions that are still at
/// the epoch seen. Who read them has locked them, in this transaction. A session that says hello again waits for this commit,
/// and then finds what it was given; one that is just doing so is given nothing. `writes` is done with it. Returns what the
/// workers of those taken are told.
pub(crate) async fn claim(db: &impl ConnectionTrait, choices: &[Choice], mut writes: Combined) -> Result<Vec<AssignmentRow>> {
    let tasks: Vec<Uuid> = choices.iter().map(|c| c.candidate.id.uuid()).collect();
    let attempts: Vec<i32> = choices.iter().map(|c| c.candidate.task.attempt).collect();
    let next: Vec<i32> = choices.iter().map(|c| c.next.attempt).collect();
    let states: Vec<String> = choices.iter().map(|c| c.next.state.to_value()).collect();
    let sessions: Vec<Uuid> = choices.iter().map(|c| c.slot.session.uuid()).collect();
    let epochs: Vec<i64> = choices.iter().map(|c| c.slot.epoch).collect();
    let agents: Vec<Uuid> = choices.iter().map(|c| c.slot.agent.id.uuid()).collect();
    // One table of unknown length, joined by primary key: with two of them the planner compares each row of one with each of
    // the other (143 ms for 500 tasks; 3.3 ms for 210 since), and with all that the ready index knows it reads all of that.
    let live = "live AS MATERIALIZED (SELECT s.id, s.epoch FROM worker_session s WHERE s.id = ANY($3) AND s.state = 'connected' ORDER BY s.id FOR SHARE SKIP LOCKED)";
    let update = "UPDATE task t SET state = c.state, attempt = c.next, session_id = c.session, agent_id = c.agent,
            attempt_deadline = least(now() + t.timeout_s * interval '1 second', t.deadline_at)
        FROM unnest($1::uuid[], $2::int[], $4::uuid[], $5::bigint[], $6::uuid[], $7::int[], $8::text[]) AS c(id, attempt, session, epoch, agent, next, state)
            JOIN live s ON s.id = c.session AND s.epoch = c.epoch
        WHERE t.id = c.id AND t.attempt = c.attempt AND t.state = 'inbox'
        RETURNING t.*";
    let distinct: BTreeSet<Uuid> = sessions.iter().copied().collect();
    let distinct: Vec<Uuid> = distinct.into_iter().collect();
    let values =
        [tasks.into(), attempts.into(), distinct.into(), sessions.into(), epochs.into(), agents.into(), next.into(), states.into()];
    let taken = writes.add_with(live, update, values);
    Ok(AssignmentRow::find_by_statement(writes.and(&told(&taken))).all(db).await?)
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
    pub(crate) concurrency_key: Option<String>,
    pub(crate) budget: Option<Value>,
    pub(crate) spent: Option<Value>,
    pub(crate) timeout_s: i32,
    pub(crate) remaining_ms: i64,
    /// `[{id, kind, result}]`, oldest first.
    pub(crate) dependencies: Value,
}

/// What the owner of these tasks was told, once more.
pub(crate) async fn assignments(db: &impl ConnectionTrait, ids: &[TaskId], states: &[TaskState]) -> Result<Vec<AssignmentRow>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let states: Vec<String> = states.iter().map(TaskState::to_value).collect();
    let select = format!("{} WHERE t.id = ANY($1) AND t.state || '' = ANY($2)", told("task"));
    Ok(AssignmentRow::find_by_statement(sql(&select, [ids.into(), states.into()])).all(db).await?)
}

/// An [`AssignmentRow`] of each task in this table.
fn told(table: &str) -> String {
    format!(
        "SELECT t.id, t.attempt, t.org_id, t.project_id, j.slug AS project_slug, t.goal_id, t.kind, l.role, p.title, p.input, p.traceparent,
            a.name AS agent_name, t.concurrency_key, p.budget, p.spent, t.timeout_s,
            greatest(0, (extract(epoch FROM t.attempt_deadline - now()) * 1000)::bigint) AS remaining_ms,
            coalesce((SELECT jsonb_agg(jsonb_build_object('id', o.id, 'kind', o.kind, 'result', op.result) ORDER BY o.id)
                FROM task_dependency d JOIN task o ON o.id = d.depends_on JOIN task_payload op ON op.task_id = o.id
                WHERE d.task_id = t.id), '[]') AS dependencies
        FROM {table} t JOIN task_payload p ON p.task_id = t.id JOIN project j ON j.id = t.project_id JOIN agent a ON a.id = t.agent_id
            JOIN lane l ON l.id = t.lane_id"
    )
}
