//! The deployment service dies in the middle of everything that moves an app, and no request fails.

use serde_json::json;
use titan_testkit::{Clients, eventually};

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
];

#[derive(Clone, Copy, Debug)]
enum Change {
    Modify,
    Rollback,
    Deploy,
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
        let before = stack.pid("deployment");
        std::fs::write(armed.path().join(point), "").unwrap();
        let field = format!("Add a field note{round}");
        let changed = match change {
            Change::Modify => stack.titan(&["modify", slug, &field]),
            Change::Rollback => stack.titan(&["rollback", slug]),
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

async fn boxes(url: &str) -> u64 {
    let (mut count, mut after) = (0, json!(0));
    while !after.is_null() {
        let (_, page) = read(reqwest::get(format!("{url}boxes?limit=200&after={after}")).await.unwrap()).await;
        count += page["items"].as_array().unwrap().len() as u64;
        after = page["next"].clone();
    }
    count
}
