//! Tasks that change together in one transaction, and what follows from it. Locks are taken in one order —
//! goals, tasks, dependents, agents, limits, each by id — so that transactions about one goal queue. Without a goal PostgreSQL may have
//! to break a deadlock; the writer tries again then.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use serde_json::{Value, json};
use titan_error::{Error, Result};
use titan_ids::{AgentId, GoalId, TaskId};
use titan_proto::events::event::Body;
use titan_proto::events::{Event, GoalFinished, TaskCancelled};
use titan_store::Combined;
use titan_store::outbox::{self, About};
use uuid::Uuid;

use super::App;
use super::goals::about as about_goal;
use super::submissions::task_submitted;
use crate::domain::budget::Spent;
use crate::domain::graph::follow;
use crate::domain::limits::{Held as HeldBy, admit, has_permit};
use crate::domain::readiness::Ready;
use crate::domain::records::Tally;
use crate::domain::task::{Command, End, OnFailure, TaskState, Transition};
use crate::store::entity::goal::State;
use crate::store::submissions::{self, Dependency, NewTask, Scope};
use crate::store::transitions::{self, Affected, Change, Ended, Locked, Place, Write};
use crate::store::{agents, goals, limits, sessions};

/// A locked task with what becomes of it.
pub(super) struct Held {
    pub(super) locked: Locked,
    /// The state it was read in.
    before: TaskState,
    pub(super) started: bool,
    pub(super) moved: Option<Transition>,
    tolerated: bool,
    /// Where it has changed.
    pub(super) spent: Option<Spent>,
}

pub(super) struct Batch<'a> {
    pub(super) tx: &'a DatabaseTransaction,
    pub(super) now: DateTime<Utc>,
    pub(super) tasks: BTreeMap<TaskId, Held>,
    pub(super) changes: Vec<Change>,
    pub(super) ended: Vec<Ended>,
    pub(super) events: Vec<Event>,
    /// What ended, and how: what waits for it is told.
    pub(super) ends: BTreeMap<TaskId, End>,
    /// With the verdict against the work they judge.
    pub(super) rejected: Vec<(TaskId, String, Value)>,
    /// How attempts of agents at kinds of tasks ended.
    pub(super) records: BTreeMap<(AgentId, String), Tally>,
    /// Goals that may be finished now.
    pub(super) finishing: BTreeSet<GoalId>,
    /// What may be ready to be claimed.
    pub(super) ready: Ready,
    pub(super) permits: Permits,
    /// Attempts that are over without having said so: who works on them is told.
    pub(super) revoked: Vec<(TaskId, i32)>,
    /// Failures in a row after which an agent is quarantined.
    strikes: u32,
    replica: Uuid,
}

/// What a transaction gives back to limits, and the limits that something may be admitted under.
#[derive(Default)]
pub(super) struct Permits {
    released: BTreeMap<String, i32>,
    touched: BTreeSet<String>,
}

impl Permits {
    fn is_empty(&self) -> bool {
        self.released.is_empty() && self.touched.is_empty()
    }

    /// Nothing is given back.
    pub(super) fn of(touched: BTreeSet<String>) -> Self {
        Self { touched, ..Self::default() }
    }

    /// A task goes from one place to another.
    pub(super) fn moved(&mut self, before: TaskState, place: &Place, after: TaskState, held: Option<&HeldBy>) {
        let released = has_permit(before, place.held.as_ref()) && !has_permit(after, held);
        if let Some(key) = place.concurrency_key.as_ref().filter(|_| released) {
            *self.released.entry(key.clone()).or_default() += 1;
        }
        self.touched.extend(limit(held));
    }

    /// Gives back what is given back and admits what waits for the limits touched. They are locked here, in the order of their
    /// keys, and the tasks that wait after them: whoever holds one of those looks at its limit after this commit. Returns
    /// what was admitted.
    pub(super) async fn settle(&mut self, tx: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<Ready> {
        let released = std::mem::take(&mut self.released);
        let mut keys: BTreeSet<String> = std::mem::take(&mut self.touched).into_iter().chain(released.keys().cloned()).collect();
        if keys.is_empty() {
            return Ok(Ready::default());
        }
        let mut waiting = limits::waiting(tx, &keys).await?;
        keys.extend(waiting.iter().flat_map(|task| task.keys.clone()));
        let mut counters = limits::lock(tx, &keys).await?;
        for (key, limit) in &mut counters {
            limit.taken -= released.get(key).copied().unwrap_or(0);
            limit.refill(now);
        }
        let mut admitted = Ready::default();
        // What was read before the locks were taken may have been admitted since.
        while !waiting.is_empty() {
            let locked = limits::lock_waiting(tx, &waiting).await?;
            waiting.retain(|task| locked.contains(&task.id));
            let decided = admit(&mut counters, &waiting);
            admitted.tasks.extend(limits::hold(tx, &decided).await?);
            // Those that wait for another key now stood in front of some that do not need it.
            let before: BTreeMap<TaskId, &String> = waiting.iter().map(|task| (task.id, &task.held)).collect();
            let moved =
                |(id, held): &(TaskId, Option<HeldBy>)| held.as_ref().is_none_or(|held| before.get(id).is_none_or(|b| held.text() != **b));
            if !decided.iter().any(moved) {
                break;
            }
            waiting = limits::waiting(tx, &keys).await?;
            // Those that come up may be under limits that the first ones were not. Where somebody else has one of them, whoever looks for what is
            // held finds the task.
            let more: BTreeSet<String> =
                waiting.iter().flat_map(|task| task.keys.iter().filter(|key| !counters.contains_key(*key)).cloned()).collect();
            if !more.is_empty() {
                let mut found = limits::lock_more(tx, &more).await?;
                found.values_mut().for_each(|limit| limit.refill(now));
                keys.extend(found.keys().cloned());
                counters.extend(found);
            }
        }
        limits::write(tx, &counters, now).await?;
        Ok(admitted)
    }
}

fn limit(held: Option<&HeldBy>) -> Option<String> {
    match held {
        Some(HeldBy::Limit(key)) => Some(key.clone()),
        _ => None,
    }
}

impl<'a> Batch<'a> {
    pub(super) async fn lock(app: &App, tx: &'a DatabaseTransaction, ids: &[Uuid], now: DateTime<Utc>) -> Result<Self> {
        for goal in transitions::goals_of(tx, ids).await? {
            goals::lock(tx, goal).await?;
        }
        let held = |locked: Locked| {
            (locked.id, Held { before: locked.task.state, locked, started: false, moved: None, tolerated: false, spent: None })
        };
        let tasks = transitions::lock(tx, ids).await?.into_iter().map(held).collect();
        Ok(Self {
            tx,
            now,
            tasks,
            changes: Vec::new(),
            ended: Vec::new(),
            events: Vec::new(),
            ends: BTreeMap::new(),
            rejected: Vec::new(),
            records: BTreeMap::new(),
            finishing: BTreeSet::new(),
            ready: Ready::default(),
            permits: Permits::default(),
            revoked: Vec::new(),
            strikes: app.engine.quarantine_after,
            replica: app.replica,
        })
    }

    /// Writes what was decided and what follows from it. Returns what may be ready now.
    pub(super) async fn settle(&mut self) -> Result<Ready> {
        while !self.ends.is_empty() {
            self.follow().await?;
        }
        let mut writes = self.flush();
        // What comes next reads what was written, where there is any of it.
        if !(self.rejected.is_empty() && self.finishing.is_empty() && self.permits.is_empty()) {
            std::mem::take(&mut writes).execute(self.tx).await?;
        }
        for (id, message, findings) in std::mem::take(&mut self.rejected) {
            self.add_fix(id, &message, &findings).await?;
        }
        for goal in std::mem::take(&mut self.finishing) {
            self.finish_goal(goal).await?;
        }
        agents::forgive(&mut writes, &self.records);
        let quarantined = agents::strike(self.tx, &self.records, self.strikes).await?;
        if !quarantined.is_empty() {
            tracing::warn!(?quarantined, "agents failed too often in a row and are given nothing for a while");
            agents::notify_conditions(self.tx).await?;
        }
        self.ready.absorb(self.permits.settle(self.tx, self.now).await?);
        outbox::add(&mut writes, &self.events);
        let ready = std::mem::take(&mut self.ready);
        submissions::notify_ready(&mut writes, self.replica, &ready);
        writes.execute(self.tx).await?;
        for (id, attempt) in std::mem::take(&mut self.revoked) {
            sessions::notify_revoked(self.tx, id, attempt).await?;
        }
        Ok(ready)
    }

    fn flush(&mut self) -> Combined {
        let (mut writes, mut spent) = (Vec::new(), Vec::new());
        for (id, held) in &self.tasks {
            if let Some(used) = held.spent {
                match self.ended.iter_mut().find(|ended| ended.id == *id) {
                    Some(ended) => ended.spent = Some(used),
                    None => spent.push((*id, used)),
                }
            }
            let Some(next) = held.moved else { continue };
            let place = held.locked.place.after(&next);
            self.permits.moved(held.before, &held.locked.place, next.task.state, place.as_ref());
            let lane = held.locked.place.lane_id;
            self.ready.tasks.extend((next.task.state == TaskState::Inbox && place.is_none()).then_some((*id, lane)));
            writes.push(Write { id: *id, next, started: held.started, held: place, tolerated: held.tolerated });
        }
        let mut to = Combined::default();
        transitions::write(&mut to, &writes, self.now);
        transitions::write_results(&mut to, &std::mem::take(&mut self.ended));
        transitions::write_spent(&mut to, &spent);
        transitions::record(&mut to, &std::mem::take(&mut self.changes), self.now);
        to
    }

    /// Tells what waits for something that ended: it waits for one thing less, or can happen no more.
    async fn follow(&mut self) -> Result<()> {
        let ends = std::mem::take(&mut self.ends);
        let parents: Vec<Uuid> = ends.keys().map(|id| id.uuid()).collect();
        let (dependents, edges, handled) = transitions::lock_dependents(self.tx, &parents).await?;
        let following = follow(&ends, &handled, edges.iter().map(|edge| (edge.task_id, edge.depends_on, edge.on_failure)));
        let free = transitions::count_down(self.tx, &following.counts).await?;
        let anyway = edges.iter().filter(|edge| edge.on_failure == OnFailure::Run && ends.get(&edge.depends_on) != Some(&End::Done));
        transitions::mark_counted(self.tx, anyway).await?;
        let mut writes = Vec::new();
        for dependent in &dependents {
            if let Some(parent) = following.cancelled.get(&dependent.id) {
                let why = format!("{parent} {}", self.how_it_ended(*parent));
                self.cancel(dependent, &why, End::Failed, &mut writes)?;
            } else if let Some(parent) = following.skipped.get(&dependent.id) {
                self.cancel(dependent, &format!("skipped: {parent} was not done"), End::Skipped, &mut writes)?;
            } else if free.contains(&dependent.id) {
                self.ready.tasks.push((dependent.id, dependent.place.lane_id));
                if dependent.task.state == TaskState::Blocked {
                    writes.push(self.moved(dependent, Command::Unblock, "what it waited for is done")?);
                } else {
                    self.permits.touched.extend(limit(dependent.place.held.as_ref()));
                }
            }
        }
        for lost in ends.iter().filter(|(_, end)| **end == End::Failed).map(|(id, _)| *id).collect::<Vec<_>>() {
            let why = format!("{lost} {}", self.how_it_ended(lost));
            let Some(held) = self.tasks.get_mut(&lost) else { continue };
            held.tolerated = following.handled.contains(&lost);
            let Some(goal) = held.locked.goal_id.filter(|_| !held.tolerated) else { continue };
            // What this batch writes already is left to that.
            let writing: BTreeSet<TaskId> = writes.iter().map(|write: &Write| write.id).collect();
            for other in transitions::lock_rest_of_goal(self.tx, goal).await? {
                if !writing.contains(&other.id) {
                    self.cancel(&other, &why, End::Failed, &mut writes)?;
                }
            }
        }
        let mut to = Combined::default();
        transitions::write(&mut to, &writes, self.now);
        to.execute(self.tx).await
    }

    fn how_it_ended(&self, id: TaskId) -> &'static str {
        let state = self.tasks.get(&id).map(|held| held.locked.task.state);
        if state == Some(TaskState::Failed) { "failed" } else { "was cancelled" }
    }

    /// Cancels a task beside those reported on; what is moved by its own report is left to that.
    fn cancel(&mut self, other: &Affected, reason: &str, end: End, writes: &mut Vec<Write>) -> Result<()> {
        if self.tasks.get(&other.id).is_some_and(|held| held.moved.is_some()) {
            return Ok(());
        }
        let write = self.moved(other, Command::Cancel, reason)?;
        writes.push(Write { tolerated: end == End::Skipped, ..write });
        let cancelled = Body::TaskCancelled(TaskCancelled { reason: reason.to_owned() });
        self.events.push(outbox::event(other.about(3), cancelled, self.now));
        self.finishing.extend(other.goal_id);
        self.ends.insert(other.id, end);
        Ok(())
    }

    /// A task beside those reported on moves because of them.
    pub(super) fn moved(&mut self, other: &Affected, command: Command, reason: &str) -> Result<Write> {
        let next = other.task.transition(command, 0.0).map_err(Error::internal)?;
        let (from, to, attempt) = (other.task.state, next.task.state, next.task.attempt);
        let (actor, reason) = (ENGINE.to_owned(), reason.to_owned());
        self.changes.push(Change { task: other.id, from, to, attempt, actor, reason, choice: None });
        let held = other.place.after(&next);
        self.permits.moved(from, &other.place, to, held.as_ref());
        Ok(Write { id: other.id, next, started: false, held, tolerated: false })
    }

    /// The work goes back: a fix with the findings, linked to the work it fixes, that this task waits for.
    async fn add_fix(&mut self, id: TaskId, message: &str, findings: &Value) -> Result<()> {
        let judged = transitions::judged(self.tx, id).await?;
        let judged = judged.ok_or_else(|| Error::invalid("result", "a task that judges no other one cannot reject"))?;
        let work = transitions::work(self.tx, judged).await?;
        let mut input = work.input;
        input["rework"] = json!({ "rejected_by": id, "of": judged, "message": message, "findings": findings });
        let mut fix = NewTask {
            lane_id: work.lane_id,
            priority: work.priority,
            max_attempts: work.max_attempts,
            timeout_s: work.timeout_s,
            pool: work.pool,
            demands: serde_json::from_value(work.demands).map_err(Error::internal)?,
            concurrency_key: work.concurrency_key,
            rate_keys: work.rate_keys.unwrap_or_default(),
            retry: work.retry.and_then(|retry| serde_json::from_value(retry).ok()),
            budget: work.budget,
            depends_on: vec![Dependency { on: judged.uuid(), on_failure: OnFailure::Fail, counted: false }],
            ..NewTask::plain(&work.kind, &work.role, format!("Fix: {}", work.title.trim_start_matches("Fix: ")), input)
        };
        let paused = self.tasks.get(&id).is_some_and(|held| held.locked.place.paused);
        let by = ENGINE.to_owned();
        // Of the goal of who judges, which is locked: that of the work may be another one's, and finished.
        let goal = self.tasks.get(&id).and_then(|held| held.locked.goal_id);
        let scope = Scope { org: work.org_id, project: work.project_id, goal, by, traceparent: work.traceparent };
        fix.place(paused, self.now);
        self.permits.touched.extend(limit(fix.held.as_deref().map(HeldBy::parse).as_ref()));
        self.ready.tasks.push((fix.id.into(), fix.lane_id));
        let mut writes = Combined::default();
        submissions::insert(&mut writes, &[(&scope, &fix)], self.now)?;
        writes.execute(self.tx).await?;
        transitions::add_dependency(self.tx, id, fix.id).await?;
        self.events.push(task_submitted(&scope, &fix, self.now));
        Ok(())
    }

    /// The goal is finished when no task of it can run any more.
    async fn finish_goal(&mut self, goal: GoalId) -> Result<()> {
        // What is counted before the lock is there may be old.
        let Some(mut found) = goals::lock(self.tx, goal).await?.filter(|g| g.state == State::Running) else { return Ok(()) };
        if goals::any_open(self.tx, goal).await? {
            return Ok(());
        }
        let tally = goals::tally(self.tx, goal).await?;
        let error = tally.error.unwrap_or_default();
        found.state = if error.is_empty() { State::Done } else { State::Failed };
        goals::finish(self.tx, goal, found.state, tally.results, &error, self.now).await?;
        let state = if found.state == State::Done { "done" } else { "failed" }.to_owned();
        self.events.push(outbox::event(about_goal(&found), Body::GoalFinished(GoalFinished { state, error }), self.now));
        Ok(())
    }
}

/// Who acts when no agent does.
pub(super) const ENGINE: &str = "orchestrator";

impl Held {
    /// By all attempts, as of now.
    pub(super) fn spent(&self) -> Spent {
        self.spent.unwrap_or_else(|| self.locked.spent())
    }

    /// What the history says of it; `actor` is the agent that has the task.
    pub(super) fn advance(&mut self, next: Transition, reason: &str) -> Change {
        let (from, to, attempt) = (self.locked.task.state, next.task.state, next.task.attempt);
        self.locked.task = next.task;
        self.moved = Some(next);
        let actor = self.locked.agent_id.map_or_else(|| ENGINE.to_owned(), |agent| agent.to_string());
        let reason = reason.chars().take(2_000).collect();
        Change { task: self.locked.id, from, to, attempt, actor, reason, choice: None }
    }
}

impl Affected {
    /// As [`about`].
    pub(super) fn about(&self, step: i64) -> About {
        About {
            org: self.org_id,
            project: Some(self.project_id),
            subject: self.id.to_string(),
            version: i64::from(self.task.attempt) * 4 + step,
            causation: self.goal_id.map(|g| g.to_string()).unwrap_or_default(),
            traceparent: self.traceparent.clone(),
        }
    }
}

/// `step` orders the events of one attempt: assigned 0, under way 1, ended 2, by hand 3.
pub(super) fn about(task: &Locked, step: i64) -> About {
    About {
        org: task.org_id,
        project: Some(task.project_id),
        subject: task.id.to_string(),
        version: i64::from(task.task.attempt) * 4 + step,
        causation: task.goal_id.map(|g| g.to_string()).unwrap_or_default(),
        traceparent: task.traceparent.clone(),
    }
}
