//! Monitoring as its callers see it: two replicas' own `run()`, real PostgreSQL and RabbitMQ, a target to probe.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

use std::sync::atomic::{AtomicU16, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::http::StatusCode;
use titan_bus::{Bus, Consume, GATEWAY_EVENTS, RabbitMq, Verdict};
use titan_identity::{Principal, Signer};
use titan_ids::{DeploymentId, OrgId, ProjectId, UserId};
use titan_lifecycle::{Check, now};
use titan_monitoring::{Config, MIGRATIONS};
use titan_proto::events::event::Body;
use titan_proto::events::{DeploymentStopped, DeploymentSucceeded, EventBatch};
use titan_proto::monitoring::monitoring_service_client::MonitoringServiceClient;
use titan_proto::monitoring::{BatchGetStatusRequest, TargetStatus};
use titan_store::outbox::{self, About};
use titan_testkit::{Broker, KEY, TestDatabase, TestService, amqp_url, eventually};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// An app that answers as it is told.
#[derive(Default)]
struct Target {
    status: AtomicU16,
    delay_ms: AtomicU64,
}

#[allow(clippy::disallowed_methods)] // ends with the test's runtime
async fn serve(target: Arc<Target>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    let answer = async move || {
        tokio::time::sleep(Duration::from_millis(target.delay_ms.load(Relaxed))).await;
        StatusCode::from_u16(target.status.load(Relaxed)).unwrap()
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    url
}

/// What the health of targets is said to be.
#[derive(Default)]
struct Heard(Mutex<Vec<bool>>);

#[async_trait]
impl Consume for Heard {
    async fn consume(&self, batch: &EventBatch) -> Verdict {
        let changes = batch.events.iter().filter_map(|e| match e.body.clone() {
            Some(Body::HealthChanged(changed)) => Some(changed.up),
            _ => None,
        });
        self.0.lock().unwrap().extend(changes);
        Verdict::Ok
    }
}

struct Fixture {
    database: TestDatabase,
    bus: Bus,
    replicas: Vec<TestService>,
    deployment: DeploymentId,
    _broker: Broker,
}

impl Fixture {
    async fn new() -> Self {
        titan_testkit::install_tls();
        let (database, broker) = (TestDatabase::new(&[("monitoring", &MIGRATIONS)]).await, Broker::default());
        let bus = || -> Bus { Arc::new(RabbitMq::new(&amqp_url(), &broker.prefix)) };
        let settings = titan_testkit::settings(&database, "monitoring") + "[probes]\ninterval_s = 1\ntimeout_ms = 300\n";
        let replicas = (0..2).map(|_| TestService::start::<Config, _>(&settings, bus(), titan_monitoring::run)).collect();
        Self { database, bus: bus(), replicas, deployment: DeploymentId::generate(), _broker: broker }
    }

    async fn tell(&self, version: i64, body: Body) {
        let about = About {
            org: OrgId::DEFAULT,
            project: Some(ProjectId::generate()),
            subject: self.deployment.to_string(),
            version,
            causation: String::new(),
            traceparent: String::new(),
        };
        let event = outbox::event(about, body, now());
        let (name, batch) = (event.name.clone(), prost::Message::encode_to_vec(&EventBatch { events: vec![event] }));
        eventually("the broker", async || self.bus.publish(&name, &batch).await.ok()).await;
    }

    async fn status(&self, org: OrgId) -> Option<TargetStatus> {
        let request = BatchGetStatusRequest { deployment_ids: vec![self.deployment.to_string()] };
        let request = Signer::new("gateway", KEY).request(&Principal::user(UserId::generate(), org), request).unwrap();
        let channel = Channel::from_shared(self.replicas[0].url.clone()).unwrap().connect_lazy();
        MonitoringServiceClient::new(channel).batch_get_status(request).await.ok()?.into_inner().statuses.pop()
    }

    async fn until(&self, what: &str, wanted: impl Fn(&TargetStatus) -> bool) -> TargetStatus {
        eventually(what, async || self.status(OrgId::DEFAULT).await.filter(&wanted)).await
    }

    async fn probes(&self) -> i64 {
        self.database.count("SELECT count(*) FROM monitoring.sample").await
    }
}

#[tokio::test]
#[allow(clippy::disallowed_methods)] // ended by the test
async fn a_deployment_is_probed_from_its_start_to_its_end() {
    let target = Arc::new(Target { status: 200.into(), ..Target::default() });
    let url = serve(target.clone()).await;
    let fixture = Fixture::new().await;
    let (heard, stop, bus) = (Arc::new(Heard::default()), CancellationToken::new(), fixture.bus.clone());
    let (hearing, stopped) = (heard.clone(), stop.clone());
    let listening = tokio::spawn(async move { bus.consume(&GATEWAY_EVENTS, hearing, Check::default(), stopped).await });
    let started = Instant::now();
    let succeeded = DeploymentSucceeded { health_url: url.clone(), ..DeploymentSucceeded::default() };
    fixture.tell(2, Body::DeploymentSucceeded(succeeded.clone())).await;

    target.delay_ms.store(20, Relaxed);
    let well = fixture.until("two probes", |s| s.up == Some(true) && s.probes >= 2).await;
    assert!(well.uptime == 1.0 && well.latency_p95_ms >= well.latency_p50_ms && well.latency_p95_ms >= 20.0, "{well:?}");
    assert!(well.last_error.is_empty() && well.interval_s == 1 && well.url == url, "{well:?}");

    target.status.store(500, Relaxed);
    let down = fixture.until("down", |s| s.up == Some(false)).await;
    assert!(down.last_error.contains("500") && down.uptime < 1.0, "{down:?}");
    target.status.store(200, Relaxed);
    fixture.until("up again", |s| s.up == Some(true)).await;
    target.delay_ms.store(2_000, Relaxed);
    let late = fixture.until("too late", |s| s.up == Some(false)).await;
    assert!(late.last_error.contains("300 ms"), "{late:?}");
    eventually("each change is told once", async || (*heard.0.lock().unwrap() == [false, true, false]).then_some(())).await;
    let most = i64::try_from(started.elapsed().as_secs()).unwrap() + 2;
    assert!(fixture.probes().await <= most, "one replica at a time: {} probes in {most} s", fixture.probes().await);
    assert!(fixture.status(OrgId::from(uuid::Uuid::now_v7())).await.is_none(), "another organisation's do not exist");

    fixture.tell(3, Body::DeploymentStopped(DeploymentStopped::default())).await;
    let active = "SELECT count(*) FROM monitoring.target WHERE active";
    eventually("the end", async || (fixture.database.count(active).await == 0).then_some(())).await;
    fixture.tell(2, Body::DeploymentSucceeded(succeeded)).await;
    let taken = "SELECT count(*) FROM monitoring.inbox";
    eventually("the late event", async || (fixture.database.count(taken).await == 3).then_some(())).await;
    assert_eq!(fixture.database.count(active).await, 0, "what is late changes nothing");
    stop.cancel();
    listening.await.unwrap();
    for replica in fixture.replicas {
        replica.stop().await;
    }
}
