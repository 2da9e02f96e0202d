use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, TransactionTrait as _};
use serde_json::{Value, json};
use titan_error::{Code, Error, FieldError, Result};
use titan_identity::Principal;
use titan_ids::{GoalId, OrgId, ProjectId, TaskId};
use titan_proto::events::event::Body;
use titan_proto::events::{Event, TaskSubmitted};
use titan_store::Combined;
use titan_store::outbox::{self, About};
use uuid::Uuid;

use super::assignments::{MERGE_QUEUE, concurrency_key};
use super::batch::Permits;
use super::{App, text};
use crate::domain::graph::{self, Edge, GraphError};
use crate::domain::matching::{Demands, Wishes};
use crate::domain::readiness::Ready;
use crate::domain::task::{OnFailure, TaskState};
use crate::store::entity::goal::{self, State};
use crate::store::entity::project;
use crate::store::limits::{self, Stated};
use crate::store::submissions::{self, ATTEMPTS, DEFAULT_POOL, Dependency, NewKey, NewTask, Parent, Scope, TIMEOUT_S};
use crate::store::tasks::{self, TaskRow};
use crate::store::transitions::RetryPolicy;
use crate::store::{goals, projects};

const TASKS_MOST: usize = 1_000;
const KEY_MOST: usize = 300;
const PAYLOAD_MOST: usize = 64 << 10;
const NAME_MOST: usize = 100;
const KEY_OF_LIMIT_MOST: usize = 200;
const DEMANDS_MOST: usize = 20;
const RATES_MOST: usize = 5;
const DAY_S: u32 = 86_400;
const DAY_MS: u64 = 86_400_000;

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
    pub(crate) run_after: Option<DateTime<Utc>>,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) deadline_at: Option<DateTime<Utc>>,
    pub(crate) concurrency_key: String,
    /// 0: one.
    pub(crate) concurrency_limit: u32,
    pub(crate) rate_limits: Vec<RateIn>,
    pub(crate) pool: String,
    pub(crate) demands: Demands,
    pub(crate) wishes: Wishes,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) budget: BTreeMap<&'static str, u64>,
    pub(crate) parent: String,
    /// By entry of `depends_on`.
    pub(crate) on_failure: HashMap<String, OnFailure>,
}

#[derive(Debug)]
pub(crate) struct RateIn {
    pub(crate) key: String,
    pub(crate) limit: u32,
    pub(crate) period_ms: u64,
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
        let mut new = validate(&given.tasks, titan_lifecycle::now())?;
        if given.goal.is_some() {
            let (attempt, _) = self.verify_attempt(who, &given.attempt_credential).await?;
            if tasks::find(&self.db, attempt.org, attempt.task).await?.goal_id != given.goal {
                return Err(Error::new(Code::PermissionDenied, "the attempt is for another goal"));
            }
        }
        self.lanes.resolve(&self.db, new.iter_mut()).await?;
        for (i, task) in new.iter().enumerate().filter(|(_, task)| task.concurrency_key.as_deref() == Some(MERGE_QUEUE)) {
            let refuse = |field: &str, problem: &str| Err(Error::invalid(format!("tasks[{i}].{field}"), problem));
            if given.goal.is_none() {
                return refuse("concurrency_key", "\"merge\" is the project's merge queue; use another key");
            }
            if task.limits.iter().any(|limit| limit.period_ms.is_none() && limit.most > 1) {
                return refuse("concurrency_limit", "the project's merge queue is for one at a time");
            }
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
        let prepared: Vec<Result<(Scope, Vec<NewTask>)>> = batch.iter().map(|submission| around.prepare(submission, now)).collect();
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
        let mut ready = Ready::default();
        if !stored.is_empty() {
            let stated = stored.iter().flat_map(|(_, task)| &task.limits).map(|limit| (limit.key.clone(), limit.clone())).collect();
            limits::state(&tx, &stated).await?;
            let mut writes = Combined::default();
            submissions::insert(&mut writes, &stored, now)?;
            if !stated.is_empty() {
                std::mem::take(&mut writes).execute(&tx).await?;
                ready = Permits::of(stated.into_keys().collect()).settle(&tx, now).await?;
            }
            ready.ids.extend(stored.iter().filter(|(_, task)| task.is_ready()).map(|(_, task)| TaskId::from(task.id)));
            let events: Vec<_> = stored.iter().map(|(scope, task)| task_submitted(scope, task, now)).collect();
            outbox::add(&mut writes, &events);
            submissions::notify_ready(&mut writes, self.replica, &ready);
            writes.execute(&tx).await?;
        }
        titan_lifecycle::fault("submit.before_commit").await;
        tx.commit().await?;
        titan_lifecycle::fault("submit.after_commit").await;
        self.committed(ready);
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

    fn prepare(&self, submission: &Submission, now: DateTime<Utc>) -> Result<(Scope, Vec<NewTask>)> {
        let Submission { who, given, new, traceparent } = submission;
        let project = self.projects.get(&(who.org, given.project.clone()));
        let project = project.ok_or_else(|| Error::not_found(format!("project {:?}", given.project)))?;
        who.may_touch(project.id)?;
        if project.status == project::Status::Archived {
            return Err(Error::precondition(format!("the project {:?} is archived", project.slug)));
        }
        let mut paused = false;
        if let Some(goal) = given.goal {
            let found = self.goals.get(&goal).and_then(Option::as_ref).filter(|g| g.project_id == project.id);
            let found = found.ok_or_else(|| Error::not_found(format!("goal {goal}")))?;
            if found.state != State::Running {
                return Err(Error::precondition(format!("goal {goal} is finished; nothing can be added to it")));
            }
            paused = found.paused;
        }
        let mut new = new.clone();
        self.count_unfinished(project.id, &given.tasks, &mut new)?;
        for task in &mut new {
            scope_limits(project.id, task);
            task.place(paused, now);
        }
        let (goal, by, traceparent) = (given.goal, who.id.to_string(), traceparent.clone());
        Ok((Scope { org: who.org, project: project.id, goal, by, traceparent }, new))
    }

    /// Leaves dependencies outside the submission that are done out of the count.
    fn count_unfinished(&self, project: ProjectId, given: &[TaskIn], new: &mut [NewTask]) -> Result<()> {
        let outside: HashSet<Uuid> = outside(new).collect();
        let parent = |id: Uuid| self.parents.get(&id).filter(|parent| parent.project_id == project).map(|parent| parent.state);
        for (i, task) in new.iter_mut().enumerate() {
            if let Some(of) = task.parent_id.filter(|of| outside.contains(of) && parent(*of).is_none_or(TaskState::is_terminal)) {
                let problem = format!("{} is not an unfinished task of this project", TaskId::from(of));
                return Err(Error::invalid(format!("tasks[{i}].parent"), problem));
            }
            for dependency in task.depends_on.iter_mut().filter(|d| outside.contains(&d.on)) {
                let shown = TaskId::from(dependency.on).to_string();
                let j = given[i].depends_on.iter().position(|d| *d == shown).unwrap_or(0);
                let field = format!("tasks[{i}].depends_on[{j}]");
                match parent(dependency.on) {
                    None => return Err(Error::invalid(field, format!("{shown} is not a task of this project"))),
                    Some(TaskState::Done) => task.waiting_on -= 1,
                    Some(TaskState::Failed | TaskState::Cancelled) if dependency.on_failure == OnFailure::Run => {
                        dependency.counted = true;
                        task.waiting_on -= 1;
                    }
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

/// Keys are a project's own.
fn scope_limits(project: ProjectId, task: &mut NewTask) {
    task.concurrency_key = task.concurrency_key.as_ref().map(|key| concurrency_key(project, key));
    for key in &mut task.rate_keys {
        *key = rate_key(project, key);
    }
    for limit in &mut task.limits {
        limit.key = if limit.period_ms.is_some() { rate_key(project, &limit.key) } else { concurrency_key(project, &limit.key) };
    }
}

/// Tasks that were there before and that these depend on, or are part of.
fn outside(new: &[NewTask]) -> impl Iterator<Item = Uuid> {
    let own: HashSet<_> = new.iter().map(|t| t.id).collect();
    let named = |task: &NewTask| task.depends_on.iter().map(|d| d.on).chain(task.parent_id).collect::<Vec<_>>();
    new.iter().flat_map(named).filter(move |id| !own.contains(id))
}

fn rate_key(project: ProjectId, key: &str) -> String {
    format!("r/{project}/{key}")
}

/// Checks what needs no database, and gives each task its id; edges inside the submission are set.
fn validate(given: &[TaskIn], now: DateTime<Utc>) -> Result<Vec<NewTask>> {
    if given.is_empty() || given.len() > TASKS_MOST {
        return Err(Error::invalid("tasks", format!("must be 1 to {TASKS_MOST} tasks, not {}", given.len())));
    }
    let mut problems: Vec<FieldError> = Vec::new();
    let mut new: Vec<NewTask> = Vec::with_capacity(given.len());
    for (i, task) in given.iter().enumerate() {
        match validate_one(i, task, now) {
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
            let on_failure = given[i].on_failure.get(&given[i].depends_on[j]).copied().unwrap_or(OnFailure::Fail);
            if !new[i].depends_on.iter().any(|d| d.on == on) {
                new[i].depends_on.push(Dependency { on, on_failure, counted: false });
            }
        }
        if let Some(stray) = given[i].on_failure.keys().find(|key| !given[i].depends_on.contains(key)) {
            return Err(Error::invalid(format!("tasks[{i}].on_failure"), format!("{stray:?} is not in depends_on")));
        }
        let parent = given.iter().position(|other| !given[i].parent.is_empty() && other.key == given[i].parent);
        new[i].parent_id = match parent {
            Some(parent) if parent == i => return Err(Error::invalid(format!("tasks[{i}].parent"), "must be another task")),
            Some(parent) => Some(new[parent].id),
            None if new[i].parent_id.is_none() && !given[i].parent.is_empty() => {
                let problem = format!("{:?} is neither a key of this submission nor a task id", given[i].parent);
                return Err(Error::invalid(format!("tasks[{i}].parent"), problem));
            }
            None => new[i].parent_id,
        };
        new[i].waiting_on = i32::try_from(new[i].depends_on.len()).unwrap_or(i32::MAX);
    }
    Ok(new)
}

fn parse_outside(i: usize, j: usize, id: &str) -> Result<TaskId> {
    let field = format!("tasks[{i}].depends_on[{j}]");
    id.parse().map_err(|_| Error::invalid(field, format!("{id:?} is neither a key of this submission nor a task id")))
}

fn validate_one(i: usize, task: &TaskIn, now: DateTime<Utc>) -> Result<NewTask> {
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
    check(task.deadline_at.is_none_or(|at| at > now), "deadline_at", "has passed")?;
    check(task.deadline_at.is_none_or(|at| task.run_after.is_none_or(|after| at > after)), "deadline_at", "must be later than run_after")?;
    check_demands(&field, &task.demands)?;
    let name = |name: &str, value: &str| if value.is_empty() { Ok(None) } else { text(&field(name), value, NAME_MOST).map(Some) };
    name("preferred_agent", task.wishes.preferred.as_deref().unwrap_or_default())?;
    if let Some(retry) = &task.retry {
        check(retry.base_ms.is_none_or(|ms| (1..=DAY_MS).contains(&ms)), "retry.base_ms", "must be 1 to 86400000 (a day)")?;
        check(retry.most_ms.is_none_or(|ms| (1..=DAY_MS).contains(&ms)), "retry.most_ms", "must be 1 to 86400000 (a day)")?;
        check(retry.jitter.is_none_or(|share| (0.0..=1.0).contains(&share)), "retry.jitter", "must be 0 to 1")?;
        check(retry.final_errors.len() <= 20, "retry.final_errors", "must be at most 20")?;
        retry.final_errors.iter().try_for_each(|code| text(&field("retry.final_errors"), code, NAME_MOST).map(drop))?;
    }
    text(&field("key"), &task.key, NAME_MOST)?;
    let timeout_s = if task.timeout_s == 0 { TIMEOUT_S } else { i32::try_from(task.timeout_s).unwrap_or(i32::MAX) };
    let (concurrency_key, rate_keys, limits) = validate_limits(&field, task)?;
    // The key of another task of this submission, which is found later, or an id.
    let parent_id = task.parent.parse::<TaskId>().ok().map(|id| id.uuid());
    Ok(NewTask {
        pool: name("pool", &task.pool)?.unwrap_or_else(|| DEFAULT_POOL.to_owned()),
        demands: task.demands.clone(),
        priority: task.priority,
        max_attempts: if task.max_attempts == 0 { ATTEMPTS } else { task.max_attempts },
        timeout_s,
        run_after: task.run_after,
        due_at: task.due_at,
        deadline_at: task.deadline_at,
        concurrency_key,
        rate_keys,
        limits,
        wishes: Some(task.wishes.clone()).filter(|wishes| *wishes != Wishes::default()),
        retry: task.retry.clone(),
        budget: (!task.budget.is_empty()).then(|| json!(task.budget)),
        parent_id,
        ..NewTask::plain(
            &text(&field("kind"), &task.kind, NAME_MOST)?,
            &text(&field("role"), &task.role, NAME_MOST)?,
            text(&field("title"), &task.title, 300)?,
            input,
        )
    })
}

/// What is wrong with a task that is submitted later.
pub(super) fn check_task(task: &TaskIn, now: DateTime<Utc>) -> Result<()> {
    validate(std::slice::from_ref(task), now).map(drop)
}

fn check_demands(field: &impl Fn(&str) -> String, demands: &Demands) -> Result<()> {
    let Demands { skills, labels, agent } = demands;
    for (name, count) in [("skills", skills.len()), ("labels", labels.len())] {
        if count > DEMANDS_MOST {
            return Err(Error::invalid(field(name), format!("must be at most {DEMANDS_MOST}, not {count}")));
        }
    }
    for (skill, least) in skills {
        text(&field("skills"), skill, NAME_MOST)?;
        if !(0.0..=1.0).contains(least) {
            return Err(Error::invalid(field(&format!("skills.{skill}")), "must be 0 to 1"));
        }
    }
    labels.iter().try_for_each(|label| text(&field("labels"), label, NAME_MOST).map(drop))?;
    agent.as_ref().map_or(Ok(()), |name| text(&field("only_agent"), name, NAME_MOST).map(drop))
}

/// The keys as given; they are made the project's own later.
fn validate_limits(field: &impl Fn(&str) -> String, task: &TaskIn) -> Result<(Option<String>, Vec<String>, Vec<Stated>)> {
    let most = |name: &str, value: u32| match i32::try_from(value) {
        Ok(value) if (1..=1_000_000).contains(&value) => Ok(value),
        _ => Err(Error::invalid(field(name), "must be 1 to 1000000")),
    };
    let mut limits = Vec::new();
    let mut concurrency_key = None;
    if !task.concurrency_key.is_empty() {
        let key = text(&field("concurrency_key"), &task.concurrency_key, KEY_OF_LIMIT_MOST)?;
        let most = most("concurrency_limit", task.concurrency_limit.max(1))?;
        limits.push(Stated { key: key.clone(), most, period_ms: None });
        concurrency_key = Some(key);
    } else if task.concurrency_limit > 0 {
        return Err(Error::invalid(field("concurrency_limit"), "needs a concurrency_key"));
    }
    if task.rate_limits.len() > RATES_MOST {
        return Err(Error::invalid(field("rate_limits"), format!("must be at most {RATES_MOST}")));
    }
    let mut rate_keys = Vec::new();
    for (j, rate) in task.rate_limits.iter().enumerate() {
        let of = |name: &str| format!("rate_limits[{j}].{name}");
        let key = text(&field(&of("key")), &rate.key, KEY_OF_LIMIT_MOST)?;
        let period = i64::try_from(rate.period_ms).ok().filter(|ms| (100..=30 * 86_400_000).contains(ms));
        let period = period.ok_or_else(|| Error::invalid(field(&of("period_ms")), "must be 100 to 2592000000 (30 days)"))?;
        if rate_keys.contains(&key) {
            return Err(Error::invalid(field(&of("key")), "stands twice"));
        }
        limits.push(Stated { key: key.clone(), most: most(&of("limit"), rate.limit)?, period_ms: Some(period) });
        rate_keys.push(key);
    }
    Ok((concurrency_key, rate_keys, limits))
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
