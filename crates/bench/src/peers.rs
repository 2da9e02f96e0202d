//! The systems that users would otherwise pick, each in a database of its own, one after the other on the same servers.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::ensure;
use serde::Deserialize;

use crate::database::Database;

/// How each keeps its tasks, in the words of the table.
const PEERS: &[(&str, &str, Keeps)] = &[
    ("celery", "Celery, RabbitMQ with confirms, results in PostgreSQL", Keeps::BrokerAndPostgres),
    ("graphile_worker", "graphile-worker, local queue, batched completion", Keeps::Postgres),
    ("pg_boss", "pg-boss, batches of 500", Keeps::Postgres),
    ("procrastinate", "Procrastinate", Keeps::Postgres),
    ("dbos", "DBOS, queued workflows", Keeps::Postgres),
    ("bullmq", "BullMQ, Redis with appendfsync always", Keeps::Redis),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    BrokerAndPostgres,
    Postgres,
    Redis,
}

pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) keeps: Keeps,
    pub(crate) version: String,
    pub(crate) figures: Figures,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Figures {
    pub(crate) submitted: u64,
    pub(crate) done: u64,
    pub(crate) tasks_per_s: f64,
}

/// Clients that submit.
const CLIENTS: &str = "64";

/// What is needed is installed first, so that nothing disturbs what is measured.
pub(crate) fn install() -> anyhow::Result<()> {
    ensure!(
        script().arg("install").stdin(Stdio::null()).status()?.success(),
        "the peers could not be installed; BENCH_PEERS=0 leaves them out"
    );
    Ok(())
}

pub(crate) async fn measure(admin_url: &str, amqp_url: &str, seconds: u64) -> anyhow::Result<Vec<Peer>> {
    let mut peers = Vec::new();
    for &(name, label, keeps) in PEERS {
        eprintln!("{label} …");
        let database = Database::create(admin_url).await?;
        let mut command = script();
        command.arg(name).stdin(Stdio::null());
        command.env("PEER_SECONDS", seconds.to_string()).env("PEER_CLIENTS", CLIENTS);
        // Without the parameters that only our client knows.
        let url = database.url.split('?').next().unwrap_or_default();
        command.env("PEER_DATABASE_URL", url).env("PEER_AMQP_URL", amqp_url);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        database.drop_it().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let Some(figures) = text.lines().last().and_then(|line| serde_json::from_str::<Figures>(line).ok()) else {
            eprintln!("  not measured: {text}{}", String::from_utf8_lossy(&output.stderr));
            continue;
        };
        eprintln!("  {:.0} tasks/s", figures.tasks_per_s);
        let version = String::from_utf8(script().args(["version", name]).output()?.stdout)?.trim().to_owned();
        peers.push(Peer { name: label, keeps, version, figures });
    }
    Ok(peers)
}

fn script() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/run.sh"))
}
