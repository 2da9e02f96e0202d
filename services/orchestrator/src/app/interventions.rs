//! What people do to tasks that exist.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, TransactionTrait as _};
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::TaskId;
use titan_proto::events::event::Body;
use titan_proto::events::{GoalReopened, TaskCancelled, TaskRetried};
use titan_store::outbox::{self, About};

use super::App;
use super::batch::{Batch, ENGINE, about};
use super::goals::about as about_goal;
use super::text;
use crate::domain::task::{Command, TaskState};
use crate::store::entity::goal::State;
use crate::store::tasks::{self, TaskRow};
use crate::store::transitions::{self, Affected, Write};
use crate::store::{goals, sessions};

const REASON_MOST: usize = 500;

impl App {
    /// Ends the task with everything that waits for it and what has not begun of its goal; whoever works on it is told to
    /// stop. Cancelling what is cancelled changes nothing.
    pub(crate) async fn cancel_task(&self, who: &Principal, id: TaskId, reason: &str, now: DateTime<Utc>) -> Result<TaskRow> {
        let reason = because("cancelled", who, reason)?;
        self.task(who, id).await?;
        let tx = self.db.begin().await?;
        let mut batch = Batch::lock(&tx, &[id.uuid()], now).await?;
        let held = batch.tasks.get_mut(&id).ok_or_else(|| Error::not_found(format!("task {id}")))?;
        let before = held.locked.task;
        if before.state == TaskState::Cancelled {
            tx.rollback().await?;
            return tasks::find(&self.db, who.org, id).await;
        }
        let next = before.transition(Command::Cancel, 0.0);
        let next = next.map_err(|_| Error::precondition(format!("{id} has ended already; it cannot be cancelled")))?;
        let mut change = held.advance(next, &reason);
        change.actor = who.id.to_string();
        let event = outbox::event(about(&held.locked, 3), Body::TaskCancelled(TaskCancelled { reason: reason.clone() }), now);
        batch.finishing.extend(held.locked.goal_id);
        batch.changes.push(change);
        batch.events.push(event);
        batch.lost.push((id, format!("{id} was cancelled")));
        batch.wakes = true;
        batch.settle().await?;
        if before.state.is_owned() {
            sessions::notify_revoked(&tx, id, before.attempt).await?;
        }
        tx.commit().await?;
        self.committed();
        tasks::find(&self.db, who.org, id).await
    }

    /// Gives a task that failed or was cancelled another life, and with it what was cancelled because of it. Its goal goes on.
    pub(crate) async fn retry_task(&self, who: &Principal, id: TaskId, reason: &str, now: DateTime<Utc>) -> Result<TaskRow> {
        let reason = because("tried again", who, reason)?;
        self.task(who, id).await?;
        let tx = self.db.begin().await?;
        let mut batch = Batch::lock(&tx, &[id.uuid()], now).await?;
        let held = batch.tasks.get_mut(&id).ok_or_else(|| Error::not_found(format!("task {id}")))?;
        let next = held.locked.task.transition(Command::Retry, 0.0);
        let next = next.map_err(|_| Error::precondition(format!("only what failed or was cancelled can be tried again; {id} was not")))?;
        let mut change = held.advance(next, &reason);
        change.actor = who.id.to_string();
        let (told, goal, kind) = (about(&held.locked, 3), held.locked.goal_id, held.locked.kind.clone());
        let retried = TaskRetried { attempt: next.task.attempt, kind, reason: reason.clone() };
        batch.changes.push(change);
        batch.events.push(outbox::event(told.clone(), Body::TaskRetried(retried), now));
        batch.wakes = true;
        let mut revived: Vec<Write> = Vec::new();
        for other in revivable(&tx, id, transitions::lock_cancelled_with(&tx, id, goal, ENGINE).await?).await? {
            revived.push(batch.moved(&other, Command::Retry, &format!("{id} is tried again"))?);
            let about = About { subject: other.id.to_string(), version: i64::from(other.task.attempt) * 4 + 3, ..told.clone() };
            let retried = TaskRetried { attempt: other.task.attempt, kind: String::new(), reason: format!("{id} is tried again") };
            batch.events.push(outbox::event(about, Body::TaskRetried(retried), now));
        }
        transitions::write(&tx, &revived, now).await?;
        let revived: Vec<_> = revived.iter().map(|write| write.id.uuid()).chain([id.uuid()]).collect();
        transitions::recount(&tx, &revived).await?;
        if let Some(goal) = goal
            && let Some(mut found) = goals::lock(&tx, goal).await?.filter(|g| g.state == State::Failed)
        {
            goals::reopen(&tx, goal).await?;
            found.state = State::Running;
            let about = About { version: 3, ..about_goal(&found) };
            batch.events.push(outbox::event(about, Body::GoalReopened(GoalReopened { reason }), now));
        }
        batch.settle().await?;
        tx.commit().await?;
        self.committed();
        tasks::find(&self.db, who.org, id).await
    }
}

/// Of what was cancelled with `root`, that which nothing else stands in the way of.
async fn revivable(tx: &DatabaseTransaction, root: TaskId, mut cancelled: Vec<Affected>) -> Result<Vec<Affected>> {
    let ids: Vec<_> = cancelled.iter().map(|t| t.id.uuid()).chain([root.uuid()]).collect();
    let hopeless = transitions::hopeless(tx, &ids).await?;
    if let Some((_, on)) = hopeless.iter().find(|(task, _)| *task == root) {
        return Err(Error::precondition(format!("{root} waits for {on}, which was not done either; try that one again first")));
    }
    loop {
        let coming: HashSet<TaskId> = cancelled.iter().map(|t| t.id).chain([root]).collect();
        let before = cancelled.len();
        cancelled.retain(|t| hopeless.iter().all(|(task, on)| *task != t.id || coming.contains(on)));
        if cancelled.len() == before {
            return Ok(cancelled);
        }
    }
}

fn because(what: &str, who: &Principal, reason: &str) -> Result<String> {
    if reason.trim().is_empty() {
        return Ok(format!("{what} by {}", who.id));
    }
    Ok(format!("{what} by {}: {}", who.id, text("reason", reason, REASON_MOST)?))
}
