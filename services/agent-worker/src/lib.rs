//! The agent worker: agents with roles that take tasks from the orchestrator's stream and work on them.
//!
//! It owns the schema `agent_worker` (runs and their steps) and workspaces on the local disk, which can be
//! lost: whatever counts is a recorded step or a commit pushed to the task's branch. It serves no gRPC but
//! health, and publishes no events of its own; what it does is told by the orchestrator.
//!
//! Invariants: a step is intent, then effect, then outcome, each recorded before the next; a finished step
//! is never repeated; nothing is done for an attempt after its lease ended on this host's own clock.

mod config;
mod decider;
mod playbook;
mod role;
mod runs;
mod session;
mod store;
mod tools;

use std::sync::Arc;

use anyhow::Context as _;
use titan_bus::Bus;
use titan_service::{Frame, Listeners, ServiceSettings as _, serve_grpc};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use config::{Agents, Config, Peers};
pub use playbook::Playbook;
pub use role::{Role, roles};

/// The schema's migrations.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!();

/// Runs the service until `shutdown`.
///
/// # Errors
/// It could not start: among other reasons, because nothing here isolates the code it would run.
pub async fn run(config: Config, listeners: Listeners, bus: Bus, shutdown: CancellationToken) -> anyhow::Result<()> {
    let sandbox = titan_sandbox::Sandbox::probe().await.context("the agent worker runs no code without a sandbox")?;
    tracing::info!(level = %sandbox.level(), "sandbox");
    let frame = Frame::start("agent-worker", config.frame(), &MIGRATIONS, bus, listeners.admin, shutdown.clone()).await?;
    let worker = Arc::new(runs::Worker::new(&frame, &config, sandbox)?);
    let connected = frame.health.check("orchestrator");
    // The stream outlives the start of shutdown: what runs is finished and acknowledged first.
    let session = session::run(worker, config, frame.tasks.clone(), connected);
    let serving = serve_grpc(listeners.main, Routes::default(), shutdown);
    let (session, served) = tokio::join!(session, serving);
    frame.stop().await;
    session.and(served)
}
