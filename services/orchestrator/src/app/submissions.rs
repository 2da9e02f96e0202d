use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, TransactionTrait as _};
use titan_error::{Code, Error, Result};
use titan_identity::Principal;
use titan_ids::{GoalId, OrgId, ProjectId, TaskId};
use titan_proto::events::event::Body;
use titan_proto::events::{Event, TaskSubmitted};
use titan_store::Combined;
use titan_store::outbox::{self, About};
use uuid::Uuid;

use super::assignments::{MERGE_QUEUE, concurrency_key};
use super::batch::Permits;
use super::task_in::{TaskIn, validate};
use super::{App, text};
use crate::domain::readiness::Ready;
use crate::domain::task::{OnFailure, TaskState};
use crate::store::entity::goal::{self, State};
use crate::store::entity::project;
use crate::store::limits;
use crate::store::submissions::{self, NewKey, NewTask, Parent, Scope};
use crate::store::tasks::{self, TaskRow};
use crate::store::{goals, projects};

const KEY_MOST: usize = 300;
/// Who asks again may ask once more so soon.
const REPEATING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct SubmissionIn {
    pub(crate) project: String,
    pub(crate) goal: Option<GoalId>,
    pub(crate) idempotency_key: String,
    /// Of the attempt that plans for the goal.
    pub(crate) attempt_credential: String,
    pub(crate) tasks: Vec<TaskIn>,
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
        if given.goal.is_some() {
            let (attempt, _) = self.verify_attempt(who, &given.attempt_credential).await?;
            if tasks::find(&self.db, attempt.org, attempt.task).await?.goal_id != given.goal {
                return Err(Error::new(Code::PermissionDenied, "the attempt is for another goal"));
            }
        }
        self.store_tasks(who, given).await
    }

    /// For whoever may add to the goal.
    pub(crate) async fn store_tasks(&self, who: &Principal, given: SubmissionIn) -> Result<Vec<TaskRow>> {
        let mut new = validate(&given.tasks, titan_lifecycle::now())?;
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

    /// One batch, all or nothing of it. An outcome is none when the submission's key is taken.
    pub(crate) async fn commit_submissions(&self, batch: Vec<Arc<Submission>>) -> Result<Vec<Result<Option<Vec<TaskRow>>>>> {
        let alone = batch.iter().all(|submission| submission.stands_alone());
        if alone && !self.keys_repeat() {
            match self.store_at_once(&batch).await? {
                Some(outcomes) => return Ok(outcomes),
                None => *self.key_repeated.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now()),
            }
        }
        let now = titan_lifecycle::now();
        let tx = self.db.begin().await?;
        let around = Around::lock(&tx, &batch).await?;
        let prepared = around.prepare(&batch, now);
        let given = keys(&batch, &prepared);
        let taken = submissions::take_keys(&tx, &given).await?;
        let doubles: HashSet<_> = given.iter().zip(taken).filter(|(_, taken)| !taken).filter_map(|(key, _)| key.task_ids.first()).collect();
        let fresh = |new: &[NewTask]| new.first().is_some_and(|task| !doubles.contains(&task.id));
        let stored = stored(&prepared, fresh);
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
            self.tell(&mut writes, &stored, &mut ready, now);
            writes.execute(&tx).await?;
        }
        titan_lifecycle::fault("submit.before_commit").await;
        tx.commit().await?;
        titan_lifecycle::fault("submit.after_commit").await;
        self.committed(ready);
        Ok(outcomes(prepared, fresh, now))
    }

    /// Somebody asks again with the same key: finding that out by an error each time would write everything twice.
    fn keys_repeat(&self) -> bool {
        self.key_repeated.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < REPEATING)
    }

    /// Submissions that need nothing that is there already, as one statement. None, and nothing is written, when a key is taken.
    async fn store_at_once(&self, batch: &[Arc<Submission>]) -> Result<Option<Vec<Result<Option<Vec<TaskRow>>>>>> {
        let now = titan_lifecycle::now();
        let around = Around { projects: self.known_projects.find_all(&self.db, named(batch)).await?, ..Around::default() };
        let prepared = around.prepare(batch, now);
        let stored = stored(&prepared, |_| true);
        if !stored.is_empty() {
            let (mut writes, mut ready) = (Combined::default(), Ready::default());
            submissions::add_keys(&mut writes, &keys(batch, &prepared));
            submissions::insert(&mut writes, &stored, now)?;
            self.tell(&mut writes, &stored, &mut ready, now);
            titan_lifecycle::fault("submit.before_commit").await;
            if !submissions::store(&self.db, writes).await? {
                return Ok(None);
            }
            titan_lifecycle::fault("submit.after_commit").await;
            self.committed(ready);
        }
        Ok(Some(outcomes(prepared, |_| true, now)))
    }

    fn tell(&self, writes: &mut Combined, stored: &[(&Scope, &NewTask)], ready: &mut Ready, now: DateTime<Utc>) {
        ready.tasks.extend(stored.iter().filter(|(_, task)| task.is_ready()).map(|(_, task)| (TaskId::from(task.id), task.lane_id)));
        let events: Vec<_> = stored.iter().map(|(scope, task)| task_submitted(scope, task, now)).collect();
        outbox::add(writes, &events);
        submissions::notify_ready(writes, self.replica, ready);
    }
}

impl Submission {
    fn stands_alone(&self) -> bool {
        self.given.goal.is_none() && outside(&self.new).next().is_none() && self.new.iter().all(|task| task.limits.is_empty())
    }
}

type Prepared = Vec<Result<(Scope, Vec<NewTask>)>>;

/// Of those that are not refused.
fn keys(batch: &[Arc<Submission>], prepared: &Prepared) -> Vec<NewKey> {
    let keyed = |(submission, prepared): (&Arc<Submission>, &Result<(Scope, Vec<NewTask>)>)| {
        let (scope, new) = prepared.as_ref().ok()?;
        let (project_id, idempotency_key) = (scope.project.uuid(), submission.given.idempotency_key.clone());
        Some(NewKey { project_id, idempotency_key, task_ids: new.iter().map(|task| task.id).collect() })
    };
    batch.iter().zip(prepared).filter_map(keyed).collect()
}

fn stored(prepared: &Prepared, fresh: impl Fn(&[NewTask]) -> bool) -> Vec<(&Scope, &NewTask)> {
    let fresh = prepared.iter().flatten().filter(|(_, new)| fresh(new));
    fresh.flat_map(|(scope, new)| new.iter().map(move |task| (scope, task))).collect()
}

fn outcomes(prepared: Prepared, fresh: impl Fn(&[NewTask]) -> bool, now: DateTime<Utc>) -> Vec<Result<Option<Vec<TaskRow>>>> {
    let outcome = |prepared: Result<(Scope, Vec<NewTask>)>| {
        let (scope, new) = prepared?;
        Ok(fresh(&new).then(|| new.into_iter().map(|task| TaskRow::new(&scope, task, now)).collect()))
    };
    prepared.into_iter().map(outcome).collect()
}

fn named(batch: &[Arc<Submission>]) -> HashSet<(OrgId, String)> {
    batch.iter().map(|s| (s.who.org, s.given.project.clone())).collect()
}

/// What submissions refer to, read and locked for all of a batch: goals, then tasks, each by id.
#[derive(Default)]
struct Around {
    projects: HashMap<(OrgId, String), project::Model>,
    goals: BTreeMap<GoalId, Option<goal::Model>>,
    parents: HashMap<Uuid, Parent>,
}

impl Around {
    async fn lock(tx: &DatabaseTransaction, batch: &[Arc<Submission>]) -> Result<Self> {
        let projects = projects::find_all(tx, named(batch)).await?;
        let mut goals = BTreeMap::new();
        for goal in batch.iter().filter_map(|s| s.given.goal).collect::<BTreeSet<_>>() {
            goals.insert(goal, goals::lock(tx, goal).await?);
        }
        let outside: BTreeSet<Uuid> = batch.iter().flat_map(|s| outside(&s.new)).collect();
        let outside: Vec<Uuid> = outside.into_iter().collect();
        let parents = if outside.is_empty() { Vec::new() } else { submissions::lock_parents(tx, &outside).await? };
        Ok(Self { projects, goals, parents: parents.into_iter().map(|p| (p.id, p)).collect() })
    }

    fn prepare(&self, batch: &[Arc<Submission>], now: DateTime<Utc>) -> Prepared {
        batch.iter().map(|submission| self.prepare_one(submission, now)).collect()
    }

    fn prepare_one(&self, submission: &Submission, now: DateTime<Utc>) -> Result<(Scope, Vec<NewTask>)> {
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
