//! Use cases.

mod backups;
mod data;
mod deployments;
mod hooks;
mod logs;
mod proxies;
mod release;
mod rollback;
mod supervise;
mod usage;
mod variables;
mod watch;

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use sea_orm::DatabaseConnection;
use titan_identity::Signer;
use titan_ids::ProjectId;
use titan_lifecycle::Tasks;
use titan_packages::Packages;
use titan_sandbox::Sandbox;
use titan_service::Frame;
use titan_store::Outbox;
use tokio::sync::Notify;
use tonic::transport::Channel;

use crate::config::{Apps, Config};
use crate::provider::process::{self, Process};

pub(crate) use backups::RestoreIn;
pub(crate) use deployments::{DeployIn, ENVIRONMENTS};
pub(crate) use rollback::{Plan, RollBackIn};
pub(crate) use supervise::Steps;
pub(crate) use usage::Seen;

pub(crate) struct App {
    pub(crate) db: DatabaseConnection,
    outbox: Outbox,
    pub(crate) signer: Signer,
    orchestrator: Channel,
    gateway: String,
    public_url: String,
    internal_url: String,
    apps: Apps,
    /// What projects pin.
    packages: Packages,
    sandbox: Sandbox,
    tasks: Tasks,
    probe: reqwest::Client,
    /// This replica, as the holder of leases: its process too, so that others see when it is gone.
    owner: String,
    /// There may be something to do.
    pub(crate) wake: Notify,
    misses: watch::Misses,
    hooks: hooks::Running,
    /// Environments in which a way back is rehearsed for somebody.
    rehearsing: Mutex<HashSet<(ProjectId, String)>>,
}

/// An app must say within this that it is well.
const PROBE: Duration = Duration::from_secs(2);

impl App {
    pub(crate) fn new(frame: &Frame, config: &Config, sandbox: Sandbox) -> anyhow::Result<Self> {
        std::fs::create_dir_all(&config.apps.dir)?;
        Ok(Self {
            db: frame.db.clone(),
            outbox: frame.outbox.clone(),
            signer: frame.signer.clone(),
            orchestrator: titan_service::Peers::new("peers.orchestrator", &config.peers.orchestrator)?.balanced(),
            gateway: config.peers.gateway.trim_end_matches('/').to_owned(),
            public_url: config.proxy.public_url.clone(),
            internal_url: config.proxy.internal_url.clone().unwrap_or_else(|| config.proxy.public_url.clone()),
            apps: config.apps.clone(),
            packages: Packages::new(config.apps.dir.join("packages")),
            sandbox,
            tasks: frame.tasks.clone(),
            probe: reqwest::Client::builder().timeout(PROBE).no_proxy().redirect(reqwest::redirect::Policy::none()).build()?,
            owner: format!("{}/{}/{}", Process::own()?, process::place()?, uuid::Uuid::new_v4()),
            wake: Notify::new(),
            misses: watch::Misses::default(),
            hooks: hooks::Running::default(),
            rehearsing: Mutex::default(),
        })
    }
}
