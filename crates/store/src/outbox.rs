//! The publishing half: events are committed with the change they tell of, and a relay publishes them
//! afterwards, again and again until the bus confirms.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use prost::Message as _;
use sea_orm::{ConnectionTrait, DatabaseConnection, FromQueryResult, TransactionTrait as _};
use titan_bus::{Bus, PublishError};
use titan_error::{Error, Result};
use titan_ids::{EventId, OrgId, ProjectId};
use titan_lifecycle::{Backoff, Check};
use titan_proto::events::Event;
use titan_proto::events::event::Body;
use titan_telemetry::Metrics;
use titan_telemetry::prometheus::IntCounter;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{Combined, sql};

/// Rows taken at once.
const ROWS: i64 = 100;
/// Events in one message, at most; beyond that a larger one saves nothing.
const EVENTS: usize = 500;
/// Finds what a crashed replica left and what a lost wake-up missed.
const SWEEP: Duration = Duration::from_secs(2);
/// Between two looks, however much there is to tell: each costs the broker and every consumer a transaction.
const GATHER: Duration = Duration::from_millis(100);
/// Longer than any broker keeps a message it could deliver twice.
const INBOX_DAYS: i32 = 7;
const PRUNE_EVERY: u32 = 3_600;

/// What an event is about.
#[derive(Clone, Debug)]
pub struct About {
    pub org: OrgId,
    pub project: Option<ProjectId>,
    pub subject: String,
    /// Rises with each change of the subject.
    pub version: i64,
    pub causation: String,
    /// The trace the subject belongs to; empty means the current one.
    pub traceparent: String,
}

/// Makes the event that tells of `body`.
#[must_use]
pub fn event(about: About, body: Body, now: DateTime<Utc>) -> Event {
    let About { org, project, subject, version, causation, traceparent } = about;
    let traceparent = if traceparent.is_empty() { titan_telemetry::traceparent().unwrap_or_default() } else { traceparent };
    Event {
        id: EventId::generate().to_string(),
        name: body.name().to_owned(),
        version: 1,
        at: Some(titan_proto::time::to_proto(now)),
        subject,
        subject_version: version,
        org_id: org.to_string(),
        project_id: project.map(|p| p.to_string()).unwrap_or_default(),
        causation_id: causation,
        traceparent,
        body: Some(body),
    }
}

/// Writes events into the transaction of the change: a row for each name among them, in the order of their first events.
///
/// # Errors
/// The database.
pub async fn append(tx: &impl ConnectionTrait, events: &[Event]) -> Result<()> {
    let mut writes = Combined::default();
    add(&mut writes, events);
    writes.execute(tx).await
}

/// As [`append`], together with other writes.
pub fn add(writes: &mut Combined, events: &[Event]) {
    if events.is_empty() {
        return;
    }
    let mut messages = Messages::default();
    for event in events {
        let message = messages.place(&event.name, [&event.subject], 1);
        prost::encoding::message::encode(BATCH_EVENTS, event, &mut message.batch);
    }
    let (names, batches): (Vec<String>, Vec<Vec<u8>>) = messages.all.into_iter().map(|message| (message.name, message.batch)).unzip();
    let insert = "INSERT INTO outbox (name, batch) SELECT * FROM unnest($1::text[], $2::bytea[])";
    writes.add(insert, [names.into(), batches.into()]);
}

/// The number of `EventBatch.events`: what is encoded under it is one event behind the other, so that batches are joined by
/// appending.
const BATCH_EVENTS: u32 = 1;

/// What the relay counts.
#[derive(Clone, Debug)]
pub struct OutboxMetrics {
    published: IntCounter,
    failures: IntCounter,
    dead: IntCounter,
}

impl OutboxMetrics {
    /// # Errors
    /// The names are taken.
    pub fn register(metrics: &Metrics) -> titan_telemetry::prometheus::Result<Self> {
        let counter = |name, help| metrics.register(IntCounter::new(name, help)?);
        Ok(Self {
            published: counter("titan_outbox_published_total", "Events confirmed by the bus.")?,
            failures: counter("titan_outbox_failures_total", "Times the bus or the database was not available to the relay.")?,
            dead: counter("titan_outbox_dead_total", "Events a consumer refused for good; they stay in the outbox.")?,
        })
    }
}

/// Publishes the schema's outbox. Several replicas may: each takes rows the others have not locked.
#[derive(Clone)]
pub struct Outbox {
    db: DatabaseConnection,
    bus: Bus,
    metrics: OutboxMetrics,
    wake: Arc<Notify>,
}

#[derive(FromQueryResult)]
struct Row {
    seq: i64,
    name: String,
    batch: Vec<u8>,
}

impl Outbox {
    #[must_use]
    pub fn new(db: DatabaseConnection, bus: Bus, metrics: OutboxMetrics) -> Self {
        Self { db, bus, metrics, wake: Arc::default() }
    }

    /// Call it after the commit that wrote events.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// The relay: runs until `stop`, then flushes once more. `check` tells whether the database answers.
    pub async fn relay(self, check: Check, stop: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let (mut sweeps, mut bound): (u32, Bound) = (0, Bound::default());
        loop {
            // Asked before: what is committed while the last rows are being published is looked for once more.
            let last = stop.is_cancelled();
            if last {
                // Everything that is there.
                bound = Bound::default();
            }
            let pause = match self.flush(&mut bound).await {
                Ok(()) => {
                    check.set(true);
                    backoff.reset();
                    SWEEP
                }
                Err(Failure::Bus(error)) => {
                    self.metrics.failures.inc();
                    tracing::warn!(%error, "events wait in the outbox");
                    check.set(true);
                    backoff.next_delay()
                }
                Err(Failure::Database(error)) => {
                    self.metrics.failures.inc();
                    tracing::warn!(?error, "the outbox cannot be read");
                    check.set(false);
                    backoff.next_delay()
                }
            };
            if last {
                return;
            }
            // What is committed meanwhile travels in the same messages.
            tokio::select! { () = tokio::time::sleep(GATHER) => {}, () = stop.cancelled() => {} }
            sweeps = sweeps.wrapping_add(1);
            if sweeps.is_multiple_of(PRUNE_EVERY)
                && let Err(error) = self.prune_inbox().await
            {
                tracing::warn!(?error, "the inbox could not be pruned");
            }
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn flush(&self, bound: &mut Bound) -> std::result::Result<(), Failure> {
        while self.publish_some(bound).await? == ROWS {}
        Ok(())
    }

    async fn publish_some(&self, bound: &mut Bound) -> std::result::Result<i64, Failure> {
        let tx = self.db.begin().await?;
        let select =
            "SELECT seq, name, batch FROM outbox WHERE dead_reason IS NULL AND seq >= $2 ORDER BY seq LIMIT $1 FOR UPDATE SKIP LOCKED";
        let rows = Row::find_by_statement(sql(select, [ROWS.into(), bound.next(Instant::now()).into()])).all(&tx).await?;
        let count = i64::try_from(rows.len()).unwrap_or(ROWS);
        bound.took(Instant::now(), rows.first().map(|row| row.seq));
        for Message { name, seqs, events, batch } in messages(rows)? {
            match self.bus.publish(&name, &batch).await {
                Ok(()) => {
                    titan_lifecycle::fault("outbox.after_publish_before_delete").await;
                    self.metrics.published.inc_by(events as u64);
                    tx.execute_raw(sql("DELETE FROM outbox WHERE seq = ANY($1)", [seqs.into()])).await?;
                }
                Err(PublishError::Rejected(reason)) => {
                    self.metrics.dead.inc_by(events as u64);
                    tracing::error!(reason, name, "events are dead; they stay in the outbox with the reason");
                    let update = "UPDATE outbox SET dead_reason = $2 WHERE seq = ANY($1)";
                    tx.execute_raw(sql(update, [seqs.into(), reason.into()])).await?;
                }
                Err(error @ PublishError::Unavailable(_)) => {
                    // What was confirmed before stays confirmed.
                    tx.commit().await?;
                    return Err(Failure::Bus(error));
                }
            }
        }
        tx.commit().await?;
        Ok(count)
    }

    async fn prune_inbox(&self) -> Result<()> {
        let delete = "DELETE FROM inbox WHERE received_at < now() - make_interval(days => $1)";
        self.db.execute_raw(sql(delete, [INBOX_DAYS.into()])).await?;
        Ok(())
    }
}

/// Where looks for rows begin. What was published is dead, and lies there until nobody's snapshot needs it: to pass by all of it each
/// time costs more and more. What is committed after rows with higher numbers were taken is found by a look at all, now and then.
#[derive(Debug, Default)]
struct Bound {
    /// The first row of each of the latest looks, and when that was.
    firsts: VecDeque<(Instant, i64)>,
    whole_at: Option<Instant>,
}

impl Bound {
    fn next(&mut self, now: Instant) -> i64 {
        if self.whole_at.is_none_or(|at| now.duration_since(at) >= WHOLE_EVERY) {
            self.whole_at = Some(now);
            return 0;
        }
        // The last one that is older than any transaction under way.
        while self.firsts.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= BEHIND) {
            self.firsts.pop_front();
        }
        self.firsts.front().map_or(0, |(_, first)| *first)
    }

    fn took(&mut self, now: Instant, first: Option<i64>) {
        self.firsts.extend(first.map(|first| (now, first)));
    }
}

/// Longer than a transaction takes from its first row to its commit.
const BEHIND: Duration = Duration::from_secs(3);
/// Those that took longer wait so long.
const WHOLE_EVERY: Duration = Duration::from_secs(2);

/// Events of one name that travel together.
struct Message {
    name: String,
    /// The rows they come from.
    seqs: Vec<i64>,
    events: usize,
    /// An encoded `EventBatch`.
    batch: Vec<u8>,
}

/// As few messages as keep the events of each subject in their order.
#[derive(Default)]
struct Messages {
    all: Vec<Message>,
    /// Where the last event of a subject is.
    last: HashMap<String, usize>,
}

impl Messages {
    /// Where events of this name about these subjects go.
    fn place<'a>(&mut self, name: &str, subjects: impl IntoIterator<Item = &'a String, IntoIter: Clone>, events: usize) -> &mut Message {
        let subjects = subjects.into_iter();
        let least = subjects.clone().filter_map(|subject| self.last.get(subject).copied()).max().unwrap_or(0);
        let open = |message: &Message| message.name == name && message.events + events <= EVENTS;
        let at = self.all.iter().rposition(open).filter(|at| *at >= least).unwrap_or_else(|| {
            self.all.push(Message { name: name.to_owned(), seqs: Vec::new(), events: 0, batch: Vec::new() });
            self.all.len() - 1
        });
        self.last.extend(subjects.map(|subject| (subject.clone(), at)));
        let message = &mut self.all[at];
        message.events += events;
        message
    }
}

fn messages(rows: Vec<Row>) -> Result<Vec<Message>> {
    let mut messages = Messages::default();
    for Row { seq, name, batch } in rows {
        let Subjects { events } = Subjects::decode(batch.as_slice()).map_err(Error::internal)?;
        let message = messages.place(&name, events.iter().map(|event| &event.subject), events.len());
        message.seqs.push(seq);
        message.batch.extend(batch);
    }
    Ok(messages.all)
}

/// An `EventBatch` of which only this is read.
#[derive(Clone, PartialEq, prost::Message)]
struct Subjects {
    #[prost(message, repeated, tag = "1")]
    events: Vec<Subject>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Subject {
    /// As `Event.subject`.
    #[prost(string, tag = "5")]
    subject: String,
}

enum Failure {
    Bus(PublishError),
    Database(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<sea_orm::DbErr> for Failure {
    fn from(error: sea_orm::DbErr) -> Self {
        Self::Database(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_begin_behind_what_may_still_be_committed_and_at_all_now_and_then() {
        let (mut bound, start) = (Bound::default(), Instant::now());
        let at = |ms: u64| start + Duration::from_millis(ms);
        assert_eq!(bound.next(start), 0, "at first at all");
        bound.took(start, Some(10));
        for i in 1..20 {
            assert_eq!(bound.next(at(i * 100)), 10, "what began with it may not be committed yet");
            bound.took(at(i * 100), Some(10 + i64::try_from(i).unwrap()));
        }
        assert_eq!(bound.next(at(2_000)), 0, "at all again");
        assert_eq!(bound.next(at(3_600)), 16, "0.6 s after the start it was 16");
        bound.took(at(3_600), None);
        assert_eq!(bound.next(at(4_100)), 0);
    }
}
