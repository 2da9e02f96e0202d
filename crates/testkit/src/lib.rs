//! This crate only helps tests: a database of its own for each, copied from a template; a broker prefix;
//! a receiver for traces; a service's own `run()` on port 0; clients that no change may fail. A dev-dependency, never more.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot go on must say where

mod broker;
mod clients;
mod database;
mod otlp;
mod service;
mod wire;

use std::future::Future;
use std::time::{Duration, Instant};

pub use broker::Broker;
pub use clients::{Asked, Clients};
pub use database::TestDatabase;
pub use otlp::{OtlpReceiver, Span};
pub use service::{KEY, TestService, accepting_bus, settings};
pub use wire::Wire;

/// PostgreSQL for tests: a superuser's URL.
#[must_use]
pub fn database_url() -> String {
    titan_settings::env("TITAN_TEST_DATABASE_URL").unwrap_or_else(|| "postgres://postgres:postgres@127.0.0.1:5432/postgres".to_owned())
}

/// RabbitMQ for tests.
#[must_use]
pub fn amqp_url() -> String {
    titan_settings::env("TITAN_TEST_AMQP_URL").unwrap_or_else(|| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned())
}

/// Redis for tests.
#[must_use]
pub fn redis_url() -> String {
    titan_settings::env("TITAN_TEST_REDIS_URL").unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned())
}

/// Looks again and again until there is something, for at most half a minute.
///
/// # Panics
/// When there is nothing by then; `what` says what was waited for.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    eventually_within(Duration::from_secs(30), what, look).await
}

/// The same for what may take longer, or shorter.
pub async fn eventually_within<T, F: Future<Output = Option<T>>>(within: Duration, what: &str, look: impl Fn() -> F) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A port nobody listens on at the moment, for settings that take no 0.
#[must_use]
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A listener that a runtime can take over.
fn listen() -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

/// On a thread and a runtime of its own, so that it goes on while a test waits for programs or cleans up.
fn apart<T: Send + 'static, F: Future<Output = T>>(work: impl FnOnce() -> F + Send + 'static) -> std::thread::JoinHandle<T> {
    std::thread::spawn(move || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work()))
}

/// One TLS provider for the process; every test that makes a client calls it first.
pub fn install_tls() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
