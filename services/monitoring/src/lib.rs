//! Monitoring: watches what was deployed.
//!
//! It owns the schema `monitoring` (targets, probes, reports of use and their sums by the hour), consumes `deployment.*`, probes every
//! running deployment, takes reports of what apps did, answers `titan.monitoring.v1`, and publishes `health.changed`.
//!
//! Invariants: a target is probed by one replica at a time; an event that comes late or twice changes
//! nothing.

mod app;
mod config;
mod consumers;
mod grpc;
mod reconcile;
mod store;

use std::sync::Arc;

use titan_bus::{Bus, MONITORING_DEPLOYMENTS};
use titan_service::{Frame, Listeners, ServiceSettings as _, serve_grpc};
use tokio_util::sync::CancellationToken;

pub use config::{Config, Prices, Probes};

/// The schema's migrations.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Runs the service until `shutdown`.
///
/// # Errors
/// It could not start, or its listener failed.
pub async fn run(config: Config, listeners: Listeners, bus: Bus, shutdown: CancellationToken) -> anyhow::Result<()> {
    let frame = Frame::start("monitoring", config.frame(), &MIGRATIONS, bus, listeners.admin, shutdown.clone()).await?;
    let app = Arc::new(app::App::new(&frame, config.probes, config.prices)?);
    let consumer = Arc::new(consumers::deployments(app.clone()));
    let (bus, consuming, stop) = (frame.bus.clone(), frame.health.check("events"), shutdown.clone());
    frame.tasks.spawn_loop("deployments", async move { bus.consume(&MONITORING_DEPLOYMENTS, consumer, consuming, stop).await });
    frame.tasks.spawn_loop("prober", reconcile::prober::run(app.clone(), shutdown.clone()));
    frame.tasks.spawn_loop("retention", reconcile::retention::run(app.clone(), shutdown.clone()));
    for table in ["probe", "usage"] {
        let partitions = titan_store::Partitions::new(frame.db.clone(), &frame.metrics, table, config.probes.keep_days)?;
        frame.tasks.spawn_loop(table, partitions.run(shutdown.clone()));
    }
    let served = serve_grpc(listeners.main, grpc::routes(app), shutdown).await;
    frame.stop().await;
    served
}
