//! Tasks that change together in one transaction, and what follows from it. Locks are taken in one order —
//! goals, tasks, dependents, each by id — so that transactions about one goal queue. Without a goal PostgreSQL may have to
//! break a deadlock; the writer tries again then.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::DatabaseTransaction;
use serde_json::{Value, json};
use titan_error::{Error, Result};
use titan_ids::{GoalId, TaskId};
use titan_proto::events::event::Body;
use titan_proto::events::{Event, GoalFinished, TaskCancelled};
use titan_store::outbox::{self, About};
use uuid::Uuid;

use super::goals::about as about_goal;
use super::submissions::task_submitted;
use crate::domain::task::{Command, TaskState, Transition};
use crate::store::entity::goal::State;
use crate::store::goals;
use crate::store::submissions::{self, NewTask, Scope};
use crate::store::transitions::{self, Affected, Change, Ended, Locked, Write};

/// A locked task with what becomes of it.
pub(super) struct Held {
    pub(super) locked: Locked,
    pub(super) started: bool,
    pub(super) moved: Option<Transition>,
}

pub(super) struct Batch<'a> {
    pub(super) tx: &'a DatabaseTransaction,
    pub(super) now: DateTime<Utc>,
    pub(super) tasks: BTreeMap<TaskId, Held>,
    pub(super) changes: Vec<Change>,
    pub(super) ended: Vec<Ended>,
    pub(super) events: Vec<Event>,
    pub(super) done: Vec<Uuid>,
    /// Will never be done, and why: what waits for them cannot happen any more.
    pub(super) lost: Vec<(TaskId, String)>,
    /// With the verdict against the work they judge.
    pub(super) rejected: Vec<(TaskId, String, Value)>,
    /// Goals that may be finished now.
    pub(super) finishing: BTreeSet<GoalId>,
    /// Something may be ready to be claimed.
    pub(super) wakes: bool,
}

impl<'a> Batch<'a> {
    pub(super) async fn lock(tx: &'a DatabaseTransaction, ids: &[Uuid], now: DateTime<Utc>) -> Result<Self> {
        for goal in transitions::goals_of(tx, ids).await? {
            goals::lock(tx, goal).await?;
        }
        let held = |locked: Locked| (locked.id, Held { locked, started: false, moved: None });
        let tasks = transitions::lock(tx, ids).await?.into_iter().map(held).collect();
        let (changes, ended, events, done) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (lost, rejected, finishing) = (Vec::new(), Vec::new(), BTreeSet::new());
        Ok(Self { tx, now, tasks, changes, ended, events, done, lost, rejected, finishing, wakes: false })
    }

    /// Writes what was decided and what follows from it. True when something may be ready now.
    pub(super) async fn settle(&mut self) -> Result<bool> {
        self.release_dependents().await?;
        self.cancel_unreachable().await?;
        self.flush().await?;
        for (id, message, findings) in std::mem::take(&mut self.rejected) {
            self.add_fix(id, &message, &findings).await?;
        }
        for goal in std::mem::take(&mut self.finishing) {
            self.finish_goal(goal).await?;
        }
        outbox::append(self.tx, &self.events).await?;
        if self.wakes {
            submissions::notify_ready(self.tx).await?;
        }
        Ok(self.wakes)
    }

    async fn flush(&mut self) -> Result<()> {
        let writes = self.tasks.iter().filter_map(|(id, held)| Some(Write { id: *id, next: held.moved?, started: held.started }));
        transitions::write(self.tx, &writes.collect::<Vec<_>>(), self.now).await?;
        transitions::write_results(self.tx, &std::mem::take(&mut self.ended)).await?;
        transitions::record(self.tx, &std::mem::take(&mut self.changes), self.now).await
    }

    async fn release_dependents(&mut self) -> Result<()> {
        if self.done.is_empty() {
            return Ok(());
        }
        let dependents = transitions::lock_dependents(self.tx, &self.done).await?;
        if dependents.is_empty() {
            return Ok(());
        }
        let free = transitions::count_down(self.tx, &dependents, &self.done).await?;
        let freed = dependents.iter().filter(|d| free.contains(&d.id) && d.task.state == TaskState::Blocked);
        let moved = freed.map(|d| self.moved(d, Command::Unblock, "what it waited for is done")).collect::<Result<Vec<_>>>()?;
        transitions::write(self.tx, &moved, self.now).await
    }

    async fn cancel_unreachable(&mut self) -> Result<()> {
        for (lost, reason) in std::mem::take(&mut self.lost) {
            let Some(held) = self.tasks.get(&lost) else { continue };
            let (about, goal) = (about(&held.locked, 0), held.locked.goal_id);
            let unreachable = transitions::lock_unreachable(self.tx, lost, goal).await?;
            let mut moved = Vec::with_capacity(unreachable.len());
            for other in unreachable {
                // What is moved by its own report is left to that.
                if self.tasks.get(&other.id).is_some_and(|held| held.moved.is_some()) {
                    continue;
                }
                moved.push(self.moved(&other, Command::Cancel, &reason)?);
                let about = About { subject: other.id.to_string(), version: i64::from(other.task.attempt) * 4 + 3, ..about.clone() };
                self.events.push(outbox::event(about, Body::TaskCancelled(TaskCancelled { reason: reason.clone() }), self.now));
            }
            transitions::write(self.tx, &moved, self.now).await?;
        }
        Ok(())
    }

    /// A task beside those reported on moves because of them.
    pub(super) fn moved(&mut self, other: &Affected, command: Command, reason: &str) -> Result<Write> {
        let next = other.task.transition(command, 0.0).map_err(Error::internal)?;
        let (from, to, attempt) = (other.task.state, next.task.state, next.task.attempt);
        let (actor, reason) = (ENGINE.to_owned(), reason.to_owned());
        self.changes.push(Change { task: other.id, from, to, attempt, actor, reason, choice: None });
        Ok(Write { id: other.id, next, started: false })
    }

    /// The work goes back: a fix with the findings, linked to the work it fixes, that this task waits for.
    async fn add_fix(&mut self, id: TaskId, message: &str, findings: &Value) -> Result<()> {
        let judged = transitions::judged(self.tx, id).await?;
        let judged = judged.ok_or_else(|| Error::invalid("result", "a task that judges no other one cannot reject"))?;
        let work = transitions::work(self.tx, judged).await?;
        let mut input = work.input;
        input["rework"] = json!({ "rejected_by": id, "of": judged, "message": message, "findings": findings });
        let fix = NewTask {
            id: TaskId::generate().uuid(),
            kind: work.kind,
            role: work.role,
            title: format!("Fix: {}", work.title.trim_start_matches("Fix: ")),
            priority: work.priority,
            input,
            max_attempts: work.max_attempts,
            timeout_s: work.timeout_s,
            run_after: None,
            exclusive_key: None,
            depends_on: vec![judged.uuid()],
            waiting_on: 0,
        };
        let scope = Scope { org: work.org_id, project: work.project_id, goal: work.goal_id, traceparent: work.traceparent };
        submissions::insert(self.tx, &[(&scope, &fix)], self.now).await?;
        transitions::add_dependency(self.tx, id, fix.id).await?;
        self.events.push(task_submitted(&scope, &fix, self.now));
        Ok(())
    }

    /// The goal is finished when no task of it can run any more.
    async fn finish_goal(&mut self, goal: GoalId) -> Result<()> {
        let tally = goals::tally(self.tx, goal).await?;
        let Some(mut found) = goals::lock(self.tx, goal).await?.filter(|g| g.state == State::Running && tally.open == 0) else {
            return Ok(());
        };
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

/// `step` orders the events of one attempt: assigned 0, under way 1, ended 2.
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
