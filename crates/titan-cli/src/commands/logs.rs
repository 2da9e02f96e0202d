use std::process::ExitCode;

use serde_json::json;

use crate::client::Client;
use crate::table::text;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// As shown by `titan deployments`.
    deployment: String,
    /// Lines from the end.
    #[arg(short = 'n', long, default_value_t = 100)]
    lines: u32,
}

#[derive(clap::Args)]
pub(crate) struct StopArgs {
    /// As shown by `titan deployments`.
    deployment: String,
}

pub(crate) async fn run(client: &Client, args: Args, json: bool) -> anyhow::Result<ExitCode> {
    let logs = client.get(&format!("/deployments/{}/logs?lines={}", args.deployment, args.lines)).await?;
    if json {
        println!("{logs}");
    } else {
        for line in logs["lines"].as_array().into_iter().flatten().filter_map(|l| l.as_str()) {
            println!("{line}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn stop(client: &Client, args: StopArgs, json: bool) -> anyhow::Result<ExitCode> {
    let stopped = client.post(&format!("/deployments/{}/stop", args.deployment), &json!({})).await?;
    if json {
        println!("{stopped}")
    } else {
        println!("{} is {}", args.deployment, text(&stopped, "state"))
    }
    Ok(ExitCode::SUCCESS)
}
