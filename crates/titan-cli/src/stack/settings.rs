//! The settings of the services, as TOML, for an installation on this machine.

use std::path::Path;

use anyhow::Context as _;
use titan_store::Installation;
use toml::{Table, Value};

use crate::home::Home;

/// What the services of one installation have in common.
pub(crate) struct Common<'a> {
    pub(crate) home: &'a Home,
    /// A superuser's; each service gets its own role's.
    pub(crate) database_url: &'a str,
    pub(crate) installation: &'a Installation,
    pub(crate) amqp_url: Option<&'a str>,
    pub(crate) bus_prefix: &'a str,
    pub(crate) otlp_endpoint: Option<&'a str>,
    /// HTTP URL of the gateway.
    pub(crate) gateway: &'a str,
    pub(crate) orchestrators: &'a [String],
    pub(crate) deployments: &'a [String],
    pub(crate) monitorings: &'a [String],
    /// Where apps are reached.
    pub(crate) proxy: &'a str,
    /// It is a process of its own.
    pub(crate) proxy_apart: bool,
    pub(crate) first_app_port: u16,
    pub(crate) redis_url: Option<&'a str>,
    /// Of an operator's own.
    pub(crate) templates: Option<&'a Path>,
    /// In place of the default.
    pub(crate) runner_slots: Option<u32>,
}

/// The sections of one replica.
pub(crate) struct Replica<'a> {
    pub(crate) service: &'a str,
    /// Tells replicas apart: `worker-2`.
    pub(crate) name: &'a str,
    pub(crate) address: &'a str,
    pub(crate) admin: &'a str,
}

const APP_PORTS: u16 = 500;

pub(crate) fn settings(common: &Common<'_>, replica: &Replica<'_>) -> anyhow::Result<String> {
    let home = |name: &str| common.home.join(name).to_string_lossy().into_owned();
    let schema = if replica.service == "proxy" { "deployment".to_owned() } else { replica.service.replace('-', "_") };
    let url = titan_store::service_url(common.database_url, &schema, common.installation)?;
    let mut bus = section([("prefix", common.bus_prefix)]);
    insert_some(&mut bus, "amqp_url", common.amqp_url);
    let mut telemetry = Table::new();
    insert_some(&mut telemetry, "otlp_endpoint", common.otlp_endpoint);
    let mut root = Table::from_iter([
        ("listen".to_owned(), section([("address", replica.address), ("admin", replica.admin)]).into()),
        ("database".to_owned(), section([("url", url.as_str())]).into()),
        ("bus".to_owned(), bus.into()),
        ("telemetry".to_owned(), telemetry.into()),
        ("identity".to_owned(), section([("signing_key", common.home.secret("signing-key")?.as_str())]).into()),
    ]);
    let urls = |urls: &[String]| Value::from(urls.to_vec());
    let own = match replica.service {
        "gateway" => {
            let peers = [
                ("orchestrator", urls(common.orchestrators)),
                ("deployment", urls(common.deployments)),
                ("monitoring", urls(common.monitorings)),
            ];
            let key = common.home.key_file().to_string_lossy().into_owned();
            let own = [("repositories", home("repositories")), ("blobs", home("blobs")), ("first_key_file", key)];
            let mut counters = Table::new();
            insert_some(&mut counters, "redis_url", common.redis_url);
            insert_some(&mut counters, "prefix", common.redis_url.map(|_| common.bus_prefix));
            vec![("peers", table(peers)), ("gateway", table(own.map(|(k, v)| (k, v.into())))), ("counters", counters)]
        }
        "agent-worker" => {
            let peers = [
                ("orchestrator", urls(common.orchestrators)),
                ("deployment", urls(common.deployments)),
                ("monitoring", urls(common.monitorings)),
                ("gateway", common.gateway.into()),
            ];
            let own = [("worker", replica.name.to_owned()), ("workspaces", home("workspaces")), ("blobs", home("blobs"))];
            let mut agents = table(own.map(|(k, v)| (k, v.into())));
            let templates = common.templates.map(std::path::absolute).transpose()?;
            let templates = templates.as_deref().map(|dir| dir.to_str().context("--templates: the path must be UTF-8")).transpose()?;
            insert_some(&mut agents, "templates", templates);
            if let Some(slots) = common.runner_slots {
                agents.insert("roles".to_owned(), table([("runner", i64::from(slots).into())]).into());
            }
            vec![("peers", table(peers)), ("agents", agents)]
        }
        "deployment" => {
            let peers = [
                ("orchestrator", urls(common.orchestrators)),
                ("monitoring", urls(common.monitorings)),
                ("gateway", common.gateway.into()),
            ];
            let mut proxy = section([("public_url", common.proxy)]);
            insert_some(&mut proxy, "address", (!common.proxy_apart).then(|| address(common.proxy)));
            let (first, last) = (i64::from(common.first_app_port), i64::from(common.first_app_port + APP_PORTS - 1));
            let apps = [("dir", home("apps").into()), ("first_port", first.into()), ("last_port", last.into())];
            vec![("peers", table(peers)), ("proxy", proxy), ("apps", table(apps))]
        }
        "proxy" => {
            vec![("peers", table([("monitoring", urls(common.monitorings))])), ("proxy", section([("address", address(common.proxy))]))]
        }
        // Somebody watches: once a minute is for production.
        "monitoring" => vec![("probes", table([("interval_s", 10.into())]))],
        _ => Vec::new(),
    };
    root.extend(own.into_iter().map(|(name, table)| (name.to_owned(), Value::Table(table))));
    merge(&mut root, operators(common.home, replica.service)?);
    Ok(toml::to_string(&root)?)
}

/// Of the operator's file, where there is one: what it says of one service.
fn operators(home: &Home, service: &str) -> anyhow::Result<Table> {
    let file = home.join("settings.toml");
    let text = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Table::new()),
        read => read.with_context(|| format!("{} cannot be read", file.display()))?,
    };
    let mut all: Table = text.parse().with_context(|| format!("{} is no TOML", file.display()))?;
    if let Some(unknown) = all.keys().find(|name| !SERVICES.contains(&name.as_str())) {
        anyhow::bail!("{}: {unknown} is no service; its tables are {}", file.display(), SERVICES.join(", "));
    }
    match all.remove(service) {
        None => Ok(Table::new()),
        Some(Value::Table(of)) if of.contains_key("listen") => {
            anyhow::bail!("{}: {service}.listen is given on the command line: --port, --base-port", file.display())
        }
        Some(Value::Table(of)) => Ok(of),
        Some(_) => anyhow::bail!("{}: {service} must be a table", file.display()),
    }
}

const SERVICES: &[&str] = &["gateway", "orchestrator", "agent-worker", "deployment", "proxy", "monitoring"];

fn merge(into: &mut Table, over: Table) {
    for (key, value) in over {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(over)) => merge(into, over),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

fn address(url: &str) -> &str {
    url.trim_start_matches("http://")
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Table {
    entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

fn section<const N: usize>(entries: [(&str, &str); N]) -> Table {
    table(entries.map(|(k, v)| (k, Value::from(v))))
}

fn insert_some(table: &mut Table, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        table.insert(key.to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_says_of_a_service_wins() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::new(Some(dir.path().to_owned()));
        assert!(operators(&home, "monitoring").unwrap().is_empty());
        let file = home.join("settings.toml");
        std::fs::write(&file, "[monitoring.probes]\ntimeout_ms = 9\n[deployment.apps]\napproval = ['production']\n").unwrap();
        let mut settings = Table::from_iter([("probes".to_owned(), table([("interval_s", 10.into()), ("timeout_ms", 5.into())]).into())]);
        merge(&mut settings, operators(&home, "monitoring").unwrap());
        assert_eq!(settings.to_string(), "[probes]\ninterval_s = 10\ntimeout_ms = 9\n");
        for (wrong, said) in [
            ("[monitor]\n", "monitor is no service"),
            ("proxy = 1\n", "must be a table"),
            ("[proxy.listen]\naddress = 'x'\n", "proxy.listen"),
            ("[", "is no TOML"),
        ] {
            std::fs::write(&file, wrong).unwrap();
            let refused = format!("{:#}", operators(&home, "proxy").unwrap_err());
            assert!(refused.contains(said) && refused.contains("settings.toml"), "{refused}");
        }
    }
}
