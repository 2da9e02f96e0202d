//! REST conventions, over HTTP.

use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::stack::{Stack, read};

fn noop(key: &str, depends_on: &[&str]) -> Value {
    json!({ "key": key, "kind": "noop", "role": "runner", "title": key, "depends_on": depends_on })
}

#[tokio::test]
async fn conventions() {
    let stack = Stack::dev(&[]);
    nothing_without_a_key(&stack).await;
    problems_name_the_field(&stack).await;
    a_key_makes_a_post_happen_once(&stack).await;
    edits_need_the_current_version(&stack).await;
    every_documented_path_answers(&stack).await;
    the_event_stream_resumes(&stack).await;
    tasks_are_cancelled_and_tried_again(&stack).await;
    doctor_is_content(&stack);
}

async fn nothing_without_a_key(stack: &Stack) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(http.get(format!("{}{path}", stack.url)).send().await.unwrap().status(), 200, "{path}");
    }
    for path in
        ["/api/v1/goals", "/api/v1/openapi.json", "/api/v1/events", "/api/v1/events/stream", "/api/v1/tasks/x", "/git/x.git/info/refs"]
    {
        let (status, problem) = read(http.get(format!("{}{path}", stack.url)).send().await.unwrap()).await;
        assert_eq!((status, &problem["code"]), (401, &json!("unauthenticated")), "{path}");
        let wrong = http.get(format!("{}{path}", stack.url)).bearer_auth("titan_key_0000").send().await.unwrap();
        assert_eq!(wrong.status(), 401, "{path}");
    }
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(stack.home.path().join("api-key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

async fn problems_name_the_field(stack: &Stack) {
    let post = async |path: &str, body: String| {
        read(stack.request("POST", path).header("content-type", "application/json").body(body).send().await.unwrap()).await
    };
    for (path, body, status, field) in [
        ("/api/v1/goals", "{".to_owned(), 422, "body"),
        ("/api/v1/goals", "{\"sentence\": 5}".to_owned(), 422, "sentence"),
        ("/api/v1/goals", "{\"sentence\": \"x\", \"sentense\": \"y\"}".to_owned(), 422, "sentense"),
        ("/api/v1/goals", "{\"sentence\": \"\"}".to_owned(), 422, "sentence"),
        ("/api/v1/goals", json!({ "sentence": "x".repeat(9 << 20) }).to_string(), 413, ""),
        (
            "/api/v1/tasks",
            json!({ "project": "p", "tasks": [noop("a", &["b"]), noop("b", &["a"])] }).to_string(),
            422,
            "tasks[0].depends_on",
        ),
        ("/api/v1/tasks", json!({ "project": "p", "tasks": [{ "key": "a" }] }).to_string(), 422, "tasks[0]"),
    ] {
        let (got, problem) = post(path, body).await;
        let named = problem["errors"][0]["field"].as_str().unwrap_or_default().to_owned();
        assert_eq!((got, named.as_str()), (status, field), "{problem}");
        assert_eq!(problem["trace_id"].as_str().map(str::len), Some(32), "{problem}");
    }
    for (path, status) in [
        ("/api/v1/goals/goal_1", 422),
        ("/api/v1/goals/goal_0190c3f6e5a17d3c8a5b0f2e4d6c8b9a", 404),
        ("/api/v1/tasks?limit=201", 422),
        ("/api/v1/tasks?state=nonsense", 422),
        ("/api/v1/tasks?limit=x", 422),
        ("/api/v1/evidence/..%2f..%2fetc%2fpasswd", 422),
        ("/api/v1/nothing", 404),
        ("/git/..%2f..%2fetc.git/info/refs?service=git-upload-pack", 404),
    ] {
        let (got, problem) = stack.call("GET", path, None).await;
        assert_eq!(got, status, "{path}: {problem}");
    }
    assert_eq!(stack.call("PUT", "/api/v1/goals", None).await.0, 405);
}

async fn a_key_makes_a_post_happen_once(stack: &Stack) {
    let body = json!({ "name": "Once" });
    let post = async |key: &str, body: &Value| {
        read(stack.request("POST", "/api/v1/projects").header("idempotency-key", key).json(body).send().await.unwrap()).await
    };
    let (first, second) = (post("k1", &body).await, post("k1", &body).await);
    assert_eq!(first.0, 201);
    assert_eq!(first, second);
    let (status, problem) = post("k1", &json!({ "name": "Other" })).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("Idempotency-Key")));
    let slugs = stack.get("/api/v1/projects").await["items"].as_array().unwrap().iter().filter(|p| p["name"] == "Once").count();
    assert_eq!(slugs, 1);
}

async fn edits_need_the_current_version(stack: &Stack) {
    let answer = stack.request("GET", "/api/v1/projects/once").send().await.unwrap();
    let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let patch = async |etag: Option<&str>| {
        let request = stack.request("PATCH", "/api/v1/projects/once").json(&json!({ "description": "new" }));
        let request = if let Some(etag) = etag { request.header("if-match", etag) } else { request };
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(patch(None).await, 422);
    assert_eq!(patch(Some(&etag)).await, 200);
    assert_eq!(patch(Some(&etag)).await, 412);
}

/// Every path of the document exists, and none breaks on an unknown id.
async fn every_documented_path_answers(stack: &Stack) {
    let document = stack.get("/api/v1/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 15, "{:?}", paths.keys());
    for (path, operations) in paths {
        for method in operations.as_object().unwrap().keys().filter(|m| *m != "parameters") {
            let path = path.replace("{id}", "x").replace("{digest}", "x").replace("{project}", "nobody");
            let (status, answer) = stack.call(&method.to_uppercase(), &path, None).await;
            assert!(status < 500 && answer["detail"] != json!(format!("{path} was not found")), "{method} {path}: {status} {answer}");
        }
    }
}

async fn the_event_stream_resumes(stack: &Stack) {
    let tasks: Vec<_> = (0..20).map(|i| noop(&i.to_string(), &[])).collect();
    let (status, submitted) = stack.call("POST", "/api/v1/tasks", Some(json!({ "project": "once", "tasks": tasks }))).await;
    assert_eq!(status, 201, "{submitted}");
    let project = submitted["tasks"][0]["project_id"].as_str().unwrap();
    let (mut after, mut completed, mut connections) = (0, Vec::new(), 0);
    while completed.len() < 20 {
        let url = format!("{}/api/v1/events/stream?after={after}&project={project}", stack.url.replace("http", "ws"));
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {}", stack.key()).parse().unwrap());
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
        connections += 1;
        // Every connection is cut after a few events.
        for _ in 0..7 {
            let message = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("an event in time").unwrap().unwrap();
            let Ok(entry) = serde_json::from_str::<Value>(&message.into_text().unwrap()) else { continue };
            assert!(entry["seq"].as_i64().unwrap() > after, "in order, none twice");
            after = entry["seq"].as_i64().unwrap();
            if entry["event"]["name"] == "task.completed" {
                completed.push(entry["event"]["subject"].as_str().unwrap().to_owned());
                if completed.len() == 20 {
                    break;
                }
            }
        }
    }
    completed.sort();
    completed.dedup();
    assert_eq!(completed.len(), 20);
    assert!(connections > 5);
}

async fn tasks_are_cancelled_and_tried_again(stack: &Stack) {
    let mut task = noop("later", &[]);
    task["run_after"] = json!("2100-01-01T00:00:00Z");
    let body = json!({ "project": "once", "tasks": [task, noop("after", &["later"])] });
    let (_, submitted) = stack.call("POST", "/api/v1/tasks", Some(body)).await;
    let ids: Vec<&str> = submitted["tasks"].as_array().unwrap().iter().map(|t| t["id"].as_str().unwrap()).collect();
    let cancelled = stack.titan_json(&["cancel", ids[0], "--reason", "not needed"]);
    assert_eq!(cancelled["state"], json!("cancelled"));
    assert_eq!(stack.get(&format!("/api/v1/tasks/{}", ids[1])).await["state"], json!("cancelled"));
    let retried = stack.titan_json(&["retry", ids[0]]);
    assert_eq!(retried["state"], json!("inbox"));
    assert_eq!(stack.get(&format!("/api/v1/tasks/{}", ids[1])).await["state"], json!("inbox"));
    let (status, problem) = stack.call("POST", &format!("/api/v1/tasks/{}/retry", ids[1]), Some(json!({}))).await;
    assert!(status == 412 && problem["detail"].as_str().unwrap().contains("only what failed or was cancelled"), "{status} {problem}");
    let (status, problem) = stack.call("POST", &format!("/api/v1/tasks/{}/cancel", ids[0]), Some(json!({ "why": "x" }))).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("why")), "{problem}");
    let history = stack.titan_json(&["task", ids[0]])["history"].to_string();
    assert!(history.contains("not needed"), "{history}");
}

fn doctor_is_content(stack: &Stack) {
    let doctor = stack.titan_json(&["doctor"]);
    assert_eq!(doctor["ok"], json!(true), "{doctor}");
}
