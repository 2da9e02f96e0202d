//! Where versions run.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::plan;
use crate::client::Client;
use crate::table::{self, short, text};

#[derive(clap::Args)]
pub(crate) struct DeployArgs {
    /// Id or slug.
    project: String,
    /// dev, staging or production.
    #[arg(long, default_value = "production")]
    to: String,
    /// As shown by `titan history`; the version that is, if not given.
    #[arg(long, default_value = "")]
    version: String,
    #[command(flatten)]
    rollout: Rollout,
}

/// Of the way back of an environment.
#[derive(clap::Args)]
pub(crate) struct BackArgs {
    /// dev, staging or production: only what serves there goes back, at once and without a goal; the project's main stays.
    #[arg(long)]
    pub(crate) environment: Option<String>,
    /// With --environment: without approval, also where that is configured; needs --reason.
    #[arg(long, requires = "environment", requires = "reason", conflicts_with = "plan")]
    emergency: bool,
    /// With --environment: for the history.
    #[arg(long, default_value = "", requires = "environment")]
    reason: String,
    #[command(flatten)]
    rollout: Rollout,
}

impl BackArgs {
    pub(crate) fn has_rollout(&self) -> bool {
        let Rollout { strategy, share, observe_s } = &self.rollout;
        strategy != "rolling" || *share > 0 || *observe_s > 0
    }
}

#[derive(clap::Args)]
struct Rollout {
    /// rolling: all requests as soon as it is healthy; blue-green: and the version before it stays ready until it has proved itself; canary: a share of
    /// the requests until then; gradual: a share that grows.
    #[arg(long, default_value = "rolling")]
    strategy: String,
    /// Of canary and gradual: percent of the requests, at the beginning [default: 10]
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    share: u32,
    /// Of all but rolling: for how many seconds it is tried out [default: 60]
    #[arg(long = "observe", value_name = "SECONDS", default_value_t = 0, hide_default_value = true)]
    observe_s: u32,
}

impl Rollout {
    fn with(self, mut body: Value) -> Value {
        let Self { strategy, share, observe_s } = self;
        (body["strategy"], body["share"], body["observe_s"]) = (json!(strategy), json!(share), json!(observe_s));
        body
    }
}

#[derive(clap::Args)]
pub(crate) struct DecideArgs {
    /// As shown by `titan deployments`.
    id: String,
    /// For the history.
    #[arg(long, default_value = "")]
    reason: String,
}

/// `word`: approve or reject.
pub(crate) async fn decide(client: &Client, word: &str, args: DecideArgs, json: bool) -> anyhow::Result<ExitCode> {
    let deployment = client.post(&format!("/deployments/{}/{word}", args.id), &json!({ "reason": args.reason })).await?;
    if json {
        println!("{deployment}");
    } else {
        println!("{}  {}", text(&deployment, "id"), text(&deployment, "state"));
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(clap::Args)]
pub(crate) struct PromoteArgs {
    /// Id or slug.
    project: String,
    /// The environment whose version it is.
    from: String,
    /// Where it is to run too.
    to: String,
    #[command(flatten)]
    rollout: Rollout,
}

#[derive(clap::Args)]
pub(crate) struct VariablesArgs {
    /// Id or slug.
    project: String,
    /// dev, staging or production.
    environment: String,
    /// `NAME=VALUE` sets one, `NAME=` takes it away.
    changes: Vec<String>,
}

pub(crate) async fn deploy(client: &Client, args: DeployArgs, json: bool) -> anyhow::Result<ExitCode> {
    let body = args.rollout.with(json!({ "environment": args.to, "commit": args.version }));
    follow(client, client.post(&format!("/projects/{}/deployments", args.project), &body).await?, json).await
}

pub(crate) async fn promote(client: &Client, args: PromoteArgs, json: bool) -> anyhow::Result<ExitCode> {
    let body = args.rollout.with(json!({ "from": args.from, "to": args.to }));
    follow(client, client.post(&format!("/projects/{}/promote", args.project), &body).await?, json).await
}

/// What serves an environment goes back to what served it before.
pub(crate) async fn roll_back(
    client: &Client,
    project: &str,
    to: &str,
    plan: plan::Choice,
    args: BackArgs,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let BackArgs { environment, emergency, reason, rollout } = args;
    let path = format!("/projects/{project}/environments/{}/rollback", environment.unwrap_or_default());
    if plan.wanted(json)?
        && let plan::Then::End(code) = plan.then(say_way_back(client, &path, to, json).await?)?
    {
        return Ok(code);
    }
    let body = rollout.with(json!({ "to": to, "emergency": emergency, "reason": reason }));
    follow(client, client.post(&path, &body).await?, json).await
}

/// What it would be; whether it can be.
async fn say_way_back(client: &Client, path: &str, to: &str, json: bool) -> anyhow::Result<bool> {
    let query = reqwest::Url::parse_with_params("http://titan", &[("to", to)])?;
    let planned = client.get(&format!("{path}?{}", query.query().unwrap_or_default())).await?;
    let possible = planned["possible"] == true;
    if json {
        println!("{planned}");
    } else {
        println!("From        {}", text(&planned, "from"));
        println!("To          {}, deployed {}", text(&planned, "to"), table::time(&planned, "deployed_at"));
        let waits = "has another shape: requests wait while it is taken back, and the version is not tried out";
        println!("Data        {}", if planned["data_changes"] == true { waits } else { "goes along as it is" });
        println!("Possible    {}", if possible { "yes" } else { "no" });
        table::list("", text(&planned, "message").lines().map(str::to_owned));
        for (word, versions) in [("Undone", "undone"), ("Redone", "redone")] {
            let versions = planned[versions].as_array().into_iter().flatten();
            let lines = versions.map(|version| format!("{}  {}", table::commit(version, "commit"), short(&text(version, "subject"), 80)));
            table::list(word, lines);
        }
        table::list("Under way", planned["under_way"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
        let requests =
            planned["requests_per_s"].as_f64().map_or("not known".to_owned(), |n| format!("{n:.1} requests/s come to what serves"));
        println!("Traffic     {requests}");
        println!(
            "Approval    {}",
            if planned["needs_approval"] == true { "somebody has to approve it" } else { "nobody has to approve it" }
        );
    }
    Ok(possible)
}

const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn follow(client: &Client, begun: Value, json: bool) -> anyhow::Result<ExitCode> {
    let mut operation = begun;
    while operation["state"] == "running" {
        tokio::time::sleep(LOOK).await;
        operation = client.get(&format!("/operations/{}", text(&operation, "id"))).await?;
    }
    if json {
        println!("{operation}");
    } else {
        let said = if operation["state"] == "done" { text(&operation["result"], "url") } else { text(&operation, "error") };
        println!("{}  {}  {said}", text(&operation, "id"), text(&operation, "state"));
    }
    Ok(if operation["state"] == "done" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(crate) async fn variables(client: &Client, args: VariablesArgs, json: bool) -> anyhow::Result<ExitCode> {
    let path = format!("/projects/{}/environments/{}/variables", args.project, args.environment);
    let mut changes = Map::new();
    for change in &args.changes {
        let Some((name, value)) = change.split_once('=') else { anyhow::bail!("{change:?} is not NAME=VALUE") };
        changes.insert(name.to_owned(), if value.is_empty() { Value::Null } else { json!(value) });
    }
    let set = if changes.is_empty() { client.get(&path).await? } else { client.patch(&path, "", &Value::Object(changes)).await? };
    if json {
        println!("{set}");
    } else {
        table::show(
            ["NAME", "VALUE"],
            set["variables"].as_object().into_iter().flatten().map(|(name, _)| [name.clone(), text(&set["variables"], name)]),
        );
    }
    Ok(ExitCode::SUCCESS)
}
