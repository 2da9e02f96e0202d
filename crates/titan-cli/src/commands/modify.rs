//! A project that is there: changed by a sentence, looked back on, taken back.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{environment, goal, plan, watch};
use crate::client::Client;
use crate::table::{self, short, text};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Id or slug.
    project: String,
    /// What is to change, such as "Add a priority from 1 to 5 and rename title to name".
    sentence: String,
    #[command(flatten)]
    plan: plan::Choice,
    #[command(flatten)]
    deployed: plan::Environments,
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
    #[command(flatten)]
    plan: plan::Choice,
    #[command(flatten)]
    served: environment::BackArgs,
}

pub(crate) async fn run(client: &Client, args: Args, json: bool) -> anyhow::Result<ExitCode> {
    let Args { project, sentence, plan, deployed: plan::Environments { environments } } = args;
    let path = format!("/projects/{project}/modify");
    let body = |only: bool| json!({ "sentence": sentence, "plan_only": only, "environments": environments });
    follow(client, plan, json, async |only| Ok(client.post(&path, &body(only)).await?)).await
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
    let path = format!("/projects/{project}/rollback");
    follow(client, plan, json, async |only| Ok(client.post(&path, &json!({ "to": to, "plan_only": only })).await?)).await
}

/// Says what would change, and follows the change where it is one: `begin` with whether it ends with its plan.
async fn follow(
    client: &Client,
    plan: plan::Choice,
    json: bool,
    begin: impl AsyncFn(bool) -> anyhow::Result<Value>,
) -> anyhow::Result<ExitCode> {
    let first = plan.wanted(json)?;
    if first {
        let planned = begin(true).await?;
        if let plan::Then::End(code) = plan.say(client, &text(&planned, "id"), json).await? {
            return Ok(code);
        }
    }
    let id = text(&begin(false).await?, "id");
    if !json && !first {
        plan::say_first(client, &id).await?;
    }
    let done = watch::goal(client, &id, json).await?;
    if json {
        println!("{done}");
    } else {
        for line in goal::summary(client, &done).await? {
            println!("{line}");
        }
    }
    Ok(if text(&done, "state") == "done" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(crate) async fn history(client: &Client, args: ProjectArgs, json: bool) -> anyhow::Result<ExitCode> {
    let versions = client.get(&format!("/projects/{}/versions", args.project)).await?;
    if json {
        println!("{versions}");
        return Ok(ExitCode::SUCCESS);
    }
    let row = |v: &Value| [table::commit(v, "commit"), table::time(v, "at"), text(v, "author"), short(&text(v, "subject"), 80)];
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
