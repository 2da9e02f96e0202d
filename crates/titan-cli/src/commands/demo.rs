//! Everything once, for a newcomer: start, build, look at the app, stop.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use reqwest::Method;
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
    let submitted = goal::submit(&client, sentence, "", false, &[]).await?;
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
    let understanding = &done["result"]["plan-goal"]["understanding"];
    let prefix = if understanding["kind"] == "web-app" { "api/" } else { "" };
    let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).no_proxy().build()?;
    let mut app = App { http, url: format!("{}{prefix}", text(&done["result"]["deploy"], "url")), token: String::new() };
    println!("\nThe app answers:");
    let with_login = understanding["blocks"].as_array().is_some_and(|blocks| blocks.contains(&json!("authentication")));
    if with_login || understanding["kind"] == "mobile-backend" {
        let who = json!({ "email": "ada@example.org", "password": "correct horse" });
        let root = App { url: text(&done["result"]["deploy"], "url"), ..app.clone() };
        ensure!(root.call(Method::POST, "users", Some(&who)).await?.0 == 201, "nobody can sign up");
        app.token = text(&root.call(Method::POST, "sessions", Some(&who)).await?.1, "token");
    }
    let resources: Vec<Value> = understanding["resources"].as_array().cloned().unwrap_or_default();
    let first = resources.first().context("nothing was understood")?;
    let path = text(first, "path");
    if understanding["kind"] == "data-pipeline" {
        app.load(first, understanding["formats"][0] == "json").await?;
    } else {
        let item = app.item(first, &resources).await?;
        ensure!(app.call(Method::POST, &path, Some(&item)).await?.0 == 201, "the app did not make what was posted");
        let (status, _) = app.call(Method::POST, &path, Some(&json!({}))).await?;
        ensure!((200..500).contains(&status), "the app broke on an empty item");
    }
    let (_, listed) = app.call(Method::GET, &path, None).await?;
    ensure!(listed["items"].as_array().is_some_and(|items| !items.is_empty()), "the app does not list what was posted");
    App { url: text(&done["result"]["deploy"], "url"), ..app }.call(Method::GET, "health", None).await?;
    Ok(())
}

/// A deployed app, and who is signed in to it.
#[derive(Clone)]
struct App {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl App {
    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<(u16, Value)> {
        let shown = format!("{method} {}{path}  {}", self.url, body.map(Value::to_string).unwrap_or_default());
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.with_context(|| shown.clone())?;
        let (status, body) = (answer.status().as_u16(), answer.text().await?);
        println!("  {}\n    {status} {body}", shown.trim_end());
        Ok((status, serde_json::from_str(&body).unwrap_or(Value::String(body))))
    }

    /// An item with every field; what it belongs to is made.
    async fn item(&self, resource: &Value, all: &[Value]) -> anyhow::Result<Value> {
        let mut item = serde_json::Map::new();
        for field in resource["fields"].as_array().into_iter().flatten() {
            let target =
                all.iter().find(|other| !field["references"].is_null() && other["path"] == field["references"] && *other != resource);
            let value = match target {
                None if field["references"].is_null() => example(field),
                // Of its own kind there is none yet.
                None => Value::Null,
                Some(target) => {
                    let parent = Box::pin(self.item(target, all)).await?;
                    self.call(Method::POST, &text(target, "path"), Some(&parent)).await?.1["id"].clone()
                }
            };
            item.insert(text(field, "name"), value);
        }
        Ok(Value::Object(item))
    }

    /// One row by a file.
    async fn load(&self, resource: &Value, json: bool) -> anyhow::Result<()> {
        let fields: Vec<&Value> = resource["fields"].as_array().into_iter().flatten().collect();
        let (name, file) = if json {
            let row: serde_json::Map<String, Value> = fields.iter().map(|field| (text(field, "name"), example(field))).collect();
            ("first.json", Value::Array(vec![Value::Object(row)]).to_string())
        } else {
            let line = |of: fn(&Value) -> String| fields.iter().map(|field| of(field)).collect::<Vec<_>>().join(",");
            let cell = |field: &Value| example(field).as_str().map_or_else(|| example(field).to_string(), str::to_owned);
            ("first.csv", format!("{}\n{}\n", line(|field| text(field, "name")), line(cell)))
        };
        println!("  PUT {}inbox/{name}  {file:?}", self.url);
        let put = self.http.put(format!("{}inbox/{name}", self.url)).body(file).send().await?;
        ensure!(put.status() == 202, "the app did not take the file: {}", put.text().await?);
        let (_, run) = self.call(Method::POST, "runs", Some(&json!({}))).await?;
        ensure!(run["loaded"] == 1, "the app did not load the row");
        Ok(())
    }
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
