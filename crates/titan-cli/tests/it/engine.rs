//! The engine by hand, as the command line's users steer it.

use serde_json::{Value, json};
use titan_testkit::{eventually, eventually_within};

use crate::stack::Stack;

fn submit(stack: &Stack, arguments: &[&str]) -> Value {
    let fixed = ["submit", "--project", "stream", "--kind", "noop", "--role", "runner"];
    stack.titan_json(&[&fixed, arguments].concat())["tasks"][0].clone()
}

fn shown(stack: &Stack, arguments: &[&str]) -> String {
    let output = stack.titan(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn tasks_are_submitted_explained_steered_and_audited() {
    let stack = Stack::dev(&[]);
    assert_eq!(shown(&stack, &["project", "create", "stream"]), "stream\n");
    let state = async |id: &str| stack.get(&format!("/api/v1/tasks/{id}")).await["state"].clone();

    let task = submit(&stack, &["--title", "Say nothing", "--label", "quiet", "--priority", "7", "--idempotency-key", "once"]);
    let id = task["id"].as_str().unwrap();
    assert_eq!(submit(&stack, &["--title", "Say nothing", "--label", "quiet", "--priority", "7", "--idempotency-key", "once"])["id"], id);
    eventually("the task", async || (state(id).await == "done").then_some(())).await;
    let why = shown(&stack, &["why", id]);
    assert!(why.contains("was chosen of 1 with a score of") && why.contains("workload 1"), "{why}");
    let audit: Vec<Value> = shown(&stack, &["audit", id]).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let story: Vec<_> = audit.iter().map(|line| line["to"].as_str().or(line["what"].as_str()).unwrap()).collect();
    assert_eq!(story, ["submitted", "assigned", "in_progress", "done", "ended"]);
    assert!(audit[0]["who"].as_str().unwrap().starts_with("user_") && audit[1]["choice"]["workload"] == 1.0, "{audit:?}");

    let needy = submit(&stack, &["--title", "Play", "--skill", "piano=0.9", "--concurrency-key", "hall"]);
    let needy = needy["id"].as_str().unwrap();
    let why = shown(&stack, &["why", needy]);
    assert!(why.contains("no agent that may take it") && why.contains("it has no skill in piano"), "{why}");
    let waiting = submit(&stack, &["--title", "Wait", "--concurrency-key", "hall"]);
    let why = shown(&stack, &["why", waiting["id"].as_str().unwrap()]);
    assert!(why.contains("it waits for the concurrency key \"hall\": 1 of 1"), "{why}");
    let refused = stack.titan(&["hand-off", needy, "--to", "runner@dev"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("it has no skill in piano"), "{refused:?}");
    assert!(shown(&stack, &["cancel", needy, "--reason", "no piano"]).contains("cancelled"));
    eventually("the next one has the hall", async || (state(waiting["id"].as_str().unwrap()).await == "done").then_some(())).await;

    assert!(shown(&stack, &["agent", "drain", "runner@dev", "--reason", "lunch"]).contains("draining"));
    let late = submit(&stack, &["--title", "Later", "--label", "late"]);
    let late = late["id"].as_str().unwrap();
    let why = shown(&stack, &["why", late]);
    assert!(why.contains("it is draining: lunch"), "{why}");
    assert!(shown(&stack, &["bulk", "priority", "9", "--project", "stream", "--label", "late"]).contains("1 task(s) changed"));
    assert!(shown(&stack, &["agent", "return", "runner@dev"]).contains("idle"));
    assert!(shown(&stack, &["agent", "trigger", "runner@dev"]).contains("runner@dev"));
    eventually("the late one", async || (state(late).await == "done").then_some(())).await;

    let bad =
        stack.titan_json(&["submit", "--project", "stream", "--kind", "sing", "--role", "runner", "--title", "Fail"])["tasks"][0].clone();
    let bad = bad["id"].as_str().unwrap();
    eventually("a dead letter", async || (state(bad).await == "failed").then_some(())).await;
    assert!(shown(&stack, &["dead-letters", "--project", "stream"]).contains(bad));
    assert!(!shown(&stack, &["dead-letters", "--project", "stream", "--label", "a#b&c"]).contains(bad), "labels are any text");
    assert!(shown(&stack, &["dead-letters", "replay", "--project", "stream", "--rate", "100"]).contains("1 task(s) changed"));
    eventually("dead again", async || (stack.get(&format!("/api/v1/tasks/{bad}")).await["attempt"] == 2).then_some(())).await;
    eventually("dead again", async || (state(bad).await == "failed").then_some(())).await;
    assert!(shown(&stack, &["dead-letters", "discard", "--project", "stream"]).contains("1 task(s) changed"));
    assert!(!shown(&stack, &["dead-letters", "--project", "stream"]).contains(bad));

    let hopeless = submit(&stack, &["--title", "Sing 100% alone", "--skill", "song", "--budget-usd", "0.50"]);
    let hopeless = hopeless["id"].as_str().unwrap();
    assert!(
        shown(&stack, &["edit", hopeless, "--title", "Sing 100% together", "--priority", "8", "--due", "2036-01-01T00:00:00Z"])
            .contains("together")
    );
    let edited = stack.get(&format!("/api/v1/tasks/{hopeless}")).await;
    assert_eq!(
        (&edited["priority"], &edited["due_at"], &edited["budget"]),
        (&json!(8), &json!("2036-01-01T00:00:00.000Z"), &json!({ "usd_micros": 500_000 }))
    );
    assert!(shown(&stack, &["task", hopeless]).contains("spent    0.0000 of 0.5000 US dollars"));
    let found = |words: &str| shown(&stack, &["tasks", "--project", "stream", "--search", words]);
    assert!(found("100% SING").contains(hopeless) && found("alone").contains("none yet"));
    let refused = stack.titan(&["delete", hopeless]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("has not ended; cancel it first"), "{refused:?}");
    shown(&stack, &["cancel", hopeless]);
    assert!(shown(&stack, &["delete", hopeless]).contains("deleted"));
    assert!(found("together").contains("none yet"));

    let add = ["schedule", "add", "--project", "stream", "--name", "beat", "--every", "3600", "--task"];
    let task = r#"{"kind": "noop", "role": "runner", "title": "Beat"}"#;
    let schedule = stack.titan_json(&[&add[..], &[task]].concat())["id"].as_str().unwrap().to_owned();
    assert!(shown(&stack, &["schedule", "list"]).contains("every 3600 s"));
    assert!(shown(&stack, &["schedule", "show", &schedule]).contains("beat"));
    shown(&stack, &["message", "send", "--agent", "runner@dev", "Mind the step"]);
    let message = stack.titan_json(&["message", "read", "runner@dev"])["messages"][0]["id"].as_str().unwrap().to_owned();
    let said = shown(&stack, &["message", "show", &message]);
    assert!(said.contains("Mind the step") && said.contains("read by  0 of 1") && said.contains("not by   runner@dev"), "{said}");
    let ran = stack.titan_json(&["schedule", "run", &schedule]);
    let made = ran["last_made"].as_str().unwrap().to_owned();
    eventually("what it made", async || (state(&made).await == "done").then_some(())).await;
    shown(&stack, &["schedule", "delete", &schedule]);
    assert!(!shown(&stack, &["schedule", "list"]).contains(&schedule));
}

#[tokio::test]
async fn a_command_becomes_an_agent() {
    let stack = Stack::dev(&[]);
    stack.post("/api/v1/projects", "project", &json!({ "name": "stream" })).await;
    let task = |title: &str| {
        stack.titan_json(&["submit", "--project", "stream", "--kind", "shout", "--role", "shouter", "--title", title, "--label", "loud"])
            ["tasks"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let work = |script: &str| {
        let fixed =
            ["work", "--name", "sh", "--role", "shouter", "--label", "loud", "--project", "stream", "--once", "--", "sh", "-c", script];
        let output = stack.titan(&fixed);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let good = task("hello");
    work(r#"tr a-z A-Z | grep -o '"TITLE":"[A-Z]*"' | cut -d'"' -f4"#);
    let done = stack.get(&format!("/api/v1/tasks/{good}")).await;
    assert_eq!((&done["state"], &done["result"]["output"], &done["agent"]), (&json!("done"), &json!("HELLO"), &json!("sh")), "{done}");

    // More than a row holds, and more than an answer that is kept for its key, there and back.
    let text = "x".repeat(5_000_000);
    let one = |key: &str, depends_on: &[&str], input: Value| json!({ "key": key, "kind": "shout", "role": "shouter", "title": key, "labels": ["loud"], "depends_on": depends_on, "input": input });
    let tasks = json!({ "project": "stream", "tasks": [one("large", &[], json!({ "text": text })), one("after", &["large"], json!({}))] });
    let tasks = stack.post("/api/v1/tasks", "large", &tasks).await;
    let id = |n: usize| tasks["tasks"][n]["id"].as_str().unwrap().to_owned();
    assert_eq!(tasks["tasks"][0]["input"]["$blob"]["bytes"], 5_000_011, "{tasks}");
    work(r#"python3 -c 'import json, sys; print(json.dumps({"back": json.load(sys.stdin)["input"]["text"]}))'"#);
    let large = stack.get(&format!("/api/v1/tasks/{}", id(0))).await;
    assert_eq!((&large["input"]["text"], &large["result"]["back"]), (&json!(text), &json!(text)));
    work(r#"python3 -c 'import json, sys; print(len(json.load(sys.stdin)["dependencies"][0]["result"]["back"]))'"#);
    assert_eq!(stack.get(&format!("/api/v1/tasks/{}", id(1))).await["result"]["output"], "5000000");

    let bad = task("no");
    work("echo 'this cannot be shouted' >&2; exit 65");
    let failed = stack.get(&format!("/api/v1/tasks/{bad}")).await;
    assert_eq!(failed["state"], "failed");
    assert!(failed["error"].as_str().unwrap().contains("this cannot be shouted"), "{failed}");
}

#[tokio::test]
async fn an_agent_is_given_all_that_a_task_waited_for_stops_when_told_and_leaves() {
    let stack = Stack::dev(&[]);
    stack.post("/api/v1/projects", "project", &json!({ "name": "stream" })).await;
    let script = r#"case "$TITAN_KIND" in sleep) exec sleep 60;; esac; python3 -c '
import json, sys
given = json.load(sys.stdin)["dependencies"]
print(json.dumps({"bytes": sum(len(d["result"]["text"]) for d in given)} if given else {"text": "x" * 60000}))'"#;
    let mut command = crate::stack::titan();
    command
        .arg("--home")
        .arg(stack.home.path())
        .args(["--url", &stack.url, "work", "--name", "sh", "--role", "shouter", "--", "sh", "-c", script]);
    let mut agent = tokio::process::Command::from(command).kill_on_drop(true).spawn().unwrap();
    // More than the four MiB that gRPC takes when nobody says otherwise.
    let parts: Vec<String> = (0..80).map(|i| i.to_string()).collect();
    let one = |key: &str, depends_on: &[String]| json!({ "key": key, "kind": "shout", "role": "shouter", "title": key, "depends_on": depends_on });
    let tasks = parts.iter().map(|key| one(key, &[])).chain([one("sum", &parts)]).collect::<Vec<_>>();
    let tasks = stack.post("/api/v1/tasks", "fan", &json!({ "project": "stream", "tasks": tasks })).await;
    let sum = format!("/api/v1/tasks/{}", tasks["tasks"][80]["id"].as_str().unwrap());
    eventually_within(std::time::Duration::from_secs(120), "the sum", async || (stack.get(&sum).await["state"] == "done").then_some(()))
        .await;
    assert_eq!(stack.get(&sum).await["result"]["bytes"], 80 * 60_000);

    let sleeping = json!({ "key": "sleep", "kind": "sleep", "role": "shouter", "title": "sleep" });
    let sleeping = stack.post("/api/v1/tasks", "sleep", &json!({ "project": "stream", "tasks": [sleeping] })).await;
    let id = sleeping["tasks"][0]["id"].as_str().unwrap();
    let running = || std::process::Command::new("pgrep").args(["-f", "^sleep 60$"]).output().unwrap().status.success();
    eventually("the command", async || running().then_some(())).await;
    shown(&stack, &["cancel", id]);
    let cancelled = std::time::Instant::now();
    eventually("the end of the command", async || (!running()).then_some(())).await;
    assert!(cancelled.elapsed() < std::time::Duration::from_millis(2_500), "{:?}", cancelled.elapsed());

    let pid = agent.id().unwrap().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert!(agent.wait().await.unwrap().success());
    assert_eq!(stack.get("/api/v1/agents/sh").await["status"], "offline");
}
