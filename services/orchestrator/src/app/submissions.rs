use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, TransactionTrait as _};
use serde_json::Value;
use titan_error::{Code, Error, FieldError, Result};
use titan_identity::Principal;
use titan_ids::{GoalId, TaskId};
use titan_proto::events::event::Body;
use titan_proto::events::{Event, TaskSubmitted};
use titan_store::outbox::{self, About};

use super::assignments::{MERGE_QUEUE, exclusive_key};
use super::{App, text};
use crate::domain::graph::{self, Edge, GraphError};
use crate::domain::task::TaskState;
use crate::store::entity::goal::State;
use crate::store::entity::project;
use crate::store::goals;
use crate::store::tasks::{self, NewTask, Scope, TaskRow};

const TASKS_MOST: usize = 1_000;
const PAYLOAD_MOST: usize = 64 << 10;
const ATTEMPTS: i32 = 3;
const TIMEOUT_S: u32 = 300;
const DAY_S: u32 = 86_400;

#[derive(Debug)]
pub(crate) struct SubmissionIn {
    pub(crate) project: String,
    pub(crate) goal: Option<GoalId>,
    pub(crate) idempotency_key: String,
    /// Of the attempt that plans for the goal.
    pub(crate) attempt_credential: String,
    pub(crate) tasks: Vec<TaskIn>,
}

#[derive(Debug)]
pub(crate) struct TaskIn {
    pub(crate) key: String,
    pub(crate) kind: String,
    pub(crate) role: String,
    pub(crate) title: String,
    pub(crate) priority: i32,
    pub(crate) input_json: String,
    pub(crate) depends_on: Vec<String>,
    pub(crate) max_attempts: i32,
    pub(crate) timeout_s: u32,
    pub(crate) exclusive_key: String,
    pub(crate) run_after: Option<DateTime<Utc>>,
}

impl App {
    /// Stores a graph of tasks, all or none.
    pub(crate) async fn submit_tasks(&self, who: &Principal, submission: SubmissionIn, now: DateTime<Utc>) -> Result<Vec<TaskRow>> {
        let mut new = validate(&submission.tasks)?;
        let project = self.active_project(who, &submission.project).await?;
        if submission.goal.is_some() {
            let (attempt, _) = self.verify_attempt(who, &submission.attempt_credential).await?;
            if tasks::identity(&self.db, attempt.task).await?.goal_id != submission.goal {
                return Err(Error::new(Code::PermissionDenied, "the attempt is for another goal"));
            }
        }
        for (i, task) in new.iter_mut().enumerate() {
            if submission.goal.is_none() && task.exclusive_key.as_deref() == Some(MERGE_QUEUE) {
                return Err(Error::invalid(format!("tasks[{i}].exclusive_key"), "\"merge\" is the project's merge queue; use another key"));
            }
            task.exclusive_key = task.exclusive_key.as_ref().map(|key| exclusive_key(project.id, key));
        }
        let key = submission.idempotency_key;
        if !key.is_empty()
            && let Some(ids) = tasks::submission(&self.db, project.id, &key).await?
        {
            return tasks::find_all(&self.db, &ids).await;
        }
        let tx = self.db.begin().await?;
        if let Some(goal) = submission.goal {
            check_goal(&tx, &project, goal).await?;
        }
        if !key.is_empty() && !tasks::insert_submission(&tx, project.id, &key, &new).await? {
            tx.rollback().await?;
            let ids = tasks::submission(&self.db, project.id, &key).await?;
            return tasks::find_all(&self.db, &ids.ok_or_else(|| Error::unavailable("try again"))?).await;
        }
        count_unfinished(&tx, &project, &submission.tasks, &mut new).await?;
        let traceparent = titan_telemetry::traceparent().unwrap_or_default();
        let scope = Scope { org: who.org, project: project.id, goal: submission.goal, traceparent };
        tasks::insert(&tx, &scope, &new, now).await?;
        let events: Vec<_> = new.iter().map(|task| task_submitted(&scope, task, now)).collect();
        outbox::append(&tx, &events).await?;
        tasks::notify_ready(&tx).await?;
        titan_lifecycle::fault("submit.before_commit").await;
        tx.commit().await?;
        titan_lifecycle::fault("submit.after_commit").await;
        self.committed();
        let ids: Vec<_> = new.iter().map(|t| t.id).collect();
        tasks::find_all(&self.db, &ids).await
    }
}

async fn check_goal(tx: &DatabaseTransaction, project: &project::Model, goal: GoalId) -> Result<()> {
    let found = goals::lock(tx, goal).await?.filter(|g| g.project_id == project.id);
    let found = found.ok_or_else(|| Error::not_found(format!("goal {goal}")))?;
    if found.state != State::Running {
        return Err(Error::precondition(format!("goal {goal} is finished; nothing can be added to it")));
    }
    Ok(())
}

/// Checks what needs no database, and gives each task its id; edges inside the submission are set.
fn validate(given: &[TaskIn]) -> Result<Vec<NewTask>> {
    if given.is_empty() || given.len() > TASKS_MOST {
        return Err(Error::invalid("tasks", format!("must be 1 to {TASKS_MOST} tasks, not {}", given.len())));
    }
    let mut problems: Vec<FieldError> = Vec::new();
    let mut new: Vec<NewTask> = Vec::with_capacity(given.len());
    for (i, task) in given.iter().enumerate() {
        match validate_one(i, task) {
            Ok(task) => new.push(task),
            Err(error) => problems.extend_from_slice(error.fields()),
        }
    }
    if !problems.is_empty() {
        problems.truncate(50);
        return Err(Error::invalid_fields(problems));
    }
    let keys: Vec<_> = given.iter().map(|t| (t.key.as_str(), t.depends_on.iter().map(String::as_str).collect())).collect();
    let edges = graph::resolve(&keys).map_err(|error| match &error {
        GraphError::Duplicate { task, .. } => Error::invalid(format!("tasks[{task}].key"), error.to_string()),
        GraphError::Cycle { task, .. } => Error::invalid(format!("tasks[{task}].depends_on"), error.to_string()),
    })?;
    for (i, edges) in edges.iter().enumerate() {
        for (j, edge) in edges.iter().enumerate() {
            let on = match edge {
                Edge::Inside(to) => new[*to].id,
                Edge::Outside(id) => parse_outside(i, j, id)?.uuid(),
            };
            if !new[i].depends_on.contains(&on) {
                new[i].depends_on.push(on);
            }
        }
        new[i].waiting_on = i32::try_from(new[i].depends_on.len()).unwrap_or(i32::MAX);
    }
    Ok(new)
}

fn parse_outside(i: usize, j: usize, id: &str) -> Result<TaskId> {
    let field = format!("tasks[{i}].depends_on[{j}]");
    id.parse().map_err(|_| Error::invalid(field, format!("{id:?} is neither a key of this submission nor a task id")))
}

fn validate_one(i: usize, task: &TaskIn) -> Result<NewTask> {
    let field = |name: &str| format!("tasks[{i}].{name}");
    let input: Value = match task.input_json.as_str() {
        "" => Value::Object(serde_json::Map::new()),
        json if json.len() > PAYLOAD_MOST => return Err(Error::invalid(field("input"), "must be at most 64 KiB")),
        json => serde_json::from_str(json).map_err(|e| Error::invalid(field("input"), format!("is not JSON: {e}")))?,
    };
    let check = |ok: bool, name: &str, message: &str| if ok { Ok(()) } else { Err(Error::invalid(field(name), message)) };
    check(input.is_object(), "input", "must be a JSON object")?;
    check((0..=9).contains(&task.priority), "priority", "must be 0 to 9")?;
    check((0..=20).contains(&task.max_attempts), "max_attempts", "must be 1 to 20, or 0 for 3")?;
    check(task.timeout_s <= DAY_S, "timeout_s", "must be at most 86400 (a day)")?;
    check(task.depends_on.len() <= TASKS_MOST, "depends_on", "names too many tasks")?;
    check(!task.input_json.contains("\\u0000"), "input", "must not contain NUL characters")?;
    if !task.exclusive_key.is_empty() {
        text(&field("exclusive_key"), &task.exclusive_key, 200)?;
    }
    text(&field("key"), &task.key, 100)?;
    let timeout_s = if task.timeout_s == 0 { TIMEOUT_S } else { task.timeout_s };
    Ok(NewTask {
        id: TaskId::generate().uuid(),
        kind: text(&field("kind"), &task.kind, 100)?,
        role: text(&field("role"), &task.role, 100)?,
        title: text(&field("title"), &task.title, 300)?,
        priority: task.priority,
        input,
        max_attempts: if task.max_attempts == 0 { ATTEMPTS } else { task.max_attempts },
        timeout_s: i32::try_from(timeout_s).unwrap_or(i32::MAX),
        run_after: task.run_after,
        exclusive_key: Some(task.exclusive_key.clone()).filter(|key| !key.is_empty()),
        depends_on: Vec::new(),
        waiting_on: 0,
    })
}

/// Locks the dependencies outside the submission and leaves out of the count those that are done.
async fn count_unfinished(tx: &DatabaseTransaction, project: &project::Model, given: &[TaskIn], new: &mut [NewTask]) -> Result<()> {
    let own: std::collections::HashSet<_> = new.iter().map(|t| t.id).collect();
    let mut outside: Vec<_> = new.iter().flat_map(|t| t.depends_on.iter().copied()).filter(|id| !own.contains(id)).collect();
    outside.sort_unstable();
    outside.dedup();
    if outside.is_empty() {
        return Ok(());
    }
    let states: std::collections::HashMap<_, _> = tasks::lock_parents(tx, project.id, &outside).await?.into_iter().collect();
    for (i, task) in new.iter_mut().enumerate() {
        for on in task.depends_on.iter().filter(|id| !own.contains(id)) {
            let shown = TaskId::from(*on).to_string();
            let j = given[i].depends_on.iter().position(|d| *d == shown).unwrap_or(0);
            let field = format!("tasks[{i}].depends_on[{j}]");
            match states.get(on) {
                None => return Err(Error::invalid(field, format!("{shown} is not a task of this project"))),
                Some(TaskState::Done) => task.waiting_on -= 1,
                Some(TaskState::Failed | TaskState::Cancelled) => {
                    return Err(Error::invalid(field, format!("{shown} has failed and will never be done")));
                }
                Some(_) => {}
            }
        }
    }
    Ok(())
}

pub(super) fn task_submitted(scope: &Scope, task: &NewTask, now: DateTime<Utc>) -> Event {
    let about = About {
        org: scope.org,
        project: Some(scope.project),
        subject: TaskId::from(task.id).to_string(),
        version: 0,
        causation: scope.goal.map(|g| g.to_string()).unwrap_or_default(),
        traceparent: scope.traceparent.clone(),
    };
    let body = TaskSubmitted { kind: task.kind.clone(), role: task.role.clone(), title: task.title.clone() };
    outbox::event(about, Body::TaskSubmitted(body), now)
}
