//! Everything once, for a newcomer: start, build, look at the app, stop.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::{goal, watch};
use crate::client::Client;
use crate::home::Home;
use crate::stack::dev::{self, Running};
use crate::table::text;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to build.
    #[arg(default_value = "Build a REST API for todos with a title, a done flag and a due date")]
    sentence: String,
}

pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    // A home of its own: a demo must not touch an installation, and leaves nothing behind.
    let dir = tempfile::Builder::new().prefix("titan-demo-").tempdir()?;
    let home = Home::new(Some(dir.path().to_owned()));
    let running = dev::start(&home, &dev::Args::any_port()).await?;
    println!("Started the five services in one process in {:.1} s: {}", started.elapsed().as_secs_f64(), running.url);
    let signal = titan_lifecycle::shutdown_on_signal()?;
    let outcome = tokio::select! {
        outcome = show(&home, &running, &args.sentence) => outcome,
        () = signal.cancelled() => Err(anyhow::anyhow!("stopped by a signal")),
    };
    let stopped = stop(&home, running).await;
    let code = outcome?;
    stopped?;
    println!("\nEverything it started is stopped.");
    Ok(code)
}

async fn show(home: &Home, running: &Running, sentence: &str) -> anyhow::Result<ExitCode> {
    let client = Client::new(&running.url, home)?;
    println!("Goal: {sentence}\n");
    let submitted = goal::submit(&client, sentence, "").await?;
    let done = watch::goal(&client, &text(&submitted, "id"), false).await?;
    for line in goal::summary(&client, &done).await? {
        println!("{line}");
    }
    if text(&done, "state") != "done" {
        return Ok(ExitCode::FAILURE);
    }
    use_app(&done).await?;
    Ok(ExitCode::SUCCESS)
}

/// Calls the app as its users would and prints what it answers.
async fn use_app(done: &Value) -> anyhow::Result<()> {
    let url = text(&done["result"]["deploy"], "url");
    let understanding = &done["result"]["plan-goal"]["understanding"];
    let path = text(&understanding["resource"], "path");
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
    let fields = understanding["fields"].as_array().into_iter().flatten().map(|f| (text(f, "name"), example(f)));
    let item: serde_json::Map<String, Value> = fields.collect();
    println!("\nThe app answers:");
    let call = async |request: reqwest::RequestBuilder, shown: String| -> anyhow::Result<Value> {
        let answer = request.send().await.with_context(|| shown.clone())?;
        let (status, body) = (answer.status(), answer.text().await?);
        println!("  {shown}\n    {} {body}", status.as_u16());
        Ok(json!({ "status": status.as_u16(), "body": serde_json::from_str::<Value>(&body).unwrap_or(Value::String(body)) }))
    };
    let made = call(http.post(format!("{url}{path}")).json(&item), format!("POST {url}{path}  {}", Value::Object(item.clone()))).await?;
    ensure!(made["status"] == 201, "the app did not make what was posted");
    let listed = call(http.get(format!("{url}{path}")), format!("GET {url}{path}")).await?;
    ensure!(listed["body"]["items"].as_array().is_some_and(|items| items.len() == 1), "the app does not list what was posted");
    let refused = call(http.post(format!("{url}{path}")).json(&json!({})), format!("POST {url}{path}  {{}}")).await?;
    ensure!(refused["status"].as_u64().is_some_and(|s| (200..500).contains(&s)), "the app broke on an empty item");
    call(http.get(format!("{url}health")), format!("GET {url}health")).await?;
    Ok(())
}

/// A value that the field may hold.
fn example(field: &Value) -> Value {
    if let Some(first) = field["choices"].as_array().and_then(|choices| choices.first()) {
        return first.clone();
    }
    let bound = field["least"].as_f64().or(field["most"].as_f64());
    match text(field, "type").as_str() {
        "integer" => json!(bound.unwrap_or(3.0).round() as i64),
        "number" => json!(bound.unwrap_or(9.5)),
        // A length.
        "text" if bound.is_some() => json!("x".repeat(bound.unwrap_or(1.0) as usize)),
        "boolean" => json!(false),
        "date" => json!("2026-12-24"),
        "datetime" => json!("2026-12-24T18:00:00Z"),
        "email" => json!("ada@example.org"),
        "url" => json!("https://example.org/"),
        _ => json!("Buy milk"),
    }
}

/// Apps outlive the services by design, so they are stopped first.
async fn stop(home: &Home, running: Running) -> anyhow::Result<()> {
    let apps = stop_apps(home, &running).await;
    running.wait_for_apps_to_end(home).await;
    running.stop().await?;
    apps
}

async fn stop_apps(home: &Home, running: &Running) -> anyhow::Result<()> {
    let client = Client::new(&running.url, home)?;
    let page = client.get("/deployments?limit=200").await?;
    let live = |d: &&Value| ["pending", "starting", "running"].contains(&text(d, "state").as_str());
    for deployment in page["items"].as_array().into_iter().flatten().filter(live) {
        client.post(&format!("/deployments/{}/stop", text(deployment, "id")), &json!({})).await?;
    }
    Ok(())
}
