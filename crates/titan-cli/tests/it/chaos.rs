//! Everything breaks, again and again and in any order, under a stream of tasks; then a checker reads the history. As long as
//! `CHAOS_SECONDS` says (a minute in CI; `make chaos` takes longer); `CHAOS_SEED` plays the same faults again.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use titan_testkit::{Wire, amqp_url, database_url, eventually, redis_url};

use crate::faults::kill_server;
use crate::stack::{PROCESSES, Servers, Stack};

const SECONDS: u64 = 60;
const BATCH: usize = 10;
/// Of the minute in CI; whoever takes longer draws another one each time.
const SEED: u64 = 7;

fn number(name: &str) -> Option<u64> {
    titan_settings::env(name).and_then(|value| value.parse().ok())
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill(&'static str),
    KillServer(&'static str),
    /// Cut off for so long, in milliseconds.
    Cut(&'static str, u64),
    /// Nothing arrives, and nobody is told.
    Stall(&'static str, u64),
    /// Standing still past its lease.
    Pause(&'static str, u64),
    RollingRestart,
}

fn draw(rng: &mut fastrand::Rng) -> Fault {
    const WIRES: [&str; 3] = ["database", "amqp", "redis"];
    match rng.u8(..10) {
        0..=3 => Fault::Kill(PROCESSES[rng.usize(..PROCESSES.len())]),
        4 => Fault::KillServer(["rabbitmq", "postgres"][rng.usize(..2)]),
        5 | 6 => Fault::Cut(WIRES[rng.usize(..3)], rng.u64(500..6_000)),
        7 => Fault::Stall(WIRES[rng.usize(..3)], rng.u64(500..6_000)),
        8 => Fault::Pause(["worker-1", "worker-2"][rng.usize(..2)], rng.u64(9_000..12_000)),
        _ => Fault::RollingRestart,
    }
}

/// The servers behind wires of the test's own.
struct Network {
    wires: BTreeMap<&'static str, Wire>,
}

impl Network {
    async fn breaks(&self, name: &str, stalls: bool, millis: u64) {
        let wire = &self.wires[name];
        if stalls {
            wire.stall()
        } else {
            wire.cut().await
        }
        tokio::time::sleep(Duration::from_millis(millis)).await;
        wire.mend();
    }
}

/// One that was just killed may not be back yet.
fn signal(stack: &Stack, name: &str, signal: &str) {
    let _ = Command::new("kill").args([signal, &stack.pid(name).to_string()]).stderr(Stdio::null()).status();
}

async fn strike(fault: Fault, stack: &Stack, network: &Network) {
    match fault {
        Fault::Kill(name) => signal(stack, name, "-9"),
        Fault::KillServer(name) => {
            // A server that is not ours is cut off instead.
            if !kill_server(name) {
                let wire = if name == "postgres" { "database" } else { "amqp" };
                network.breaks(wire, false, 1_000).await;
            }
        }
        Fault::Cut(name, millis) => network.breaks(name, false, millis).await,
        Fault::Stall(name, millis) => network.breaks(name, true, millis).await,
        Fault::Pause(name, millis) => {
            signal(stack, name, "-STOP");
            tokio::time::sleep(Duration::from_millis(millis)).await;
            signal(stack, name, "-CONT");
        }
        Fault::RollingRestart => {
            for name in PROCESSES {
                let before = stack.pid(name);
                signal(stack, name, "-TERM");
                eventually(name, async || (stack.pid(name) != before).then_some(())).await;
            }
        }
    }
}

const DONE: &str = "SELECT count(*) FROM orchestrator.task WHERE state = 'done'";

/// Submits until the end, each batch once, however often its answer gets lost. Returns how many tasks.
async fn submit(stack: &Stack, until: Instant) -> usize {
    let mut batches = 0;
    while Instant::now() < until {
        stack.submit_noops(&format!("batch-{batches}"), BATCH, 100 + 37 * (batches as u64 % 9)).await;
        batches += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    batches * BATCH
}

/// The longest time in which no task was done, while there were some to do.
async fn stalls(stack: &Stack, stop: &tokio_util::sync::CancellationToken) -> Duration {
    let (mut last, mut since, mut longest) = (0, Instant::now(), Duration::ZERO);
    while !stop.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(250)).await;
        let open = "SELECT count(*) FROM orchestrator.task WHERE state NOT IN ('done', 'failed', 'cancelled')";
        let (done, open) = (stack.database().try_count(DONE).await, stack.database().try_count(open).await);
        if done.is_some_and(|done| done > last) || open == Some(0) {
            (last, since) = (done.unwrap_or(last), Instant::now());
        }
        longest = longest.max(since.elapsed());
    }
    longest
}

/// What the history says: (tasks done more than once, owners whose times overlap, ends that nobody began).
async fn check(stack: &Stack) -> [i64; 3] {
    let count = async |sql: &str| stack.database().count(sql).await;
    [
        count("SELECT count(*) FROM (SELECT task_id FROM orchestrator.task_change WHERE to_state = 'done' AND from_state <> 'done' GROUP BY 1 HAVING count(*) > 1) x").await,
        // Each claim after the first follows the end of the attempt before it, and attempts are numbered without a gap.
        count("SELECT count(*) FROM (SELECT task_id, attempt, from_state, lag(attempt) OVER w AS before FROM orchestrator.task_change WHERE to_state = 'assigned' AND from_state <> 'assigned'
            WINDOW w AS (PARTITION BY task_id ORDER BY id)) c WHERE from_state <> 'inbox' OR attempt <> coalesce(before, 0) + 1").await,
        count("SELECT count(*) FROM orchestrator.task_change d WHERE d.to_state = 'done' AND d.from_state <> 'done' AND NOT EXISTS
            (SELECT FROM orchestrator.task_change a WHERE a.task_id = d.task_id AND a.attempt = d.attempt AND a.to_state = 'assigned' AND a.id < d.id)").await,
    ]
}

/// The histories of tasks with such claims.
const ODD: &str = "SELECT coalesce(string_agg(concat_ws(' ', id, at, task_id, from_state, to_state, attempt, actor, reason), E'\\n' ORDER BY task_id, id), '')
    FROM orchestrator.task_change WHERE task_id IN (SELECT task_id FROM (SELECT task_id, attempt, from_state, lag(attempt) OVER w AS before
        FROM orchestrator.task_change WHERE to_state = 'assigned' AND from_state <> 'assigned' WINDOW w AS (PARTITION BY task_id ORDER BY id)) c
        WHERE from_state <> 'inbox' OR attempt <> coalesce(before, 0) + 1 LIMIT 5)";

#[tokio::test]
async fn whatever_breaks_every_task_is_done_once() {
    let (seconds, longer) = (number("CHAOS_SECONDS").unwrap_or(SECONDS), number("CHAOS_SECONDS").is_some());
    let seed = number("CHAOS_SEED").unwrap_or_else(|| if longer { fastrand::u64(..) } else { SEED });
    let mut rng = fastrand::Rng::with_seed(seed);
    let (database, amqp, redis) = (Wire::to(&database_url()), Wire::to(&amqp_url()), Wire::to(&redis_url()));
    let servers = Servers { database: Some(&database), amqp: amqp.url(), redis: redis.url() };
    let stack = Stack::up_on(18_000, servers, &[]).await;
    let network = Network { wires: BTreeMap::from([("database", database), ("amqp", amqp), ("redis", redis)]) };
    stack.post("/api/v1/projects", "project", &json!({ "name": "stream" })).await;
    let until = Instant::now() + Duration::from_secs(seconds);
    let stop = tokio_util::sync::CancellationToken::new();
    let faults = async {
        let mut struck: BTreeMap<String, usize> = BTreeMap::new();
        while Instant::now() < until {
            let fault = draw(&mut rng);
            eprintln!("{fault:?}");
            strike(fault, &stack, &network).await;
            *struck.entry(format!("{fault:?}").split('(').next().unwrap_or_default().to_owned()).or_default() += 1;
            tokio::time::sleep(Duration::from_millis(rng.u64(500..3_000))).await;
        }
        struck
    };
    let working = async {
        let (submitted, struck) = tokio::join!(submit(&stack, until), faults);
        let expected = i64::try_from(submitted).unwrap();
        let deadline = Instant::now() + Duration::from_secs(180);
        while stack.database().count(DONE).await < expected && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        stop.cancel();
        (submitted, struck)
    };
    let ((submitted, struck), longest) = tokio::join!(working, stalls(&stack, &stop));
    let finished = stack.database().count(DONE).await;
    let lost = i64::try_from(submitted).unwrap() - finished;
    let [twice, overlaps, unbegun] = check(&stack).await;
    let report: Value = json!({
        "submitted": submitted, "finished": finished, "lost": lost, "duplicated": twice + overlaps + unbegun,
        "longest_stall_s": longest.as_secs_f64(), "seconds": seconds, "seed": seed, "faults": struck,
    });
    if overlaps > 0 {
        eprintln!("{}", stack.database().text(ODD).await);
    }
    let target = std::path::Path::new(env!("CARGO_BIN_EXE_titan")).with_file_name("chaos.json");
    std::fs::write(target, format!("{report}\n")).unwrap();
    eprintln!("{report}");
    assert_eq!((lost, twice, overlaps, unbegun), (0, 0, 0, 0), "{report}");
    stack.all_done_once(submitted).await;
    assert!(longest < Duration::from_secs(60), "{report}");
}
