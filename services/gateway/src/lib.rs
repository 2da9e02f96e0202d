//! The gateway: the one door for people and programs from outside.
//!
//! It owns the schema `gateway` (members, API keys, idempotency keys, the event log), serves REST under
//! `/api/v1`, a live event stream over WebSocket and git over smart HTTP under `/git`, and consumes every
//! event into its log. It publishes none. Repositories are behind [`repos::RepoStore`].
//!
//! Invariants: nothing but health answers without a credential; an event is in the log once, and a reader
//! that has seen number n has seen everything below it; a ref moves only for an attempt that owns its task.

mod app;
mod config;
mod consumers;
mod git;
mod http;
mod reconcile;
mod repos;
mod store;

use std::sync::Arc;

use titan_bus::{Bus, GATEWAY_EVENTS};
use titan_service::{Frame, Listeners, ServiceSettings as _};
use tokio_util::sync::CancellationToken;

pub use config::{Config, Gateway, Peers};

/// The schema's migrations.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Runs the service until `shutdown`.
///
/// # Errors
/// It could not start, or its listener failed.
pub async fn run(config: Config, listeners: Listeners, bus: Bus, shutdown: CancellationToken) -> anyhow::Result<()> {
    let frame = Frame::start("gateway", config.frame(), &MIGRATIONS, bus, listeners.admin, shutdown.clone()).await?;
    let app = Arc::new(app::App::new(&frame, &config)?);
    app.first_key(&config.gateway.first_key_file, titan_lifecycle::now()).await?;
    let log = Arc::new(consumers::event_log(&frame.db));
    let (bus, consuming) = (frame.bus.clone(), frame.health.check("events"));
    let stop = shutdown.clone();
    frame.tasks.spawn_loop("event log", async move { bus.consume(&GATEWAY_EVENTS, log, consuming, stop).await });
    frame.tasks.spawn_loop("retention", reconcile::retention::run(app.clone(), shutdown.clone()));
    let events = titan_store::Partitions::new(frame.db.clone(), &frame.metrics, "event_log", config.gateway.event_days)?;
    frame.tasks.spawn_loop("partitions", events.run(shutdown.clone()));
    let direct = config.database.direct().clone();
    frame.tasks.spawn_loop("event wake-ups", app.clone().listen(direct, shutdown.clone()));
    let listener = titan_service::without_delay(listeners.main);
    let served = axum::serve(listener, http::router(app, frame.health.clone()));
    let served = served.with_graceful_shutdown(shutdown.cancelled_owned()).await;
    frame.stop().await;
    Ok(served?)
}
