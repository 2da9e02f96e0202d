use std::process::ExitCode;

use serde_json::json;

use crate::client::Client;
use crate::table::text;

#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// Give it nothing more; what it has it ends.
    Drain(Args),
    /// The same, for one that is not trusted.
    Quarantine(Args),
    /// Give it work again.
    Return(Args),
    /// Wake it for what is assigned to it and what it could take.
    Trigger {
        /// Name or id, as shown by `titan agents`.
        agent: String,
    },
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Name or id, as shown by `titan agents`.
    agent: String,
    /// For those who ask later.
    #[arg(long, default_value = "")]
    reason: String,
}

pub(crate) async fn run(client: &Client, verb: Verb, json: bool) -> anyhow::Result<ExitCode> {
    let (verb, Args { agent, reason }) = match verb {
        Verb::Drain(args) => ("drain", args),
        Verb::Quarantine(args) => ("quarantine", args),
        Verb::Return(args) => ("return", args),
        Verb::Trigger { agent } => ("trigger", Args { agent, reason: String::new() }),
    };
    let agent = client.post(&format!("/agents/{agent}/{verb}"), &json!({ "reason": reason })).await?;
    if json {
        println!("{agent}");
    } else {
        println!("{}  {}", text(&agent, "name"), text(&agent, "status"));
    }
    Ok(ExitCode::SUCCESS)
}
