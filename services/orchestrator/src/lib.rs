//! The orchestrator: organisations, projects, goals, tasks and the agents that work on them.
//!
//! It owns the schema `orchestrator`, answers the gRPC services of `titan.orchestrator.v1` and the worker
//! stream of `titan.worker.v1`, and publishes `project.*`, `goal.*`, `task.*` and `message.*`. It consumes no events.
//!
//! Invariants: a task has at most one live owner (the compare-and-set of a claim raises `attempt`, the
//! fence); nothing is accepted from a stale fence; a change and its events commit together; everything
//! in memory can be rebuilt from the tables.

mod app;
mod config;
mod dispatch;
mod domain;
mod group_commit;
mod grpc;
mod reconcile;
#[cfg(test)]
mod sim;
mod store;
mod wake_ups;

use titan_bus::Bus;
use titan_service::{Frame, Listeners, serve_grpc};
use tokio_util::sync::CancellationToken;

pub use config::{Config, Engine};
pub use domain::matching::Weights;

/// The schema's migrations.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Runs the service until `shutdown`.
///
/// # Errors
/// It could not start, or its listener failed.
pub async fn run(config: Config, listeners: Listeners, bus: Bus, shutdown: CancellationToken) -> anyhow::Result<()> {
    let frame = titan_service::ServiceSettings::frame(&config);
    let frame = Frame::start("orchestrator", frame, &MIGRATIONS, bus, listeners.admin, shutdown.clone()).await?;
    let (dispatcher, commands) = dispatch::channel();
    let app = app::App::start(&frame, config.engine, dispatcher)?;
    frame.tasks.spawn_loop("dispatcher", dispatch::run(app.clone(), commands, shutdown.clone()));
    let wakes = frame.health.check("wake-ups");
    frame.tasks.spawn_loop("wake-ups", wake_ups::listen(app.clone(), config.database.direct().clone(), wakes, shutdown.clone()));
    reconcile::spawn(&frame.tasks, &app);
    let history = titan_store::Partitions::new(frame.db.clone(), &frame.metrics, "task_change", config.engine.history_days)?;
    frame.tasks.spawn_loop("partitions", history.run(shutdown.clone()));
    let served = serve_grpc(listeners.main, grpc::routes(app), shutdown).await;
    frame.stop().await;
    served
}
