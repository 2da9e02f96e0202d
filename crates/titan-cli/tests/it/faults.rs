//! What is killed must not matter: every task is done once, none is lost, nothing stays behind.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use titan_testkit::eventually;

use crate::stack::{Stack, processes};

const PROCESSES: &[&str] = &["gateway", "orchestrator-1", "orchestrator-2", "worker-1", "worker-2", "deployment", "monitoring"];

/// Posts until it is accepted, as a patient client would; the key makes the tries one.
async fn post(stack: &Stack, path: &str, key: &str, body: &Value) -> Value {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let answer = stack.request("POST", path).header("idempotency-key", key).json(body).send().await;
        if let Ok(answer) = answer {
            let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default());
            assert!(status < 300 || status == 409 || status >= 500, "{status} {body}");
            if status < 300 {
                return body;
            }
        }
        assert!(Instant::now() < deadline, "POST {path} was not accepted in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn submit(stack: &Stack, round: usize) {
    let noop = |i: usize| json!({ "key": i.to_string(), "kind": "noop", "role": "runner", "title": "noop", "input": { "wait_ms": 150 } });
    let tasks: Vec<_> = (0..40).map(noop).collect();
    post(stack, "/api/v1/tasks", &format!("round-{round}"), &json!({ "project": "stream", "tasks": tasks })).await;
}

fn workspaces(stack: &Stack) -> usize {
    let workers = std::fs::read_dir(stack.home.path().join("workspaces")).unwrap().flatten();
    workers.map(|worker| std::fs::read_dir(worker.path()).unwrap().count()).sum()
}

/// A private server of the test machine is killed and started again; false when the servers are not ours.
fn kill_server(name: &str) -> bool {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/servers.sh");
    let killed = Command::new(script).args(["kill", name]).status().unwrap();
    if killed.code() == Some(3) {
        return false;
    }
    assert!(killed.success());
    assert!(Command::new(script).args(["revive", name]).status().unwrap().success());
    true
}

#[tokio::test]
async fn a_stream_of_tasks_survives_kill_of_everything() {
    let stack = Stack::up(17_200, &[]).await;
    post(&stack, "/api/v1/projects", "project", &json!({ "name": "stream" })).await;
    let mut rounds = 0;
    for name in PROCESSES {
        submit(&stack, rounds).await;
        stack.kill(name);
        submit(&stack, rounds + 1).await;
        rounds += 2;
    }
    // The servers are shared with the tests beside this one, which live through it: they retry as users would.
    for server in ["rabbitmq", "postgres"] {
        submit(&stack, rounds).await;
        if kill_server(server) {
            rounds += 1;
            submit(&stack, rounds).await;
        }
        rounds += 1;
    }
    let expected = i64::try_from(rounds * 40).unwrap();
    let database = stack.database();
    eventually("every task done", async || {
        (database.count("SELECT count(*) FROM orchestrator.task WHERE state = 'done'").await == expected).then_some(())
    })
    .await;
    assert_eq!(database.count("SELECT count(*) FROM orchestrator.task").await, expected, "submitted once");
    let twice = "SELECT count(*) FROM (SELECT task_id FROM orchestrator.task_change WHERE to_state = 'done' AND from_state <> 'done' GROUP BY 1 HAVING count(*) <> 1) x";
    assert_eq!(database.count(twice).await, 0, "done once");
    assert_eq!(database.count("SELECT count(*) FROM agent_worker.step WHERE outcome IS NULL").await, 0, "no step is open");
    eventually("every event delivered", async || {
        let sql = "SELECT count(*) FROM gateway.event_log WHERE name = 'task.completed'";
        let waiting = "SELECT count(*) FROM orchestrator.outbox";
        eprintln!("{} of {expected} logged, {} in the outbox", database.count(sql).await, database.count(waiting).await);
        (database.count(sql).await == expected && database.count(waiting).await == 0).then_some(())
    })
    .await;
    let events = "SELECT count(DISTINCT subject) FROM gateway.event_log WHERE name = 'task.completed'";
    assert_eq!(database.count(events).await, expected, "told once each");
    let live = "SELECT count(*) FROM orchestrator.worker_session WHERE state <> 'expired'";
    eventually("no lease left behind", async || (database.count(live).await == 2).then_some(())).await;
    let owned = "SELECT count(*) FROM orchestrator.task WHERE session_id IS NOT NULL OR state IN ('assigned', 'in_progress')";
    assert_eq!(database.count(owned).await, 0);
    let home = stack.home.path().to_string_lossy().into_owned();
    let services = processes(&home).into_iter().filter(|line| line.contains("--config")).count();
    assert_eq!(services, PROCESSES.len(), "{:?}", processes(&home));
    assert_eq!(workspaces(&stack), 0, "no workspace left behind");
}

#[tokio::test]
async fn a_goal_survives_kill_of_every_process() {
    let stack = Stack::up(17_300, &[]).await;
    let mut goals = Vec::new();
    for (i, name) in PROCESSES.iter().enumerate() {
        let body = json!({ "sentence": format!("Build a REST API for things{i} with a name and a price") });
        let goal = post(&stack, "/api/v1/goals", &format!("goal-{i}"), &body).await;
        // Each at another moment of the work.
        tokio::time::sleep(Duration::from_millis(400 + 700 * i as u64)).await;
        stack.kill(name);
        goals.push(goal["id"].as_str().unwrap().to_owned());
    }
    let deadline = Instant::now() + Duration::from_secs(150);
    for id in &goals {
        loop {
            let goal = match stack.request("GET", &format!("/api/v1/goals/{id}")).send().await {
                Ok(answer) => answer.json::<Value>().await.unwrap_or_default(),
                Err(_) => Value::Null,
            };
            match goal["state"].as_str() {
                Some("done") => break,
                Some("failed") => panic!("{goal}"),
                _ => assert!(Instant::now() < deadline, "{goal}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    let database = stack.database();
    let count = i64::try_from(goals.len()).unwrap();
    // Effects outside happened once: a deployment a goal, a plan's tasks once.
    assert_eq!(database.count("SELECT count(*) FROM deployment.deployment").await, count);
    assert_eq!(database.count("SELECT count(*) FROM orchestrator.task").await, count * 4);
    assert_eq!(database.count("SELECT count(*) FROM deployment.deployment WHERE state = 'running'").await, count);
    let repeated = "SELECT count(*) FROM agent_worker.step WHERE outcome IS NULL";
    assert_eq!(database.count(repeated).await, 0);
    for id in &goals {
        let tasks = stack.get(&format!("/api/v1/tasks?goal={id}")).await;
        let url = tasks["items"].as_array().unwrap().iter().find_map(|t| t["result"]["url"].as_str()).unwrap().to_owned();
        let healthy = async || reqwest::get(format!("{url}health")).await.ok().filter(|a| a.status() == 200);
        eventually("the app to answer", healthy).await;
    }
    // One process an app, and no sandbox of a test run.
    let home = stack.home.path().to_string_lossy().into_owned();
    let sandboxes = processes("/usr/bin/bwrap").into_iter().filter(|l| l.contains(&home) && !l.contains("TITAN_DEPLOYMENT")).count();
    assert_eq!(sandboxes, 0);
    assert_eq!(workspaces(&stack), 0, "no workspace left behind");
}

/// Every place in the code where a crash is the most awkward.
const POINTS: &[&str] = &[
    "goal.before_commit",
    "goal.after_commit",
    "submit.before_commit",
    "submit.after_commit",
    "claim.before_commit",
    "claim.after_commit",
    "finish.before_commit",
    "finish.after_commit",
    "result.after_commit_before_ack",
    "step.after_intent",
    "step.after_effect",
    "inbox.before_commit",
    "inbox.after_commit_before_ack",
    "outbox.after_publish_before_delete",
    "deployment.before_spawn",
    "deployment.after_spawn",
];

#[tokio::test]
async fn a_goal_survives_a_crash_at_every_fault_point() {
    let armed = tempfile::tempdir().unwrap();
    let stack = Stack::up(17_400, &[("TITAN_FAULTS", &armed.path().to_string_lossy())]).await;
    for point in POINTS {
        std::fs::write(armed.path().join(point), "").unwrap();
    }
    let body = json!({ "sentence": "Build a REST API for boxes with a name and a weight" });
    let goal = post(&stack, "/api/v1/goals", "goal", &body).await["id"].as_str().unwrap().to_owned();
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        let shown = match stack.request("GET", &format!("/api/v1/goals/{goal}")).send().await {
            Ok(answer) => answer.json::<Value>().await.unwrap_or_default(),
            Err(_) => Value::Null,
        };
        match shown["state"].as_str() {
            Some("done") => break,
            Some("failed") => panic!("{shown}"),
            _ => assert!(Instant::now() < deadline, "{shown}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let left: Vec<_> = std::fs::read_dir(armed.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(left.is_empty(), "no process came to {left:?}");
    let database = stack.database();
    assert_eq!(database.count("SELECT count(*) FROM orchestrator.goal").await, 1);
    assert_eq!(database.count("SELECT count(*) FROM orchestrator.task").await, 4);
    assert_eq!(database.count("SELECT count(*) FROM deployment.deployment WHERE state = 'running'").await, 1);
    let told = "SELECT count(*) FROM gateway.event_log WHERE name = 'task.completed'";
    eventually("every event, once", async || (database.count(told).await == 4).then_some(())).await;
    assert_eq!(database.count("SELECT count(*) - count(DISTINCT event->>'id') FROM gateway.event_log").await, 0);
    let id = stack.get("/api/v1/deployments").await["items"][0]["id"].as_str().unwrap().to_owned();
    let outermost = |line: &String| line.starts_with("/usr/bin/bwrap");
    eventually("one process of the app", async || {
        // bwrap keeps a copy of itself inside.
        let copies = processes(&id).into_iter().filter(outermost).count();
        (1..=2).contains(&copies).then_some(())
    })
    .await;
}
