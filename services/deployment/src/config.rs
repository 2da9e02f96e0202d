use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use titan_service::ServiceSettings as _;
use titan_settings::{Bus, Database, Identity, Listen, Settings, Telemetry};

use crate::app::ENVIRONMENTS;

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
    pub proxy: Proxy,
    pub apps: Apps,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peers {
    pub orchestrator: Vec<String>,
    pub monitoring: Vec<String>,
    /// HTTP URL of the gateway, for git.
    pub gateway: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Where this process lets people in to the apps: `/<project>/…`. Absent: titan-proxy does, in a process of its own.
    #[serde(default)]
    pub address: Option<SocketAddr>,
    /// Where apps are reached, as people see it, without a slash at the end.
    pub public_url: String,
    /// The same as other services see it, for probes; `public_url` when absent.
    #[serde(default)]
    pub internal_url: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Apps {
    /// Name of the host whose processes this replica supervises.
    pub host: String,
    /// Directory of releases, data and logs.
    pub dir: PathBuf,
    /// Ports for apps, the last one included.
    pub first_port: u16,
    pub last_port: u16,
    /// Address space of each of an app's processes, in MiB.
    pub memory_mib: u64,
    /// Processes and threads of an app.
    pub processes: u64,
    /// How long an app may take to be healthy after its start, in seconds.
    pub healthy_within_s: u32,
    /// Seconds between two looks at what apps use.
    pub measure_s: u32,
    /// Environments to which nothing is deployed before somebody has approved it.
    #[serde(default)]
    pub approval: Vec<String>,
}

impl Settings for Config {
    const LISTS: &'static [&'static str] = &["peers.orchestrator", "peers.monitoring", "apps.approval"];
    const DEFAULTS: &'static str = r#"
        [listen]
        address = "127.0.0.1:7076"
        admin = "127.0.0.1:7077"
        [database]
        pool_size = 5
        [peers]
        orchestrator = ["http://127.0.0.1:7072"]
        monitoring = ["http://127.0.0.1:7079"]
        gateway = "http://127.0.0.1:7070"
        [proxy]
        public_url = "http://127.0.0.1:7078"
        [apps]
        host = "local"
        dir = "/var/lib/titan/apps"
        first_port = 20000
        last_port = 20999
        memory_mib = 2048
        processes = 256
        healthy_within_s = 30
        measure_s = 10
    "#;

    fn problems(&self, problems: &mut Vec<String>) {
        self.frame().problems(problems);
        if self.apps.first_port < 1_024 || self.apps.first_port > self.apps.last_port {
            problems.push("apps.first_port: must be 1024 or more and not above apps.last_port".to_owned());
        }
        if !(1..=300).contains(&self.apps.healthy_within_s) {
            problems.push("apps.healthy_within_s: must be 1 to 300".to_owned());
        }
        if !(1..=3_600).contains(&self.apps.measure_s) {
            problems.push("apps.measure_s: must be 1 to 3600".to_owned());
        }
        if let Some(unknown) = self.apps.approval.iter().find(|environment| !ENVIRONMENTS.contains(&environment.as_str())) {
            problems.push(format!("apps.approval: {unknown:?} is none of {}", ENVIRONMENTS.join(", ")));
        }
        if self.apps.memory_mib < 64 {
            problems.push("apps.memory_mib: must be 64 or more".to_owned());
        }
        if !self.proxy.public_url.starts_with("http") || self.proxy.public_url.ends_with('/') {
            problems.push("proxy.public_url: must be an http(s) URL without a slash at the end".to_owned());
        }
    }
}

titan_service::frame_settings!(Config);

/// Of the proxy in a process of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyConfig {
    /// Where the deployment service asks it.
    pub listen: Listen,
    /// The deployment service's: the proxy reads its table.
    pub database: Database,
    #[serde(default)]
    pub bus: Bus,
    pub identity: Identity,
    #[serde(default)]
    pub telemetry: Telemetry,
    pub peers: ProxyPeers,
    pub proxy: Door,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyPeers {
    pub monitoring: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Door {
    /// Where it lets people in to the apps: `/<project>/…`.
    pub address: SocketAddr,
    /// `apps.host` of the service whose apps stand behind it.
    pub host: String,
    /// Seconds between two reports of what passed through.
    pub measure_s: u32,
}

impl Settings for ProxyConfig {
    const LISTS: &'static [&'static str] = &["peers.monitoring"];
    const DEFAULTS: &'static str = r#"
        [listen]
        address = "127.0.0.1:7086"
        admin = "127.0.0.1:7087"
        [database]
        pool_size = 2
        [peers]
        monitoring = ["http://127.0.0.1:7079"]
        [proxy]
        address = "127.0.0.1:7078"
        host = "local"
        measure_s = 10
    "#;

    fn problems(&self, problems: &mut Vec<String>) {
        self.frame().problems(problems);
        if !(1..=3_600).contains(&self.proxy.measure_s) {
            problems.push("proxy.measure_s: must be 1 to 3600".to_owned());
        }
    }
}

titan_service::frame_settings!(ProxyConfig);
