//! The loads. A task counts when its result is committed; a load ends when the last one is and every event is delivered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::join_all;
use titan_identity::{Principal, Signer};
use titan_ids::{OrgId, UserId};
use titan_proto::orchestrator::project_service_client::ProjectServiceClient;
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::{CreateProjectRequest, NewTask, SubmitTasksRequest, Task};
use titan_proto::worker::Assignment;
use tokio::sync::Notify;
use tonic::transport::Channel;

use crate::database::{Cost, Database};
use crate::installation::Installation;
use crate::workers::Worker;

pub(crate) struct Client {
    /// One each replica.
    channels: Vec<Channel>,
    pub(crate) signer: Signer,
    who: Principal,
    /// What its keys begin with.
    name: String,
    keys: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Throughput {
    pub(crate) tasks: i64,
    pub(crate) tasks_per_s: f64,
    /// Until the last event was in the gateway's log, after the last result.
    pub(crate) events_behind_s: f64,
    pub(crate) lost: i64,
    pub(crate) duplicated: i64,
    pub(crate) wal_bytes: f64,
    pub(crate) transactions: f64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
}

/// Tasks submitted a second by the open loop.
pub(crate) const RATE: u32 = 1_000;
pub(crate) const PROJECT: &str = "bench";
const BULK: usize = 100;
const BULK_CLIENTS: usize = 32;

impl Client {
    pub(crate) fn new(installation: &Installation) -> anyhow::Result<Self> {
        let peers = titan_service::Peers::new("orchestrators", &installation.orchestrators())?;
        let signer = Signer::new("gateway", &installation.signing_key()?);
        let who = Principal::user(UserId::generate(), OrgId::DEFAULT);
        let name = format!("{:08x}", uuid::Uuid::new_v4().as_fields().0);
        Ok(Self { channels: vec![peers.one(0), peers.one(1)], signer, who, name, keys: AtomicU64::new(0) })
    }

    pub(crate) async fn project(&self) -> anyhow::Result<()> {
        let request = CreateProjectRequest { name: PROJECT.to_owned(), slug: PROJECT.to_owned(), ..Default::default() };
        ProjectServiceClient::new(self.channels[0].clone()).create_project(self.signer.request(&self.who, request)?).await?;
        Ok(())
    }

    pub(crate) fn request<T>(&self, message: T) -> anyhow::Result<tonic::Request<T>> {
        Ok(self.signer.request(&self.who, message)?)
    }

    pub(crate) fn channel(&self, replica: usize) -> Channel {
        self.channels[replica % self.channels.len()].clone()
    }

    pub(crate) async fn submit(&self, replica: usize, tasks: Vec<NewTask>) -> anyhow::Result<Vec<Task>> {
        let idempotency_key = format!("{}/{}", self.name, self.keys.fetch_add(1, Relaxed));
        let request = SubmitTasksRequest { project: PROJECT.to_owned(), tasks, idempotency_key, ..Default::default() };
        let mut client = TaskServiceClient::new(self.channel(replica));
        Ok(client.submit_tasks(self.signer.request(&self.who, request)?).await?.into_inner().tasks)
    }
}

pub(crate) fn noop(key: String) -> NewTask {
    NewTask { key, kind: "noop".to_owned(), role: "runner".to_owned(), title: "noop".to_owned(), ..Default::default() }
}

/// Many clients, one task at a time, each submitted with a key.
pub(crate) async fn singles(client: &Client, database: &Database, clients: usize, lasting: Duration) -> anyhow::Result<Throughput> {
    closed_loop(client, database, clients, 1, lasting).await
}

/// A hundred tasks at a time.
pub(crate) async fn bulk(client: &Client, database: &Database, lasting: Duration) -> anyhow::Result<Throughput> {
    closed_loop(client, database, BULK_CLIENTS, BULK, lasting).await
}

/// Single tasks that nobody counts.
pub(crate) async fn drive(client: &Client, clients: usize, lasting: Duration) -> anyhow::Result<()> {
    submissions(client, clients, 1, lasting).await.map(drop)
}

/// Returns how many tasks were accepted.
async fn submissions(client: &Client, clients: usize, size: usize, lasting: Duration) -> anyhow::Result<i64> {
    let started = Instant::now();
    let one = async |number: usize| {
        let mut accepted = 0_i64;
        while started.elapsed() < lasting {
            let tasks = client.submit(number, (0..size).map(|i| noop(i.to_string())).collect()).await?;
            accepted += i64::try_from(tasks.len())?;
        }
        anyhow::Ok(accepted)
    };
    join_all((0..clients).map(one)).await.into_iter().sum()
}

async fn closed_loop(client: &Client, database: &Database, clients: usize, size: usize, lasting: Duration) -> anyhow::Result<Throughput> {
    let (known, done_before, before) = (submitted(database).await?, database.number(DONE).await?, database.cost().await?);
    let told_before = database.number(TOLD).await?;
    let started = Instant::now();
    let accepted = submissions(client, clients, size, lasting).await?;
    until(database, DONE, done_before + accepted).await?;
    let done = started.elapsed();
    until(database, TOLD, told_before + accepted).await?;
    let told = started.elapsed();
    let Cost { wal_bytes, transactions } = database.cost().await?;
    let tasks = accepted as f64;
    Ok(Throughput {
        tasks: accepted,
        tasks_per_s: tasks / done.as_secs_f64(),
        events_behind_s: (told - done).as_secs_f64(),
        lost: done_before + accepted - database.number(DONE).await?,
        duplicated: submitted(database).await? - known - accepted + database.number(TWICE).await?,
        wal_bytes: (wal_bytes - before.wal_bytes) / tasks,
        transactions: (transactions - before.transactions) / tasks,
    })
}

const DONE: &str = "SELECT count(*) FROM orchestrator.task WHERE state = 'done'";
const TOLD: &str = "SELECT count(*) FROM gateway.event_log WHERE name = 'task.completed'";
const TWICE: &str = "SELECT count(*) FROM (SELECT FROM orchestrator.task_change WHERE to_state = 'done' AND from_state <> 'done' GROUP BY task_id HAVING count(*) > 1) x";
const WITHIN: Duration = Duration::from_secs(300);

async fn submitted(database: &Database) -> anyhow::Result<i64> {
    database.number("SELECT count(*) FROM orchestrator.task").await
}

async fn until(database: &Database, sql: &str, expected: i64) -> anyhow::Result<()> {
    let (deadline, mut last) = (Instant::now() + WITHIN, 0);
    // What is not there by then is reported as lost.
    while last < expected && Instant::now() < deadline {
        last = database.number(sql).await?;
        // Counting costs what is measured.
        tokio::time::sleep(Duration::from_millis(if expected - last > 1_000 { 250 } else { 20 })).await;
    }
    Ok(())
}

/// The first second is not counted: connections, plans, the lane of a new role.
const WARM_UP: u32 = RATE;
/// A role that only the benchmark's own worker has.
const PROBE: &str = "probe";
const SLOTS: u32 = 1_000;

/// At a fixed rate, whether earlier ones were answered or not, on one replica, for a worker of the other one. The start counts
/// from the time it was meant to be submitted, so that waiting for a slow submission is not left out, to the arrival at the worker.
pub(crate) async fn open_loop(client: &Client, lasting: Duration) -> anyhow::Result<Latency> {
    let count = WARM_UP + RATE * u32::try_from(lasting.as_secs().max(1))?;
    let worker = Worker::connect(client, 1, "latency", PROBE, 1, SLOTS).await?;
    let started = tokio::time::Instant::now();
    let one = async |number: u32| {
        let offset = Duration::from_secs(1) / RATE * number;
        tokio::time::sleep_until(started + offset).await;
        let task = NewTask { title: number.to_string(), role: PROBE.to_owned(), ..noop("latency".to_owned()) };
        client.submit(0, vec![task]).await.map(drop)
    };
    let (arrived, all) = (Mutex::new(BTreeMap::new()), Notify::new());
    let arrive = |assignment: &Assignment| {
        let Ok(number) = assignment.title.parse::<u32>() else { return };
        let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
        // A second time is the first one's.
        arrived.entry(number).or_insert_with(|| started.elapsed().saturating_sub(Duration::from_secs(1) / RATE * number));
        if arrived.len() == count as usize {
            all.notify_one();
        }
    };
    let load = async {
        join_all((0..count).map(one)).await.into_iter().collect::<anyhow::Result<()>>()?;
        tokio::time::timeout(WITHIN, all.notified()).await.context("not all were started")?;
        // The last of them are still to be completed.
        tokio::time::sleep(Duration::from_secs(1)).await;
        anyhow::Ok(())
    };
    tokio::select! {
        done = load => done?,
        broken = worker.serve(Duration::ZERO, arrive) => broken?,
    }
    let mut latencies: Vec<f64> = arrived
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_iter()
        .filter(|(number, _)| *number >= WARM_UP)
        .map(|(_, d)| d.as_secs_f64() * 1e3)
        .collect();
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize];
    Ok(Latency { p50_ms: at(0.5), p99_ms: at(0.99), p999_ms: at(0.999) })
}

const LAYERS: usize = 5;
const WIDTH: usize = 100;

/// Each task depends on two of the layer before. Seconds from the submission to the last result.
pub(crate) async fn graph(client: &Client, database: &Database) -> anyhow::Result<f64> {
    let known = database.number(DONE).await?;
    let key = |layer: usize, i: usize| format!("{layer}-{}", i % WIDTH);
    let task = |layer: usize, i: usize| {
        let depends_on = if layer == 0 { Vec::new() } else { vec![key(layer - 1, i), key(layer - 1, i + 1)] };
        NewTask { depends_on, ..noop(key(layer, i)) }
    };
    let tasks = (0..LAYERS).flat_map(|layer| (0..WIDTH).map(move |i| (layer, i))).map(|(layer, i)| task(layer, i)).collect();
    let started = Instant::now();
    client.submit(0, tasks).await?;
    until(database, DONE, known + i64::try_from(LAYERS * WIDTH)?).await?;
    Ok(started.elapsed().as_secs_f64())
}
