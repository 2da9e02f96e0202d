//! Many agents that do nothing, and many tasks that wait.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context as _;
use futures::stream::{FuturesUnordered, StreamExt as _, TryStreamExt as _};
use titan_proto::orchestrator::NewTask;

use crate::claims::Claims;
use crate::database::Database;
use crate::installation::Installation;
use crate::load::{Client, noop};
use crate::workers::Worker;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Agents {
    pub(crate) connected: usize,
    /// Of both orchestrators, without and with them.
    pub(crate) memory_mib: (u64, u64),
    /// What both orchestrators and PostgreSQL's processes for them use of one core while nothing happens.
    pub(crate) orchestrators_cpu: f64,
    pub(crate) postgres_cpu: f64,
    /// Of all services.
    pub(crate) transactions_per_s: f64,
}

const PODS: usize = 100;
const AGENTS: usize = 100;
const IDLE: &str = "idle";
const SETTLE: Duration = Duration::from_secs(10);
const WATCH: Duration = Duration::from_secs(20);

pub(crate) async fn agents(client: &Client, database: &Database, installation: &Installation) -> anyhow::Result<Agents> {
    let memory = || {
        anyhow::Ok(installation.memory_mib()?.iter().filter(|(name, _)| name.starts_with("orchestrator")).map(|(_, mib)| mib).sum::<u64>())
    };
    let without = memory()?;
    let connecting = (0..PODS).map(|n| async move { Worker::connect(client, n, &format!("pod-{n}"), IDLE, AGENTS, 1).await });
    let workers: Vec<Worker> = futures::stream::iter(connecting).buffer_unordered(8).try_collect().await?;
    let connected = workers.len() * AGENTS;
    let mut serving: FuturesUnordered<_> = workers.into_iter().map(|worker| worker.serve(Duration::ZERO, |_| {})).collect();
    let watch = async {
        tokio::time::sleep(SETTLE).await;
        let (cpu, postgres, cost) =
            (installation.orchestrators_cpu()?, database.cpu("titan_bench_orchestrator").await?, database.cost().await?);
        tokio::time::sleep(WATCH).await;
        let share = |of: Duration| of.as_secs_f64() / WATCH.as_secs_f64();
        anyhow::Ok(Agents {
            connected,
            memory_mib: (without, memory()?),
            orchestrators_cpu: share(installation.orchestrators_cpu()?.saturating_sub(cpu)),
            postgres_cpu: share(database.cpu("titan_bench_orchestrator").await?.saturating_sub(postgres)),
            transactions_per_s: (database.cost().await?.transactions - cost.transactions) / WATCH.as_secs_f64(),
        })
    };
    tokio::select! {
        agents = watch => agents,
        broken = serving.next() => { broken.context("no worker")??; anyhow::bail!("a worker's stream ended") }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Backlog {
    /// Of claims, with a thousand tasks queued and with a million.
    pub(crate) small: Claims,
    pub(crate) large: Claims,
}

const BACKLOG: &str = "backlog";
const HOLDER: &str = "holder";
const KEYS: usize = 100;
const SMALL: Queue = Queue { ready: 100, held: 900 };
const LARGE: Queue = Queue { ready: 100_000, held: 900_000 };
/// The worker's slots, and how long it has each task: a thousand are claimed a second.
const SLOTS: u32 = 50;
const HOLD: Duration = Duration::from_millis(50);
const REFILL: Duration = Duration::from_millis(100);
const SUBMITTED_MOST: usize = 1_000;

/// Tasks that wait: for a slot, or for one of a hundred concurrency keys, each of which a task has that does not end.
#[derive(Clone, Copy)]
struct Queue {
    ready: i64,
    held: i64,
}

pub(crate) async fn backlog(
    client: &Client,
    database: &Database,
    installation: &Installation,
    lasting: Duration,
) -> anyhow::Result<Backlog> {
    let limited =
        |n: usize| NewTask { role: HOLDER.to_owned(), concurrency_key: format!("k{n}"), concurrency_limit: 1, ..noop(n.to_string()) };
    let holder = Worker::connect(client, 0, "holder", HOLDER, 1, 1_000).await?;
    let load = async {
        client.submit(0, (0..KEYS).map(limited).collect()).await?;
        // Its lane.
        client.submit(0, vec![NewTask { role: BACKLOG.to_owned(), ..noop("first".to_owned()) }]).await?;
        let small = claims(client, database, installation, SMALL, lasting).await?;
        let large = claims(client, database, installation, LARGE, lasting).await?;
        anyhow::Ok(Backlog { small, large })
    };
    tokio::select! {
        backlog = load => backlog,
        broken = holder.serve(Duration::from_secs(3_600), |_| {}) => { broken?; anyhow::bail!("the holder's stream ended") }
    }
}

async fn claims(
    client: &Client,
    database: &Database,
    installation: &Installation,
    queue: Queue,
    lasting: Duration,
) -> anyhow::Result<Claims> {
    fill(database, queue).await?;
    let worker = Worker::connect(client, 1, "backlog", BACKLOG, 1, SLOTS).await?;
    let (given, refilled) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // As many as were given are put behind the others.
    let refill = async {
        loop {
            tokio::time::sleep(REFILL).await;
            let missing = (given.load(Relaxed) - refilled.load(Relaxed)).min(SUBMITTED_MOST);
            if missing > 0 {
                let task = |n: usize| NewTask { role: BACKLOG.to_owned(), ..noop(n.to_string()) };
                client.submit(0, (0..missing).map(task).collect()).await?;
                refilled.fetch_add(missing, Relaxed);
            }
        }
    };
    let measure = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let before = installation.claims().await?;
        tokio::time::sleep(lasting).await;
        anyhow::Ok(installation.claims().await?.since(&before))
    };
    let count = |_: &titan_proto::worker::Assignment| {
        given.fetch_add(1, Relaxed);
    };
    tokio::select! {
        measured = measure => measured,
        failed = refill => failed,
        broken = worker.serve(HOLD, count) => { broken?; anyhow::bail!("the worker's stream ended") }
    }
}

/// Stores what is missing, past the services: they would take minutes.
async fn fill(database: &Database, Queue { ready, held }: Queue) -> anyhow::Result<()> {
    let of = |condition: &str| {
        format!(
            "SELECT count(*) FROM orchestrator.task t JOIN orchestrator.lane l ON l.id = t.lane_id
            WHERE l.role = '{BACKLOG}' AND t.state = 'inbox' AND t.held {condition}"
        )
    };
    let (is_ready, is_held) = (database.number(&of("IS NULL")).await?, database.number(&of("IS NOT NULL")).await?);
    // Older than whatever is submitted, and of this call alone.
    let salt = ready;
    let insert = format!(
        "WITH new AS (SELECT ('018{salt:05x}-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id, n, CASE WHEN n > {ready} THEN 'c/' || j.id || '/k' || n % {KEYS} END AS key, j.org_id, j.id AS project_id,
                l.id AS lane_id
            FROM orchestrator.project j JOIN orchestrator.lane l ON l.role = '{BACKLOG}',
                generate_series(CASE WHEN {is_ready} < {ready} THEN {is_ready} + 1 ELSE {ready} + 1 END, {ready} + {held} - {is_held}) AS n),
        payload AS (INSERT INTO orchestrator.task_payload (task_id, project_id, title, input, traceparent) SELECT id, project_id, 'noop', '{{}}', '' FROM new)
        INSERT INTO orchestrator.task (id, org_id, project_id, kind, lane_id, state, priority, max_attempts, timeout_s, waiting_on, held, concurrency_key, created_at)
        SELECT id, org_id, project_id, 'noop', lane_id, 'inbox', 0, 3, 300, 0, key, key, now() FROM new"
    );
    database.execute(&insert).await?;
    database.execute("ANALYZE orchestrator.task; ANALYZE orchestrator.task_payload").await
}
