//! The deployment service dies in the middle of everything that moves an app, and no request fails.

use serde_json::json;
use titan_testkit::{Clients, eventually, eventually_within};

use crate::stack::{Stack, outermost_sandboxes, read};

/// Where it dies, and what is done meanwhile: a field comes or a version comes back, so that the data is handed over, or the same
/// version is built anew.
const DEATHS: &[(&str, Change)] = &[
    ("deployment.held", Change::Modify),
    ("deployment.before_copy", Change::Rollback),
    ("deployment.before_spawn", Change::Modify),
    ("deployment.after_spawn", Change::Rollback),
    ("deployment.before_serve", Change::Deploy),
    ("deployment.serves", Change::Modify),
    ("deployment.before_kill", Change::Deploy),
    ("deployment.before_rehearsal", Change::WayBack),
    ("deployment.hook", Change::Deploy),
];

#[derive(Clone, Copy, Debug)]
enum Change {
    Modify,
    Rollback,
    Deploy,
    /// Of what serves, whose data has another shape.
    WayBack,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_when_the_deployment_service_is_killed_in_the_middle_of_a_change() {
    let armed = tempfile::tempdir().unwrap();
    let stack = Stack::up(18_200, &[("TITAN_FAULTS", &armed.path().to_string_lossy())]).await;
    let built = stack.titan(&["goal", "Build a REST API for boxes with a name", "--watch"]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stdout));
    let deployment = stack.titan_json(&["deployments"])["items"][0].clone();
    let (slug, url) = (deployment["project"].as_str().unwrap(), deployment["url"].as_str().unwrap());
    let clients = Clients::start(&format!("{url}boxes"), Some(&json!({ "name": "of a client" })));
    for (round, (point, change)) in DEATHS.iter().enumerate() {
        if *point == "deployment.hook" {
            stack.commit_of_others(|tree| {
                let titan = std::fs::read_to_string(tree.join("titan.toml")).unwrap();
                std::fs::write(tree.join("titan.toml"), titan + HOOKS).unwrap();
            });
        }
        let before = stack.pid("deployment");
        std::fs::write(armed.path().join(point), "").unwrap();
        let field = format!("Add a field note{round}");
        let changed = match change {
            Change::Modify => stack.titan(&["modify", slug, &field]),
            Change::Rollback => stack.titan(&["rollback", slug]),
            Change::WayBack => stack.titan(&["rollback", slug, "--environment", "production"]),
            Change::Deploy => stack.titan(&["deploy", slug, "--to", "production"]),
        };
        let said = String::from_utf8_lossy(&changed.stdout).into_owned() + &String::from_utf8_lossy(&changed.stderr);
        assert!(changed.status.success(), "{point}, {change:?}: {said}");
        eventually(point, async || (!armed.path().join(point).exists()).then_some(())).await;
        eventually("a new process", async || (stack.pid("deployment") != before).then_some(())).await;
    }
    let asked = clients.end().await;
    assert!(asked.answered > 1_000, "{asked:?}");
    assert_eq!(boxes(url).await, asked.written, "what was written is there, once");
    let serving = stack.titan_json(&["deployments"])["items"][0].clone();
    let left = "SELECT count(*) FROM deployment.deployment WHERE port IS NOT NULL";
    eventually("those before it gone", async || (stack.database().count(left).await == 1).then_some(())).await;
    assert!((1..=2).contains(&outermost_sandboxes(serving["id"].as_str().unwrap())), "{serving}");
}

/// Each is a request to the version that it is about.
const HOOKS: &str = "
[hooks]
verify = [\"/usr/bin/python3\", \"-c\", \"import os, urllib.request; urllib.request.urlopen(os.environ['TITAN_APP_URL'] + '/health')\"]
served = [\"/usr/bin/python3\", \"-c\", \"import os, urllib.request; urllib.request.urlopen(os.environ['TITAN_APP_URL'] + '/health')\"]
";

/// Where it dies while data comes back from a backup.
const RESTORES: &[&str] =
    &["deployment.held", "deployment.before_restore", "deployment.restoring", "deployment.before_spawn", "deployment.before_serve"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_comes_back_whole_when_the_deployment_service_is_killed_in_the_middle_of_it() {
    let armed = tempfile::tempdir().unwrap();
    let stack = Stack::up(19_200, &[("TITAN_FAULTS", &armed.path().to_string_lossy())]).await;
    let built = stack.titan(&["goal", "Build a REST API for boxes with a name", "--watch"]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stdout));
    let deployment = stack.titan_json(&["deployments"])["items"][0].clone();
    let (slug, url) = (deployment["project"].as_str().unwrap(), deployment["url"].as_str().unwrap());
    let put = async |name: &str| {
        let made = reqwest::Client::new().post(format!("{url}boxes")).json(&json!({ "name": name })).send().await.unwrap();
        assert_eq!(made.status(), 201);
    };
    put("first").await;
    let again = stack.titan_json(&["deploy", slug]);
    assert_eq!(again["state"], "done", "{again}");
    let backup = stack.titan_json(&["backups", slug])["items"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(again["id"], backup.as_str());
    let clients = Clients::start(&format!("{url}boxes"), None);
    for (round, point) in RESTORES.iter().enumerate() {
        put(&format!("box {round}")).await;
        assert_eq!(boxes(url).await, 2, "what was there before came back alone");
        let before = stack.pid("deployment");
        std::fs::write(armed.path().join(point), "").unwrap();
        let restored = stack.titan(&["restore", slug, &backup, "--reason", "a test"]);
        let said = String::from_utf8_lossy(&restored.stdout).into_owned() + &String::from_utf8_lossy(&restored.stderr);
        assert!(restored.status.success(), "{point}: {said}");
        eventually(point, async || (!armed.path().join(point).exists()).then_some(())).await;
        eventually("a new process", async || (stack.pid("deployment") != before).then_some(())).await;
        assert_eq!(boxes(url).await, 1, "{point}");
    }
    assert!(clients.end().await.answered > 100);
    // What was there before the last one is a backup itself.
    let kept = stack.titan_json(&["backups", slug]);
    let restored = stack.titan_json(&["restore", slug, kept["items"][0]["id"].as_str().unwrap()]);
    assert_eq!(restored["state"], "done", "{restored}");
    assert_eq!(boxes(url).await, 2);
    let missing = stack.titan(&["restore", slug, "deployment_01a21e80bb907710be9c756ff093775e"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("backup"), "{missing:?}");
}

/// A goal that is cancelled takes its deployment along, as long as that does not serve.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cancelled_goal_was_about_to_deploy_never_serves() {
    let stack = Stack::dev(&[]);
    let built = stack.titan(&["goal", "Build a REST API for boxes with a name", "--watch"]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stdout));
    let slug = stack.titan_json(&["projects"])["items"][0]["slug"].as_str().unwrap().to_owned();
    let first = stack.titan_json(&["deployments"])["items"][0]["id"].as_str().unwrap().to_owned();
    // Long enough for somebody to change their mind.
    stack.commit_of_others(|tree| {
        let titan = std::fs::read_to_string(tree.join("titan.toml")).unwrap();
        std::fs::write(tree.join("titan.toml"), titan + "\n[hooks]\nverify = [\"/usr/bin/sleep\", \"8\"]\n").unwrap();
    });
    let (_, begun) = stack.call("POST", &format!("/api/v1/projects/{slug}/modify"), Some(json!({ "sentence": "Add a note" }))).await;
    let newest = async || Some(stack.get("/api/v1/deployments").await["items"][0].clone()).filter(|newest| newest["id"] != first.as_str());
    let newest = eventually_within(std::time::Duration::from_secs(60), "its deployment", newest).await;
    let operation = format!("/api/v1/operations/{}", begun["id"].as_str().unwrap());
    let (status, cancelled) = stack.call("POST", &format!("{operation}/cancel"), Some(json!({}))).await;
    assert_eq!((status, &cancelled["state"]), (200, &json!("cancelled")), "{cancelled}");
    let path = format!("/api/v1/deployments/{}", newest["id"].as_str().unwrap());
    let ended = async || Some(stack.get(&path).await).filter(|seen| seen["state"] == "stopped");
    let ended = eventually_within(std::time::Duration::from_secs(30), "its end", ended).await;
    assert!(ended["history"].to_string().contains("its task is cancelled"), "{ended}");
    let serving = stack.get(&format!("/api/v1/deployments/{first}")).await;
    assert_eq!(serving["state"], "running", "{serving}");
    // Of what serves nothing is left to be cancelled.
    let (status, refused) = stack.call("POST", &format!("/api/v1/operations/{first}/cancel"), Some(json!({}))).await;
    assert!(status == 412 && refused.to_string().contains("serves already"), "{status} {refused}");
    assert_eq!(stack.get(&format!("/api/v1/deployments/{first}")).await["state"], "running");
}

async fn boxes(url: &str) -> u64 {
    let (mut count, mut after) = (0, json!(0));
    while !after.is_null() {
        let (_, page) = read(reqwest::get(format!("{url}boxes?limit=200&after={after}")).await.unwrap()).await;
        count += page["items"].as_array().unwrap().len() as u64;
        after = page["next"].clone();
    }
    count
}
