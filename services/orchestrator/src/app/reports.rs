//! What is said of attempts — begun, under way, ended — and what follows from it. Reports of many workers are
//! one transaction. Locks are taken in one order — goals, tasks, dependents, each by id — so that transactions
//! about one graph queue instead of deadlocking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, TransactionTrait as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use titan_error::{Error, Result};
use titan_ids::{GoalId, TaskId};
use titan_proto::events::event::Body;
use titan_proto::events::{Event, GoalFinished, TaskCancelled, TaskCompleted, TaskFailed, TaskProgressed, TaskRetried, TaskStarted};
use titan_store::outbox::{self, About};
use uuid::Uuid;

use super::App;
use super::goals::about as about_goal;
use super::submissions::task_submitted;
use crate::domain::task::{Command, Illegal, TaskState, Transition};
use crate::group_commit::Written;
use crate::store::entity::goal::State;
use crate::store::goals;
use crate::store::submissions::{self, NewTask, Scope};
use crate::store::transitions::{self, Affected, Change, Ended, Locked, Write};

#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) task: TaskId,
    pub(crate) attempt: i32,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Started,
    /// A line for people.
    Progressed(String),
    Ended(Outcome),
}

/// How an attempt ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Completed {
        result: Value,
    },
    Failed {
        message: String,
        last: bool,
    },
    /// A verdict against the work this task judges.
    Rejected {
        message: String,
        findings: Value,
    },
    /// Without a word.
    Lost {
        reason: String,
    },
}

impl Outcome {
    fn command(&self, attempt: i32) -> Command {
        match self {
            Self::Completed { .. } => Command::Complete { attempt },
            Self::Failed { last, .. } => Command::Fail { attempt, last: *last },
            Self::Rejected { .. } => Command::Reject { attempt },
            Self::Lost { .. } => Command::Lose { attempt },
        }
    }
    fn label(&self) -> &'static str {
        match self {
            Self::Completed { .. } => "completed",
            Self::Failed { .. } => "failed",
            Self::Rejected { .. } => "rejected",
            Self::Lost { .. } => "lost",
        }
    }
    fn reason(&self) -> &str {
        match self {
            Self::Completed { .. } => "completed",
            Self::Failed { message, .. } | Self::Rejected { message, .. } => message,
            Self::Lost { reason } => reason,
        }
    }
    fn digest(&self) -> Option<String> {
        let Self::Completed { result } = self else { return None };
        Some(hex::encode(Sha256::digest(result.to_string())))
    }
}

impl App {
    /// False when the attempt is stale: somebody else owns the task, and nothing changed but the history, where the refusal
    /// of an end is recorded.
    pub(crate) async fn report(&self, report: Report) -> Result<bool> {
        self.reports.write(report).await
    }

    /// The same in two steps: reports count in the order in which they are handed in.
    pub(crate) async fn hand_in(&self, report: Report) -> Result<Written<bool>> {
        self.reports.hand_in(report).await
    }

    /// Ends the attempt, as [`App::report`].
    pub(crate) async fn finish(&self, task: TaskId, attempt: i32, outcome: Outcome) -> Result<bool> {
        self.report(Report { task, attempt, what: What::Ended(outcome) }).await
    }

    /// One batch, in one transaction.
    pub(crate) async fn commit_reports(&self, reports: Vec<Arc<Report>>) -> Result<Vec<Result<bool>>> {
        let ids: Vec<Uuid> = reports.iter().map(|r| r.task.uuid()).collect::<BTreeSet<_>>().into_iter().collect();
        let tx = self.db.begin().await?;
        let mut batch = Batch::lock(&tx, &ids, titan_lifecycle::now()).await?;
        let accepted: Vec<_> = reports.iter().map(|report| batch.take(report)).collect();
        let wakes = batch.settle().await?;
        titan_lifecycle::fault("finish.before_commit").await;
        tx.commit().await?;
        titan_lifecycle::fault("finish.after_commit").await;
        for (report, accepted) in reports.iter().zip(&accepted) {
            if let What::Ended(outcome) = &report.what {
                self.ended.with_label_values(&[if matches!(accepted, Ok(true)) { outcome.label() } else { "stale" }]).inc();
            }
        }
        self.outbox.wake();
        if wakes {
            self.dispatcher.wake();
        }
        Ok(accepted)
    }
}

/// A locked task with what becomes of it.
struct Held {
    locked: Locked,
    started: bool,
    moved: Option<Transition>,
}

struct Batch<'a> {
    tx: &'a DatabaseTransaction,
    now: DateTime<Utc>,
    tasks: BTreeMap<TaskId, Held>,
    changes: Vec<Change>,
    ended: Vec<Ended>,
    events: Vec<Event>,
    done: Vec<Uuid>,
    failed: Vec<TaskId>,
    /// With the verdict against the work they judge.
    rejected: Vec<(TaskId, String, Value)>,
    /// Goals that may be finished now.
    finishing: BTreeSet<GoalId>,
    /// Something may be ready to be claimed.
    wakes: bool,
}

impl<'a> Batch<'a> {
    async fn lock(tx: &'a DatabaseTransaction, ids: &[Uuid], now: DateTime<Utc>) -> Result<Self> {
        for goal in transitions::goals_of(tx, ids).await? {
            goals::lock(tx, goal).await?;
        }
        let held = |locked: Locked| (locked.id, Held { locked, started: false, moved: None });
        let tasks = transitions::lock(tx, ids).await?.into_iter().map(held).collect();
        let (changes, ended, events, done) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (failed, rejected, finishing) = (Vec::new(), Vec::new(), BTreeSet::new());
        Ok(Self { tx, now, tasks, changes, ended, events, done, failed, rejected, finishing, wakes: false })
    }

    /// Decides on one report; writes nothing yet.
    fn take(&mut self, report: &Report) -> Result<bool> {
        let Report { task: id, attempt, what } = report;
        let held = self.tasks.get_mut(id).ok_or_else(|| Error::not_found(format!("task {id}")))?;
        let task = held.locked.task;
        match what {
            What::Progressed(message) => {
                let current = task.attempt == *attempt && task.state.is_owned();
                if current {
                    let message = message.chars().take(500).collect();
                    let about = about(&held.locked, 1);
                    self.events.push(outbox::event(about, Body::TaskProgressed(TaskProgressed { attempt: *attempt, message }), self.now));
                }
                Ok(current)
            }
            What::Started => match task.transition(Command::Start { attempt: *attempt }, 0.0) {
                Ok(next) => {
                    let agent = held.locked.agent_name.clone().unwrap_or_default();
                    let (kind, title) = (held.locked.kind.clone(), held.locked.title.clone());
                    let event = Body::TaskStarted(TaskStarted { attempt: *attempt, agent, kind, title });
                    self.events.push(outbox::event(about(&held.locked, 1), event, self.now));
                    self.changes.push(held.advance(next, "started"));
                    held.started = true;
                    Ok(true)
                }
                // A redelivered attempt that had begun before is in progress already.
                Err(_) => Ok(task.attempt == *attempt && task.state == TaskState::InProgress),
            },
            What::Ended(outcome) => match task.transition(outcome.command(*attempt), unit_interval(*id, *attempt)) {
                Ok(next) => {
                    self.end(*id, next, outcome);
                    Ok(true)
                }
                Err(illegal) => Ok(self.refuse(*id, *attempt, outcome, illegal)),
            },
        }
    }

    fn refuse(&mut self, id: TaskId, attempt: i32, outcome: &Outcome, illegal: Illegal) -> bool {
        let Some(held) = self.tasks.get(&id) else { return false };
        let (task, digest) = (held.locked.task, &held.locked.digest);
        // The same result of the same attempt again: its acknowledgement got lost.
        if task.state == TaskState::Done && task.attempt == attempt && digest.is_some() && *digest == outcome.digest() {
            return true;
        }
        let reason = format!("refused, {}: {illegal}", outcome.label());
        let (from, to, actor) = (task.state, task.state, ENGINE.to_owned());
        self.changes.push(Change { task: id, from, to, attempt, actor, reason, choice: None });
        false
    }

    fn end(&mut self, id: TaskId, next: Transition, outcome: &Outcome) {
        let Some(held) = self.tasks.get_mut(&id) else { return };
        self.changes.push(held.advance(next, outcome.reason()));
        let (kind, title, agent) = (held.locked.kind.clone(), held.locked.title.clone(), held.locked.agent_name.clone());
        let (attempt, error) = (next.task.attempt, outcome.reason().to_owned());
        let mut ended = Ended { id, result: None, digest: outcome.digest(), error: error.clone() };
        let body = match (outcome, next.task.state) {
            (Outcome::Completed { result }, _) => {
                (ended.result, ended.error) = (Some(result.clone()), String::new());
                held.locked.digest = ended.digest.clone();
                self.done.push(id.uuid());
                Body::TaskCompleted(TaskCompleted { attempt, agent: agent.unwrap_or_default(), kind, title })
            }
            (_, TaskState::Failed) => {
                if let Outcome::Rejected { findings, .. } = outcome {
                    ended.result = Some(findings.clone());
                }
                self.failed.push(id);
                Body::TaskFailed(TaskFailed { attempt, kind, title, error })
            }
            _ => {
                if let Outcome::Rejected { message, findings } = outcome {
                    self.rejected.push((id, message.clone(), findings.clone()));
                }
                Body::TaskRetried(TaskRetried { attempt, kind, reason: error })
            }
        };
        self.finishing.extend(held.locked.goal_id.filter(|_| next.task.state.is_terminal()));
        // What ends gives back its exclusive key.
        self.wakes = true;
        self.events.push(outbox::event(about(&held.locked, 2), body, self.now));
        self.ended.push(ended);
    }

    /// Writes what was decided and what follows from it. True when something may be ready now.
    async fn settle(&mut self) -> Result<bool> {
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
        for failed in std::mem::take(&mut self.failed) {
            let Some(held) = self.tasks.get(&failed) else { continue };
            let (about, goal, reason) = (about(&held.locked, 0), held.locked.goal_id, format!("{failed} failed"));
            let unreachable = transitions::lock_unreachable(self.tx, failed, goal).await?;
            let mut moved = Vec::with_capacity(unreachable.len());
            for other in unreachable {
                if self.tasks.contains_key(&other.id) {
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
    fn moved(&mut self, other: &Affected, command: Command, reason: &str) -> Result<Write> {
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
const ENGINE: &str = "orchestrator";

impl Held {
    fn advance(&mut self, next: Transition, reason: &str) -> Change {
        let (from, to, attempt) = (self.locked.task.state, next.task.state, next.task.attempt);
        self.locked.task = next.task;
        self.moved = Some(next);
        let actor = self.locked.agent_id.map_or_else(|| ENGINE.to_owned(), |agent| agent.to_string());
        let reason = reason.chars().take(2_000).collect();
        Change { task: self.locked.id, from, to, attempt, actor, reason, choice: None }
    }
}

/// `step` orders the events of one attempt: assigned 0, under way 1, ended 2.
fn about(task: &Locked, step: i64) -> About {
    About {
        org: task.org_id,
        project: Some(task.project_id),
        subject: task.id.to_string(),
        version: i64::from(task.task.attempt) * 4 + step,
        causation: task.goal_id.map(|g| g.to_string()).unwrap_or_default(),
        traceparent: task.traceparent.clone(),
    }
}

/// Evenly from 0 to 1, and the same for the same attempt: the jitter of its retry.
fn unit_interval(id: TaskId, attempt: i32) -> f64 {
    let digest = Sha256::digest(format!("{id}/{attempt}"));
    f64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])) / f64::from(u32::MAX)
}
