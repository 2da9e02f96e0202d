//! The gateway by itself: its own `run()`, real PostgreSQL and Redis, HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

use futures::future::join_all;
use titan_gateway::{Config, MIGRATIONS};
use titan_testkit::{TestDatabase, TestService, accepting_bus, eventually, redis_url};

struct Replica {
    service: TestService,
    http: reqwest::Client,
    key: String,
}

impl Replica {
    async fn start(database: &TestDatabase, home: &std::path::Path, limit: u32, counters: &str) -> Self {
        titan_testkit::install_tls();
        let home = home.display();
        let own = format!(
            "[counters]\nprefix = \"{counters}\"\nredis_url = \"{}\"\n[gateway]\nrepositories = \"{home}/repositories\"\nblobs = \"{home}/blobs\"\nfirst_key_file = \"{home}/key\"\nrequests_per_minute = {limit}\n",
            redis_url()
        );
        let settings = titan_testkit::settings(database, "gateway") + &own;
        let service = TestService::start::<Config, _>(&settings, accepting_bus(), titan_gateway::run);
        let key = eventually("the first key", async || std::fs::read_to_string(format!("{home}/key")).ok()).await;
        Self { service, http: reqwest::Client::builder().no_proxy().build().unwrap(), key }
    }

    async fn get(&self) -> reqwest::Response {
        self.http.get(format!("{}/api/v1/events", self.service.url)).bearer_auth(&self.key).send().await.unwrap()
    }
}

#[tokio::test]
async fn replicas_let_through_exactly_what_is_allowed() {
    let database = TestDatabase::new(&[("gateway", &MIGRATIONS)]).await;
    let home = tempfile::tempdir().unwrap();
    let counters = format!("test-{}", uuid::Uuid::new_v4().simple());
    let one = Replica::start(&database, home.path(), 30, &counters).await;
    let other = Replica::start(&database, home.path(), 30, &counters).await;
    let answers = join_all((0..100).map(|i| if i % 2 == 0 { one.get() } else { other.get() })).await;
    let through = answers.iter().filter(|answer| answer.status() == 200).count();
    assert_eq!((through, answers.len()), (30, 100));
    let refused = answers.into_iter().find(|answer| answer.status() != 200).unwrap();
    assert_eq!(refused.status(), 429);
    let wait: u32 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    let problem: serde_json::Value = refused.json().await.unwrap();
    assert!(
        problem["code"] == "resource_exhausted" && problem["detail"].as_str().unwrap().contains("30 requests in a minute"),
        "{problem}"
    );
    assert_eq!(one.http.get(format!("{}/health/ready", one.service.url)).send().await.unwrap().status(), 200, "health is not counted");
    one.service.stop().await;
    other.service.stop().await;
}
