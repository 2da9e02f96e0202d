//! The consuming half of exactly-once effects: an event's id is written in the transaction of its
//! handler, so the second delivery finds it there.

use std::collections::HashSet;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, TransactionTrait as _};
use titan_bus::{Consume, Verdict};
use titan_error::{Code, Error, Result};
use titan_ids::EventId;
use titan_proto::events::{Event, EventBatch};
use uuid::Uuid;

use crate::sql;

/// Handles events inside the transaction that also marks them as handled.
#[async_trait]
pub trait Handle: Send + Sync {
    /// Events of one name, none of which was handled before.
    ///
    /// # Errors
    /// `Unavailable` is tried again; anything else sends the batch to the dead letters.
    async fn handle(&self, tx: &DatabaseTransaction, events: &[&Event]) -> Result<()>;

    /// After the commit: wake whoever waits for the change.
    fn committed(&self) {}
}

/// A consumer of the bus with its inbox.
pub struct Inbox<H> {
    pub db: DatabaseConnection,
    /// The queue's name, under which events are marked.
    pub consumer: &'static str,
    pub handler: H,
}

impl<H: Handle> Inbox<H> {
    async fn take(&self, batch: &EventBatch) -> Result<()> {
        let tx = self.db.begin().await?;
        let new = first_times(&tx, self.consumer, &batch.events).await?;
        if !new.is_empty() {
            // Each event's trace shows that it was taken.
            let span = |event: &&Event| {
                let span = tracing::info_span!("consume", consumer = self.consumer, event.name = event.name, event.id = event.id);
                titan_telemetry::child_of(span, Some(&event.traceparent))
            };
            let _spans: Vec<_> = new.iter().map(span).collect();
            self.handler.handle(&tx, &new).await?;
        }
        titan_lifecycle::fault("inbox.before_commit").await;
        tx.commit().await?;
        self.handler.committed();
        titan_lifecycle::fault("inbox.after_commit_before_ack").await;
        Ok(())
    }
}

#[async_trait]
impl<H: Handle> Consume for Inbox<H> {
    async fn consume(&self, batch: &EventBatch) -> Verdict {
        let mut taken = self.take(batch).await;
        if batch.events.len() > 1 && taken.as_ref().is_err_and(|e| e.code() != Code::Unavailable) {
            // One bad event must not take the good ones with it.
            taken = Ok(());
            for event in &batch.events {
                match self.take(&EventBatch { events: vec![event.clone()] }).await {
                    Err(error) if error.code() == Code::Unavailable => return Verdict::Retry,
                    Err(error) => taken = Err(error),
                    Ok(()) => {}
                }
            }
        }
        match taken {
            Ok(()) => Verdict::Ok,
            Err(error) if error.code() == Code::Unavailable => {
                tracing::warn!(%error, consumer = self.consumer, "pausing");
                Verdict::Retry
            }
            Err(error) => Verdict::Reject(format!("{error:?}")),
        }
    }
}

/// Marks the events as handled; returns those that were not, each once.
async fn first_times<'a>(tx: &impl ConnectionTrait, consumer: &str, events: &'a [Event]) -> Result<Vec<&'a Event>> {
    let id = |event: &Event| event.id.parse::<EventId>().map_err(|e| Error::invalid("event.id", e.to_string()));
    let ids = events.iter().map(|event| Ok(id(event)?.uuid())).collect::<Result<Vec<Uuid>>>()?;
    let insert = "INSERT INTO inbox (consumer, event_id) SELECT $1, id FROM unnest($2::uuid[]) AS id ORDER BY id ON CONFLICT DO NOTHING RETURNING event_id";
    let rows = tx.query_all_raw(sql(insert, [consumer.into(), ids.clone().into()])).await?;
    let mut new = rows.iter().map(|row| Ok(row.try_get("", "event_id")?)).collect::<Result<HashSet<Uuid>>>()?;
    Ok(events.iter().zip(ids).filter(|(_, id)| new.remove(id)).map(|(event, _)| event).collect())
}
