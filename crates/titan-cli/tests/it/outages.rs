//! What is away, or stands still, for longer than a lease: nothing is lost, and nobody acts on a lease that ended.

use std::process::{Child, Command};
use std::time::Duration;

use serde_json::{Value, json};
use titan_testkit::{Wire, amqp_url, database_url, eventually, redis_url};

use crate::stack::{PROCESSES, Servers, Stack, outermost_sandboxes, processes, send};

/// The orchestrator's default.
const LEASE: Duration = Duration::from_secs(8);

async fn with_project(base: u16, servers: Servers<'_>) -> Stack {
    let stack = Stack::up_on(base, servers, &[]).await;
    assert_eq!(stack.call("POST", "/api/v1/projects", Some(json!({ "name": "stream" }))).await.0, 201);
    stack
}

async fn count(stack: &Stack, state: &str) -> i64 {
    stack.database().count(&format!("SELECT count(*) FROM orchestrator.task WHERE state = '{state}'")).await
}

async fn ready(stack: &Stack) -> u16 {
    reqwest::get(format!("{}/health/ready", stack.url)).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn all_servers_away_for_longer_than_a_lease() {
    let (database, amqp, redis) = (Wire::to(&database_url()), Wire::to(&amqp_url()), Wire::to(&redis_url()));
    let servers = Servers { database: Some(&database), amqp: amqp.url(), redis: redis.url(), ..Servers::default() };
    let stack = with_project(17_500, servers).await;
    stack.submit_noops("short", 60, 700).await;
    stack.submit_noops("long", 4, 9_000).await;
    let body = json!({ "sentence": "Build a REST API for boxes with a name" });
    let goal = stack.post("/api/v1/goals", "goal", &body).await["id"].as_str().unwrap().to_owned();
    eventually("work going on", async || (count(&stack, "in_progress").await > 10).then_some(())).await;
    for wire in [&database, &amqp, &redis] {
        wire.cut().await;
    }
    // Those that start now find no database.
    stack.signal("orchestrator-1", "-9");
    stack.signal("worker-1", "-9");
    eventually("not ready", async || (ready(&stack).await == 503).then_some(())).await;
    let (status, problem) = stack.call("GET", "/api/v1/tasks", None).await;
    assert_eq!(status, 503, "{problem}");
    tokio::time::sleep(LEASE + Duration::from_secs(4)).await;
    for wire in [&database, &amqp, &redis] {
        wire.mend();
    }
    eventually("ready again", async || (ready(&stack).await == 200).then_some(())).await;
    stack.goal_done(&goal, Duration::from_secs(60)).await;
    assert_eq!(stack.database().count("SELECT count(*) FROM deployment.deployment").await, 1, "deployed once");
    stack.all_done_once(64 + 4).await;
    stack.submit_noops("after", 20, 0).await;
    stack.all_done_once(84 + 4).await;
}

#[tokio::test]
async fn a_worker_that_stands_still_past_its_lease() {
    let stack = with_project(17_600, Servers::default()).await;
    stack.submit_noops("stream", 40, 2_000).await;
    let sql = "SELECT count(DISTINCT session_id) FROM orchestrator.task WHERE state = 'in_progress'";
    eventually("both at work", async || (stack.database().count(sql).await == 2).then_some(())).await;
    let paused = stack.pid("worker-1");
    send(paused, "-STOP");
    eventually("the other one does it all", async || (count(&stack, "done").await == 40).then_some(())).await;
    assert!(stack.database().count("SELECT count(*) FROM orchestrator.task WHERE attempt > 1").await > 0, "its tasks were taken away");
    send(paused, "-CONT");
    let live = "SELECT count(*) FROM orchestrator.worker_session WHERE state = 'connected'";
    eventually("it is back", async || (stack.database().count(live).await == 2).then_some(())).await;
    stack.submit_noops("after", 40, 50).await;
    stack.all_done_once(80).await;
}

/// A second replica beside the one of `titan up`, on ports of its own.
fn second_deployment(stack: &Stack, base: u16) -> Child {
    let run = stack.home.path().join("run");
    let mut settings = std::fs::read_to_string(run.join("deployment.toml")).unwrap();
    for (port, other) in [(base + 12, base + 32), (base + 13, base + 33)] {
        settings = settings.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{other}"));
    }
    let file = run.join("deployment-2.toml");
    std::fs::write(&file, settings).unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_titan")).with_file_name("titan-deployment");
    let log = std::fs::File::create(run.join("deployment-2.log")).unwrap();
    Command::new(program).arg("--config").arg(file).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

#[tokio::test]
async fn a_deployment_replica_that_stands_still_loses_its_apps_to_another_one() {
    const BASE: u16 = 17_700;
    let stack = Stack::up(BASE, &[]).await;
    let output = stack.titan(&["goal", "Build a REST API for boxes with a name", "--watch"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let deployment = stack.titan_json(&["deployments"])["items"][0].clone();
    let id = deployment["id"].as_str().unwrap();
    let mut second = second_deployment(&stack, BASE);
    let first = stack.pid("deployment");
    send(first, "-STOP");
    let owner = async || stack.database().count("SELECT coalesce(hashtext(owner), 0)::bigint FROM deployment.deployment").await;
    let stopped = owner().await;
    eventually("the other one has it", async || (owner().await != stopped).then_some(())).await;
    // Its app dies: the new owner starts it again, and the old one, when it wakes, does not.
    let pid = async || stack.database().count("SELECT coalesce(pid, 0)::bigint FROM deployment.deployment").await;
    let before = pid().await;
    Command::new("pkill").args(["-9", "-f", &format!("bwrap.*{id}")]).status().unwrap();
    eventually("a new process", async || Some(pid().await).filter(|now| *now != before && *now != 0)).await;
    let healthy = async || reqwest::get(format!("{}health", deployment["url"].as_str().unwrap())).await.ok().filter(|a| a.status() == 200);
    eventually("the app, while the first one stands still", healthy).await;
    send(first, "-CONT");
    let restarted = pid().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(pid().await, restarted);
    assert!((1..=2).contains(&outermost_sandboxes(id)), "one app: {:?}", processes(id));
    send(second.id(), "-TERM");
    second.wait().unwrap();
    eventually("the first one has it again", async || (owner().await == stopped).then_some(())).await;
    assert_eq!(pid().await, restarted, "the app went on");
    let shown: Value = stack.get(&format!("/api/v1/deployments/{id}")).await;
    assert_eq!((&shown["state"], &shown["restarts"]), (&json!("running"), &json!(1)), "{shown}");
}

#[tokio::test]
async fn a_rolling_restart_loses_no_attempt() {
    let stack = with_project(17_800, Servers::default()).await;
    for (round, name) in PROCESSES.iter().enumerate() {
        stack.submit_noops(&format!("round-{round}"), 30, 400).await;
        let before = stack.pid(name);
        stack.signal(name, "-TERM");
        eventually(name, async || (stack.pid(name) != before).then_some(())).await;
    }
    stack.all_done_once(PROCESSES.len() * 30).await;
    let lost = "SELECT count(*) FROM orchestrator.task WHERE losses > 0 OR failures > 0";
    assert_eq!(stack.database().count(lost).await, 0, "what ran was finished before its worker stopped");
}

/// What every service shows on its own.
#[tokio::test]
async fn every_service_shows_its_health_metrics_and_settings() {
    const BASE: u16 = 17_900;
    let stack = Stack::up(BASE, &[]).await;
    for (offset, service, name) in [
        (1, "gateway", "gateway"),
        (3, "orchestrator", "orchestrator-1"),
        (7, "agent-worker", "worker-1"),
        (13, "deployment", "deployment"),
        (15, "monitoring", "monitoring"),
    ] {
        let get = async |path: &str| {
            let answer = reqwest::get(format!("http://127.0.0.1:{}{path}", BASE + offset)).await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        assert_eq!((get("/health/live").await.0, get("/health/ready").await.0), (200, 200), "{name}");
        let (status, metrics) = get("/metrics").await;
        assert!(status == 200 && metrics.contains(&format!("titan_build_info{{service=\"{service}\"")), "{metrics}");
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_titan")).with_file_name(format!("titan-{service}"));
        let run = |verb: &str| {
            let file = stack.home.path().join(format!("run/{name}.toml"));
            let output = Command::new(&program).arg("--config").arg(file).arg(verb).output().unwrap();
            assert!(output.status.success(), "{name} {verb}: {}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        let shown = run("config");
        let key = std::fs::read_to_string(stack.home.path().join("signing-key")).unwrap();
        assert!(shown.contains("[database]") && shown.contains("pool_size") && !shown.contains(key.trim()), "{shown}");
        run("migrate");
    }
}
