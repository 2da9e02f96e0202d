//! What people change about tasks, and tasks they remove.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use sea_orm::TransactionTrait as _;
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::TaskId;
use titan_proto::events::event::Body;
use titan_proto::events::{TaskDeleted, TaskUpdated};
use titan_store::Combined;
use titan_store::outbox;

use super::batch::{Batch, about};
use super::interventions::{because, stays};
use super::task_in::{LABELS_MOST, NAME_MOST, TITLE_MOST};
use super::{App, text};
use crate::domain::matching::Demands;
use crate::domain::task::TaskState;
use crate::store::tasks::{self, Edited, TaskRow};

/// What is not given stays.
#[derive(Debug)]
pub(crate) struct TaskPatch {
    pub(crate) title: Option<String>,
    pub(crate) priority: Option<i32>,
    pub(crate) labels: Option<Vec<String>>,
    /// None within: taken away.
    pub(crate) due_at: Option<Option<DateTime<Utc>>>,
    pub(crate) deadline_at: Option<Option<DateTime<Utc>>>,
    /// The change was made against this one.
    pub(crate) version: String,
    pub(crate) reason: String,
}

impl App {
    /// Changes what is said of a task that has not ended.
    pub(crate) async fn update_task(&self, who: &Principal, id: TaskId, patch: TaskPatch, now: DateTime<Utc>) -> Result<TaskRow> {
        let reason = because("changed", who, &patch.reason)?;
        let seen = self.task(who, id).await?;
        let mut demands = serde_json::from_value::<Demands>(seen.demands.clone()).map_err(Error::internal)?;
        let labels: Vec<String> = demands.labels.iter().cloned().collect();
        if let Some(labels) = &patch.labels {
            demands.labels = checked_labels(labels)?;
        }
        let edited = Edited {
            title: patch.title.map_or(Ok(seen.title.clone()), |title| text("title", &title, TITLE_MOST))?,
            priority: patch.priority.unwrap_or(seen.priority),
            labels: demands.labels.iter().cloned().collect(),
            due_at: patch.due_at.unwrap_or(seen.due_at),
            deadline_at: patch.deadline_at.unwrap_or(seen.deadline_at),
            // Outside of the transaction: a lane without tasks costs nothing.
            lane_id: self.lanes.find(&self.db, &seen.pool, &seen.role, &demands).await?,
        };
        if !(0..=9).contains(&edited.priority) {
            return Err(Error::invalid("priority", "must be 0 to 9"));
        }
        if patch.deadline_at.flatten().is_some_and(|at| at <= now) {
            return Err(Error::invalid("deadline_at", "has passed"));
        }
        if edited.deadline_at.zip(seen.run_after).is_some_and(|(deadline, run_after)| deadline <= run_after) {
            return Err(Error::invalid("deadline_at", "must be after run_after"));
        }
        let tx = self.db.begin().await?;
        let mut batch = Batch::lock(self, &tx, &[id.uuid()], now).await?;
        let state = batch.tasks.get(&id).ok_or_else(|| Error::not_found(format!("task {id}")))?.locked.task;
        if state.state.is_terminal() {
            return Err(Error::precondition(format!("{id} has ended already; what is said of it stays")));
        }
        if state.state.is_owned() && edited.deadline_at != seen.deadline_at {
            let message = format!("{id} is being worked on, and whoever does was told its deadline; hand it off first to change that");
            return Err(Error::precondition(message));
        }
        // What was read before the lock may be old by now.
        let version = tasks::find(&tx, who.org, id).await?.version();
        if version != patch.version || version != seen.version() {
            return Err(Error::precondition(format!("{id} is at version {version}; read it again and repeat the change")));
        }
        tasks::edit(&tx, id, &edited).await?;
        let held = batch.tasks.get(&id).ok_or_else(|| Error::not_found(format!("task {id}")))?;
        batch.changes.push(stays(&held.locked, &who.id.to_string(), &reason));
        batch.events.push(outbox::event(about(&held.locked, 3), Body::TaskUpdated(TaskUpdated { reason }), now));
        // Where it stands among the others has changed.
        let moved = (edited.priority, edited.due_at, &edited.labels) != (seen.priority, seen.due_at, &labels);
        batch.ready.others = state.state == TaskState::Inbox && moved;
        let ready = batch.settle().await?;
        tx.commit().await?;
        self.committed(ready);
        tasks::find(&self.db, who.org, id).await
    }

    /// Removes a task that has ended and that nothing goes on with; returns what it was. The events tell of it.
    pub(crate) async fn delete_task(&self, who: &Principal, id: TaskId, reason: &str, now: DateTime<Utc>) -> Result<TaskRow> {
        let reason = because("deleted", who, reason)?;
        let was = self.task(who, id).await?;
        let tx = self.db.begin().await?;
        let mut batch = Batch::lock(self, &tx, &[id.uuid()], now).await?;
        let held = batch.tasks.get(&id).ok_or_else(|| Error::not_found(format!("task {id}")))?;
        let told = about(&held.locked, 4);
        if !held.locked.task.state.is_terminal() {
            return Err(Error::precondition(format!("{id} has not ended; cancel it first")));
        }
        if let Some(needed) = tasks::needed_by(&tx, id).await? {
            return Err(Error::precondition(format!("{id} is needed: {needed} may still come; delete that first, or wait for its end")));
        }
        let (kind, title) = (held.locked.kind.clone(), held.locked.title.clone());
        let deleted = Body::TaskDeleted(TaskDeleted { by: who.id.to_string(), kind, title });
        batch.events.push(outbox::event(told, deleted, now));
        batch.changes.push(stays(&held.locked, &who.id.to_string(), &reason));
        batch.settle().await?;
        let mut removed = Combined::default();
        tasks::remove(&mut removed, id);
        removed.execute(&tx).await?;
        tx.commit().await?;
        self.outbox.wake();
        Ok(was)
    }
}

fn checked_labels(labels: &[String]) -> Result<BTreeSet<String>> {
    if labels.len() > LABELS_MOST {
        return Err(Error::invalid("labels", format!("must be at most {LABELS_MOST}, not {}", labels.len())));
    }
    labels.iter().enumerate().map(|(i, label)| text(&format!("labels[{i}]"), label, NAME_MOST)).collect()
}
