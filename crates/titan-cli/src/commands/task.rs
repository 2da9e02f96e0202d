use std::process::ExitCode;

use serde_json::{Value, json};

use crate::client::Client;
use crate::table::{self, text, time};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// As shown by `titan tasks`.
    id: String,
    /// Print the whole output behind the evidence.
    #[arg(long)]
    output: bool,
}

pub(crate) async fn run(client: &Client, args: Args, json: bool) -> anyhow::Result<ExitCode> {
    let task = client.get(&format!("/tasks/{}", args.id)).await?;
    let history = client.get(&format!("/tasks/{}/history", args.id)).await?;
    if json {
        println!("{}", json!({ "task": task, "history": history["changes"] }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}  {}", text(&task, "id"), text(&task, "title"));
    println!("state    {} (attempt {} of {})", text(&task, "state"), text(&task, "attempt"), text(&task, "max_attempts"));
    println!("kind     {}, for a {}", text(&task, "kind"), text(&task, "role"));
    if !text(&task, "error").is_empty() {
        println!("error    {}", text(&task, "error"));
    }
    if let Some(why) = why(&task) {
        println!("agent    {why}");
    }
    if let Some(understanding) = task["result"]["understanding"].as_object() {
        println!();
        for line in super::goal::understood(&Value::Object(understanding.clone())) {
            println!("{line}");
        }
    }
    println!("\nHistory");
    let changes = history["changes"].as_array().into_iter().flatten();
    table::show(
        ["WHEN", "FROM", "TO", "ATTEMPT", "WHO", "WHY"],
        changes.map(|c| [time(c, "at"), text(c, "from"), text(c, "to"), text(c, "attempt"), text(c, "actor"), text(c, "reason")]),
    );
    let evidence: Vec<&Value> = task["result"]["evidence"].as_array().into_iter().flatten().collect();
    if !evidence.is_empty() {
        println!("\nEvidence");
        let verdict = |e: &Value| if e["passed"] == json!(true) { "passed" } else { "FAILED" }.to_owned();
        table::show(
            ["CHECK", "VERDICT", "SUMMARY", "OUTPUT"],
            evidence.iter().map(|e| [text(e, "name"), verdict(e), text(e, "summary"), text(e, "digest")]),
        );
        if args.output {
            for e in evidence {
                println!("\n--- {} ---\n{}", text(e, "name"), client.text(&format!("/evidence/{}", text(e, "digest"))).await?);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(clap::Args)]
pub(crate) struct ActArgs {
    /// As shown by `titan tasks`.
    id: String,
    /// For the history.
    #[arg(long, default_value = "")]
    reason: String,
}

pub(crate) async fn act(client: &Client, verb: &str, args: ActArgs, json: bool) -> anyhow::Result<ExitCode> {
    let task = client.post(&format!("/tasks/{}/{verb}", args.id), &json!({ "reason": args.reason })).await?;
    if json {
        println!("{task}");
    } else {
        println!("{}  {}  {}", text(&task, "id"), text(&task, "state"), text(&task, "title"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Why this agent, from the stored factors of the choice.
fn why(task: &Value) -> Option<String> {
    let choice = task["choice"].as_object()?;
    let workload = choice.get("workload").and_then(Value::as_f64).unwrap_or(0.0) * 100.0;
    let considered = choice.get("considered").and_then(Value::as_u64).unwrap_or(0);
    let agent = text(task, "agent");
    Some(format!(
        "{agent}: of {considered} {} agent(s) with a free slot the least loaded, {workload:.0} % of its slots free",
        text(task, "role")
    ))
}
