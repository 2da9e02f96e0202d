use std::process::ExitCode;

use serde_json::json;

use crate::client::Client;
use crate::table::text;

#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// Make one: tasks, schedules and repositories belong to a project.
    Create {
        name: String,
        /// In URLs; made of the name if not given.
        #[arg(long, default_value = "")]
        slug: String,
        #[arg(long, default_value = "")]
        description: String,
    },
}

pub(crate) async fn run(client: &Client, verb: Verb, json: bool) -> anyhow::Result<ExitCode> {
    let Verb::Create { name, slug, description } = verb;
    let made = client.post("/projects", &json!({ "name": name, "slug": slug, "description": description })).await?;
    println!("{}", if json { made.to_string() } else { text(&made, "slug") });
    Ok(ExitCode::SUCCESS)
}
