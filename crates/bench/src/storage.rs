//! Whether storage rots: what a snapshot that is held, and what millions of finished tasks do to the engine.

use std::ops::Range;
use std::time::{Duration, Instant};

use titan_proto::common::PageRequest;
use titan_proto::orchestrator::ListTasksRequest;
use titan_proto::orchestrator::task_service_client::TaskServiceClient;

use crate::claims::Claims;
use crate::database::Database;
use crate::installation::Installation;
use crate::load::{self, Client, Throughput};

/// The same load twice, stretch by stretch: in one run a snapshot is held during [`HELD`].
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) without: Vec<Stretch>,
    pub(crate) with: Vec<Stretch>,
}

pub(crate) type Stretch = (Throughput, Claims);

const STRETCHES: usize = 7;
pub(crate) const HELD: Range<usize> = 1..6;

/// A transaction that reads nothing more keeps every dead row of every table from being cleaned away. What else a load that lasts
/// does to a machine is seen in the run without one.
pub(crate) async fn snapshot(admin_url: &str, clients: usize, lasting: Duration) -> anyhow::Result<Snapshot> {
    Ok(Snapshot { without: stretches(admin_url, clients, lasting, 0..0).await?, with: stretches(admin_url, clients, lasting, HELD).await? })
}

/// On a database and an installation of its own.
async fn stretches(admin_url: &str, clients: usize, lasting: Duration, held: Range<usize>) -> anyhow::Result<Vec<Stretch>> {
    let database = Database::create_named(admin_url, "snapshot").await?;
    let result = async {
        let installation = Installation::start(&database.url).await?;
        let client = Client::new(&installation)?;
        client.project().await?;
        load::singles(&client, &database, clients, WATCH).await?;
        database.comes_to_rest().await?;
        let (mut stretches, mut holder) = (Vec::new(), None);
        for number in 0..STRETCHES {
            if held.contains(&number) {
                if holder.is_none() {
                    holder = Some(database.hold_snapshot().await?);
                }
            } else if let Some(holder) = holder.take() {
                holder.rollback().await?;
            }
            let before = installation.claims().await?;
            let throughput = load::singles(&client, &database, clients, lasting).await?;
            stretches.push((throughput, installation.claims().await?.since(&before)));
            eprintln!("  {number}: {:?}", stretches.last());
        }
        installation.stop().await?;
        anyhow::Ok(stretches)
    };
    let result = result.await;
    database.drop_it().await?;
    result
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Latencies {
    pub(crate) claim_ms: f64,
    pub(crate) list_ms: f64,
}

/// Medians over the runs, with nothing and with so many tasks that are done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct History {
    pub(crate) finished: i64,
    pub(crate) without: Latencies,
    pub(crate) with: Latencies,
}

const FINISHED: i64 = 10_000_000;
/// Rows stored by one statement.
const CHUNK: i64 = 500_000;
const RUNS: usize = 5;
const LISTS: usize = 200;
const CLIENTS: usize = 8;
const WATCH: Duration = Duration::from_secs(5);

/// Two databases, one of which has a past; the installations take turns.
pub(crate) async fn history(admin_url: &str) -> anyhow::Result<History> {
    let (empty, full) = (Database::create_named(admin_url, "empty").await?, Database::create_named(admin_url, "full").await?);
    let result = alternate(&empty, &full).await;
    empty.drop_it().await?;
    full.drop_it().await?;
    result
}

async fn alternate(empty: &Database, full: &Database) -> anyhow::Result<History> {
    for database in [empty, full] {
        let installation = Installation::start(&database.url).await?;
        let client = Client::new(&installation)?;
        client.project().await?;
        load::drive(&client, CLIENTS, Duration::from_secs(2)).await?;
        installation.stop().await?;
    }
    eprintln!("  storing {FINISHED} finished tasks …");
    finish(full).await?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        without.push(look(empty).await?);
        with.push(look(full).await?);
        eprintln!("  run {run}: {:?} and {:?}", without.last(), with.last());
    }
    Ok(History { finished: FINISHED, without: median(&without), with: median(&with) })
}

fn median(runs: &[Latencies]) -> Latencies {
    let of = |which: fn(&Latencies) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(which).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Latencies { claim_ms: of(|l| l.claim_ms), list_ms: of(|l| l.list_ms) }
}

/// Past the services, which would take most of an hour.
async fn finish(database: &Database) -> anyhow::Result<()> {
    for first in (0..FINISHED).step_by(usize::try_from(CHUNK)?) {
        let last = first + CHUNK;
        database
            .execute(&format!(
                "WITH new AS (SELECT ('01800000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id, j.org_id, j.id AS project_id, l.id AS lane_id
                    FROM (SELECT id, org_id FROM orchestrator.project LIMIT 1) j, (SELECT id FROM orchestrator.lane LIMIT 1) l, generate_series({first}, {last} - 1) AS n),
                payload AS (INSERT INTO orchestrator.task_payload (task_id, project_id, title, input, result, traceparent)
                    SELECT id, project_id, 'noop', '{{}}', '{{\"waited_ms\": 0}}', '' FROM new)
                INSERT INTO orchestrator.task (id, org_id, project_id, kind, lane_id, state, priority, attempt, max_attempts, timeout_s, waiting_on, created_at, started_at, finished_at)
                SELECT id, org_id, project_id, 'noop', lane_id, 'done', 0, 1, 3, 300, 0, now(), now(), now() FROM new"
            ))
            .await?;
    }
    database.execute("VACUUM ANALYZE orchestrator.task").await?;
    database.execute("VACUUM ANALYZE orchestrator.task_payload").await
}

async fn look(database: &Database) -> anyhow::Result<Latencies> {
    let installation = Installation::start(&database.url).await?;
    let client = Client::new(&installation)?;
    load::drive(&client, CLIENTS, Duration::from_secs(2)).await?;
    let before = installation.claims().await?;
    load::drive(&client, CLIENTS, WATCH).await?;
    let claims = installation.claims().await?.since(&before);
    let mut lists = Vec::new();
    for _ in 0..LISTS {
        let page = Some(PageRequest { limit: 50, ..Default::default() });
        let request = ListTasksRequest { page, project: load::PROJECT.to_owned(), ..Default::default() };
        let began = Instant::now();
        TaskServiceClient::new(client.channel(0)).list_tasks(client.request(request)?).await?;
        lists.push(began.elapsed().as_secs_f64() * 1e3);
    }
    lists.sort_by(f64::total_cmp);
    installation.stop().await?;
    Ok(Latencies { claim_ms: claims.p50_ms, list_ms: lists[LISTS / 2] })
}
