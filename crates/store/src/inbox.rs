//! The consuming half of exactly-once effects: an event's id is written in the transaction of its
//! handler, so the second delivery finds it there.

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, TransactionTrait as _};
use titan_bus::{Consume, Verdict};
use titan_error::{Code, Error, Result};
use titan_ids::EventId;
use titan_proto::events::{Event, EventBatch};
use tracing::Instrument as _;

use crate::sql;

/// Handles one event inside the transaction that also marks it as handled.
#[async_trait]
pub trait Handle: Send + Sync {
    /// # Errors
    /// `Unavailable` is tried again; anything else sends the batch to the dead letters.
    async fn handle(&self, tx: &DatabaseTransaction, event: &Event) -> Result<()>;

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
        for event in &batch.events {
            if first_time(&tx, self.consumer, event).await? {
                let span = tracing::info_span!("consume", consumer = self.consumer, event.name = event.name, event.id = event.id);
                let span = titan_telemetry::child_of(span, Some(&event.traceparent));
                self.handler.handle(&tx, event).instrument(span).await?;
            }
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
    async fn consume(&self, batch: EventBatch) -> Verdict {
        let mut taken = self.take(&batch).await;
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

async fn first_time(tx: &impl ConnectionTrait, consumer: &str, event: &Event) -> Result<bool> {
    let id: EventId = event.id.parse().map_err(|e| Error::invalid("event.id", format!("{e}")))?;
    let insert = "INSERT INTO inbox (consumer, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    Ok(tx.execute_raw(sql(insert, [consumer.into(), id.into()])).await?.rows_affected() == 1)
}
