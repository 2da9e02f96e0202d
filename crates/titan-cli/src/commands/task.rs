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
    if !text(&task, "held").is_empty() {
        println!("held     {}", text(&task, "held"));
    }
    if let Some(spent) = spent(&task) {
        println!("spent    {spent}");
    }
    if !text(&task, "error").is_empty() {
        println!("error    {}", text(&task, "error"));
    }
    if let Some(chosen) = chosen(&task) {
        println!("agent    {chosen}");
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

/// What there is of it, and of what.
fn spent(task: &Value) -> Option<String> {
    let part = |field: &str, unit: &str, scale: f64, digits: usize| {
        let used = task["spent"][field].as_f64().unwrap_or(0.0) / scale;
        let most = task["budget"][field].as_f64().map(|most| format!(" of {:.digits$}", most / scale));
        (used > 0.0 || most.is_some()).then(|| format!("{used:.digits$}{} {unit}", most.unwrap_or_default()))
    };
    let parts = [part("tokens", "tokens", 1.0, 0), part("usd_micros", "US dollars", 1e6, 4), part("steps", "steps", 1.0, 0)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

pub(crate) async fn act(client: &Client, verb: &str, args: ActArgs, json: bool) -> anyhow::Result<ExitCode> {
    let task = client.post(&format!("/tasks/{}/{verb}", args.id), &json!({ "reason": args.reason })).await?;
    Ok(show(&task, json))
}

/// The task as it is now, in a line.
fn show(task: &Value, json: bool) -> ExitCode {
    if json {
        println!("{task}");
    } else {
        println!("{}  {}  {}", text(task, "id"), text(task, "state"), text(task, "title"));
    }
    ExitCode::SUCCESS
}

/// What is not given stays.
#[derive(clap::Args)]
pub(crate) struct EditArgs {
    /// As shown by `titan tasks`.
    id: String,
    #[arg(long)]
    title: Option<String>,
    /// 0 (lowest) to 9.
    #[arg(long)]
    priority: Option<i32>,
    /// All of them anew; may be given more than once.
    #[arg(long = "label", conflicts_with = "no_labels")]
    labels: Vec<String>,
    #[arg(long)]
    no_labels: bool,
    /// A time such as 2026-12-24T18:00:00Z, or none.
    #[arg(long, value_name = "TIME")]
    due: Option<String>,
    /// Whatever it is doing by then, it fails; a time, or none.
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    /// For the history.
    #[arg(long, default_value = "")]
    reason: String,
}

pub(crate) async fn edit(client: &Client, args: EditArgs, json: bool) -> anyhow::Result<ExitCode> {
    let EditArgs { id, title, priority, labels, no_labels, due, deadline, reason } = args;
    let path = format!("/tasks/{id}");
    let version = text(&client.get(&path).await?, "version");
    let mut patch = json!({ "reason": reason });
    let labels = (no_labels || !labels.is_empty()).then_some(labels);
    let time = |given: String| if given == "none" { Value::Null } else { json!(given) };
    let fields = [
        ("title", title.map(Value::from)),
        ("priority", priority.map(Value::from)),
        ("labels", labels.map(Value::from)),
        ("due_at", due.map(time)),
        ("deadline_at", deadline.map(time)),
    ];
    for (field, value) in fields {
        if let Some(value) = value {
            patch[field] = value;
        }
    }
    Ok(show(&client.patch(&path, &version, &patch).await?, json))
}

pub(crate) async fn delete(client: &Client, args: WhyArgs, json: bool) -> anyhow::Result<ExitCode> {
    let was = client.delete(&format!("/tasks/{}", args.id)).await?;
    if json {
        println!("{was}");
    } else {
        println!("{}  deleted  {}", text(&was, "id"), text(&was, "title"));
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(clap::Args)]
pub(crate) struct HandOffArgs {
    /// As shown by `titan tasks`.
    id: String,
    /// Name of the agent; whoever fits if not given.
    #[arg(long, default_value = "")]
    to: String,
    /// For the history.
    #[arg(long, default_value = "")]
    reason: String,
}

pub(crate) async fn hand_off(client: &Client, args: HandOffArgs, json: bool) -> anyhow::Result<ExitCode> {
    let task = client.post(&format!("/tasks/{}/hand-off", args.id), &json!({ "to": args.to, "reason": args.reason })).await?;
    Ok(show(&task, json))
}

#[derive(clap::Args)]
pub(crate) struct WhyArgs {
    /// As shown by `titan tasks`.
    id: String,
}

pub(crate) async fn why(client: &Client, args: WhyArgs, json: bool) -> anyhow::Result<ExitCode> {
    let why = client.get(&format!("/tasks/{}/why", args.id)).await?;
    if json {
        println!("{why}");
        return Ok(ExitCode::SUCCESS);
    }
    let task = &why["task"];
    println!("{}  {}  {}", text(task, "id"), text(task, "state"), text(task, "title"));
    for because in why["because"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        println!("- {because}");
    }
    let agents: Vec<&Value> = why["agents"].as_array().into_iter().flatten().collect();
    if !agents.is_empty() {
        println!();
        let lacks = |a: &Value| if a["lacks"].is_null() { "nothing; it is free".to_owned() } else { text(a, "lacks") };
        table::show(["AGENT", "WHAT STANDS IN THE WAY"], agents.iter().map(|a| [text(a, "name"), lacks(a)]));
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn audit(client: &Client, args: WhyArgs) -> anyhow::Result<ExitCode> {
    print!("{}", client.text(&format!("/tasks/{}/audit", args.id)).await?);
    Ok(ExitCode::SUCCESS)
}

/// Why this agent, from the stored factors of the choice.
fn chosen(task: &Value) -> Option<String> {
    let choice = task["choice"].as_object()?;
    let considered = choice.get("considered").and_then(Value::as_u64).unwrap_or(0);
    Some(format!("{}, best of {considered} with a score of {}; `titan why` says more", text(task, "agent"), text(&task["choice"], "score")))
}
