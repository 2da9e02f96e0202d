//! What is away, or stands still, for longer than a lease: nothing is lost, and nobody acts on a lease that ended.

use std::process::{Child, Command};
use std::time::Duration;

use serde_json::{Value, json};
use titan_testkit::{Wire, amqp_url, database_url, eventually, redis_url};

use crate::stack::{Servers, Stack, processes};

/// The orchestrator's default.
const LEASE: Duration = Duration::from_secs(8);

fn signal(pid: u32, signal: &str) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

async fn submit(stack: &Stack, key: &str, count: usize, wait_ms: u64) {
    let noop =
        |i: usize| json!({ "key": i.to_string(), "kind": "noop", "role": "runner", "title": "noop", "input": { "wait_ms": wait_ms } });
    let tasks: Vec<_> = (0..count).map(noop).collect();
    let body = json!({ "project": "stream", "tasks": tasks });
    let answer = stack.request("POST", "/api/v1/tasks").header("idempotency-key", key).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
}

async fn with_project(base: u16, servers: Servers<'_>) -> Stack {
    let stack = Stack::up_on(base, servers, &[]).await;
    assert_eq!(stack.call("POST", "/api/v1/projects", Some(json!({ "name": "stream" }))).await.0, 201);
    stack
}

async fn count(stack: &Stack, state: &str) -> i64 {
    stack.database().count(&format!("SELECT count(*) FROM orchestrator.task WHERE state = '{state}'")).await
}

async fn all_done_once(stack: &Stack, expected: i64) {
    eventually("every task done", async || (count(stack, "done").await == expected).then_some(())).await;
    let twice = "SELECT count(*) FROM (SELECT task_id FROM orchestrator.task_change WHERE to_state = 'done' AND from_state <> 'done' GROUP BY 1 HAVING count(*) <> 1) x";
    assert_eq!(stack.database().count(twice).await, 0, "done once");
    let told = "SELECT count(*) FROM gateway.event_log WHERE name = 'task.completed'";
    eventually("every event told", async || (stack.database().count(told).await == expected).then_some(())).await;
    let subjects = "SELECT count(DISTINCT subject) FROM gateway.event_log WHERE name = 'task.completed'";
    assert_eq!(stack.database().count(subjects).await, expected, "told once each");
    assert_eq!(stack.database().count("SELECT count(*) FROM agent_worker.step WHERE outcome IS NULL").await, 0, "no step is open");
}

async fn ready(stack: &Stack) -> u16 {
    reqwest::get(format!("{}/health/ready", stack.url)).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn all_servers_away_for_longer_than_a_lease() {
    let (database, amqp, redis) = (Wire::to(&database_url()), Wire::to(&amqp_url()), Wire::to(&redis_url()));
    let servers = Servers { database: Some(&database), amqp: amqp.url(), redis: redis.url() };
    let stack = with_project(17_500, servers).await;
    submit(&stack, "short", 60, 700).await;
    submit(&stack, "long", 4, 14_000).await;
    eventually("work going on", async || (count(&stack, "in_progress").await > 10).then_some(())).await;
    for wire in [&database, &amqp, &redis] {
        wire.cut().await;
    }
    // Those that start now find no database.
    stack.kill("orchestrator-1");
    stack.kill("worker-1");
    eventually("not ready", async || (ready(&stack).await == 503).then_some(())).await;
    let (status, problem) = stack.call("GET", "/api/v1/tasks", None).await;
    assert!(status == 503 || status == 500, "{status} {problem}");
    tokio::time::sleep(LEASE + Duration::from_secs(4)).await;
    for wire in [&database, &amqp, &redis] {
        wire.mend();
    }
    eventually("ready again", async || (ready(&stack).await == 200).then_some(())).await;
    all_done_once(&stack, 64).await;
    submit(&stack, "after", 20, 0).await;
    all_done_once(&stack, 84).await;
}

#[tokio::test]
async fn a_worker_that_stands_still_past_its_lease() {
    let stack = with_project(17_600, Servers::default()).await;
    submit(&stack, "stream", 40, 2_000).await;
    let sql = "SELECT count(DISTINCT session_id) FROM orchestrator.task WHERE state = 'in_progress'";
    eventually("both at work", async || (stack.database().count(sql).await == 2).then_some(())).await;
    let paused = stack.pid("worker-1");
    signal(paused, "-STOP");
    eventually("the other one does it all", async || (count(&stack, "done").await == 40).then_some(())).await;
    assert!(stack.database().count("SELECT count(*) FROM orchestrator.task WHERE attempt > 1").await > 0, "its tasks were taken away");
    signal(paused, "-CONT");
    let live = "SELECT count(*) FROM orchestrator.worker_session WHERE state = 'connected'";
    eventually("it is back", async || (stack.database().count(live).await == 2).then_some(())).await;
    submit(&stack, "after", 40, 50).await;
    all_done_once(&stack, 80).await;
}

/// A second replica beside the one of `titan up`, on ports of its own.
fn second_deployment(stack: &Stack, base: u16) -> (Child, String) {
    let run = stack.home.path().join("run");
    let mut settings = std::fs::read_to_string(run.join("deployment.toml")).unwrap();
    for (port, other) in [(base + 12, base + 32), (base + 13, base + 33)] {
        settings = settings.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:{other}"));
    }
    // Its own door, under the address that people know.
    let proxy = format!("127.0.0.1:{}", base + 28);
    settings = settings.replace(&format!("address = \"127.0.0.1:{}\"", base + 8), &format!("address = \"{proxy}\""));
    let file = run.join("deployment-2.toml");
    std::fs::write(&file, settings).unwrap();
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_titan")).with_file_name("titan-deployment");
    let log = std::fs::File::create(run.join("deployment-2.log")).unwrap();
    let child = Command::new(program).arg("--config").arg(file).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    (child, proxy)
}

#[tokio::test]
async fn a_deployment_replica_that_stands_still_loses_its_apps_to_another_one() {
    const BASE: u16 = 17_700;
    let stack = Stack::up(BASE, &[]).await;
    let output = stack.titan(&["goal", "Build a REST API for boxes with a name", "--watch"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let deployment = stack.titan_json(&["deployments"])["items"][0].clone();
    let id = deployment["id"].as_str().unwrap();
    let (mut second, proxy) = second_deployment(&stack, BASE);
    let first = stack.pid("deployment");
    signal(first, "-STOP");
    let owners = "SELECT count(DISTINCT owner) FROM deployment.deployment WHERE owner_until > now()";
    eventually("the lease ends", async || (stack.database().count(owners).await == 0).then_some(())).await;
    eventually("the other one has it", async || (stack.database().count(owners).await == 1).then_some(())).await;
    // Its app dies: the new owner starts it again, and the old one, when it wakes, does not.
    let pid = async || stack.database().count("SELECT coalesce(pid, 0)::bigint FROM deployment.deployment").await;
    let before = pid().await;
    Command::new("pkill").args(["-9", "-f", &format!("bwrap.*{id}")]).status().unwrap();
    eventually("a new process", async || Some(pid().await).filter(|now| *now != before && *now != 0)).await;
    let slug = deployment["project"].as_str().unwrap();
    let healthy = async || reqwest::get(format!("http://{proxy}/{slug}/health")).await.ok().filter(|a| a.status() == 200);
    eventually("the app behind the other one", healthy).await;
    signal(first, "-CONT");
    let restarted = pid().await;
    let awake = async || reqwest::get(deployment["url"].as_str().unwrap()).await.ok().filter(|a| a.status() != 502);
    eventually("the first one serves again", awake).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(pid().await, restarted);
    assert!((1..=2).contains(&outermost(id)), "one app: {:?}", processes(id));
    signal(second.id(), "-TERM");
    second.wait().unwrap();
    eventually("the first one has it again", async || (stack.database().count(owners).await == 1).then_some(())).await;
    assert_eq!(pid().await, restarted, "the app went on");
    let shown: Value = stack.get(&format!("/api/v1/deployments/{id}")).await;
    assert_eq!((&shown["state"], &shown["restarts"]), (&json!("running"), &json!(1)), "{shown}");
}

/// bwrap keeps a copy of itself inside.
fn outermost(id: &str) -> usize {
    processes(id).into_iter().filter(|line| line.starts_with("/usr/bin/bwrap")).count()
}
