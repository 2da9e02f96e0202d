//! RabbitMQ: durable topic exchange, quorum queues, publisher confirms. Connections heal themselves:
//! whatever fails, the connection is dropped and made anew with jittered backoff.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions, BasicRejectOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind};
use prost::Message as _;
use titan_lifecycle::{Backoff, Check};
use titan_proto::events::EventBatch;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::{Consume, PublishError, QUEUES, Queue, Transport, Verdict};

/// A blocked broker must slow the relay, not hang it.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);
/// A broker that is starting takes connections before it answers on them.
const OPEN_TIMEOUT: Duration = Duration::from_secs(8);

/// Batches handled in one transaction, where so many are there: what a consumer's commit costs is shared.
const TOGETHER: u16 = 16;
const TOGETHER_BYTES: usize = 4 << 20;

pub struct RabbitMq {
    url: String,
    prefix: String,
    /// The publishing channel with the connection that keeps it open; none until first used or after a failure.
    publisher: Mutex<Option<Open>>,
}

struct Open {
    channel: Channel,
    connection: Connection,
}

impl RabbitMq {
    #[must_use]
    pub fn new(url: &str, prefix: &str) -> Self {
        Self { url: url.to_owned(), prefix: prefix.to_owned(), publisher: Mutex::new(None) }
    }

    fn exchange(&self) -> String {
        format!("{}.events", self.prefix)
    }
    fn dead(&self) -> String {
        format!("{}.dead", self.prefix)
    }
    fn queue(&self, queue: &Queue) -> String {
        format!("{}.{}", self.prefix, queue.name)
    }

    async fn open(&self, purpose: &str) -> lapin::Result<Open> {
        let properties = ConnectionProperties::default().with_connection_name(format!("{} {purpose}", self.prefix).into());
        let opening = async {
            let connection = Connection::connect(&self.url, properties).await?;
            let channel = connection.create_channel().await?;
            self.declare(&channel).await?;
            Ok(Open { channel, connection })
        };
        let opened = tokio::time::timeout(OPEN_TIMEOUT, opening).await;
        opened.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
    }

    async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        channel.exchange_declare(self.exchange().into(), ExchangeKind::Topic, durable, FieldTable::default()).await?;
        channel.exchange_declare(self.dead().into(), ExchangeKind::Fanout, durable, FieldTable::default()).await?;
        let quorum = || {
            let mut arguments = FieldTable::default();
            arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
            arguments
        };
        channel.queue_declare(self.dead().into(), QueueDeclareOptions::durable(), quorum()).await?;
        channel.queue_bind(self.dead().into(), self.dead().into(), "".into(), QueueBindOptions::default(), FieldTable::default()).await?;
        for queue in QUEUES {
            let mut arguments = quorum();
            arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString(self.dead().into()));
            arguments.insert("x-dead-letter-strategy".into(), AMQPValue::LongString("at-least-once".into()));
            arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
            let name = self.queue(queue);
            channel.queue_declare(name.clone().into(), QueueDeclareOptions::durable(), arguments).await?;
            for binding in queue.bindings {
                let (exchange, options) = (self.exchange(), QueueBindOptions::default());
                channel.queue_bind(name.clone().into(), exchange.into(), (*binding).into(), options, FieldTable::default()).await?;
            }
        }
        Ok(())
    }

    async fn publisher(&self) -> lapin::Result<Channel> {
        let mut open = self.publisher.lock().await;
        if let Some(open) = open.as_ref().filter(|o| o.connection.status().connected() && o.channel.status().connected()) {
            return Ok(open.channel.clone());
        }
        let fresh = self.open("publisher").await?;
        fresh.channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let channel = fresh.channel.clone();
        *open = Some(fresh);
        Ok(channel)
    }

    /// Consumes until the connection fails or `stop`.
    async fn consume_once(&self, queue: &Queue, consumer: &Arc<dyn Consume>, check: &Check, stop: &CancellationToken) -> lapin::Result<()> {
        let open = self.open(queue.name).await?;
        open.channel.basic_qos(TOGETHER, BasicQosOptions::default()).await?;
        let (name, options) = (self.queue(queue), BasicConsumeOptions::default());
        let mut deliveries = open.channel.basic_consume(name.into(), "".into(), options, FieldTable::default()).await?;
        check.set(true);
        loop {
            let delivery = tokio::select! {
                () = stop.cancelled() => {
                    let _ = open.connection.close(200, "stopping".into()).await; // it ends with the process anyway
                    return Ok(());
                }
                delivery = deliveries.next() => delivery,
            };
            let Some(delivery) = delivery else { return Ok(()) };
            let mut together = vec![delivery?];
            let mut bytes = together[0].data.len();
            while together.len() < usize::from(TOGETHER) && bytes < TOGETHER_BYTES {
                let Some(Some(next)) = deliveries.next().now_or_never() else { break };
                together.push(next?);
                bytes += together.last().map_or(0, |delivery| delivery.data.len());
            }
            handle_all(together, consumer, stop).await?;
        }
    }
}

/// What is there already is one transaction. When it cannot be, each batch is handled by itself, in order.
async fn handle_all(deliveries: Vec<Delivery>, consumer: &Arc<dyn Consume>, stop: &CancellationToken) -> lapin::Result<()> {
    let batches = deliveries.iter().map(|delivery| EventBatch::decode(delivery.data.as_slice())).collect::<Result<Vec<_>, _>>();
    if let (Ok(batches), [_, .., last]) = (batches, deliveries.as_slice()) {
        let all = EventBatch { events: batches.into_iter().flat_map(|batch| batch.events).collect() };
        if consumer.consume(&all).await == Verdict::Ok {
            return last.ack(BasicAckOptions { multiple: true }).await.map(drop);
        }
    }
    for delivery in deliveries {
        handle(delivery, consumer, stop).await?;
    }
    Ok(())
}

/// Acknowledges after the consumer's commit. A consumer whose infrastructure is down holds the delivery
/// and tries again, which costs no redelivery.
async fn handle(delivery: Delivery, consumer: &Arc<dyn Consume>, stop: &CancellationToken) -> lapin::Result<()> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let verdict = match EventBatch::decode(delivery.data.as_slice()) {
        Err(e) => Verdict::Reject(format!("undecodable: {e}")),
        Ok(batch) => loop {
            match consumer.consume(&batch).await {
                Verdict::Retry => tokio::select! {
                    () = backoff.sleep() => {}
                    () = stop.cancelled() => break Verdict::Retry,
                },
                verdict => break verdict,
            }
        },
    };
    match verdict {
        Verdict::Ok => delivery.ack(BasicAckOptions::default()).await?,
        Verdict::Retry => delivery.nack(BasicNackOptions { requeue: true, ..Default::default() }).await?,
        Verdict::Reject(reason) => {
            tracing::error!(reason, routing_key = %delivery.routing_key, "a batch goes to the dead letters");
            delivery.reject(BasicRejectOptions { requeue: false }).await?
        }
    };
    Ok(())
}

#[async_trait]
impl Transport for RabbitMq {
    async fn publish(&self, name: &str, batch: &[u8]) -> Result<(), PublishError> {
        let send = async {
            let properties = BasicProperties::default().with_delivery_mode(2).with_content_type("application/x-protobuf".into());
            let channel = self.publisher().await?;
            // What no queue takes comes back, and is not thought of as kept.
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            channel.basic_publish(self.exchange().into(), name.into(), options, batch, properties).await?.await
        };
        let outcome = tokio::time::timeout(CONFIRM_TIMEOUT, send).await;
        match outcome {
            Ok(Ok(Confirmation::Ack(None))) => Ok(()),
            Ok(Ok(Confirmation::Ack(Some(_)))) => {
                // The next connection declares the queues anew.
                self.publisher.lock().await.take();
                Err(PublishError::Unavailable("no queue of the broker took it".into()))
            }
            Ok(Ok(Confirmation::Nack(_) | Confirmation::NotRequested)) => {
                Err(PublishError::Unavailable("the broker did not take it".into()))
            }
            Ok(Err(e)) => {
                self.publisher.lock().await.take();
                Err(PublishError::Unavailable(e.to_string()))
            }
            Err(_) => {
                self.publisher.lock().await.take();
                Err(PublishError::Unavailable("the broker did not confirm in time".into()))
            }
        }
    }

    async fn consume(&self, queue: &Queue, consumer: Arc<dyn Consume>, check: Check, stop: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        while !stop.is_cancelled() {
            match self.consume_once(queue, &consumer, &check, &stop).await {
                Ok(()) => backoff.reset(),
                Err(error) => tracing::warn!(%error, queue = queue.name, "lost the broker; connecting again"),
            }
            check.set(false);
            tokio::select! { () = backoff.sleep() => {}, () = stop.cancelled() => {} }
        }
    }
}
