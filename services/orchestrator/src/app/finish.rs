//! How an attempt moves on and ends. Locks are taken in one order — goal, task, dependents — so that
//! completions of one graph queue instead of deadlocking.

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, TransactionTrait as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use titan_error::{Error, Result};
use titan_ids::{GoalId, TaskId};
use titan_proto::events::event::Body;
use titan_proto::events::{Event, GoalFinished, TaskCancelled, TaskCompleted, TaskFailed, TaskProgressed, TaskRetried, TaskStarted};
use titan_store::outbox::{self, About};

use super::App;
use super::goals::about as about_goal;
use super::submissions::task_submitted;
use crate::domain::task::{Command, Illegal, TaskState, Transition};
use crate::store::entity::goal::State;
use crate::store::goals;
use crate::store::tasks::{self, Affected, Change, Identity, Locked, NewTask, Scope};

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

/// One task inside one transaction.
struct Ending<'a> {
    tx: &'a DatabaseTransaction,
    id: TaskId,
    task: Identity,
    locked: Locked,
    now: DateTime<Utc>,
    events: Vec<Event>,
}

impl App {
    /// The agent began. False when the attempt is stale.
    pub(crate) async fn start(&self, id: TaskId, attempt: i32) -> Result<bool> {
        let tx = self.db.begin().await?;
        let mut ending = Ending::lock(&tx, id, titan_lifecycle::now()).await?;
        let Ok(next) = ending.locked.task.transition(Command::Start { attempt }, 0.0) else {
            // A redelivered attempt that had begun before is in progress already.
            return Ok(ending.locked.task.attempt == attempt && ending.locked.task.state == TaskState::InProgress);
        };
        ending.write(&next, "started").await?;
        let (agent, kind, title) = (ending.locked.agent_name.clone(), ending.task.kind.clone(), ending.task.title.clone());
        ending.tell(Body::TaskStarted(TaskStarted { attempt, agent, kind, title }), 1);
        outbox::append(&tx, &ending.events).await?;
        tx.commit().await?;
        self.outbox.wake();
        Ok(true)
    }

    /// A line for people; lost without harm when the attempt is stale.
    pub(crate) async fn progress(&self, id: TaskId, attempt: i32, message: &str) -> Result<()> {
        let tx = self.db.begin().await?;
        let mut told = Ending::lock(&tx, id, titan_lifecycle::now()).await?;
        if told.locked.task.attempt == attempt && told.locked.task.state.is_owned() {
            told.tell(Body::TaskProgressed(TaskProgressed { attempt, message: message.chars().take(500).collect() }), 1);
            outbox::append(&tx, &told.events).await?;
            tx.commit().await?;
            self.outbox.wake();
        }
        Ok(())
    }

    /// Ends the attempt. False when it is stale: somebody else owns the task, and nothing changed but the
    /// history, where the refusal is recorded.
    pub(crate) async fn finish(&self, id: TaskId, attempt: i32, outcome: Outcome) -> Result<bool> {
        let tx = self.db.begin().await?;
        let now = titan_lifecycle::now();
        let goal = tasks::identity(&tx, id).await?.goal_id;
        if let Some(goal) = goal {
            goals::lock(&tx, goal).await?;
        }
        let mut ending = Ending::lock(&tx, id, now).await?;
        let next = match ending.locked.task.transition(outcome.command(attempt), unit_interval(id, attempt)) {
            Ok(next) => next,
            Err(illegal) => {
                let Ending { locked, .. } = ending;
                return self.refuse(tx, &locked, id, attempt, &outcome, illegal).await;
            }
        };
        ending.write(&next, outcome.reason()).await?;
        ending.store_outcome(&next, &outcome).await?;
        match next.task.state {
            TaskState::Done => ending.release_dependents().await?,
            TaskState::Failed => ending.cancel_rest(goal).await?,
            TaskState::Blocked => ending.add_fix(&outcome).await?,
            _ => {}
        }
        if next.task.state.is_terminal()
            && let Some(goal) = goal
        {
            ending.finish_goal(goal).await?;
        }
        outbox::append(&tx, &ending.events).await?;
        tasks::notify_ready(&tx).await?;
        titan_lifecycle::fault("finish.before_commit").await;
        tx.commit().await?;
        titan_lifecycle::fault("finish.after_commit").await;
        self.ended.with_label_values(&[outcome.label()]).inc();
        self.committed();
        Ok(true)
    }

    async fn refuse(
        &self,
        tx: DatabaseTransaction,
        locked: &Locked,
        id: TaskId,
        attempt: i32,
        outcome: &Outcome,
        illegal: Illegal,
    ) -> Result<bool> {
        let task = locked.task;
        // The same result of the same attempt again: its acknowledgement got lost.
        if task.state == TaskState::Done && task.attempt == attempt && locked.digest.is_some() && locked.digest == outcome.digest() {
            return Ok(true);
        }
        self.ended.with_label_values(&["stale"]).inc();
        let reason = format!("refused, {}: {illegal}", outcome.label());
        tasks::record(
            &tx,
            Change { task: id, from: task.state, to: task.state, attempt, actor: "orchestrator", reason: &reason },
            titan_lifecycle::now(),
        )
        .await?;
        tx.commit().await?;
        Ok(false)
    }
}

impl<'a> Ending<'a> {
    async fn lock(tx: &'a DatabaseTransaction, id: TaskId, now: DateTime<Utc>) -> Result<Self> {
        let task = tasks::identity(tx, id).await?;
        let locked = tasks::lock(tx, id).await?;
        Ok(Self { tx, id, task, locked, now, events: Vec::new() })
    }

    async fn write(&self, next: &Transition, reason: &str) -> Result<()> {
        tasks::write(self.tx, self.id, next, self.now).await?;
        let actor = self.locked.agent.map(|a| a.to_string()).unwrap_or_else(|| "orchestrator".to_owned());
        let (from, to, attempt) = (self.locked.task.state, next.task.state, next.task.attempt);
        let reason: String = reason.chars().take(2_000).collect();
        tasks::record(self.tx, Change { task: self.id, from, to, attempt, actor: &actor, reason: &reason }, self.now).await
    }

    /// `step` orders the events of one attempt: assigned 0, under way 1, ended 2.
    fn tell(&mut self, body: Body, step: i64) {
        self.events.push(outbox::event(self.about(step), body, self.now));
    }

    fn about(&self, step: i64) -> About {
        About {
            org: self.task.org_id,
            project: Some(self.task.project_id),
            subject: self.id.to_string(),
            version: i64::from(self.locked.task.attempt) * 4 + step,
            causation: self.task.goal_id.map(|g| g.to_string()).unwrap_or_default(),
            traceparent: self.task.traceparent.clone(),
        }
    }

    async fn store_outcome(&mut self, next: &Transition, outcome: &Outcome) -> Result<()> {
        let attempt = next.task.attempt;
        let (kind, title) = (self.task.kind.clone(), self.task.title.clone());
        match (outcome, next.task.state) {
            (Outcome::Completed { result }, _) => {
                tasks::write_result(self.tx, self.id, Some(result.clone()), outcome.digest(), "").await?;
                let agent = self.locked.agent_name.clone();
                self.tell(Body::TaskCompleted(TaskCompleted { attempt, agent, kind, title }), 2);
            }
            (_, TaskState::Failed) => {
                let findings = if let Outcome::Rejected { findings, .. } = outcome { Some(findings.clone()) } else { None };
                tasks::write_result(self.tx, self.id, findings, None, outcome.reason()).await?;
                self.tell(Body::TaskFailed(TaskFailed { attempt, kind, title, error: outcome.reason().to_owned() }), 2);
            }
            _ => {
                tasks::write_result(self.tx, self.id, None, None, outcome.reason()).await?;
                self.tell(Body::TaskRetried(TaskRetried { attempt, kind, reason: outcome.reason().to_owned() }), 2);
            }
        }
        Ok(())
    }

    async fn release_dependents(&self) -> Result<()> {
        let dependents = tasks::lock_dependents(self.tx, self.id).await?;
        tasks::count_down(self.tx, &dependents).await?;
        let reason = format!("{} is done", self.id);
        for dependent in dependents.iter().filter(|d| d.waiting_on == 1 && d.task.state == TaskState::Blocked) {
            self.move_other(dependent, Command::Unblock, &reason).await?;
        }
        Ok(())
    }

    async fn cancel_rest(&mut self, goal: Option<GoalId>) -> Result<()> {
        let reason = format!("{} failed", self.id);
        for unreachable in tasks::lock_unreachable(self.tx, self.id, goal).await? {
            self.move_other(&unreachable, Command::Cancel, &reason).await?;
            let subject = unreachable.id.to_string();
            let about = About { subject, version: i64::from(unreachable.task.attempt) * 4 + 3, ..self.about(0) };
            self.events.push(outbox::event(about, Body::TaskCancelled(TaskCancelled { reason: reason.clone() }), self.now));
        }
        Ok(())
    }

    async fn move_other(&self, other: &Affected, command: Command, reason: &str) -> Result<()> {
        let next = other.task.transition(command, 0.0).map_err(Error::internal)?;
        tasks::write(self.tx, other.id, &next, self.now).await?;
        let (task, from, to, attempt) = (other.id, other.task.state, next.task.state, next.task.attempt);
        tasks::record(self.tx, Change { task, from, to, attempt, actor: "orchestrator", reason }, self.now).await
    }

    /// The work goes back: a fix with the findings, linked to the work it fixes, that this task waits for.
    async fn add_fix(&mut self, outcome: &Outcome) -> Result<()> {
        let Outcome::Rejected { message, findings } = outcome else { return Ok(()) };
        let judged = tasks::judged(self.tx, self.id).await?;
        let judged = judged.ok_or_else(|| Error::invalid("result", "a task that judges no other one cannot reject"))?;
        let work = tasks::identity(self.tx, judged).await?;
        let mut input = work.input;
        input["rework"] = json!({ "rejected_by": self.id, "of": judged, "message": message, "findings": findings });
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
        tasks::insert(self.tx, &scope, std::slice::from_ref(&fix), self.now).await?;
        tasks::add_dependency(self.tx, self.id, fix.id).await?;
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

/// Evenly from 0 to 1, and the same for the same attempt: the jitter of its retry.
fn unit_interval(id: TaskId, attempt: i32) -> f64 {
    let digest = Sha256::digest(format!("{id}/{attempt}"));
    f64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])) / f64::from(u32::MAX)
}
