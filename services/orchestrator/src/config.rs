use crate::domain::matching::Weights;
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
    pub engine: Engine,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Engine {
    /// How long a worker keeps its tasks without a heartbeat, in milliseconds.
    pub lease_ms: u32,
    /// How long a worker whose stream broke keeps them.
    pub grace_ms: u32,
    /// Tasks claimed at once.
    pub claim_batch: u32,
    /// An agent whose attempts all failed, this many in a row, is given nothing for `quarantine_s` seconds; then one more
    /// failure is enough.
    pub quarantine_after: u32,
    pub quarantine_s: u32,
    /// How long the history of tasks is kept, and keys of submissions, old messages, and agents that are gone; tasks themselves stay.
    pub history_days: u32,
    /// How much each factor counts when an agent is chosen; a project may have its own.
    #[serde(default)]
    pub matching: Weights,
}

impl Settings for Config {
    const DEFAULTS: &'static str = r#"
        [listen]
        address = "127.0.0.1:7072"
        admin = "127.0.0.1:7073"
        [database]
        pool_size = 10
        [engine]
        lease_ms = 8000
        grace_ms = 5000
        claim_batch = 500
        quarantine_after = 10
        quarantine_s = 300
        history_days = 90
    "#;

    fn problems(&self, problems: &mut Vec<String>) {
        self.frame().problems(problems);
        if !(1_000..=600_000).contains(&self.engine.lease_ms) {
            problems.push("engine.lease_ms: must be 1000 to 600000".to_owned());
        }
        if self.engine.grace_ms > self.engine.lease_ms {
            problems.push("engine.grace_ms: must not be longer than engine.lease_ms".to_owned());
        }
        if self.engine.quarantine_after < 2 {
            problems.push("engine.quarantine_after: must be 2 or more".to_owned());
        }
        if self.engine.history_days == 0 {
            problems.push("engine.history_days: must be 1 or more".to_owned());
        }
        problems.extend(self.engine.matching.problem().map(|problem| format!("engine.matching: {problem}")));
        if !(1..=1_000).contains(&self.engine.claim_batch) {
            problems.push("engine.claim_batch: must be 1 to 1000".to_owned());
        }
    }
}

titan_service::frame_settings!(Config);
