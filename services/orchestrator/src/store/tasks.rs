use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum as _, ConnectionTrait, FromQueryResult, QueryResult};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use titan_error::{Error, Result};
use titan_ids::{AgentId, GoalId, OrgId, ProjectId, TaskId};
use titan_store::{Combined, Page, sql};
use uuid::Uuid;

use super::submissions::{NewTask, Scope};
use crate::domain::task::{Action, TaskState};

/// A task as it is shown.
#[derive(Debug, FromQueryResult)]
pub(crate) struct TaskRow {
    pub(crate) id: TaskId,
    pub(crate) project_id: ProjectId,
    pub(crate) goal_id: Option<GoalId>,
    pub(crate) parent_id: Option<TaskId>,
    pub(crate) kind: String,
    pub(crate) pool: String,
    pub(crate) role: String,
    pub(crate) demands: Value,
    pub(crate) title: String,
    pub(crate) state: TaskState,
    pub(crate) held: Option<String>,
    pub(crate) tolerated: bool,
    pub(crate) priority: i32,
    pub(crate) attempt: i32,
    pub(crate) max_attempts: i32,
    pub(crate) waiting_on: i32,
    pub(crate) agent_id: Option<AgentId>,
    pub(crate) agent_name: Option<String>,
    pub(crate) concurrency_key: Option<String>,
    pub(crate) budget: Option<Value>,
    pub(crate) spent: Option<Value>,
    pub(crate) input: Value,
    pub(crate) result: Option<Value>,
    pub(crate) error: String,
    pub(crate) choice: Option<Value>,
    pub(crate) depends_on: Vec<Uuid>,
    pub(crate) created_by: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) run_after: Option<DateTime<Utc>>,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) deadline_at: Option<DateTime<Utc>>,
    pub(crate) started_at: Option<DateTime<Utc>>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
}

impl TaskRow {
    /// Of what people may change, for `If-Match`.
    pub(crate) fn version(&self) -> String {
        let times = [self.due_at, self.deadline_at].map(|at| at.map(|at| at.timestamp_micros()));
        hex::encode(&Sha256::digest(format!("{:?}", (&self.title, self.priority, &self.demands, times)))[..8])
    }

    /// As it is just after it was stored.
    pub(crate) fn new(scope: &Scope, task: NewTask, created_at: DateTime<Utc>) -> Self {
        let demands = serde_json::to_value(&task.demands).unwrap_or_default();
        Self {
            id: task.id.into(),
            project_id: scope.project,
            goal_id: scope.goal,
            parent_id: task.parent_id.map(TaskId::from),
            kind: task.kind,
            pool: task.pool,
            role: task.role,
            demands,
            title: task.title,
            state: TaskState::Inbox,
            held: task.held,
            tolerated: false,
            priority: task.priority,
            attempt: 0,
            max_attempts: task.max_attempts,
            waiting_on: task.waiting_on,
            agent_id: None,
            agent_name: None,
            concurrency_key: task.concurrency_key,
            budget: task.budget,
            spent: None,
            input: task.input,
            result: None,
            error: String::new(),
            choice: None,
            depends_on: task.depends_on.iter().map(|d| d.on).collect(),
            created_by: scope.by.clone(),
            created_at,
            run_after: task.run_after,
            due_at: task.due_at,
            deadline_at: task.deadline_at,
            started_at: None,
            finished_at: None,
        }
    }
}

const SHOWN: &str = "SELECT t.id, t.project_id, t.goal_id, p.parent_id, t.kind, l.pool, l.role, l.demands, p.title, t.state, t.held, t.tolerated,
        t.priority, t.attempt, t.max_attempts, t.waiting_on, t.agent_id, a.name AS agent_name, t.concurrency_key, p.budget, p.spent, p.input, p.result,
        p.error, p.created_by, t.created_at, t.run_after, nullif(t.due_at, 'infinity') AS due_at, t.deadline_at, t.started_at, t.finished_at,
        (SELECT c.choice FROM task_change c WHERE c.task_id = t.id AND c.choice IS NOT NULL
            AND c.at > t.created_at - interval '1 hour' AND c.at < coalesce(t.finished_at, now()) + interval '1 hour' ORDER BY c.id DESC LIMIT 1) AS choice,
        ARRAY(SELECT depends_on FROM task_dependency d WHERE d.task_id = t.id ORDER BY 1) AS depends_on
    FROM task t JOIN task_payload p ON p.task_id = t.id JOIN lane l ON l.id = t.lane_id LEFT JOIN agent a ON a.id = t.agent_id";

pub(crate) async fn find(db: &impl ConnectionTrait, org: OrgId, id: TaskId) -> Result<TaskRow> {
    let select = format!("{SHOWN} WHERE t.org_id = $1 AND t.id = $2");
    let row = TaskRow::find_by_statement(sql(&select, [org.into(), id.into()])).one(db).await?;
    row.ok_or_else(|| Error::not_found(format!("task {id}")))
}

pub(crate) async fn find_all(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<TaskRow>> {
    let select = format!("{SHOWN} JOIN unnest($1::uuid[]) WITH ORDINALITY AS wanted(id, n) ON wanted.id = t.id ORDER BY wanted.n");
    Ok(TaskRow::find_by_statement(sql(&select, [ids.to_vec().into()])).all(db).await?)
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) project: Option<ProjectId>,
    pub(crate) goal: Option<GoalId>,
    pub(crate) state: Option<TaskState>,
    pub(crate) label: Option<String>,
    pub(crate) parent: Option<TaskId>,
    /// Failed and not discarded.
    pub(crate) dead: bool,
    /// Only these; empty means any.
    pub(crate) ids: Vec<Uuid>,
    /// Only those younger than this one.
    pub(crate) after: Option<TaskId>,
    /// Only those in a state this can be done to.
    pub(crate) action: Option<Action>,
    /// Words that the title has.
    pub(crate) search: Vec<String>,
}

impl Filter {
    /// As conditions on `t` and `p`, with the values of $2 and so on.
    fn conditions(&self) -> (String, [sea_orm::Value; 8]) {
        let actionable = match self.action {
            Some(Action::Cancel) => " AND t.state NOT IN ('done', 'failed', 'cancelled')",
            Some(Action::Retry { .. }) => " AND t.state IN ('failed', 'cancelled')",
            Some(Action::Prioritise(_)) => " AND t.state IN ('inbox', 'blocked')",
            Some(Action::Discard) => " AND t.state = 'failed' AND NOT p.discarded",
            None => "",
        };
        let conditions = format!(
            "($2::uuid IS NULL OR p.project_id = $2) AND ($3::uuid IS NULL OR t.goal_id = $3) AND ($4::text IS NULL OR t.state = $4)
            AND ($5::text IS NULL OR p.labels @> ARRAY[$5]) AND ($6::uuid IS NULL OR p.parent_id = $6)
            AND (NOT $7 OR (t.state = 'failed' AND NOT p.discarded)) AND (cardinality($8::uuid[]) = 0 OR t.id = ANY($8)) AND p.title ILIKE ALL($9::text[]){actionable}"
        );
        let Self { project, goal, state, label, parent, dead, ids, after: _, action: _, search } = self.clone();
        let search: Vec<String> = search.iter().map(|word| format!("%{}%", escaped(word))).collect();
        let state = state.map(|s| s.to_value());
        (conditions, [project.into(), goal.into(), state.into(), label.into(), parent.into(), dead.into(), ids.into(), search.into()])
    }
}

/// The next tasks the filter names, oldest first.
pub(crate) async fn ids(db: &impl ConnectionTrait, org: OrgId, filter: &Filter, most: u64) -> Result<Vec<TaskId>> {
    let (conditions, [project, goal, state, label, parent, dead, ids, search]) = filter.conditions();
    let select = format!(
        "SELECT t.id FROM task t JOIN task_payload p ON p.task_id = t.id WHERE t.org_id = $1 AND t.id > $10 AND {conditions}
        ORDER BY t.id LIMIT $11"
    );
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let after = filter.after.map_or(Uuid::nil(), |id| id.uuid());
    let values = [org.into(), project, goal, state, label, parent, dead, ids, search, after.into(), most.into()];
    db.query_all_raw(sql(&select, values)).await?.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}

/// Of tasks that the caller has locked; returns those that changed.
pub(crate) async fn discard(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<TaskId>> {
    let update = "UPDATE task_payload p SET discarded = true FROM task t
        WHERE t.id = p.task_id AND t.id = ANY($1) AND t.state = 'failed' AND NOT p.discarded RETURNING t.id";
    changed(&db.query_all_raw(sql(update, [ids.to_vec().into()])).await?)
}

/// As [`discard`].
pub(crate) async fn prioritise(db: &impl ConnectionTrait, ids: &[Uuid], priority: i32) -> Result<Vec<TaskId>> {
    let update = "UPDATE task t SET priority = $2 WHERE t.id = ANY($1) AND t.state || '' IN ('inbox', 'blocked') AND t.priority <> $2 RETURNING t.id";
    changed(&db.query_all_raw(sql(update, [ids.to_vec().into(), priority.into()])).await?)
}

fn changed(rows: &[QueryResult]) -> Result<Vec<TaskId>> {
    rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}

pub(crate) async fn list(db: &impl ConnectionTrait, org: OrgId, filter: &Filter, page: Page) -> Result<Vec<TaskRow>> {
    let (conditions, [project, goal, state, label, parent, dead, ids, search]) = filter.conditions();
    // Titles have no index: words that are rare would be searched for in everything that ever was.
    let newest = format!(
        " AND t.id > coalesce((SELECT n.id FROM task n WHERE n.id < $10 ORDER BY n.id DESC OFFSET {SEARCHED} LIMIT 1), '{}')",
        Uuid::nil()
    );
    let newest = if filter.search.is_empty() { "" } else { &newest };
    let select = format!("{SHOWN} WHERE t.org_id = $1 AND t.id < $10{newest} AND {conditions} ORDER BY t.id DESC LIMIT $11");
    let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
    let values = [org.into(), project, goal, state, label, parent, dead, ids, search, page.before.into(), limit.into()];
    Ok(TaskRow::find_by_statement(sql(&select, values)).all(db).await?)
}

/// Of the newest tasks so many are searched for words.
const SEARCHED: u32 = 100_000;

/// A word as LIKE takes it to the letter.
fn escaped(word: &str) -> String {
    word.chars().flat_map(|c| ['%', '_', '\\'].contains(&c).then_some('\\').into_iter().chain([c])).collect()
}

/// What a task is after somebody changed it.
#[derive(Debug)]
pub(crate) struct Edited {
    pub(crate) title: String,
    pub(crate) priority: i32,
    pub(crate) labels: Vec<String>,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) deadline_at: Option<DateTime<Utc>>,
    pub(crate) lane_id: i32,
}

pub(crate) async fn edit(db: &impl ConnectionTrait, id: TaskId, edited: &Edited) -> Result<()> {
    let mut writes = Combined::default();
    let update =
        "UPDATE task SET priority = $2, due_at = coalesce($3::timestamptz, 'infinity'), deadline_at = $4, lane_id = $5 WHERE id = $1";
    writes.add(update, [id.into(), edited.priority.into(), edited.due_at.into(), edited.deadline_at.into(), edited.lane_id.into()]);
    let update = "UPDATE task_payload SET title = $2, labels = nullif($3::text[], '{}') WHERE task_id = $1";
    writes.add(update, [id.into(), edited.title.clone().into(), edited.labels.clone().into()]);
    writes.execute(db).await
}

/// What would miss this task: its goal or a part of it that has not ended, or what depends on it and may still come, be it when it is tried
/// again by hand.
pub(crate) async fn needed_by(db: &impl ConnectionTrait, id: TaskId) -> Result<Option<String>> {
    let select = "SELECT 'goal' AS what, g.id FROM task t JOIN goal g ON g.id = t.goal_id WHERE t.id = $1 AND g.state = 'running'
        UNION ALL SELECT 'task', o.id FROM task o WHERE o.state NOT IN ('done', 'failed', 'cancelled')
            AND o.id IN (SELECT task_id FROM task_payload WHERE parent_id = $1)
        UNION ALL SELECT 'task', o.id FROM task o JOIN task_dependency d ON d.task_id = o.id WHERE d.depends_on = $1 AND o.state <> 'done'
        LIMIT 1";
    let Some(row) = db.query_one_raw(sql(select, [id.into()])).await? else { return Ok(None) };
    let id: Uuid = row.try_get("", "id")?;
    let goal = row.try_get::<String>("", "what")? == "goal";
    Ok(Some(if goal { GoalId::from(id).to_string() } else { TaskId::from(id).to_string() }))
}

/// The row with all that hangs on it but its history.
pub(crate) fn remove(writes: &mut Combined, id: TaskId) {
    writes.add("DELETE FROM task_dependency WHERE task_id = $1 OR depends_on = $1", [id.into()]);
    writes.add("DELETE FROM task_payload WHERE task_id = $1", [id.into()]);
    writes.add("DELETE FROM task WHERE id = $1", [id.into()]);
}

#[derive(Debug, FromQueryResult)]
pub(crate) struct ChangeRow {
    pub(crate) at: DateTime<Utc>,
    pub(crate) from_state: TaskState,
    pub(crate) to_state: TaskState,
    pub(crate) attempt: i32,
    pub(crate) actor: String,
    pub(crate) reason: String,
    pub(crate) choice: Option<Value>,
}

pub(crate) async fn history(db: &impl ConnectionTrait, id: TaskId) -> Result<Vec<ChangeRow>> {
    let select = "SELECT at, from_state, to_state, attempt, actor, reason, choice FROM task_change WHERE task_id = $1 ORDER BY id";
    Ok(ChangeRow::find_by_statement(sql(select, [id.into()])).all(db).await?)
}

/// What a task still waits for: id, title and state.
pub(crate) async fn unfinished_dependencies(db: &impl ConnectionTrait, id: TaskId) -> Result<Vec<(TaskId, String, String)>> {
    let select =
        "SELECT o.id, p.title, o.state FROM task_dependency d JOIN task o ON o.id = d.depends_on JOIN task_payload p ON p.task_id = o.id
        WHERE d.task_id = $1 AND o.state NOT IN ('done', 'failed', 'cancelled') ORDER BY o.id LIMIT 50";
    let rows = db.query_all_raw(sql(select, [id.into()])).await?;
    rows.iter().map(|row| Ok((row.try_get("", "id")?, row.try_get("", "title")?, row.try_get("", "state")?))).collect()
}
