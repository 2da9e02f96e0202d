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
use titan_proto::latency::BUCKETS;
use titan_proto::monitoring::monitoring_service_client::MonitoringServiceClient;
use titan_proto::monitoring::{BatchGetStatusRequest, Hour, ListHoursRequest, RecordUsageRequest, TargetStatus, Usage};
use titan_store::outbox::{self, About};
use titan_testkit::{Broker, KEY, TestDatabase, TestService, amqp_url, eventually};
use tokio_util::sync::CancellationToken;
use tonic::Code;
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
        let settings = titan_testkit::settings(&database, "monitoring")
            + "[probes]\ninterval_s = 1\ntimeout_ms = 300\n"
            + "[prices]\ncurrency = 'EUR'\ncore_hour = 3600.0\nmemory_gib_hour = 36.0\ndisk_gib_month = 0.0\nsent_gib = 1073741824.0\n";
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
        self.database.count("SELECT count(*) FROM monitoring.probe").await
    }
}

#[tokio::test]
async fn what_apps_did_is_counted_once_and_added_up_by_the_hour() {
    let fixture = Fixture::new().await;
    // Nobody listens there: the probes fail, and count.
    let succeeded = DeploymentSucceeded { health_url: "http://127.0.0.1:1/health".to_owned(), ..DeploymentSucceeded::default() };
    fixture.tell(2, Body::DeploymentSucceeded(succeeded)).await;
    fixture.until("a probe", |s| s.probes >= 1).await;
    let client = || MonitoringServiceClient::new(Channel::from_shared(fixture.replicas[1].url.clone()).unwrap().connect_lazy());
    let (deployment, gateway) = (Signer::new("deployment", KEY), Signer::new("gateway", KEY));
    let source = uuid::Uuid::new_v4().to_string();
    let report = |sequence: u64, requests: u64, errors: u64| {
        let mut latencies = vec![0; BUCKETS];
        (latencies[0], latencies[9]) = (requests - errors, errors);
        let of = |deployment_id: String| Usage {
            deployment_id,
            requests,
            errors,
            latencies: latencies.clone(),
            cpu_ms: 500,
            span_ms: 10_000,
            memory_bytes: requests << 20,
            disk_bytes: requests << 10,
            received_bytes: requests,
            sent_bytes: requests * 3,
        };
        RecordUsageRequest {
            source: source.clone(),
            sequence,
            usages: vec![of(fixture.deployment.to_string()), of(DeploymentId::generate().to_string())],
        }
    };
    // The first one comes again, late, and is not told of a second time.
    for (sequence, requests, errors) in [(1, 90, 0), (2, 10, 5), (1, 90, 0), (2, 10, 5)] {
        let request = deployment.service_request(OrgId::DEFAULT, report(sequence, requests, errors)).unwrap();
        client().record_usage(request).await.unwrap();
    }
    let status = fixture.status(OrgId::DEFAULT).await.unwrap();
    let recent = status.recent.unwrap();
    assert_eq!((recent.requests, recent.errors, recent.requests_per_s, recent.error_rate), (100, 5, 5.0, 0.05));
    assert_eq!((recent.cpu_cores, recent.memory_bytes, recent.disk_bytes), (0.05, 90 << 20, 90 << 10));
    assert_eq!((recent.received_bytes, recent.sent_bytes), (100, 300));
    assert!(recent.latency_p50_ms.unwrap() <= 1.0 && recent.latency_p95_ms.unwrap() <= 1.0, "{recent:?}");
    assert_eq!(status.day, Some(recent), "all of it was within the day");
    // A second of a processor, 100 MiB for ten seconds, of which nothing is the most there was at a time, and 300 bytes.
    let (cost, near) = (recent.cost.unwrap(), |cost: f64, wanted: f64| (cost - wanted).abs() < 1e-6);
    assert!(near(cost.processor, 1.0) && near(cost.memory, 100.0 / 1024.0 / 10.0) && near(cost.network, 300.0), "{cost:?}");
    assert!(status.currency == "EUR" && near(recent.hours, 20.0 / 3600.0) && cost.disk == 0.0, "{recent:?}");

    let user = Principal::user(UserId::generate(), OrgId::DEFAULT);
    let hours = |hours: u32| ListHoursRequest { deployment_id: fixture.deployment.to_string(), hours };
    let listed = client().list_hours(gateway.request(&user, hours(0)).unwrap()).await.unwrap().into_inner().hours;
    // The test may run over the end of an hour.
    let sum = |of: fn(&Hour) -> u64| listed.iter().map(of).sum::<u64>();
    assert_eq!((sum(|h| h.traffic.unwrap().requests), sum(|h| h.traffic.unwrap().errors)), (100, 5));
    assert!(sum(|h| h.probes) >= 1 && listed.iter().all(|h| h.uptime == 0.0), "{listed:?}");
    let stranger = Principal::user(UserId::generate(), OrgId::from(uuid::Uuid::now_v7()));
    assert!(client().list_hours(gateway.request(&stranger, hours(0)).unwrap()).await.unwrap().into_inner().hours.is_empty());
    let refused = client().list_hours(gateway.request(&user, hours(745)).unwrap()).await.unwrap_err();
    assert!(refused.code() == Code::InvalidArgument && refused.message().contains("hours"), "{refused:?}");
    let refused = client().record_usage(gateway.request(&user, report(9, 1, 0)).unwrap()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "only services say what apps did");
    let broken = RecordUsageRequest { usages: vec![Usage::default()], ..report(9, 1, 0) };
    let refused = client().record_usage(deployment.service_request(OrgId::DEFAULT, broken).unwrap()).await.unwrap_err();
    assert!(refused.message().contains("usages[0].latencies"), "{refused:?}");
    for replica in fixture.replicas {
        replica.stop().await;
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
