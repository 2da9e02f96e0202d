//! One suite for both places it counts in, and what happens between them.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

use std::time::{Duration, Instant};

use futures::future::join_all;
use titan_counters::Counters;
use titan_testkit::{Wire, eventually, redis_url};

const MINUTE: Duration = Duration::from_secs(60);

fn counters(url: Option<String>, prefix: &str) -> Counters {
    let redis_url = url.map(titan_settings::Secret::new);
    Counters::new(&titan_settings::Counters { redis_url, prefix: prefix.to_owned() }).unwrap()
}

fn prefix() -> String {
    format!("test-{}", uuid::Uuid::new_v4().simple())
}

async fn conforms(counters: &Counters) {
    assert_eq!(counters.count("a", MINUTE).await.count, 1);
    let second = counters.count("a", MINUTE).await;
    assert_eq!(second.count, 2);
    assert!(second.ends_in > Duration::from_secs(55) && second.ends_in <= MINUTE, "{second:?}");
    assert_eq!(counters.count("b", MINUTE).await.count, 1, "keys are apart");
    let mut counts: Vec<u64> = join_all((0..200).map(|_| counters.count("c", MINUTE))).await.into_iter().map(|c| c.count).collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=200).collect::<Vec<_>>(), "every count is given once");
    let short = Duration::from_millis(50);
    counters.count("d", short).await;
    eventually("the next window", async || (counters.count("d", short).await.count == 1).then_some(())).await;
}

#[tokio::test]
async fn in_process() {
    conforms(&counters(None, "")).await;
}

#[tokio::test]
async fn in_redis() {
    conforms(&counters(Some(redis_url()), &prefix())).await;
}

#[tokio::test]
async fn processes_count_together() {
    let prefix = prefix();
    let (one, other) = (counters(Some(redis_url()), &prefix), counters(Some(redis_url()), &prefix));
    assert_eq!(one.count("a", MINUTE).await.count, 1);
    assert_eq!(other.count("a", MINUTE).await.count, 2);
}

#[tokio::test]
async fn a_server_that_is_gone_delays_one_count_and_is_used_again() {
    let wire = Wire::to(&redis_url());
    let counters = counters(Some(wire.url()), &prefix());
    assert_eq!(counters.count("a", MINUTE).await.count, 1);
    wire.cut().await;
    assert_eq!(counters.count("a", MINUTE).await.count, 1, "counted in this process");
    let started = Instant::now();
    assert_eq!(counters.count("a", MINUTE).await.count, 2);
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    wire.mend();
    eventually("Redis to count on", async || {
        (counters.count("b", MINUTE).await.count > 0 && counters.count("a", MINUTE).await.count == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_server_that_stands_still_delays_one_count() {
    let (wire, prefix) = (Wire::to(&redis_url()), prefix());
    let (counters, direct) = (counters(Some(wire.url()), &prefix), counters(Some(redis_url()), &prefix));
    counters.count("a", MINUTE).await;
    wire.stall();
    let started = Instant::now();
    join_all((0..50).map(|_| counters.count("a", MINUTE))).await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    let started = Instant::now();
    join_all((0..50).map(|_| counters.count("a", MINUTE))).await;
    assert!(started.elapsed() < Duration::from_millis(200), "nobody waits for it now: {:?}", started.elapsed());
    wire.mend();
    let together = async || {
        counters.count("b", MINUTE).await;
        (direct.count("b", MINUTE).await.count > direct.count("c", MINUTE).await.count).then_some(())
    };
    eventually("Redis to count on", together).await;
}

#[tokio::test]
async fn a_url_that_is_none_is_refused() {
    let redis_url = Some(titan_settings::Secret::new("redis//nowhere".to_owned()));
    let error = Counters::new(&titan_settings::Counters { redis_url, prefix: "x".to_owned() }).unwrap_err();
    assert!(format!("{error:#}").contains("counters.redis_url"), "{error:#}");
}
