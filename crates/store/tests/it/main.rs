//! Roles, migrations, and the way of an event from one service's transaction to another's.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

mod partitions;

use std::sync::Arc;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, TransactionTrait as _};
use titan_bus::{Bus, Consume as _, GATEWAY_EVENTS, InProcess, PublishError, Verdict};
use titan_error::{Error, Result};
use titan_ids::OrgId;
use titan_lifecycle::Check;
use titan_proto::events::event::Body;
use titan_proto::events::{Event, EventBatch, GoalSubmitted};
use titan_settings::{Database, Secret};
use titan_store::inbox::{Handle, Inbox};
use titan_store::outbox::{self, About, OutboxMetrics};
use titan_store::sqlx::migrate::Migrator;
use titan_store::{Outbox, sql};
use titan_testkit::{TestDatabase, eventually};
use tokio_util::sync::CancellationToken;

static THINGS: Migrator = titan_store::sqlx::migrate!("tests/it/migrations");

async fn database() -> TestDatabase {
    TestDatabase::new(&[("gateway", &THINGS), ("orchestrator", &THINGS)]).await
}

fn settings(database: &TestDatabase, schema: &str) -> Database {
    Database { url: Secret::new(database.service_url(schema)), direct_url: None, pool_size: 4 }
}

async fn pool(database: &TestDatabase, schema: &str) -> DatabaseConnection {
    titan_store::connect(&settings(database, schema), "test").await.unwrap()
}

fn event(name: &str) -> Event {
    let about = About {
        org: OrgId::DEFAULT,
        project: None,
        subject: name.to_owned(),
        version: 1,
        causation: String::new(),
        traceparent: String::new(),
    };
    outbox::event(about, Body::GoalSubmitted(GoalSubmitted { sentence: name.to_owned() }), titan_lifecycle::now())
}

/// Counts how often it handled each subject; fails as its subject says.
struct Things;

#[async_trait]
impl Handle for Things {
    async fn handle(&self, tx: &DatabaseTransaction, events: &[&Event]) -> Result<()> {
        let upsert = "INSERT INTO thing (name, times) VALUES ($1, 1) ON CONFLICT (name) DO UPDATE SET times = thing.times + 1";
        for event in events {
            tx.execute_raw(sql(upsert, [event.subject.clone().into()])).await?;
        }
        if events.iter().any(|event| event.subject == "poison") { Err(Error::invalid("subject", "is poison")) } else { Ok(()) }
    }
}

fn metrics() -> OutboxMetrics {
    OutboxMetrics::register(&titan_telemetry::Metrics::default()).unwrap()
}

async fn things(db: &DatabaseConnection) -> Inbox<Things> {
    Inbox { db: db.clone(), consumer: GATEWAY_EVENTS.name, handler: Things }
}

#[tokio::test]
async fn a_service_sees_its_own_schema_only() {
    let database = database().await;
    let gateway = pool(&database, "gateway").await;
    gateway.execute_unprepared("INSERT INTO thing VALUES ('mine', 1)").await.unwrap();
    for statement in [
        "SELECT * FROM orchestrator.thing",
        "CREATE TABLE orchestrator.evil (x int)",
        "CREATE TABLE public.evil (x int)",
        "CREATE SCHEMA evil",
    ] {
        let error = gateway.execute_unprepared(statement).await.unwrap_err().to_string();
        assert!(error.contains("permission denied"), "{statement}: {error}");
    }
}

#[tokio::test]
async fn replicas_that_migrate_at_once_do_it_once() {
    let database = TestDatabase::new(&[]).await;
    let settings = settings(&database, "gateway");
    let results = tokio::join!(
        titan_store::migrate(&settings, &THINGS),
        titan_store::migrate(&settings, &THINGS),
        titan_store::migrate(&settings, &THINGS)
    );
    assert!(results.0.is_ok() && results.1.is_ok() && results.2.is_ok(), "{results:?}");
    let all = i64::try_from(titan_store::MESSAGING.iter().count() + THINGS.iter().count()).unwrap();
    assert_eq!(database.count("SELECT count(*) FROM gateway._sqlx_migrations").await, all);
}

#[tokio::test]
async fn an_event_is_handled_once_however_often_it_is_delivered() {
    let database = database().await;
    let db = pool(&database, "gateway").await;
    let inbox = things(&db).await;
    let (a, b) = (event("a"), event("b"));
    assert_eq!(inbox.consume(&EventBatch { events: vec![a.clone(), b.clone()] }).await, Verdict::Ok);
    assert_eq!(inbox.consume(&EventBatch { events: vec![b, a.clone(), a] }).await, Verdict::Ok);
    assert_eq!(database.count("SELECT sum(times) FROM gateway.thing").await, 2);
}

#[tokio::test]
async fn a_bad_event_leaves_nothing_and_takes_no_other_with_it() {
    let database = database().await;
    let inbox = things(&pool(&database, "gateway").await).await;
    let verdict = inbox.consume(&EventBatch { events: vec![event("a"), event("poison"), event("b")] }).await;
    assert!(matches!(verdict, Verdict::Reject(_)), "{verdict:?}");
    assert_eq!(database.count("SELECT count(*) FROM gateway.thing WHERE name IN ('a', 'b')").await, 2);
    assert_eq!(database.count("SELECT count(*) FROM gateway.inbox").await, 2);
    assert_eq!(database.count("SELECT count(*) FROM gateway.thing WHERE name = 'poison'").await, 0);
}

#[tokio::test]
async fn a_database_that_is_away_is_a_reason_to_wait() {
    let url = Secret::new("postgres://nobody:nothing@127.0.0.1:1/none");
    let db = titan_store::connect(&Database { url, direct_url: None, pool_size: 1 }, "test").await.unwrap();
    assert_eq!(things(&db).await.consume(&EventBatch { events: vec![event("a")] }).await, Verdict::Retry);
}

#[allow(clippy::disallowed_methods)] // ended by the test
async fn deliver(database: &TestDatabase, bus: Bus, relays: usize, expected: i64) {
    let (gateway, orchestrator) = (pool(database, "gateway").await, pool(database, "orchestrator").await);
    let tx = orchestrator.begin().await.unwrap();
    let events: Vec<_> = (0..expected).map(|i| event(&format!("thing-{i}"))).collect();
    outbox::append(&tx, &events).await.unwrap();
    tx.commit().await.unwrap();

    let stop = CancellationToken::new();
    let (consuming, inbox, stopped) = (bus.clone(), Arc::new(things(&gateway).await), stop.clone());
    let mut tasks = vec![tokio::spawn(async move { consuming.consume(&GATEWAY_EVENTS, inbox, Check::default(), stopped).await })];
    for _ in 0..relays {
        let outbox = Outbox::new(orchestrator.clone(), bus.clone(), metrics());
        tasks.push(tokio::spawn(outbox.relay(Check::default(), stop.clone())));
    }
    let done = async || {
        let (sent, waiting) =
            (database.count("SELECT count(*) FROM gateway.thing").await, database.count("SELECT count(*) FROM orchestrator.outbox").await);
        (sent == expected && waiting == 0).then_some(())
    };
    eventually("every event", done).await;
    assert_eq!(database.count("SELECT max(times)::bigint FROM gateway.thing").await, 1);
    stop.cancel();
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn committed_events_arrive_once_in_process() {
    deliver(&database().await, Arc::new(InProcess::default()), 1, 700).await;
}

#[tokio::test]
async fn committed_events_arrive_once_with_two_relays_over_rabbitmq() {
    titan_testkit::install_tls();
    let broker = titan_testkit::Broker::default();
    let bus: Bus = Arc::new(titan_bus::RabbitMq::new(&titan_testkit::amqp_url(), &broker.prefix));
    deliver(&database().await, bus, 2, 1_500).await;
}

/// Refuses what it is given.
struct Refusing;

#[async_trait]
impl titan_bus::Transport for Refusing {
    async fn publish(&self, _: &str, _: &[u8]) -> std::result::Result<(), PublishError> {
        Err(PublishError::Rejected("never".to_owned()))
    }
    async fn consume(&self, _: &titan_bus::Queue, _: Arc<dyn titan_bus::Consume>, _: Check, _: CancellationToken) {}
}

#[tokio::test]
async fn what_is_refused_for_good_stays_with_the_reason() {
    let database = database().await;
    database.expect_undelivered();
    let db = pool(&database, "orchestrator").await;
    outbox::append(&db, &[event("a")]).await.unwrap();
    let stop = CancellationToken::new();
    stop.cancel();
    Outbox::new(db, Arc::new(Refusing), metrics()).relay(Check::default(), stop).await;
    assert_eq!(database.count("SELECT count(*) FROM orchestrator.outbox WHERE dead_reason = 'never'").await, 1);
}
