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

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::DatabaseConnection;
use titan_identity::Signer;
use titan_ids::{DeploymentId, ProjectId};
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
    misses: Misses,
    hooks: hooks::Running,
    /// Environments in which a way back is rehearsed for somebody.
    rehearsing: Mutex<HashSet<(ProjectId, String)>>,
}

/// What went wrong with deployments.
#[derive(Default)]
struct Misses {
    /// How often in a row it was not well.
    in_a_row: Mutex<HashMap<DeploymentId, u32>>,
    /// When it could not be started first.
    tries: Mutex<HashMap<DeploymentId, Instant>>,
    /// Of what serves: when it was looked at last, and since when it has not answered.
    looks: Mutex<HashMap<DeploymentId, (Instant, Option<Instant>)>>,
}

impl Misses {
    /// Since it was asked first.
    fn tried_for(&self, deployment: DeploymentId) -> Duration {
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).entry(deployment).or_insert_with(Instant::now).elapsed()
    }

    /// Whether what serves is to be looked at again.
    fn look_due(&self, deployment: DeploymentId) -> bool {
        let looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        looks.get(&deployment).is_none_or(|(at, _)| at.elapsed() >= LOOK)
    }

    /// For how long it has not answered, with this look.
    fn silent_for(&self, deployment: DeploymentId, answers: bool) -> Duration {
        let mut looks = self.looks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = looks.get(&deployment).and_then(|(_, silent)| *silent);
        let silent = (!answers).then(|| before.unwrap_or_else(Instant::now));
        looks.insert(deployment, (Instant::now(), silent));
        silent.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// It ended.
    fn forget(&self, deployment: DeploymentId) {
        self.in_a_row.lock().unwrap_or_else(PoisonError::into_inner).remove(&deployment);
        self.tries.lock().unwrap_or_else(PoisonError::into_inner).remove(&deployment);
        self.looks.lock().unwrap_or_else(PoisonError::into_inner).remove(&deployment);
    }

    /// With this look.
    fn count(&self, deployment: DeploymentId, healthy: bool) -> u32 {
        let mut misses = self.in_a_row.lock().unwrap_or_else(PoisonError::into_inner);
        if healthy {
            misses.remove(&deployment);
            return 0;
        }
        let count = misses.entry(deployment).or_default();
        *count += 1;
        *count
    }
}

/// An app must say within this that it is well.
const PROBE: Duration = Duration::from_secs(2);
/// How often it is asked while it serves.
const LOOK: Duration = Duration::from_secs(5);

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
            misses: Misses::default(),
            hooks: hooks::Running::default(),
            rehearsing: Mutex::default(),
        })
    }
}
