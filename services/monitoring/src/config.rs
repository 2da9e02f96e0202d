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
    pub probes: Probes,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// Seconds between two probes of a deployment.
    pub interval_s: u32,
    /// Milliseconds a probe may take; no answer by then counts as down.
    pub timeout_ms: u32,
    /// Days single probes and reports of use are kept.
    pub keep_days: u32,
    /// Days their sums by the hour are kept.
    pub keep_hours_days: u32,
}

impl Settings for Config {
    const DEFAULTS: &'static str = r#"
        [listen]
        address = "127.0.0.1:7079"
        admin = "127.0.0.1:7080"
        [database]
        pool_size = 5
        [probes]
        interval_s = 60
        timeout_ms = 5000
        keep_days = 30
        keep_hours_days = 400
    "#;

    fn problems(&self, problems: &mut Vec<String>) {
        self.frame().problems(problems);
        if !(1..=86_400).contains(&self.probes.interval_s) {
            problems.push("probes.interval_s: must be 1 to 86400".to_owned());
        }
        if !(1..=60_000).contains(&self.probes.timeout_ms) {
            problems.push("probes.timeout_ms: must be 1 to 60000".to_owned());
        }
        if !(1..=3_650).contains(&self.probes.keep_days) {
            problems.push("probes.keep_days: must be 1 to 3650".to_owned());
        }
        if !(1..=3_650).contains(&self.probes.keep_hours_days) {
            problems.push("probes.keep_hours_days: must be 1 to 3650".to_owned());
        }
    }
}

titan_service::frame_settings!(Config);
