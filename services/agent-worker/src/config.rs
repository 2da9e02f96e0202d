use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use titan_service::ServiceSettings as _;
use titan_settings::{Bus, Database, Identity, Listen, Settings, Telemetry};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: Listen,
    pub database: Database,
    #[serde(default)]
    pub bus: Bus,
    pub identity: Identity,
    #[serde(default)]
    pub telemetry: Telemetry,
    pub peers: Peers,
    pub agents: Agents,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// gRPC URLs of the orchestrator's replicas.
    pub orchestrator: Vec<String>,
    pub deployment: Vec<String>,
    pub monitoring: Vec<String>,
    /// HTTP URL of the gateway, for git.
    pub gateway: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    /// Name of this worker, unique among those that run; shown to people.
    pub worker: String,
    /// How many tasks an agent of each role takes at once; roles not named are not hosted.
    pub roles: BTreeMap<String, u32>,
    /// Tasks for this pool are given to them.
    pub pool: String,
    /// How good they are at the skills of their roles, 0 to 1; 1 for those not named.
    #[serde(default)]
    pub proficiency: BTreeMap<String, f64>,
    /// What they take of what they could.
    #[serde(default)]
    pub subscription: Subscription,
    /// Directory for checkouts; what is in it may be lost at any time.
    pub workspaces: PathBuf,
    /// Directory of the blob store, the same for every service.
    pub blobs: PathBuf,
    /// Directory of an operator's own templates: `<name>/files/…` replaces the built-in template of that name.
    #[serde(default)]
    pub templates: Option<PathBuf>,
}

/// Empty lists and priority 0 take everything.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Subscription {
    /// One of them.
    pub labels: Vec<String>,
    /// This or more urgent.
    pub priority: i32,
    /// Ids.
    pub projects: Vec<String>,
}

impl Settings for Config {
    const LISTS: &'static [&'static str] = &["peers.orchestrator", "peers.deployment", "peers.monitoring"];
    const DEFAULTS: &'static str = r#"
        [listen]
        address = "127.0.0.1:7074"
        admin = "127.0.0.1:7075"
        [database]
        pool_size = 10
        [peers]
        orchestrator = ["http://127.0.0.1:7072"]
        deployment = ["http://127.0.0.1:7076"]
        monitoring = ["http://127.0.0.1:7079"]
        gateway = "http://127.0.0.1:7070"
        [agents]
        worker = "worker"
        pool = "default"
        roles = { runner = 16, pm = 4, dev = 4, qa = 4, ops = 4 }
        workspaces = "/var/lib/titan/workspaces"
        blobs = "/var/lib/titan/blobs"
    "#;

    fn problems(&self, problems: &mut Vec<String>) {
        self.frame().problems(problems);
        let known = crate::role::roles();
        for (role, slots) in &self.agents.roles {
            match &known {
                Ok(known) if !known.contains_key(role) => {
                    let names: Vec<_> = known.keys().map(String::as_str).collect();
                    problems.push(format!("agents.roles.{role}: no such role; there are {}", names.join(", ")));
                }
                Err(error) => problems.push(format!("agents.roles: {error:#}")),
                Ok(_) => {}
            }
            if !(1..=1_000).contains(slots) {
                problems.push(format!("agents.roles.{role}: must be 1 to 1000"));
            }
        }
        for (skill, level) in &self.agents.proficiency {
            if !(0.0..=1.0).contains(level) {
                problems.push(format!("agents.proficiency.{skill}: must be 0 to 1"));
            }
        }
        for project in &self.agents.subscription.projects {
            if let Err(error) = project.parse::<titan_ids::ProjectId>() {
                problems.push(format!("agents.subscription.projects: {project:?}: {error}"));
            }
        }
        if self.agents.roles.is_empty() {
            problems.push("agents.roles: name at least one role".to_owned());
        }
        if self.agents.worker.is_empty() {
            problems.push("agents.worker: must not be empty; the pod's name is a good one".to_owned());
        }
    }
}

titan_service::frame_settings!(Config);
