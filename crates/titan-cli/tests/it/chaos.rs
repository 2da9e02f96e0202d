//! Everything breaks, again and again and in any order, under a stream of tasks; then a checker reads the history. As long as
//! `CHAOS_SECONDS` says (a minute in CI; `make chaos` takes longer); `CHAOS_SEED` plays the same faults again.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use titan_testkit::{Wire, amqp_url, database_url, eventually, redis_url};

use crate::faults::kill_server;
use crate::stack::{PROCESSES, Servers, Stack};

const SECONDS: u64 = 60;
const BASE: u16 = 18_000;
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
    /// An agent of ours that runs a command, with what it is doing.
    KillAgent(usize),
    /// Cut off for so long, in milliseconds.
    Cut(&'static str, u64),
    /// Nothing arrives, and nobody is told.
    Stall(&'static str, u64),
    /// Standing still past its lease.
    Pause(&'static str, u64),
    RollingRestart,
}

const WIRES: [&str; 5] = ["database", "amqp", "redis", "orchestrator-1", "orchestrator-2"];

/// One of each, short enough for a minute, in any order.
fn one_of_each(rng: &mut fastrand::Rng) -> Vec<Fault> {
    let mut faults = vec![
        Fault::Kill("orchestrator-1"),
        Fault::Kill("worker-2"),
        Fault::Kill("gateway"),
        Fault::KillServer("rabbitmq"),
        Fault::KillServer("postgres"),
        Fault::KillAgent(0),
        Fault::Cut("database", 1_000),
        Fault::Cut("orchestrator-2", 1_000),
        Fault::Stall("orchestrator-1", 3_000),
        Fault::Stall("amqp", 2_000),
        Fault::Pause("worker-1", 9_000),
        Fault::RollingRestart,
    ];
    rng.shuffle(&mut faults);
    faults
}

fn draw(rng: &mut fastrand::Rng) -> Fault {
    // Longer than a lease now and then.
    const MOST: u64 = 10_000;
    match rng.u8(..11) {
        0..=3 => Fault::Kill(PROCESSES[rng.usize(..PROCESSES.len())]),
        4 => Fault::KillServer(["rabbitmq", "postgres"][rng.usize(..2)]),
        5 | 6 => Fault::Cut(WIRES[rng.usize(..WIRES.len())], rng.u64(500..MOST)),
        7 => Fault::Stall(WIRES[rng.usize(..WIRES.len())], rng.u64(500..MOST)),
        8 => Fault::KillAgent(rng.usize(..AGENTS)),
        9 => Fault::Pause(["worker-1", "worker-2"][rng.usize(..2)], rng.u64(9_000..12_000)),
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

async fn strike(fault: Fault, stack: &Stack, network: &Network, outside: &Outside) {
    match fault {
        Fault::KillAgent(n) => outside.kill(n),
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

const AGENTS: usize = 2;

/// A file that no service knows of, into which agents of ours write one line an attempt: its task and its number.
struct Outside {
    effects: std::path::PathBuf,
    agents: [std::sync::atomic::AtomicU32; AGENTS],
}

impl Outside {
    fn kill(&self, n: usize) {
        let pid = self.agents[n].load(Relaxed);
        if pid > 0 {
            // Its process group.
            let _ = Command::new("kill").args(["-9", "--", &format!("-{pid}")]).stderr(Stdio::null()).status();
        }
    }

    /// An agent, started again whenever it ends, until `stop`.
    async fn agent(&self, stack: &Stack, n: usize, stop: &tokio_util::sync::CancellationToken) {
        let (name, script) = (format!("outside-{n}"), format!("sleep 0.05; echo $TITAN_TASK $TITAN_ATTEMPT >> {}", self.effects.display()));
        while !stop.is_cancelled() {
            let mut command = crate::stack::titan();
            command.arg("--home").arg(stack.home.path()).args(["--url", &stack.url, "work", "--name", &name, "--role", OUTSIDE, "--"]);
            command.args(["sh", "-c", &script]).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = tokio::process::Command::from(command).process_group(0).kill_on_drop(true).spawn().unwrap();
            self.agents[n].store(child.id().unwrap_or_default(), Relaxed);
            tokio::select! { _ = child.wait() => {}, () = stop.cancelled() => {} }
            self.agents[n].store(0, Relaxed);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// (tasks with an effect; effects of a later attempt, whose task was taken from one that had it; effects of an attempt that had
    /// one before, or that come after a later attempt's)
    fn check(&self) -> (usize, usize, usize) {
        let text = std::fs::read_to_string(&self.effects).unwrap_or_default();
        let (mut last, mut again, mut wrong) = (BTreeMap::new(), 0, 0);
        for (task, attempt) in text.lines().filter_map(|line| line.split_once(' ')) {
            let attempt: i32 = attempt.parse().unwrap();
            if let Some(before) = last.insert(task, attempt) {
                (again, wrong) = (again + usize::from(before < attempt), wrong + usize::from(before >= attempt));
            }
        }
        (last.len(), again, wrong)
    }
}

const OUTSIDE: &str = "outside";
/// Of a batch.
const EFFECTS: usize = 2;

const DONE: &str = "SELECT count(*) FROM orchestrator.task WHERE state = 'done'";

/// Submits until the end, each batch once, however often its answer gets lost. Returns how many tasks.
async fn submit(stack: &Stack, until: Instant) -> usize {
    let mut batches = 0;
    while Instant::now() < until {
        stack.submit_noops(&format!("batch-{batches}"), BATCH, 100 + 37 * (batches as u64 % 9)).await;
        let effect = |i: usize| json!({ "key": i.to_string(), "kind": "effect", "role": OUTSIDE, "title": "effect", "max_attempts": 20 });
        let effects: Vec<Value> = (0..EFFECTS).map(effect).collect();
        stack.post("/api/v1/tasks", &format!("effects-{batches}"), &json!({ "project": "stream", "tasks": effects })).await;
        batches += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    batches * (BATCH + EFFECTS)
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

const LATER: Duration = Duration::from_secs(60);

#[tokio::test]
async fn whatever_breaks_every_task_is_done_once() {
    let (seconds, longer) = (number("CHAOS_SECONDS").unwrap_or(SECONDS), number("CHAOS_SECONDS").is_some());
    let seed = number("CHAOS_SEED").unwrap_or_else(|| if longer { fastrand::u64(..) } else { SEED });
    let mut rng = fastrand::Rng::with_seed(seed);
    let (database, amqp, redis) = (Wire::to(&database_url()), Wire::to(&amqp_url()), Wire::to(&redis_url()));
    let [first, second] = [2, 4].map(|offset| Wire::to(&format!("http://127.0.0.1:{}", BASE + offset)));
    let orchestrators = vec![first.url(), second.url()];
    let servers = Servers { database: Some(&database), amqp: amqp.url(), redis: redis.url(), orchestrators };
    let stack = Stack::up_on(BASE, servers, &[]).await;
    let wires = [("database", database), ("amqp", amqp), ("redis", redis), ("orchestrator-1", first), ("orchestrator-2", second)];
    let network = Network { wires: BTreeMap::from(wires) };
    let outside = Outside { effects: stack.home.path().join("effects"), agents: Default::default() };
    stack.post("/api/v1/projects", "project", &json!({ "name": "stream" })).await;
    let until = Instant::now() + Duration::from_secs(seconds);
    let stop = tokio_util::sync::CancellationToken::new();
    let faults = async {
        let mut struck: BTreeMap<String, usize> = BTreeMap::new();
        let mut first = one_of_each(&mut rng);
        // On a slow machine it takes longer until every kind of fault has come to be.
        while Instant::now() < until || (!first.is_empty() && seconds >= SECONDS && until.elapsed() < LATER) {
            let fault = first.pop().unwrap_or_else(|| draw(&mut rng));
            eprintln!("{fault:?}");
            strike(fault, &stack, &network, &outside).await;
            *struck.entry(format!("{fault:?}").split('(').next().unwrap_or_default().to_owned()).or_default() += 1;
            tokio::time::sleep(Duration::from_millis(rng.u64(500..2_000))).await;
        }
        assert!(first.is_empty() || seconds < SECONDS, "not all kinds of fault came to be: {first:?}");
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
    let agents = futures::future::join_all((0..AGENTS).map(|n| outside.agent(&stack, n, &stop)));
    let ((submitted, struck), longest, _) = tokio::join!(working, stalls(&stack, &stop), agents);
    let finished = stack.database().count(DONE).await;
    let lost = i64::try_from(submitted).unwrap() - finished;
    let [twice, overlaps, unbegun] = check(&stack).await;
    let (effects, again, wrong) = outside.check();
    let wanted = stack.database().count("SELECT count(*) FROM orchestrator.task WHERE kind = 'effect'").await;
    let missing = usize::try_from(wanted).unwrap() - effects;
    let report: Value = json!({
        "submitted": submitted, "finished": finished, "lost": lost + i64::try_from(missing).unwrap(),
        "duplicated": twice + overlaps + unbegun + i64::try_from(wrong).unwrap(), "effects": effects, "effects_of_later_attempts": again,
        "longest_stall_s": longest.as_secs_f64(), "seconds": seconds, "seed": seed, "faults": struck,
    });
    if overlaps > 0 {
        eprintln!("{}", stack.database().text(ODD).await);
    }
    let target = std::path::Path::new(env!("CARGO_BIN_EXE_titan")).with_file_name("chaos.json");
    std::fs::write(target, format!("{report}\n")).unwrap();
    eprintln!("{report}");
    assert_eq!((lost, twice, overlaps, unbegun, missing, wrong), (0, 0, 0, 0, 0, 0), "{report}");
    stack.all_done_once(submitted).await;
    assert!(longest < Duration::from_secs(60), "{report}");
}
