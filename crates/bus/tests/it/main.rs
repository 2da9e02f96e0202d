//! One suite for both transports: what a publisher and a consumer may rely on.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use titan_bus::{Bus, Consume, GATEWAY_EVENTS, InProcess, MONITORING_DEPLOYMENTS, PublishError, Queue, RabbitMq, Verdict};
use titan_lifecycle::Check;
use titan_proto::events::{Event, EventBatch};
use titan_testkit::{Broker, amqp_url, eventually};
use tokio_util::sync::CancellationToken;

/// Answers as told, in turn (then Ok), and remembers what it took.
#[derive(Default)]
struct Recorder {
    verdicts: Mutex<Vec<Verdict>>,
    taken: Mutex<Vec<String>>,
    /// Refused, with whatever comes together with it.
    bad: Option<&'static str>,
    calls: AtomicUsize,
}

#[async_trait]
impl Consume for Recorder {
    async fn consume(&self, batch: &EventBatch) -> Verdict {
        self.calls.fetch_add(1, Relaxed);
        if batch.events.iter().any(|event| Some(event.id.as_str()) == self.bad) {
            return Verdict::Reject("bad".to_owned());
        }
        let mut verdicts = self.verdicts.lock().unwrap();
        let verdict = if verdicts.is_empty() { Verdict::Ok } else { verdicts.remove(0) };
        if verdict == Verdict::Ok {
            self.taken.lock().unwrap().extend(batch.events.iter().map(|e| e.id.clone()));
        }
        verdict
    }
}

impl Recorder {
    fn answering(verdicts: Vec<Verdict>) -> Arc<Self> {
        Arc::new(Self { verdicts: Mutex::new(verdicts), ..Self::default() })
    }
    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
    async fn wait_for(&self, ids: &[&str]) {
        eventually(&format!("{ids:?}, has {:?}", self.taken()), async || (self.taken() == ids).then_some(())).await;
    }
}

struct Consumer {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

#[allow(clippy::disallowed_methods)] // ended by the test
async fn consume(bus: &Bus, queue: &'static Queue, recorder: &Arc<Recorder>) -> Consumer {
    let (bus, recorder, check, stop) = (bus.clone(), recorder.clone(), Check::default(), CancellationToken::new());
    let (passing, stopped) = (check.clone(), stop.clone());
    let task = tokio::spawn(async move { bus.consume(queue, recorder, check, stopped).await });
    eventually("the consumer", async || passing.passing().then_some(())).await;
    Consumer { stop, task }
}

impl Consumer {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn batch(name: &str, ids: &[&str]) -> Vec<u8> {
    let event = |id: &&str| Event { id: (*id).to_owned(), name: name.to_owned(), ..Event::default() };
    prost::Message::encode_to_vec(&EventBatch { events: ids.iter().map(event).collect() })
}

async fn publish(bus: &Bus, name: &str, ids: &[&str]) -> Result<(), PublishError> {
    bus.publish(name, &batch(name, ids)).await
}

/// Both transports: what is published reaches every queue that wants it, in order, and no other.
async fn delivers_by_name(bus: &Bus) {
    let (all, deployments) = (Recorder::answering(vec![]), Recorder::answering(vec![]));
    let first = consume(bus, &GATEWAY_EVENTS, &all).await;
    let second = consume(bus, &MONITORING_DEPLOYMENTS, &deployments).await;
    publish(bus, "task.completed", &["1", "2"]).await.unwrap();
    publish(bus, "deployment.succeeded", &["3"]).await.unwrap();
    publish(bus, "task.completed", &["4"]).await.unwrap();
    all.wait_for(&["1", "2", "3", "4"]).await;
    deployments.wait_for(&["3"]).await;
    first.stop().await;
    second.stop().await;
}

/// Both transports: a consumer whose infrastructure is down gets the batch again, and nothing overtakes it.
/// The publisher may have to publish again, as the outbox does.
async fn retries_in_order(bus: &Bus) {
    let all = Recorder::answering(vec![Verdict::Retry, Verdict::Retry]);
    let consumer = consume(bus, &GATEWAY_EVENTS, &all).await;
    for id in ["1", "2"] {
        eventually("the publisher's success", async || publish(bus, "task.completed", &[id]).await.ok()).await;
    }
    all.wait_for(&["1", "2"]).await;
    consumer.stop().await;
}

/// Both transports: what was published while a consumer was away reaches it when it is back.
async fn waits_for_a_consumer(bus: &Bus) {
    let all = Recorder::answering(vec![]);
    consume(bus, &GATEWAY_EVENTS, &all).await.stop().await;
    let published = publish(bus, "task.completed", &["1"]).await;
    let consumer = consume(bus, &GATEWAY_EVENTS, &all).await;
    if published.is_err() {
        eventually("the publisher's success", async || publish(bus, "task.completed", &["1"]).await.ok()).await;
    }
    all.wait_for(&["1"]).await;
    consumer.stop().await;
}

async fn on_rabbitmq(test: impl AsyncFn(&Bus)) {
    titan_testkit::install_tls();
    let broker = Broker::default();
    let bus: Bus = Arc::new(RabbitMq::new(&amqp_url(), &broker.prefix));
    test(&bus).await;
}

async fn in_process(test: impl AsyncFn(&Bus)) {
    let bus: Bus = Arc::new(InProcess::default());
    test(&bus).await;
}

#[tokio::test]
async fn rabbitmq_delivers_by_name() {
    on_rabbitmq(delivers_by_name).await;
}
#[tokio::test]
async fn in_process_delivers_by_name() {
    in_process(async |bus| {
        // Here every queue needs its consumer before anything is confirmed.
        delivers_by_name(bus).await;
    })
    .await;
}
#[tokio::test]
async fn rabbitmq_retries_in_order() {
    on_rabbitmq(retries_in_order).await;
}
#[tokio::test]
async fn in_process_retries_in_order() {
    in_process(retries_in_order).await;
}
#[tokio::test]
async fn rabbitmq_waits_for_a_consumer() {
    on_rabbitmq(waits_for_a_consumer).await;
}
#[tokio::test]
async fn in_process_waits_for_a_consumer() {
    in_process(waits_for_a_consumer).await;
}

/// What waits is taken in a few transactions, and a bad batch takes no other with it.
#[tokio::test]
async fn rabbitmq_hands_over_together_what_is_there() {
    titan_testkit::install_tls();
    let broker = Broker::default();
    let bus: Bus = Arc::new(RabbitMq::new(&amqp_url(), &broker.prefix));
    let ids: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    let all = Arc::new(Recorder { bad: Some("17"), ..Recorder::default() });
    for id in &ids {
        publish(&bus, "task.completed", &[id]).await.unwrap();
    }
    let consumer = consume(&bus, &GATEWAY_EVENTS, &all).await;
    let good: Vec<&str> = ids.iter().map(String::as_str).filter(|id| *id != "17").collect();
    all.wait_for(&good).await;
    assert!(all.calls.load(Relaxed) < ids.len(), "{} calls", all.calls.load(Relaxed));
    let dead = eventually("the dead letter", async || broker.take_dead().await).await;
    assert_eq!(<EventBatch as prost::Message>::decode(dead.as_slice()).unwrap().events[0].id, "17");
    consumer.stop().await;
}

#[tokio::test]
async fn rabbitmq_keeps_what_was_published_before_the_first_start_of_a_consumer() {
    on_rabbitmq(async |bus| {
        publish(bus, "task.completed", &["1"]).await.unwrap();
        let all = Recorder::answering(vec![]);
        let consumer = consume(bus, &GATEWAY_EVENTS, &all).await;
        all.wait_for(&["1"]).await;
        consumer.stop().await;
    })
    .await;
}

#[tokio::test]
async fn rabbitmq_takes_nothing_for_kept_that_no_queue_took() {
    titan_testkit::install_tls();
    let broker = Broker::default();
    let bus: Bus = Arc::new(RabbitMq::new(&amqp_url(), &broker.prefix));
    publish(&bus, "task.completed", &["1"]).await.unwrap();
    broker.lose_queues().await;
    assert!(matches!(publish(&bus, "task.completed", &["2"]).await, Err(PublishError::Unavailable(_))));
    publish(&bus, "task.completed", &["2"]).await.unwrap();
    let all = Recorder::answering(vec![]);
    let consumer = consume(&bus, &GATEWAY_EVENTS, &all).await;
    all.wait_for(&["2"]).await;
    consumer.stop().await;
}

#[tokio::test]
async fn rabbitmq_sends_what_is_rejected_to_the_dead_letters() {
    titan_testkit::install_tls();
    let broker = Broker::default();
    let bus: Bus = Arc::new(RabbitMq::new(&amqp_url(), &broker.prefix));
    let all = Recorder::answering(vec![Verdict::Reject("never".to_owned())]);
    let consumer = consume(&bus, &GATEWAY_EVENTS, &all).await;
    publish(&bus, "task.completed", &["1"]).await.unwrap();
    publish(&bus, "task.completed", &["2"]).await.unwrap();
    all.wait_for(&["2"]).await;
    let dead = eventually("the dead letter", async || broker.take_dead().await).await;
    assert_eq!(dead, batch("task.completed", &["1"]));
    consumer.stop().await;
}

#[tokio::test]
async fn in_process_tells_the_publisher_of_a_rejection() {
    in_process(async |bus| {
        let all = Recorder::answering(vec![Verdict::Reject("never".to_owned())]);
        let consumer = consume(bus, &GATEWAY_EVENTS, &all).await;
        assert!(matches!(publish(bus, "task.completed", &["1"]).await, Err(PublishError::Rejected(_))));
        consumer.stop().await;
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_is_away_is_said_to_be() {
    titan_testkit::install_tls();
    let bus = RabbitMq::new("amqp://guest:guest@127.0.0.1:1/%2f", "test");
    let error = titan_bus::Transport::publish(&bus, "task.completed", &batch("task.completed", &["1"])).await;
    assert!(matches!(error, Err(PublishError::Unavailable(_))));
}
