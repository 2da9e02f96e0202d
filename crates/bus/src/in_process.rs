//! The bus of `titan dev`: publishing waits for every consumer's commit, so the outbox is the only store
//! it needs. A queue whose consumer is not there yet makes publishing unavailable, not lossy.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use prost::Message as _;
use titan_lifecycle::Check;
use titan_proto::events::EventBatch;
use tokio::sync::RwLock;
use tokio_util::sync::CancellationToken;

use crate::{Consume, PublishError, QUEUES, Queue, Transport, Verdict};

#[derive(Default)]
pub struct InProcess {
    consumers: RwLock<HashMap<&'static str, Arc<dyn Consume>>>,
}

#[async_trait]
impl Transport for InProcess {
    async fn publish(&self, name: &str, batch: &[u8]) -> Result<(), PublishError> {
        let batch = EventBatch::decode(batch).map_err(|e| PublishError::Rejected(format!("undecodable: {e}")))?;
        for queue in QUEUES.iter().filter(|q| q.wants(name)) {
            let consumer = self.consumers.read().await.get(queue.name).cloned();
            let consumer = consumer.ok_or_else(|| PublishError::Unavailable(format!("{} has no consumer yet", queue.name)))?;
            match consumer.consume(&batch).await {
                Verdict::Ok => {}
                Verdict::Retry => return Err(PublishError::Unavailable(format!("{} cannot take it now", queue.name))),
                Verdict::Reject(reason) => return Err(PublishError::Rejected(format!("{}: {reason}", queue.name))),
            }
        }
        Ok(())
    }

    async fn consume(&self, queue: &Queue, consumer: Arc<dyn Consume>, check: Check, stop: CancellationToken) {
        self.consumers.write().await.insert(queue.name, consumer);
        check.set(true);
        stop.cancelled().await;
        check.set(false);
        self.consumers.write().await.remove(queue.name);
    }
}
