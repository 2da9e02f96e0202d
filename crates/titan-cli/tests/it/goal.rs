//! The main job: from a sentence to a living app.

use std::process::Command;

use serde_json::{Value, json};
use titan_testkit::eventually;

use crate::stack::{Stack, processes, read};

const SENTENCE: &str = "Build a REST API for todos with a title, a done flag and a due date";

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

#[tokio::test]
async fn a_sentence_becomes_a_living_app() {
    let stack = Stack::dev(&[]);
    let output = stack.titan(&["goal", SENTENCE, "--watch"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    for part in
        ["Understood  rest-api for todos: title (text, required)", "55 passed", "0 finding(s)", "Write todos as a REST API", "qa@dev"]
    {
        assert!(out.contains(part), "{part:?} is not in:\n{out}");
    }
    the_app_works(&stack).await;
    a_second_release_takes_over_with_the_data(&stack).await;
    what_it_uses_is_told(&stack).await;
    the_code_can_be_cloned_but_not_pushed(&stack);
    evidence_and_reasons_are_shown(&stack);
    refusals_are_clear(&stack);
    stopping_ends_the_app(&stack);
}

async fn the_app_works(stack: &Stack) {
    let deployments = stack.titan_json(&["deployments"]);
    let deployment = &deployments["items"][0];
    assert_eq!((&deployment["state"], &deployment["health"]["up"]), (&json!("running"), &json!(true)), "{deployment}");
    let url = deployment["url"].as_str().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (status, made) =
        read(http.post(format!("{url}todos")).json(&json!({ "title": "Milk", "due_date": "2026-12-24" })).send().await.unwrap()).await;
    assert_eq!((status, &made["title"], &made["done"]), (201, &json!("Milk"), &json!(false)));
    let (status, refused) =
        read(http.post(format!("{url}todos")).json(&json!({ "title": "Milk", "due_date": "tomorrow" })).send().await.unwrap()).await;
    assert_eq!(status, 422, "{refused}");
    assert!(refused["error"]["fields"]["due_date"].as_str().unwrap().contains("2026-12-24"));
    let logs = text(&stack.titan(&["logs", deployment["id"].as_str().unwrap()]).stdout);
    assert!(logs.contains("POST /todos"), "{logs}");
}

async fn a_second_release_takes_over_with_the_data(stack: &Stack) {
    let project = stack.titan_json(&["projects"])["items"][0]["slug"].as_str().unwrap().to_owned();
    let output = stack.titan(&["goal", SENTENCE, "--project", &project, "--watch"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    let deployments = stack.titan_json(&["deployments"]);
    let states: Vec<_> = deployments["items"].as_array().unwrap().iter().map(|d| d["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["running", "replaced"]);
    let url = deployments["items"][0]["url"].as_str().unwrap();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (status, made) = read(http.post(format!("{url}todos")).json(&json!({ "title": "Bread" })).send().await.unwrap()).await;
    assert_eq!((status, &made["id"]), (201, &json!(2)), "{made}");
}

async fn what_it_uses_is_told(stack: &Stack) {
    let used = |of: &str| {
        let deployments = stack.titan_json(&["deployments"]);
        deployments["items"].as_array().unwrap().iter().filter_map(|d| d["health"]["day"][of].as_u64()).sum::<u64>()
    };
    // Of the three items that were sent, and the answers.
    let told = async || (used("received_bytes") > 60 && used("sent_bytes") > 300 && used("disk_bytes") > 4_096).then_some(());
    eventually("disk and network", told).await;
    let status = text(&stack.titan(&["status"]).stdout);
    assert!(status.contains("DISK") && status.contains("OUT 24H"), "{status}");
    let projects = stack.titan_json(&["projects"]);
    let project = projects["items"][0]["slug"].as_str().unwrap();
    let costs = stack.titan_json(&["costs", project]);
    let cost = &costs["items"][0]["cost"];
    let sum: f64 = ["processor", "memory", "disk", "network"].iter().map(|part| cost[part].as_f64().unwrap()).sum();
    assert!(costs["currency"] == "EUR" && sum > 0.0 && (sum - cost["total"].as_f64().unwrap()).abs() < 1e-12, "{costs}");
    let shown = text(&stack.titan(&["costs", project]).stdout);
    assert!(shown.contains("production") && shown.contains(" EUR"), "{shown}");
}

fn the_code_can_be_cloned_but_not_pushed(stack: &Stack) {
    let project = stack.titan_json(&["projects"])["items"][0].clone();
    let url = format!("{}{}", stack.url, project["repository"].as_str().unwrap());
    let dir = stack.home.path().join("clone");
    let helper = stack.credential_helper();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.args(["-c", &helper]).args(arguments).env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.output().unwrap()
    };
    let cloned = git(&["clone", "-q", &url, &dir.to_string_lossy()]);
    assert!(cloned.status.success(), "{}", text(&cloned.stderr));
    assert!(dir.join("app/server.py").exists() && dir.join("Dockerfile").exists());
    let dir = dir.to_string_lossy();
    let pushed = git(&["-C", &dir, "push", "-q", "origin", "HEAD:refs/heads/evil"]);
    assert!(!pushed.status.success() && text(&pushed.stderr).contains("403"), "{}", text(&pushed.stderr));
    let stranger = Command::new("git").args(["ls-remote", &url]).env("GIT_TERMINAL_PROMPT", "0").output().unwrap();
    assert!(!stranger.status.success(), "it was served without a key");
}

fn evidence_and_reasons_are_shown(stack: &Stack) {
    let tasks = stack.titan_json(&["tasks"]);
    let verify = tasks["items"].as_array().unwrap().iter().find(|t| t["kind"] == "verify").unwrap();
    let shown = text(&stack.titan(&["task", verify["id"].as_str().unwrap(), "--output"]).stdout);
    for part in ["in_progress", "best of 1 with a score of", "tests", "security", "own uid", "Ran 55 tests"] {
        assert!(shown.contains(part), "{part:?} is not in:\n{shown}");
    }
}

fn refusals_are_clear(stack: &Stack) {
    for (sentence, part) in [
        ("Build a mobile app for todos", "mobile app"),
        ("Build a REST API for todos with a title but without a title", "contradicts"),
        ("🚀", "not understood"),
        ("'; DROP TABLE goal; --", "not understood"),
    ] {
        let output = stack.titan(&["goal", sentence, "--watch"]);
        let out = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{out}");
        assert!(out.contains(part) && out.contains("agents.model"), "{sentence}: {out}");
    }
    let empty = stack.titan(&["goal", ""]);
    assert_eq!(empty.status.code(), Some(1));
    assert!(text(&empty.stderr).contains("sentence: must not be empty"), "{}", text(&empty.stderr));
    let unknown = stack.titan(&["goal", SENTENCE, "--project", "nobody"]);
    assert!(text(&unknown.stderr).contains("\"nobody\" was not found"), "{}", text(&unknown.stderr));
}

fn stopping_ends_the_app(stack: &Stack) {
    let id = |page: &Value| page["items"][0]["id"].as_str().unwrap().to_owned();
    let id = id(&stack.titan_json(&["deployments"]));
    assert!(!processes(&id).is_empty());
    stack.titan_json(&["stop", &id]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
    while !processes(&id).is_empty() {
        assert!(std::time::Instant::now() < deadline, "{:?}", processes(&id));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn the_demo_shows_the_whole_way_and_leaves_nothing_behind() {
    let home = tempfile::Builder::new().prefix("titan-it-").tempdir().unwrap();
    let output = crate::stack::titan().arg("demo").env("TITAN_HOME", home.path()).output().unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    for part in ["Understood", "55 passed", "0 finding(s)", "git clone", "Duration", "201 {", "422 {", "Everything it started is stopped."]
    {
        assert!(out.contains(part), "{part:?} is not in:\n{out}");
    }
    assert_eq!(processes("titan-demo"), Vec::<String>::new());
    assert_eq!(processes(&home.path().to_string_lossy()), Vec::<String>::new());
}

#[test]
fn a_gateway_that_is_not_there_has_its_own_exit_code() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("api-key"), "titan_key_x").unwrap();
    let output = crate::stack::titan().arg("--home").arg(home.path()).args(["--url", "http://127.0.0.1:1", "agents"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("titan dev"), "{}", text(&output.stderr));
}
