use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum as _, ConnectionTrait, FromQueryResult};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::{AgentId, GoalId, OrgId, ProjectId, TaskId};
use titan_store::{Page, sql};
use uuid::Uuid;

use super::submissions::{NewTask, Scope};
use crate::domain::task::TaskState;

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

impl TaskRow {
    /// As it is just after it was stored.
    pub(crate) fn new(scope: &Scope, task: NewTask, created_at: DateTime<Utc>) -> Self {
        let NewTask {
            id,
            kind,
            role,
            title,
            priority,
            input,
            max_attempts,
            timeout_s: _,
            run_after: _,
            exclusive_key: _,
            depends_on,
            waiting_on,
        } = task;
        Self {
            id: id.into(),
            project_id: scope.project,
            goal_id: scope.goal,
            kind,
            role,
            title,
            state: TaskState::Inbox,
            priority,
            attempt: 0,
            max_attempts,
            waiting_on,
            agent_id: None,
            agent_name: None,
            input,
            result: None,
            error: String::new(),
            choice: None,
            depends_on,
            created_at,
            started_at: None,
            finished_at: None,
        }
    }
}

const SHOWN: &str = "SELECT t.id, t.project_id, t.goal_id, t.kind, t.role, p.title, t.state, t.priority, t.attempt, t.max_attempts,
        t.waiting_on, t.agent_id, a.name AS agent_name, p.input, p.result, p.error, t.created_at, t.started_at, t.finished_at,
        (SELECT c.choice FROM task_change c WHERE c.task_id = t.id AND c.choice IS NOT NULL ORDER BY c.id DESC LIMIT 1) AS choice,
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
        "{SHOWN} WHERE t.org_id = $1 AND t.id < $2 AND ($3::uuid IS NULL OR p.project_id = $3) AND ($4::uuid IS NULL OR t.goal_id = $4)
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
