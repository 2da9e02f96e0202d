//! Deployment: brings a commit to life in an environment, and keeps it alive.
//!
//! It owns the schema `deployment`, answers `titan.deployment.v1`, serves the apps behind its reverse
//! proxy, publishes `deployment.*`, and tells monitoring what apps use. It consumes no events.
//!
//! Invariants: an app outlives the service, and the replica that holds its lease finds it again by process
//! id and start time; one deployment serves an environment; traffic moves only to an app that is healthy.

mod app;
mod config;
mod domain;
mod grpc;
mod meter;
mod provider;
mod proxy;
mod reconcile;
mod store;

use std::sync::Arc;

use anyhow::Context as _;
use titan_bus::Bus;
use titan_service::{Frame, Listeners, ServiceSettings as _, serve_grpc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use config::{Apps, Config, Peers, Proxy};

/// The schema's migrations.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Runs the service until `shutdown`. Apps go on.
///
/// # Errors
/// It could not start, or one of its listeners failed.
pub async fn run(config: Config, listeners: Listeners, bus: Bus, shutdown: CancellationToken) -> anyhow::Result<()> {
    let sandbox = titan_sandbox::Sandbox::probe().await.context("the process provider runs no app without a sandbox")?;
    let proxy = TcpListener::bind(config.proxy.address).await.with_context(|| format!("proxy.address {}", config.proxy.address))?;
    let frame = Frame::start("deployment", config.frame(), &MIGRATIONS, bus, listeners.admin, shutdown.clone()).await?;
    let app = Arc::new(app::App::new(&frame, &config, sandbox)?);
    frame.tasks.spawn_loop("supervisor", reconcile::supervisor::run(app.clone(), shutdown.clone()));
    let every = std::time::Duration::from_secs(config.apps.measure_s.into());
    frame.tasks.spawn_loop("meters", reconcile::meters::run(app.clone(), every, shutdown.clone()));
    let served =
        tokio::try_join!(serve_grpc(listeners.main, grpc::routes(app.clone()), shutdown.clone()), proxy::serve(proxy, app, shutdown));
    frame.stop().await;
    served.map(drop)
}
