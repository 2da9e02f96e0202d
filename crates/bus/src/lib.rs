//! This crate only tells: it carries batches of events between services, over RabbitMQ or inside one
//! process, and says back what became of them. Delivery is at least once; consumers dedupe by event id.

mod in_process;
mod rabbitmq;
mod topology;

use std::sync::Arc;

use async_trait::async_trait;
use titan_lifecycle::Check;
use titan_proto::events::EventBatch;
use titan_settings::Bus as Settings;
use tokio_util::sync::CancellationToken;

pub use in_process::InProcess;
pub use rabbitmq::RabbitMq;
pub use topology::{GATEWAY_EVENTS, MONITORING_DEPLOYMENTS, QUEUES, Queue};

/// Fronts the broker. Both transports pass `the suite in `tests/it``.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Returns once every queue bound to `name` holds the batch durably (RabbitMQ) or its consumer has
    /// committed it (in process). `batch` is an encoded [`EventBatch`], as outboxes hold it.
    async fn publish(&self, name: &str, batch: &[u8]) -> Result<(), PublishError>;

    /// Hands the queue's batches to `consumer`, one at a time, until `stop`. `check` passes while connected.
    async fn consume(&self, queue: &Queue, consumer: Arc<dyn Consume>, check: Check, stop: CancellationToken);
}

pub type Bus = Arc<dyn Transport>;

#[async_trait]
pub trait Consume: Send + Sync {
    async fn consume(&self, batch: &EventBatch) -> Verdict;
}

/// What a consumer says of a batch, after its own transaction.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    /// The consumer's own infrastructure is down: it gets the same batch again, and nothing else before.
    Retry,
    /// The batch can never be handled; it goes to the dead letters.
    Reject(String),
}

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Publish again later; nothing, or not everything, was delivered.
    #[error("the bus is not available: {0}")]
    Unavailable(String),
    /// A consumer in this process refused the batch for good. RabbitMQ dead-letters it at the consumer instead.
    #[error("the batch was refused: {0}")]
    Rejected(String),
}

/// The transport the settings ask for.
#[must_use]
pub fn connect(settings: &Settings) -> Bus {
    match &settings.amqp_url {
        Some(url) => Arc::new(RabbitMq::new(url.reveal(), &settings.prefix)),
        None => Arc::new(InProcess::default()),
    }
}
