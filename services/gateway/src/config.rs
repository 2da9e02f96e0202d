use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use titan_service::ServiceSettings as _;
use titan_settings::{Bus, Counters, Database, Identity, Listen, Settings, Telemetry};

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
    #[serde(default)]
    pub counters: Counters,
    pub peers: Peers,
    pub gateway: Gateway,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    /// gRPC URLs of the replicas.
    pub orchestrator: Vec<String>,
    pub deployment: Vec<String>,
    pub monitoring: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Directory of the bare repositories; replicas of the gateway share it.
    pub repositories: PathBuf,
    /// Directory of the blob store, the same for every service.
    pub blobs: PathBuf,
    /// Where the API key made at the very first start is written (mode 0600).
    pub first_key_file: PathBuf,
    /// Largest request body, in bytes; pushes to git are not limited by it.
    pub body_limit: usize,
    /// Requests a user may make in a window of a minute, over all replicas (to each replica while Redis is away or not set);
    /// 0 means as many as they like.
    pub requests_per_minute: u32,
    /// How long events are kept for those who read them later.
    pub event_days: u32,
}

impl Settings for Config {
    const LISTS: &'static [&'static str] = &["peers.orchestrator", "peers.deployment", "peers.monitoring"];
    const DEFAULTS: &'static str = r#"
        [listen]
        address = "127.0.0.1:7070"
        admin = "127.0.0.1:7071"
        [database]
        pool_size = 10
        [peers]
        orchestrator = ["http://127.0.0.1:7072"]
        deployment = ["http://127.0.0.1:7076"]
        monitoring = ["http://127.0.0.1:7079"]
        [gateway]
        repositories = "/var/lib/titan/repositories"
        blobs = "/var/lib/titan/blobs"
        first_key_file = "/var/lib/titan/api-key"
        body_limit = 8388608
        requests_per_minute = 60000
        event_days = 30
    "#;

    fn problems(&self, problems: &mut Vec<String>) {
        self.frame().problems(problems);
        self.counters.problems(problems);
        if self.gateway.body_limit < 1_024 {
            problems.push("gateway.body_limit: must be 1024 or more".to_owned());
        }
        if self.gateway.event_days == 0 {
            problems.push("gateway.event_days: must be 1 or more".to_owned());
        }
    }
}

titan_service::frame_settings!(Config);
