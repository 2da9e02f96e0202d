//! What is said of attempts: begun, under way, ended. Reports of many workers are one transaction.

use std::collections::BTreeSet;
use std::sync::Arc;

use sea_orm::TransactionTrait as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use titan_error::{Error, Result};
use titan_ids::TaskId;
use titan_proto::events::event::Body;
use titan_proto::events::{TaskCompleted, TaskFailed, TaskProgressed, TaskRetried, TaskStarted};
use titan_store::outbox;
use uuid::Uuid;

use super::App;
use super::batch::{Batch, ENGINE, about};
use crate::domain::budget::Usage;
use crate::domain::task::{Command, End, Illegal, TaskState, Transition};
use crate::group_commit::Written;
use crate::store::transitions::{Change, Ended, RetryPolicy};

#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) task: TaskId,
    pub(crate) attempt: i32,
    /// What the attempt has used so far, where it says so.
    pub(crate) usage: Option<Usage>,
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
        /// What kind of error, for the retry policy; may be empty.
        code: String,
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
    /// `used_up`: the budget leaves nothing to another attempt.
    fn command(&self, attempt: i32, policy: &RetryPolicy, used_up: bool) -> Command {
        match self {
            Self::Completed { .. } => Command::Complete { attempt },
            Self::Failed { last, code, .. } => {
                Command::Fail { attempt, last: *last || used_up || policy.final_errors.contains(code), backoff: policy.backoff() }
            }
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
        self.report(Report { task, attempt, usage: None, what: What::Ended(outcome) }).await
    }

    /// One batch, in one transaction.
    pub(crate) async fn commit_reports(&self, reports: Vec<Arc<Report>>) -> Result<Vec<Result<bool>>> {
        let ids: Vec<Uuid> = reports.iter().map(|r| r.task.uuid()).collect::<BTreeSet<_>>().into_iter().collect();
        let tx = self.db.begin().await?;
        let mut batch = Batch::lock(self, &tx, &ids, titan_lifecycle::now()).await?;
        let accepted: Vec<_> = reports.iter().map(|report| batch.take(report)).collect();
        let ready = batch.settle().await?;
        titan_lifecycle::fault("finish.before_commit").await;
        let records = std::mem::take(&mut batch.records);
        tx.commit().await?;
        titan_lifecycle::fault("finish.after_commit").await;
        for (report, accepted) in reports.iter().zip(&accepted) {
            if let What::Ended(outcome) = &report.what {
                self.ended.with_label_values(&[if matches!(accepted, Ok(true)) { outcome.label() } else { "stale" }]).inc();
            }
        }
        self.tally(&records);
        self.dispatcher.recorded(records);
        self.outbox.wake();
        self.dispatcher.ready(ready);
        Ok(accepted)
    }
}

impl Batch<'_> {
    /// Decides on one report; writes nothing yet.
    fn take(&mut self, report: &Report) -> Result<bool> {
        let Report { task: id, attempt, usage, what } = report;
        // A task that was deleted is nobody's.
        let Some(held) = self.tasks.get_mut(id) else { return Ok(false) };
        let task = held.locked.task;
        if let Some(used) = usage.filter(|_| task.attempt == *attempt && task.state.is_owned()) {
            held.spent = Some(held.spent().report(*attempt, used));
            // What is done is paid for already.
            let done = matches!(what, What::Ended(Outcome::Completed { .. } | Outcome::Rejected { .. }));
            if let Some(message) = held.locked.budget().exceeded(held.spent().total()).filter(|_| !done) {
                let outcome = Outcome::Failed { message, code: "budget".to_owned(), last: true };
                let next = task.transition(outcome.command(*attempt, &RetryPolicy::default(), true), 0.0).map_err(Error::internal)?;
                self.end(*id, next, &outcome);
                let ended = matches!(what, What::Ended(_));
                self.revoked.extend((!ended).then_some((*id, *attempt)));
                return Ok(ended);
            }
        }
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
            What::Ended(outcome) => {
                let used_up = held.locked.budget().is_used_up(held.spent().total());
                match task.transition(outcome.command(*attempt, &held.locked.retry_policy(), used_up), unit_interval(*id, *attempt)) {
                    Ok(next) => {
                        self.end(*id, next, outcome);
                        Ok(true)
                    }
                    Err(illegal) => Ok(self.refuse(*id, *attempt, outcome, illegal)),
                }
            }
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
        // The word of its beginning was lost with a stream: it began by now.
        held.started |= held.locked.task.state == TaskState::Assigned;
        self.changes.push(held.advance(next, outcome.reason()));
        let (kind, title, agent) = (held.locked.kind.clone(), held.locked.title.clone(), held.locked.agent_name.clone());
        let (attempt, error) = (next.task.attempt, outcome.reason().chars().take(ERROR_MOST).collect::<String>());
        let mut ended = Ended { id, result: None, digest: outcome.digest(), error: error.clone(), spent: None };
        let body = match (outcome, next.task.state) {
            (Outcome::Completed { result }, _) => {
                (ended.result, ended.error) = (Some(result.clone()), String::new());
                held.locked.digest = ended.digest.clone();
                self.ends.insert(id, End::Done);
                Body::TaskCompleted(TaskCompleted { attempt, agent: agent.unwrap_or_default(), kind, title })
            }
            (_, TaskState::Failed) => {
                if let Outcome::Rejected { findings, .. } = outcome {
                    ended.result = Some(findings.clone());
                }
                self.ends.insert(id, End::Failed);
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
        if let Some(agent) = held.locked.agent_id {
            let busy = held.locked.started_at.map_or(0, |at| (self.now - at).num_milliseconds().max(0));
            let done = matches!(outcome, Outcome::Completed { .. } | Outcome::Rejected { .. });
            let tally = self.records.entry((agent, held.locked.kind.clone())).or_default();
            (tally.done, tally.failed) = (tally.done + i64::from(done), tally.failed + i64::from(!done));
            tally.faults += i64::from(matches!(outcome, Outcome::Failed { last: false, .. }));
            tally.busy_ms += if done { busy } else { 0 };
        }
        self.events.push(outbox::event(about(&held.locked, 2), body, self.now));
        self.ended.push(ended);
    }
}

/// Characters of an error that are kept; the rest is in the evidence.
const ERROR_MOST: usize = 8_000;

/// Evenly from 0 to 1, and the same for the same attempt: the jitter of its retry.
fn unit_interval(id: TaskId, attempt: i32) -> f64 {
    let digest = Sha256::digest(format!("{id}/{attempt}"));
    f64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])) / f64::from(u32::MAX)
}
