//! Use cases, one file a noun.

mod events;
mod idempotency;
mod keys;
mod limits;
mod orchestrator;

use sea_orm::DatabaseConnection;
use titan_blobs::Blobs;
use titan_counters::Counters;
use titan_error::{Error, Result};
use titan_identity::Signer;
use titan_lifecycle::Tasks;
use titan_service::Frame;
use tokio::sync::watch;
use tonic::transport::Channel;

use crate::config::Config;
use crate::repos::RepoStore;

pub(crate) use idempotency::Kept;

pub(crate) struct App {
    pub(crate) db: DatabaseConnection,
    pub(crate) signer: Signer,
    pub(crate) orchestrator: Channel,
    pub(crate) deployment: Channel,
    pub(crate) monitoring: Channel,
    pub(crate) repos: RepoStore,
    pub(crate) blobs: Blobs,
    pub(crate) tasks: Tasks,
    pub(crate) body_limit: usize,
    counters: Counters,
    requests_per_minute: u32,
    /// Changes whenever the log may have grown.
    grown: watch::Sender<()>,
}

impl App {
    /// A wait that does not keep the service from stopping; who waits asks again, elsewhere.
    pub(crate) async fn while_it_runs<T>(&self, waiting: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            waited = waiting => waited,
            () = self.tasks.shutdown().cancelled() => Err(Error::unavailable("the gateway is stopping; ask again")),
        }
    }

    pub(crate) fn new(frame: &Frame, config: &Config) -> anyhow::Result<Self> {
        let peers = &config.peers;
        let channel = |name, urls: &[String]| Ok::<_, anyhow::Error>(titan_service::Peers::new(name, urls)?.balanced());
        Ok(Self {
            db: frame.db.clone(),
            signer: frame.signer.clone(),
            orchestrator: channel("peers.orchestrator", &peers.orchestrator)?,
            deployment: channel("peers.deployment", &peers.deployment)?,
            monitoring: channel("peers.monitoring", &peers.monitoring)?,
            repos: RepoStore::new(&config.gateway.repositories),
            blobs: Blobs::local(&config.gateway.blobs)?,
            tasks: frame.tasks.clone(),
            body_limit: config.gateway.body_limit,
            counters: Counters::new(&config.counters)?,
            requests_per_minute: config.gateway.requests_per_minute,
            grown: watch::Sender::new(()),
        })
    }
}
