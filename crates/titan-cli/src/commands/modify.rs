//! A project that is there: changed by a sentence, looked back on, taken back.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use super::{environment, goal, watch};
use crate::client::Client;
use crate::table::{self, short, text};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Id or slug.
    project: String,
    /// What is to change, such as "Add a priority from 1 to 5 and rename title to name".
    sentence: String,
    /// Only say what would change.
    #[arg(long)]
    plan: bool,
}

#[derive(clap::Args)]
pub(crate) struct ProjectArgs {
    /// Id or slug.
    project: String,
}

#[derive(clap::Args)]
pub(crate) struct DiffArgs {
    /// Id or slug.
    project: String,
    /// As shown by `titan history`; the version before the other one if not given.
    #[arg(default_value = "")]
    from: String,
    /// The version that is, if not given.
    #[arg(default_value = "")]
    to: String,
}

#[derive(clap::Args)]
pub(crate) struct RollbackArgs {
    /// Id or slug.
    project: String,
    /// As shown by `titan history`; the version before the one that is, if not given. With --environment one that served it.
    #[arg(long, default_value = "")]
    to: String,
    /// Only say what would change.
    #[arg(long)]
    plan: bool,
    #[command(flatten)]
    served: environment::BackArgs,
}

pub(crate) async fn run(client: &Client, args: Args, json: bool) -> anyhow::Result<ExitCode> {
    let Args { project, sentence, plan } = args;
    let begun = client.post(&format!("/projects/{project}/modify"), &json!({ "sentence": sentence, "plan_only": plan })).await?;
    follow(client, &text(&begun, "id"), plan, json).await
}

pub(crate) async fn rollback(client: &Client, args: RollbackArgs, json: bool) -> anyhow::Result<ExitCode> {
    let RollbackArgs { project, to, plan, served } = args;
    if served.environment.is_none() && served.has_rollout() {
        anyhow::bail!(
            "--strategy, --share and --observe go with --environment: without it the version comes back as the project's next one"
        );
    }
    if served.environment.is_some() {
        return environment::roll_back(client, &project, &to, plan, served, json).await;
    }
    let begun = client.post(&format!("/projects/{project}/rollback"), &json!({ "to": to, "plan_only": plan })).await?;
    follow(client, &text(&begun, "id"), plan, json).await
}

/// What would change is shown before anything does.
async fn follow(client: &Client, id: &str, plan: bool, json: bool) -> anyhow::Result<ExitCode> {
    if !json && let Some(planned) = planned(client, id).await? {
        for line in changed(&planned) {
            println!("{line}");
        }
        println!();
    }
    let done = watch::goal(client, id, json || plan).await?;
    if json {
        println!("{done}");
    } else if plan {
        if text(&done, "state") != "done" {
            println!("It cannot be: {}", text(&done, "error"));
        }
    } else {
        for line in goal::summary(client, &done).await? {
            println!("{line}");
        }
    }
    Ok(if text(&done, "state") == "done" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

const LOOK: Duration = Duration::from_millis(100);

/// The plan's result; none when it failed.
async fn planned(client: &Client, goal: &str) -> anyhow::Result<Option<Value>> {
    loop {
        let tasks = client.get(&format!("/tasks?limit=200&goal={goal}")).await?;
        let plan = tasks["items"].as_array().into_iter().flatten().find(|task| task["kind"] == "plan-goal");
        match plan.map(|plan| (text(plan, "state"), text(plan, "id"))) {
            Some((state, id)) if state == "done" => return Ok(Some(client.get(&format!("/tasks/{id}")).await?["result"].clone())),
            Some((state, _)) if ["failed", "cancelled"].contains(&state.as_str()) => return Ok(None),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// What changes, and what that touches.
fn changed(planned: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
    let change = &planned["change"];
    let impact = &change["impact"];
    let mut lines: Vec<String> = list(&change["changes"]).into_iter().map(|change| format!("Changes     {change}")).collect();
    lines.extend(list(&planned["understanding"]["assumed"]).into_iter().map(|assumed| format!("Assumed     {assumed}")));
    for (word, field) in
        [("Data", "data"), ("Endpoints", "endpoints"), ("New", "files_added"), ("Changed", "files_changed"), ("Gone", "files_removed")]
    {
        let said = list(&impact[field]);
        lines.extend((!said.is_empty()).then(|| format!("{word:<11} {}", said.join(", "))));
    }
    let tests = list(&impact["tests"]).len();
    lines.push(format!(
        "Tests       all of the new version's, in {tests} files, on the change and on its merge; the data is rehearsed on a copy"
    ));
    lines
}

pub(crate) async fn history(client: &Client, args: ProjectArgs, json: bool) -> anyhow::Result<ExitCode> {
    let versions = client.get(&format!("/projects/{}/versions", args.project)).await?;
    if json {
        println!("{versions}");
        return Ok(ExitCode::SUCCESS);
    }
    let row = |v: &Value| [short(&text(v, "commit"), 12), table::time(v, "at"), text(v, "author"), short(&text(v, "subject"), 80)];
    table::show(["VERSION", "WHEN", "BY", "WHAT"], versions["items"].as_array().into_iter().flatten().map(row));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn diff(client: &Client, args: DiffArgs) -> anyhow::Result<ExitCode> {
    let DiffArgs { project, from, to } = args;
    print!("{}", client.text(&format!("/projects/{project}/diff?from={from}&to={to}")).await?);
    Ok(ExitCode::SUCCESS)
}

#[derive(clap::Args)]
pub(crate) struct OperationArgs {
    /// Of a goal or a deployment.
    id: String,
    /// End it.
    #[arg(long)]
    cancel: bool,
}

pub(crate) async fn operation(client: &Client, args: OperationArgs, json: bool) -> anyhow::Result<ExitCode> {
    let path = format!("/operations/{}", args.id);
    let operation = if args.cancel { client.post(&format!("{path}/cancel"), &json!({})).await? } else { client.get(&path).await? };
    if json {
        println!("{operation}");
    } else {
        let progress = operation["progress"].as_f64().unwrap_or(0.0) * 100.0;
        println!("{}  {}  {progress:.0} %  {}", text(&operation, "id"), text(&operation, "state"), text(&operation, "error"));
    }
    Ok(ExitCode::SUCCESS)
}
