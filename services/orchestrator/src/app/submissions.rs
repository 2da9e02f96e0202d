use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, TransactionTrait as _};
use serde_json::Value;
use titan_error::{Code, Error, FieldError, Result};
use titan_identity::Principal;
use titan_ids::{GoalId, OrgId, ProjectId, TaskId};
use titan_proto::events::event::Body;
use titan_proto::events::{Event, TaskSubmitted};
use titan_store::outbox::{self, About};
use uuid::Uuid;

use super::assignments::{MERGE_QUEUE, exclusive_key};
use super::{App, text};
use crate::domain::graph::{self, Edge, GraphError};
use crate::domain::task::TaskState;
use crate::store::entity::goal::{self, State};
use crate::store::entity::project;
use crate::store::submissions::{self, NewKey, NewTask, Parent, Scope};
use crate::store::tasks::{self, TaskRow};
use crate::store::{goals, projects};

const TASKS_MOST: usize = 1_000;
const KEY_MOST: usize = 300;
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

/// Checked as far as that needs no database.
#[derive(Debug)]
pub(crate) struct Submission {
    who: Principal,
    given: SubmissionIn,
    new: Vec<NewTask>,
    traceparent: String,
}

impl App {
    /// Stores a graph of tasks, all or none.
    pub(crate) async fn submit_tasks(&self, who: &Principal, mut given: SubmissionIn) -> Result<Vec<TaskRow>> {
        if given.idempotency_key.is_empty() {
            // So that it may be written again when the answer to its commit got lost.
            given.idempotency_key = format!("once/{}", Uuid::new_v4());
        }
        text("idempotency_key", &given.idempotency_key, KEY_MOST)?;
        let new = validate(&given.tasks)?;
        if given.goal.is_some() {
            let (attempt, _) = self.verify_attempt(who, &given.attempt_credential).await?;
            if tasks::find(&self.db, attempt.org, attempt.task).await?.goal_id != given.goal {
                return Err(Error::new(Code::PermissionDenied, "the attempt is for another goal"));
            }
        }
        let merges = |task: &TaskIn| given.goal.is_none() && task.exclusive_key == MERGE_QUEUE;
        if let Some(i) = given.tasks.iter().position(merges) {
            return Err(Error::invalid(format!("tasks[{i}].exclusive_key"), "\"merge\" is the project's merge queue; use another key"));
        }
        let (project, key) = (given.project.clone(), given.idempotency_key.clone());
        let traceparent = titan_telemetry::traceparent().unwrap_or_default();
        match self.submissions.write(Submission { who: who.clone(), given, new, traceparent }).await {
            Ok(Some(rows)) => Ok(rows),
            // Stored before, under the same key.
            outcome => {
                let project = self.project(who, &project).await?;
                match submissions::submission(&self.db, project.id, &key).await? {
                    Some(ids) => tasks::find_all(&self.db, &ids).await,
                    None => Err(outcome.err().unwrap_or_else(|| Error::unavailable("try again"))),
                }
            }
        }
    }

    /// One batch, in one transaction. An outcome is none when the submission's key is taken.
    pub(crate) async fn commit_submissions(&self, batch: Vec<Arc<Submission>>) -> Result<Vec<Result<Option<Vec<TaskRow>>>>> {
        let now = titan_lifecycle::now();
        let tx = self.db.begin().await?;
        let around = Around::lock(&tx, &batch).await?;
        let prepared: Vec<Result<(Scope, Vec<NewTask>)>> = batch.iter().map(|submission| around.prepare(submission)).collect();
        let keyed = |(submission, prepared): (&Arc<Submission>, &Result<(Scope, Vec<NewTask>)>)| match prepared {
            Ok((scope, new)) => Some(NewKey {
                project_id: scope.project.uuid(),
                idempotency_key: submission.given.idempotency_key.clone(),
                task_ids: new.iter().map(|t| t.id).collect(),
            }),
            Err(_) => None,
        };
        let keys: Vec<_> = batch.iter().zip(&prepared).map(keyed).collect();
        let given: Vec<NewKey> = keys.into_iter().flatten().collect();
        let taken = submissions::take_keys(&tx, &given).await?;
        let doubles: HashSet<_> = given.iter().zip(taken).filter(|(_, taken)| !taken).filter_map(|(key, _)| key.task_ids.first()).collect();
        let fresh = |new: &[NewTask]| new.first().is_some_and(|task| !doubles.contains(&task.id));
        let stored: Vec<(&Scope, &NewTask)> = prepared
            .iter()
            .flatten()
            .filter(|(_, new)| fresh(new))
            .flat_map(|(scope, new)| new.iter().map(move |task| (scope, task)))
            .collect();
        if !stored.is_empty() {
            submissions::insert(&tx, &stored, now).await?;
            let events: Vec<_> = stored.iter().map(|(scope, task)| task_submitted(scope, task, now)).collect();
            outbox::append(&tx, &events).await?;
            submissions::notify_ready(&tx).await?;
        }
        titan_lifecycle::fault("submit.before_commit").await;
        tx.commit().await?;
        titan_lifecycle::fault("submit.after_commit").await;
        self.committed();
        let row = |scope: &Scope, task: NewTask| TaskRow::new(scope, task, now);
        let outcome = |prepared: Result<(Scope, Vec<NewTask>)>| {
            let (scope, new) = prepared?;
            Ok(fresh(&new).then(|| new.into_iter().map(|task| row(&scope, task)).collect()))
        };
        Ok(prepared.into_iter().map(outcome).collect())
    }
}

/// What submissions refer to, read and locked for all of a batch: goals, then tasks, each by id.
struct Around {
    projects: HashMap<(OrgId, String), project::Model>,
    goals: BTreeMap<GoalId, Option<goal::Model>>,
    parents: HashMap<Uuid, Parent>,
}

impl Around {
    async fn lock(tx: &DatabaseTransaction, batch: &[Arc<Submission>]) -> Result<Self> {
        let named: HashSet<_> = batch.iter().map(|s| (s.who.org, s.given.project.clone())).collect();
        let projects = projects::find_all(tx, named).await?;
        let mut goals = BTreeMap::new();
        for goal in batch.iter().filter_map(|s| s.given.goal).collect::<BTreeSet<_>>() {
            goals.insert(goal, goals::lock(tx, goal).await?);
        }
        let outside: BTreeSet<Uuid> = batch.iter().flat_map(|s| outside(&s.new)).collect();
        let outside: Vec<Uuid> = outside.into_iter().collect();
        let parents = if outside.is_empty() { Vec::new() } else { submissions::lock_parents(tx, &outside).await? };
        Ok(Self { projects, goals, parents: parents.into_iter().map(|p| (p.id, p)).collect() })
    }

    fn prepare(&self, submission: &Submission) -> Result<(Scope, Vec<NewTask>)> {
        let Submission { who, given, new, traceparent } = submission;
        let project = self.projects.get(&(who.org, given.project.clone()));
        let project = project.ok_or_else(|| Error::not_found(format!("project {:?}", given.project)))?;
        who.may_touch(project.id)?;
        if project.status == project::Status::Archived {
            return Err(Error::precondition(format!("the project {:?} is archived", project.slug)));
        }
        if let Some(goal) = given.goal {
            let found = self.goals.get(&goal).and_then(Option::as_ref).filter(|g| g.project_id == project.id);
            let found = found.ok_or_else(|| Error::not_found(format!("goal {goal}")))?;
            if found.state != State::Running {
                return Err(Error::precondition(format!("goal {goal} is finished; nothing can be added to it")));
            }
        }
        let mut new = new.clone();
        self.count_unfinished(project.id, &given.tasks, &mut new)?;
        for task in &mut new {
            task.exclusive_key = task.exclusive_key.as_ref().map(|key| exclusive_key(project.id, key));
        }
        Ok((Scope { org: who.org, project: project.id, goal: given.goal, traceparent: traceparent.clone() }, new))
    }

    /// Leaves dependencies outside the submission that are done out of the count.
    fn count_unfinished(&self, project: ProjectId, given: &[TaskIn], new: &mut [NewTask]) -> Result<()> {
        let outside: HashSet<Uuid> = outside(new).collect();
        for (i, task) in new.iter_mut().enumerate() {
            for on in task.depends_on.iter().filter(|id| outside.contains(id)) {
                let shown = TaskId::from(*on).to_string();
                let j = given[i].depends_on.iter().position(|d| *d == shown).unwrap_or(0);
                let field = format!("tasks[{i}].depends_on[{j}]");
                match self.parents.get(on).filter(|parent| parent.project_id == project).map(|parent| parent.state) {
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
}

/// Dependencies on tasks that were there before.
fn outside(new: &[NewTask]) -> impl Iterator<Item = Uuid> {
    let own: HashSet<_> = new.iter().map(|t| t.id).collect();
    new.iter().flat_map(|t| t.depends_on.clone()).filter(move |id| !own.contains(id))
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
