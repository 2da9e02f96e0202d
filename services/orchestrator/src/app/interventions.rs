//! What people do to tasks and goals that exist.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{DatabaseTransaction, TransactionTrait as _};
use titan_error::{Code, Error, Result};
use titan_identity::Principal;
use titan_ids::{GoalId, TaskId};
use titan_proto::events::event::Body;
use titan_proto::events::{GoalPaused, GoalReopened, GoalResumed, TaskCancelled, TaskFailed, TaskRequeued, TaskRetried, TaskUpdated};
use titan_store::Combined;
use titan_store::outbox::{self, About};
use uuid::Uuid;

use super::batch::{Batch, ENGINE, Permits, about};
use super::goals::about as about_goal;
use super::{App, text};
use crate::domain::matching::{Demands, Lane};
use crate::domain::readiness::Ready;
use crate::domain::task::{Action, Command, End, TaskState};
use crate::store::entity::goal::State;
use crate::store::goals::GoalOf;
use crate::store::submissions;
use crate::store::tasks::{self, Filter, TaskRow};
use crate::store::transitions::{self, Affected, Change, Locked, Place, Write};
use crate::store::{goals, limits, sessions};

const REASON_MOST: usize = 500;
/// Tasks changed in one transaction, and in one call.
const CHUNK: u64 = 200;
const BULK_MOST: u64 = 10_000;
/// Each is a transaction of its own.
const RETRIES_MOST: u64 = 500;

/// What became of a call for many.
#[derive(Debug, Default)]
pub(crate) struct Bulk {
    pub(crate) changed: Vec<TaskId>,
    /// Those it was not possible for, and why.
    pub(crate) refused: Vec<(TaskId, String)>,
    /// There are more; call again, after `last`.
    pub(crate) more: bool,
    /// The last one that was looked at.
    pub(crate) last: Option<TaskId>,
}

impl App {
    async fn batch<'a>(&self, tx: &'a DatabaseTransaction, ids: &[Uuid], now: DateTime<Utc>) -> Result<Batch<'a>> {
        Batch::lock(self, tx, ids, now).await
    }

    /// Ends the task with its subtasks, everything that waits for them and what has not begun of its goal; whoever works on them
    /// is told to stop. Cancelling what is cancelled changes nothing.
    pub(crate) async fn cancel_task(&self, who: &Principal, id: TaskId, reason: &str, now: DateTime<Utc>) -> Result<TaskRow> {
        let reason = because("cancelled", who, reason)?;
        let task = self.task(who, id).await?;
        if task.state != TaskState::Cancelled {
            self.cancel_all(&who.id.to_string(), &[id], &reason, now).await?.refuse_none()?;
        }
        tasks::find(&self.db, who.org, id).await
    }

    async fn cancel_all(&self, actor: &str, ids: &[TaskId], reason: &str, now: DateTime<Utc>) -> Result<Bulk> {
        let mut all: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let tx = loop {
            let tx = self.db.begin().await?;
            for goal in transitions::goals_of(&tx, &all).await? {
                goals::lock(&tx, goal).await?;
            }
            transitions::lock(&tx, &all).await?;
            // Nothing is added below what is locked; what was before that is locked too, from the beginning.
            let found = transitions::with_subtasks(&tx, &all).await?;
            if found.len() == all.len() {
                break tx;
            }
            tx.rollback().await?;
            all = found;
        };
        let mut batch = self.batch(&tx, &all, now).await?;
        let mut bulk = Bulk::default();
        let ids: BTreeSet<TaskId> = ids.iter().copied().collect();
        for (id, held) in &mut batch.tasks {
            let before = held.locked.task;
            let Ok(next) = before.transition(Command::Cancel, 0.0) else {
                if ids.contains(id) && before.state != TaskState::Cancelled {
                    bulk.refused.push((*id, format!("{id} has ended already; it cannot be cancelled")));
                }
                continue;
            };
            if before.state.is_owned() {
                batch.revoked.push((*id, before.attempt));
            }
            let mut change = held.advance(next, reason);
            actor.clone_into(&mut change.actor);
            batch.changes.push(change);
            let cancelled = Body::TaskCancelled(TaskCancelled { reason: reason.to_owned() });
            batch.events.push(outbox::event(about(&held.locked, 3), cancelled, now));
            batch.finishing.extend(held.locked.goal_id);
            batch.ends.insert(*id, End::Failed);
            bulk.changed.push(*id);
        }
        let ready = batch.settle().await?;
        tx.commit().await?;
        self.committed(ready);
        Ok(bulk)
    }

    /// Fails what is past its own deadline, whatever it was doing.
    pub(crate) async fn expire_tasks(&self) -> Result<()> {
        let now = titan_lifecycle::now();
        let ids: Vec<Uuid> = sessions::expired_tasks(&self.db).await?.iter().map(|id| id.uuid()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let tx = self.db.begin().await?;
        let mut batch = self.batch(&tx, &ids, now).await?;
        for (id, held) in &mut batch.tasks {
            let before = held.locked.task;
            // It may have been given more time since.
            let Some(Ok(next)) = held.locked.expired.then(|| before.transition(Command::Expire, 0.0)) else { continue };
            if before.state.is_owned() {
                batch.revoked.push((*id, before.attempt));
            }
            let mut change = held.advance(next, EXPIRED);
            ENGINE.clone_into(&mut change.actor);
            batch.changes.push(change);
            let (attempt, kind, title) = (before.attempt, held.locked.kind.clone(), held.locked.title.clone());
            let failed = TaskFailed { attempt, kind, title, error: EXPIRED.to_owned() };
            batch.events.push(outbox::event(about(&held.locked, 3), Body::TaskFailed(failed), now));
            batch.ended.push(transitions::Ended { id: *id, result: None, digest: None, error: EXPIRED.to_owned(), spent: None });
            batch.finishing.extend(held.locked.goal_id);
            batch.ends.insert(*id, End::Failed);
        }
        let ready = batch.settle().await?;
        tx.commit().await?;
        self.committed(ready);
        Ok(())
    }

    /// Takes tasks that were not begun off agents that are given nothing any more, and off those that do not come to them while
    /// another one has room.
    pub(crate) async fn rebalance(&self) -> Result<()> {
        let now = titan_lifecycle::now();
        let ids: Vec<Uuid> = sessions::not_begun(&self.db, BEGIN_WITHIN).await?.iter().map(|id| id.uuid()).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let tx = self.db.begin().await?;
        let mut batch = self.batch(&tx, &ids, now).await?;
        for (id, held) in &mut batch.tasks {
            let before = held.locked.task;
            // It may have been begun since.
            if before.state != TaskState::Assigned {
                continue;
            }
            let Ok(next) = before.transition(Command::HandOff { attempt: before.attempt }, 0.0) else { continue };
            let reason = "its agent did not begin it; another one may";
            let mut change = held.advance(next, reason);
            ENGINE.clone_into(&mut change.actor);
            batch.changes.push(change);
            let requeued = Body::TaskRequeued(TaskRequeued { attempt: before.attempt, reason: reason.to_owned() });
            batch.events.push(outbox::event(about(&held.locked, 2), requeued, now));
            batch.revoked.push((*id, before.attempt));
        }
        let ready = batch.settle().await?;
        tx.commit().await?;
        self.committed(ready);
        Ok(())
    }

    /// Gives a task that failed or was cancelled another life, and with it what was cancelled because of it. Their goals go on.
    pub(crate) async fn retry_task(&self, who: &Principal, id: TaskId, reason: &str, now: DateTime<Utc>) -> Result<TaskRow> {
        let reason = because("tried again", who, reason)?;
        self.task(who, id).await?;
        self.revive(&who.id.to_string(), id, &reason, Duration::ZERO, now).await?;
        tasks::find(&self.db, who.org, id).await
    }

    async fn revive(&self, actor: &str, id: TaskId, reason: &str, after: Duration, now: DateTime<Utc>) -> Result<()> {
        let tx = self.db.begin().await?;
        let mut batch = self.batch(&tx, &[id.uuid()], now).await?;
        let held = batch.tasks.get_mut(&id).ok_or_else(|| Error::not_found(format!("task {id}")))?;
        let next = held.locked.task.transition(Command::Retry, 0.0);
        let mut next =
            next.map_err(|_| Error::precondition(format!("only what failed or was cancelled can be tried again; {id} was not")))?;
        // At once means not before its own time.
        next.retry_after = Some(after).filter(|after| !after.is_zero());
        let mut change = held.advance(next, reason);
        actor.clone_into(&mut change.actor);
        let (told, goal, kind) = (about(&held.locked, 3), held.locked.goal_id, held.locked.kind.clone());
        let retried = TaskRetried { attempt: next.task.attempt, kind, reason: reason.to_owned() };
        batch.changes.push(change);
        batch.events.push(outbox::event(told, Body::TaskRetried(retried), now));
        batch.ready.others = true;
        let mut revived: Vec<Write> = Vec::new();
        let mut goals: BTreeSet<GoalId> = goal.into_iter().collect();
        for other in revivable(&tx, id, transitions::lock_cancelled_with(&tx, id, goal, ENGINE).await?).await? {
            let why = format!("{id} is tried again");
            revived.push(batch.moved(&other, Command::Retry, &why)?);
            goals.extend(other.goal_id);
            let retried = TaskRetried { attempt: other.task.attempt, kind: String::new(), reason: why };
            batch.events.push(outbox::event(other.about(3), Body::TaskRetried(retried), now));
        }
        let mut writes = Combined::default();
        transitions::write(&mut writes, &revived, now);
        writes.execute(&tx).await?;
        let revived: Vec<_> = revived.iter().map(|write| write.id.uuid()).chain([id.uuid()]).collect();
        transitions::recount(&tx, &revived).await?;
        transitions::forget_former_life(&tx, &revived).await?;
        for goal in goals {
            let Some(mut found) = goals::lock(&tx, goal).await?.filter(|g| g.state != State::Running) else { continue };
            goals::reopen(&tx, goal).await?;
            found.state = State::Running;
            let about = About { version: 3, ..about_goal(&found) };
            batch.events.push(outbox::event(about, Body::GoalReopened(GoalReopened { reason: reason.to_owned() }), now));
        }
        let ready = batch.settle().await?;
        tx.commit().await?;
        self.committed(ready);
        Ok(())
    }

    /// The same to every task that the filter names, oldest first.
    pub(crate) async fn act_on_tasks(
        &self,
        who: &Principal,
        project: &str,
        filter: Filter,
        action: Action,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<Bulk> {
        let project = if project.is_empty() { who.project } else { Some(self.project(who, project).await?.id) };
        let mut filter = Filter { project, ..filter };
        if filter.project.is_none() && filter.goal.is_none() && filter.ids.is_empty() {
            return Err(Error::invalid("filter", "must name a project, a goal or ids, so that not everything is meant by mistake"));
        }
        let word = match action {
            Action::Cancel => "cancelled",
            Action::Retry { per_second, .. } if per_second != 0.0 && !(0.001..=10_000.0).contains(&per_second) => {
                return Err(Error::invalid("per_second", "must be 0.001 to 10000, or 0 for at once"));
            }
            Action::Retry { .. } => "tried again",
            Action::Discard => "discarded",
            Action::Prioritise(priority) if !(0..=9).contains(&priority) => return Err(Error::invalid("priority", "must be 0 to 9")),
            Action::Prioritise(_) => "given another priority",
        };
        filter.action = Some(action);
        let (actor, reason) = (who.id.to_string(), because(word, who, reason)?);
        let mut bulk = Bulk::default();
        let most = if matches!(action, Action::Retry { .. }) { RETRIES_MOST } else { BULK_MOST };
        while u64::try_from(bulk.changed.len() + bulk.refused.len()).unwrap_or(u64::MAX) < most {
            let found = tasks::ids(&self.db, who.org, &filter, CHUNK).await?;
            let Some(last) = found.last() else { break };
            filter.after = Some(*last);
            if !matches!(action, Action::Retry { .. }) {
                bulk.last = filter.after;
            }
            match action {
                Action::Cancel => bulk.add(self.cancel_all(&actor, &found, &reason, now).await?),
                Action::Discard => bulk.changed.extend(self.change_all(&actor, &found, &reason, None, now).await?),
                Action::Prioritise(priority) => {
                    bulk.changed.extend(self.change_all(&actor, &found, &reason, Some(priority), now).await?);
                }
                Action::Retry { per_second, already } => {
                    for id in found {
                        let before = bulk.last;
                        bulk.last = Some(id);
                        let place = f64::from(already) + f64::from(u32::try_from(bulk.changed.len()).unwrap_or(u32::MAX));
                        let after = if per_second > 0.0 { Duration::from_secs_f64(place / per_second) } else { Duration::ZERO };
                        let mut revived = self.revive(&actor, id, &reason, after, now).await;
                        // A deadlock, or a connection that broke: once more.
                        if revived.as_ref().is_err_and(|error| error.code() == Code::Unavailable) {
                            revived = self.revive(&actor, id, &reason, after, now).await;
                        }
                        match revived {
                            Ok(()) => bulk.changed.push(id),
                            Err(error) if error.code() == Code::FailedPrecondition => bulk.refused.push((id, error.to_string())),
                            // What was done is said, with where to go on.
                            Err(error) if !bulk.changed.is_empty() => {
                                tracing::warn!(?error, task.id = %id, "a bulk retry stops here");
                                (bulk.last, bulk.more) = (before, true);
                                return Ok(bulk);
                            }
                            Err(error) => return Err(error),
                        }
                    }
                }
            }
        }
        bulk.more = !tasks::ids(&self.db, who.org, &filter, 1).await?.is_empty();
        Ok(bulk)
    }

    /// Gives tasks another priority, or takes them off the dead letters; their states stay, so the history tells of it.
    async fn change_all(
        &self,
        actor: &str,
        ids: &[TaskId],
        reason: &str,
        priority: Option<i32>,
        now: DateTime<Utc>,
    ) -> Result<Vec<TaskId>> {
        let uuids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let tx = self.db.begin().await?;
        let mut batch = self.batch(&tx, &uuids, now).await?;
        let changed = match priority {
            Some(priority) => tasks::prioritise(&tx, &uuids, priority).await?,
            None => tasks::discard(&tx, &uuids).await?,
        };
        for held in changed.iter().filter_map(|id| batch.tasks.get(id)) {
            let updated = Body::TaskUpdated(TaskUpdated { reason: reason.to_owned() });
            batch.events.push(outbox::event(about(&held.locked, 3), updated, now));
            batch.changes.push(stays(&held.locked, actor, reason));
        }
        batch.ready.others = priority.is_some();
        let ready = batch.settle().await?;
        tx.commit().await?;
        self.committed(ready);
        Ok(changed)
    }

    /// Nothing more of the goal is begun, until it is resumed.
    pub(crate) async fn pause_goal(&self, who: &Principal, id: GoalId, paused: bool) -> Result<GoalOf> {
        let goal = self.goal(who, id).await?;
        if goal.0.state != State::Running {
            return Err(Error::precondition(format!("goal {id} is finished")));
        }
        let now = titan_lifecycle::now();
        let tx = self.db.begin().await?;
        if let Some(goal) = goals::lock(&tx, id).await?.filter(|goal| goal.state == State::Running && goal.paused != paused) {
            goals::set_paused(&tx, id, paused).await?;
            let mut permits = Permits::default();
            let mut places = Vec::new();
            for task in transitions::lock_rest_of_goal(&tx, id).await?.iter().filter(|task| task.task.state == TaskState::Inbox) {
                let held = Place { paused, ..task.place.clone() }.stand();
                permits.moved(TaskState::Inbox, &task.place, TaskState::Inbox, held.as_ref());
                places.push((task.id, held));
            }
            limits::hold(&tx, &places).await?;
            permits.settle(&tx, now).await?;
            let by = who.id.to_string();
            let body = if paused { Body::GoalPaused(GoalPaused { by }) } else { Body::GoalResumed(GoalResumed { by }) };
            let mut told = Combined::default();
            outbox::add(&mut told, &[outbox::event(About { version: 1, ..about_goal(&goal) }, body, now)]);
            submissions::notify_ready(&mut told, self.replica, &Ready::unknown());
            told.execute(&tx).await?;
        }
        tx.commit().await?;
        self.committed(Ready::unknown());
        self.goal(who, id).await
    }

    /// Gives the task to the agent with this name, or with none to whoever fits, atomically: whoever has it is told to stop, and
    /// what it still reports is refused.
    pub(crate) async fn hand_off(&self, who: &Principal, id: TaskId, to: &str, reason: &str, now: DateTime<Utc>) -> Result<TaskRow> {
        let to = if to.is_empty() { None } else { Some(text("to", to, 100)?) };
        let word = to.as_ref().map_or_else(|| "handed to whoever fits".to_owned(), |to| format!("handed to {to}"));
        let reason = because(&word, who, reason)?;
        let task = self.task(who, id).await?;
        let mut demands = serde_json::from_value::<Demands>(task.demands.clone()).map_err(Error::internal)?;
        // Asked again, because the answer got lost: it is done.
        if to.is_some() && demands.agent == to && (task.agent_name == to || !task.state.is_owned()) && !task.state.is_terminal() {
            return Ok(task);
        }
        demands.agent = None;
        if let Some(name) = &to {
            let lane = Lane { id: 0, pool: task.pool.clone(), role: task.role.clone(), demands: demands.clone() };
            self.check_recipient(who, &lane, &task, name).await?;
        }
        demands.agent = to;
        let lane = self.lanes.find(&self.db, &task.pool, &task.role, &demands).await?;
        let tx = self.db.begin().await?;
        let mut batch = self.batch(&tx, &[id.uuid()], now).await?;
        // What was read before the lock may be old by now.
        if tasks::find(&tx, who.org, id).await?.demands != task.demands {
            return Err(Error::unavailable(format!("{id} has just been changed; try again")));
        }
        let held = batch.tasks.get_mut(&id).ok_or_else(|| Error::not_found(format!("task {id}")))?;
        let before = held.locked.task;
        if before.state.is_owned() {
            let next = before.transition(Command::HandOff { attempt: before.attempt }, 0.0).map_err(Error::internal)?;
            let mut change = held.advance(next, &reason);
            change.actor = who.id.to_string();
            batch.changes.push(change);
            let requeued = Body::TaskRequeued(TaskRequeued { attempt: before.attempt, reason });
            batch.events.push(outbox::event(about(&held.locked, 3), requeued, now));
            batch.revoked.push((id, before.attempt));
        } else if matches!(before.state, TaskState::Inbox | TaskState::Blocked) {
            batch.changes.push(stays(&held.locked, &who.id.to_string(), &reason));
            let updated = Body::TaskUpdated(TaskUpdated { reason });
            batch.events.push(outbox::event(about(&held.locked, 3), updated, now));
        } else {
            return Err(Error::precondition(format!("{id} has ended already; it cannot be handed to anybody")));
        }
        transitions::set_lane(&tx, id, lane).await?;
        batch.ready.others = true;
        let ready = batch.settle().await?;
        tx.commit().await?;
        self.committed(ready);
        tasks::find(&self.db, who.org, id).await
    }
}

/// An agent begins what it is given at once, or is too busy to.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
const EXPIRED: &str = "its deadline passed";

impl Bulk {
    fn add(&mut self, other: Self) {
        self.changed.extend(other.changed);
        self.refused.extend(other.refused);
    }

    /// For a call for one.
    fn refuse_none(self) -> Result<()> {
        self.refused.into_iter().next().map_or(Ok(()), |(_, why)| Err(Error::precondition(why)))
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

/// Its state stays; the history tells of it all the same.
pub(super) fn stays(task: &Locked, actor: &str, reason: &str) -> Change {
    let (state, attempt) = (task.task.state, task.task.attempt);
    Change { task: task.id, from: state, to: state, attempt, actor: actor.to_owned(), reason: reason.to_owned(), choice: None }
}

pub(super) fn because(what: &str, who: &Principal, reason: &str) -> Result<String> {
    if reason.trim().is_empty() {
        return Ok(format!("{what} by {}", who.id));
    }
    Ok(format!("{what} by {}: {}", who.id, text("reason", reason, REASON_MOST)?))
}
