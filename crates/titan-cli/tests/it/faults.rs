//! What is killed must not matter: every task is done once, none is lost, nothing stays behind.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use titan_testkit::{Wire, amqp_url, database_url, eventually};

use crate::stack::{PROCESSES, Servers, Stack, outermost_sandboxes, processes};

fn workspaces(stack: &Stack) -> usize {
    let workers = std::fs::read_dir(stack.home.path().join("workspaces")).unwrap().flatten();
    workers.map(|worker| std::fs::read_dir(worker.path()).unwrap().count()).sum()
}

/// A private server of the test machine is killed and started again; false when the servers are not ours.
pub(crate) fn kill_server(name: &str) -> bool {
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
    let (database, amqp) = (Wire::to(&database_url()), Wire::to(&amqp_url()));
    let stack = Stack::up_on(17_200, Servers { database: Some(&database), amqp: amqp.url(), ..Servers::default() }, &[]).await;
    stack.post("/api/v1/projects", "project", &json!({ "name": "stream" })).await;
    let mut rounds = 0;
    let submit = async |rounds: &mut usize| {
        stack.submit_noops(&format!("round-{rounds}"), 40, 150).await;
        *rounds += 1;
    };
    for name in PROCESSES {
        submit(&mut rounds).await;
        stack.signal(name, "-9");
        submit(&mut rounds).await;
    }
    // The servers are shared with the tests beside this one, which live through it: they retry as users would. Those that
    // are not ours are cut off instead.
    for (server, wire) in [("rabbitmq", &amqp), ("postgres", &database)] {
        submit(&mut rounds).await;
        if !kill_server(server) {
            wire.cut().await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            wire.mend();
        }
        submit(&mut rounds).await;
    }
    stack.all_done_once(rounds * 40).await;
    let database = stack.database();
    let waiting = "SELECT count(*) FROM orchestrator.outbox";
    eventually("every event delivered", async || (database.count(waiting).await == 0).then_some(())).await;
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
        let goal = stack.post("/api/v1/goals", &format!("goal-{i}"), &body).await;
        // Each at another moment of the work.
        tokio::time::sleep(Duration::from_millis(400 + 700 * i as u64)).await;
        stack.signal(name, "-9");
        goals.push(goal["id"].as_str().unwrap().to_owned());
    }
    for id in &goals {
        stack.goal_done(id, Duration::from_secs(150)).await;
    }
    let database = stack.database();
    let count = i64::try_from(goals.len()).unwrap();
    // Effects outside happened once: a deployment a goal, a plan's tasks once.
    assert_eq!(database.count("SELECT count(*) FROM deployment.deployment").await, count);
    assert_eq!(database.count("SELECT count(*) FROM orchestrator.task").await, count * 4);
    assert_eq!(database.count("SELECT count(*) FROM deployment.deployment WHERE state = 'running'").await, count);
    assert_eq!(database.count("SELECT count(*) FROM agent_worker.step WHERE outcome IS NULL").await, 0, "no step is open");
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
    eventually("no workspace left behind", async || (workspaces(&stack) == 0).then_some(())).await;
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
    let goal = stack.post("/api/v1/goals", "goal", &body).await["id"].as_str().unwrap().to_owned();
    stack.goal_done(&goal, Duration::from_secs(180)).await;
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
    eventually("one process of the app", async || (1..=2).contains(&outermost_sandboxes(&id)).then_some(())).await;
}
