use std::process::ExitCode;

use serde_json::Value;

use crate::client::Client;
use crate::table::{self, short, text, time};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// At most this many, newest first (200 at the most).
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// `next` of the page before (with --json).
    #[arg(long, default_value = "")]
    after: String,
}

#[derive(clap::Args)]
pub(crate) struct TaskArgs {
    #[command(flatten)]
    page: Args,
    /// Only of this goal.
    #[arg(long, default_value = "")]
    goal: String,
    /// Only of this project, by id or slug.
    #[arg(long, default_value = "")]
    project: String,
    /// Only in this state, e.g. in_progress.
    #[arg(long, default_value = "")]
    state: String,
    /// Only with this label.
    #[arg(long, default_value = "")]
    label: String,
    /// Only subtasks of this one.
    #[arg(long, default_value = "")]
    parent: String,
    /// Only with these words in the title.
    #[arg(long, default_value = "")]
    search: String,
}

impl TaskArgs {
    fn path(&self, dead: bool) -> String {
        let Self { page, goal, project, state, label, parent, search } = self;
        let dead = if dead { "true" } else { "false" };
        let filter = [
            ("goal", &**goal),
            ("project", &**project),
            ("state", &**state),
            ("label", &**label),
            ("parent", &**parent),
            ("search", &**search),
            ("dead", dead),
        ];
        page.path("/tasks", &filter)
    }
}

impl Args {
    /// With this page and filter as its query.
    fn path(&self, path: &str, filter: &[(&str, &str)]) -> String {
        let limit = self.limit.to_string();
        let page = [("limit", limit.as_str()), ("after", self.after.as_str())];
        let url = reqwest::Url::parse_with_params("http://titan", page.iter().chain(filter));
        format!("{path}?{}", url.as_ref().ok().and_then(reqwest::Url::query).unwrap_or_default())
    }
}

async fn show<const N: usize>(
    client: &Client,
    path: &str,
    json: bool,
    headings: [&str; N],
    row: impl Fn(&Value) -> [String; N],
) -> anyhow::Result<ExitCode> {
    let page = client.get(path).await?;
    if json {
        println!("{page}");
    } else {
        table::show(headings, page["items"].as_array().into_iter().flatten().map(row));
        if !page["next"].is_null() {
            println!("… more: --after {}", text(&page, "next"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn goals(client: &Client, args: Args, json: bool) -> anyhow::Result<ExitCode> {
    let row = |g: &Value| [text(g, "id"), text(g, "state"), text(g, "project"), time(g, "created_at"), short(&text(g, "sentence"), 60)];
    show(client, &args.path("/goals", &[]), json, ["GOAL", "STATE", "PROJECT", "CREATED", "SENTENCE"], row).await
}

pub(crate) async fn projects(client: &Client, args: Args, json: bool) -> anyhow::Result<ExitCode> {
    let row = |p: &Value| [text(p, "slug"), text(p, "name"), text(p, "status"), time(p, "created_at"), text(p, "repository")];
    show(client, &args.path("/projects", &[]), json, ["PROJECT", "NAME", "STATUS", "CREATED", "REPOSITORY"], row).await
}

pub(crate) async fn tasks(client: &Client, args: TaskArgs, json: bool) -> anyhow::Result<ExitCode> {
    let row =
        |t: &Value| [text(t, "id"), text(t, "state"), text(t, "role"), text(t, "agent"), text(t, "attempt"), short(&text(t, "title"), 60)];
    show(client, &args.path(false), json, ["TASK", "STATE", "ROLE", "AGENT", "ATTEMPT", "TITLE"], row).await
}

pub(crate) async fn dead_letters(client: &Client, args: TaskArgs, json: bool) -> anyhow::Result<ExitCode> {
    let row =
        |t: &Value| [text(t, "id"), time(t, "finished_at"), text(t, "attempt"), short(&text(t, "title"), 40), short(&text(t, "error"), 80)];
    show(client, &args.path(true), json, ["TASK", "FAILED", "ATTEMPT", "TITLE", "ERROR"], row).await
}

pub(crate) async fn agents(client: &Client, args: Args, json: bool) -> anyhow::Result<ExitCode> {
    let row = |a: &Value| {
        let load = format!("{}/{}", text(a, "running"), text(a, "max_concurrency"));
        let skills = a["skills"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
        [text(a, "name"), text(a, "role"), text(a, "department"), text(a, "status"), load, time(a, "last_seen_at"), skills]
    };
    show(client, &args.path("/agents", &[]), json, ["AGENT", "ROLE", "DEPARTMENT", "STATUS", "LOAD", "LAST SEEN", "SKILLS"], row).await
}

pub(crate) async fn schedules(client: &Client, page: &Args, project: &str, json: bool) -> anyhow::Result<ExitCode> {
    let headings = ["SCHEDULE", "PROJECT", "NAME", "WHEN", "NEXT", "RUNS", "WHAT"];
    show(client, &page.path("/schedules", &[("project", project)]), json, headings, super::schedule::row).await
}

pub(crate) async fn deployments(client: &Client, args: Args, json: bool) -> anyhow::Result<ExitCode> {
    let row = |d: &Value| {
        let health = &d["health"];
        let up = match health["up"].as_bool() {
            Some(true) => "up",
            Some(false) => "DOWN",
            None => "-",
        };
        let figure = |field: &str, factor: f64, unit: &str| match health[field].as_f64().filter(|_| health["probes"].as_u64() > Some(0)) {
            Some(value) => format!("{:.1} {unit}", value * factor),
            None => "-".to_owned(),
        };
        let commit = table::commit(d, "commit");
        [
            text(d, "id"),
            text(d, "project"),
            text(d, "environment"),
            text(d, "state"),
            up.to_owned(),
            figure("uptime", 100.0, "%"),
            figure("latency_p50_ms", 1.0, "ms"),
            figure("latency_p95_ms", 1.0, "ms"),
            commit,
            text(d, "url"),
        ]
    };
    let headings = ["DEPLOYMENT", "PROJECT", "ENVIRONMENT", "STATE", "HEALTH", "UPTIME 24H", "P50", "P95", "COMMIT", "URL"];
    show(client, &args.path("/deployments", &[]), json, headings, row).await
}
