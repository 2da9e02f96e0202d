//! Deployment: brings a commit to life in an environment, and keeps it alive.
//!
//! It owns the schema `deployment`, answers `titan.deployment.v1`, serves the apps behind its reverse
//! proxy, publishes `deployment.*`, and tells monitoring what apps use. It consumes no events.
//!
//! Invariants: an app outlives the service, and the replica that holds its lease finds it again by process
//! id and start time; one deployment serves an environment; traffic moves only to an app that is healthy; an app ends only when
//! every proxy has said that nothing is on its way to it.

mod app;
mod config;
mod domain;
mod grpc;
mod provider;
mod proxy;
mod reconcile;
mod reports;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use titan_bus::Bus;
use titan_service::{Frame, Listeners, Peers as Replicas, ServiceSettings as _, serve_grpc};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use config::{Apps, Config, Peers, Proxy, ProxyConfig};
use proxy::Door;
use reports::Reports;

/// The schema's migrations.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Runs the service until `shutdown`. Apps go on.
///
/// # Errors
/// It could not start, or one of its listeners failed.
pub async fn run(config: Config, listeners: Listeners, bus: Bus, shutdown: CancellationToken) -> anyhow::Result<()> {
    let sandbox = titan_sandbox::Sandbox::probe().await.context("the process provider runs no app without a sandbox")?;
    let people = match config.proxy.address {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let frame = Frame::start("deployment", config.frame(), &MIGRATIONS, bus, listeners.admin, shutdown.clone()).await?;
    let app = Arc::new(app::App::new(&frame, &config, sandbox)?);
    let monitoring = Replicas::new("peers.monitoring", &config.peers.monitoring)?.balanced();
    let every = Duration::from_secs(config.apps.measure_s.into());
    let routes = grpc::routes(app.clone());
    let (routes, door) = match people {
        Some(people) => {
            let (routes, door) = open(&frame, &config.apps.host, monitoring.clone(), every, &listeners.main, routes).await?;
            (routes, Some((door, people)))
        }
        None => (routes, None),
    };
    frame.tasks.spawn_loop("supervisor", reconcile::supervisor::run(app.clone(), shutdown.clone()));
    let mut seen = app::Seen::default();
    let measure = async move || app.usages(&mut seen).await;
    let reports = Reports::to(monitoring, frame.signer.clone());
    frame.tasks.spawn_loop("meters", reconcile::meters::run(reports, measure, every, shutdown.clone()));
    let answers = serve_grpc(listeners.main, routes, shutdown.clone());
    let served = match door {
        Some((door, people)) => tokio::try_join!(answers, door.serve(people, shutdown)).map(drop),
        None => answers.await,
    };
    frame.stop().await;
    served
}

/// Runs the proxy alone until `shutdown`: it goes on while the service is away.
///
/// # Errors
/// It could not start, or one of its listeners failed.
pub async fn run_proxy(config: ProxyConfig, listeners: Listeners, bus: Bus, shutdown: CancellationToken) -> anyhow::Result<()> {
    let people = listen(config.proxy.address).await?;
    let frame = Frame::start("proxy", config.frame(), &MIGRATIONS, bus, listeners.admin, shutdown.clone()).await?;
    let monitoring = Replicas::new("peers.monitoring", &config.peers.monitoring)?.balanced();
    let every = Duration::from_secs(config.proxy.measure_s.into());
    let (routes, door) = open(&frame, &config.proxy.host, monitoring, every, &listeners.main, Routes::default()).await?;
    let served = tokio::try_join!(serve_grpc(listeners.main, routes, shutdown.clone()), door.serve(people, shutdown));
    frame.stop().await;
    served.map(drop)
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("proxy.address {address}"))
}

/// The door, with what it does by itself, and what it answers beside what is in `routes`.
async fn open(
    frame: &Frame,
    host: &str,
    monitoring: tonic::transport::Channel,
    every: Duration,
    control: &TcpListener,
    routes: Routes,
) -> anyhow::Result<(Routes, Arc<Door>)> {
    let door = Door::open(frame.db.clone(), host, control).await?;
    let shutdown = frame.tasks.shutdown();
    frame.tasks.spawn_loop("routes", door.clone().follow(shutdown.clone()));
    let (counted, reports) = (door.clone(), Reports::to(monitoring, frame.signer.clone()));
    let measure = async move || Ok(counted.usages());
    frame.tasks.spawn_loop("traffic", reconcile::meters::run(reports, measure, every, shutdown.clone()));
    Ok((grpc::proxy::add(routes, door.clone(), frame.signer.clone()), door))
}
