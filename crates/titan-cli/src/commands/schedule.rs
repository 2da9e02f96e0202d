use std::process::ExitCode;

use serde_json::{Value, json};

use super::lists;
use crate::client::Client;
use crate::table::{short, text, time};

#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// `titan schedule add --project shop --name nightly --cron "0 3 * * *" --goal "Audit this repository"`
    Add(Box<AddArgs>),
    /// List schedules.
    List(ListArgs),
    /// One schedule.
    Show(IdArgs),
    /// Make nothing more until it is resumed.
    Pause(IdArgs),
    /// Let it go on.
    Resume(IdArgs),
    /// Run it now; its times stay as they are.
    Run(IdArgs),
    /// What it made stays.
    Delete(IdArgs),
}

#[derive(clap::Args)]
pub(crate) struct AddArgs {
    /// Id or slug.
    #[arg(long)]
    project: String,
    /// Unique in the project.
    #[arg(long)]
    name: String,
    /// Minute, hour, day of month, month, day of week.
    #[arg(long, required_unless_present = "every", conflicts_with = "every")]
    cron: Option<String>,
    /// Or an interval in seconds.
    #[arg(long)]
    every: Option<f64>,
    /// Of the cron expression, e.g. Europe/Berlin.
    #[arg(long, default_value = "")]
    time_zone: String,
    /// The sentence of a goal.
    #[arg(long, required_unless_present = "task", conflicts_with = "task")]
    goal: Option<String>,
    /// Or a task, as a JSON object of `POST /api/v1/tasks`.
    #[arg(long)]
    task: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    page: lists::Args,
    /// Only of this project, by id or slug.
    #[arg(long, default_value = "")]
    project: String,
}

#[derive(clap::Args)]
pub(crate) struct IdArgs {
    /// As shown by `titan schedule list`.
    id: String,
}

pub(crate) async fn run(client: &Client, verb: Verb, json: bool) -> anyhow::Result<ExitCode> {
    let schedule = match verb {
        Verb::List(ListArgs { page, project }) => return lists::schedules(client, &page, &project, json).await,
        Verb::Add(args) => client.post("/schedules", &body(*args)?).await?,
        Verb::Show(IdArgs { id }) => client.get(&format!("/schedules/{id}")).await?,
        Verb::Pause(IdArgs { id }) => client.post(&format!("/schedules/{id}/pause"), &json!({})).await?,
        Verb::Resume(IdArgs { id }) => client.post(&format!("/schedules/{id}/resume"), &json!({})).await?,
        Verb::Run(IdArgs { id }) => client.post(&format!("/schedules/{id}/run"), &json!({})).await?,
        Verb::Delete(IdArgs { id }) => client.delete(&format!("/schedules/{id}")).await?,
    };
    if json {
        println!("{schedule}");
    } else {
        let next = if schedule["paused"] == json!(true) { "paused".to_owned() } else { format!("next at {}", text(&schedule, "next_at")) };
        println!("{}  {}  {next}", text(&schedule, "id"), text(&schedule, "name"));
    }
    Ok(ExitCode::SUCCESS)
}

fn body(args: AddArgs) -> anyhow::Result<Value> {
    let AddArgs { project, name, cron, every, time_zone, goal, task } = args;
    let mut task: Option<Value> =
        task.map(|task| serde_json::from_str(&task)).transpose().map_err(|e| anyhow::anyhow!("--task is not JSON: {e}"))?;
    if let Some(task) = &mut task
        && task["key"].is_null()
    {
        task["key"] = json!("task");
    }
    let every = every.map(std::time::Duration::try_from_secs_f64).transpose()?;
    let every_ms = every.map_or(0, |every| u64::try_from(every.as_millis()).unwrap_or(u64::MAX));
    Ok(json!({ "project": project, "name": name, "cron": cron.unwrap_or_default(), "every_ms": every_ms, "time_zone": time_zone,
        "goal": goal.unwrap_or_default(), "task": task }))
}

/// A line of the list.
pub(super) fn row(s: &Value) -> [String; 7] {
    let when = if s["cron"].is_null() {
        format!("every {} s", s["every_ms"].as_f64().unwrap_or(0.0) / 1_000.0)
    } else {
        format!("{} {}", text(s, "cron"), text(s, "time_zone"))
    };
    let what = s["work"]["goal"].as_str().or(s["work"]["task"]["title"].as_str()).unwrap_or_default();
    let next = if s["paused"] == json!(true) { "paused".to_owned() } else { time(s, "next_at") };
    [text(s, "id"), text(s, "project"), text(s, "name"), when, next, text(s, "runs"), short(what, 50)]
}
