//! What is kept of an environment's data.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::environment::follow;
use crate::client::Client;
use crate::table::{self, text};

#[derive(clap::Args)]
pub(crate) struct Of {
    /// Id or slug.
    project: String,
    /// dev, staging or production.
    #[arg(long, default_value = "production")]
    environment: String,
}

#[derive(clap::Args)]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    of: Of,
    /// As shown by `titan backups`.
    backup: String,
    /// Without approval, also where that is configured; needs --reason.
    #[arg(long, requires = "reason")]
    emergency: bool,
    /// For the history.
    #[arg(long, default_value = "")]
    reason: String,
}

pub(crate) async fn list(client: &Client, Of { project, environment }: Of, json: bool) -> anyhow::Result<ExitCode> {
    let backups = client.get(&format!("/projects/{project}/environments/{environment}/backups")).await?;
    if json {
        println!("{backups}");
        return Ok(ExitCode::SUCCESS);
    }
    let kib = |b: &Value| format!("{} KiB", b["bytes"].as_u64().unwrap_or(0) / 1024);
    let row = |b: &Value| [text(b, "id"), table::time(b, "made_at"), table::commit(b, "commit"), kib(b)];
    table::show(["BACKUP", "MADE", "OF VERSION", "SIZE"], backups["items"].as_array().into_iter().flatten().map(row));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn restore(client: &Client, args: RestoreArgs, json: bool) -> anyhow::Result<ExitCode> {
    let RestoreArgs { of: Of { project, environment }, backup, emergency, reason } = args;
    let body = json!({ "backup": backup, "emergency": emergency, "reason": reason });
    follow(client, client.post(&format!("/projects/{project}/environments/{environment}/restore"), &body).await?, json).await
}
