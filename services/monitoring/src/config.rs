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
    /// Absent: what apps use is shown, and not what it costs.
    #[serde(default)]
    pub prices: Option<Prices>,
}

/// What the cluster costs, as its operator says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// ISO 4217, such as `EUR`.
    pub currency: String,
    /// Of one processor for an hour.
    #[serde(default)]
    pub core_hour: f64,
    /// Of a GiB of memory for an hour.
    #[serde(default)]
    pub memory_gib_hour: f64,
    /// Of a GiB on disk for a month of 730 hours.
    #[serde(default)]
    pub disk_gib_month: f64,
    /// Of a GiB that is sent.
    #[serde(default)]
    pub sent_gib: f64,
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
        let Some(Prices { currency, core_hour, memory_gib_hour, disk_gib_month, sent_gib }) = &self.prices else { return };
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_uppercase()) {
            problems.push("prices.currency: must be three capital letters, such as EUR".to_owned());
        }
        for (name, price) in
            [("core_hour", core_hour), ("memory_gib_hour", memory_gib_hour), ("disk_gib_month", disk_gib_month), ("sent_gib", sent_gib)]
        {
            if !(price.is_finite() && *price >= 0.0) {
                problems.push(format!("prices.{name}: must be 0 or more"));
            }
        }
    }
}

titan_service::frame_settings!(Config);
