use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::client::Client;
use crate::table::{self, text};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Id or slug of the project.
    #[arg(long)]
    project: String,
    /// JSON: a list of tasks as `POST /api/v1/tasks` takes them (see /api/v1/openapi.json); - for standard input.
    #[arg(long, conflicts_with = "one")]
    file: Option<PathBuf>,
    #[command(flatten)]
    task: One,
    /// Given twice, it is submitted once.
    #[arg(long)]
    idempotency_key: Option<String>,
}

#[derive(clap::Args)]
#[group(id = "one", multiple = true)]
struct One {
    /// What work it is, e.g. noop.
    #[arg(long, required_unless_present = "file")]
    kind: Option<String>,
    /// The role an agent needs.
    #[arg(long, required_unless_present = "file")]
    role: Option<String>,
    #[arg(long, required_unless_present = "file")]
    title: Option<String>,
    /// JSON object.
    #[arg(long, default_value = "{}")]
    input: String,
    /// 0 (lowest) to 9.
    #[arg(long, default_value_t = 0)]
    priority: i32,
    /// Agents of this pool are given it.
    #[arg(long, default_value = "")]
    pool: String,
    /// What an agent needs: a skill, or skill=proficiency from 0 to 1; may be given more than once.
    #[arg(long = "skill")]
    skills: Vec<String>,
    #[arg(long = "label")]
    labels: Vec<String>,
    /// Id of a task it waits for; may be given more than once.
    #[arg(long = "after")]
    depends_on: Vec<String>,
    /// RFC 3339.
    #[arg(long)]
    run_after: Option<String>,
    /// RFC 3339.
    #[arg(long)]
    due: Option<String>,
    /// RFC 3339; it fails when it is not done by then.
    #[arg(long)]
    deadline: Option<String>,
    #[arg(long, default_value = "")]
    concurrency_key: String,
    #[arg(long, default_value_t = 0)]
    concurrency_limit: u32,
    /// key=limit/seconds: so many with this key begin within so many seconds; may be given more than once.
    #[arg(long = "rate")]
    rates: Vec<String>,
    /// fail, skip or run: what happens when one that it waits for is not done.
    #[arg(long, default_value = "fail")]
    on_failure: String,
    /// Id of a task that it is a part of.
    #[arg(long, default_value = "")]
    parent: String,
    /// Name of the agent that is given it if it is free.
    #[arg(long, default_value = "")]
    preferred_agent: String,
    /// Name of the only agent that may be given it.
    #[arg(long, default_value = "")]
    only_agent: String,
    /// Later attempts go to the agent that had it before.
    #[arg(long)]
    sticky: bool,
    /// Milliseconds before the second attempt, doubled with each.
    #[arg(long)]
    retry_base_ms: Option<u64>,
    /// Of such a pause, at most.
    #[arg(long)]
    retry_most_ms: Option<u64>,
    /// The share of a pause that is drawn by lot, 0 to 1.
    #[arg(long)]
    retry_jitter: Option<f64>,
    /// A code of an error after which there is no other attempt; may be given more than once.
    #[arg(long = "final-error")]
    final_errors: Vec<String>,
    /// Steps all its attempts together may take; 0: as many as they need.
    #[arg(long, default_value_t = 0)]
    budget_steps: u64,
    /// Tokens of language models they may use; 0: no limit.
    #[arg(long, default_value_t = 0)]
    budget_tokens: u64,
    /// US dollars they may cost; 0: no limit.
    #[arg(long, default_value = "0", value_parser = usd_micros)]
    budget_usd: u64,
    #[arg(long, default_value_t = 0)]
    max_attempts: i32,
    /// Of one attempt, in seconds.
    #[arg(long, default_value_t = 0)]
    timeout: u32,
}

pub(crate) async fn run(client: &Client, args: Args, json: bool) -> anyhow::Result<ExitCode> {
    let tasks = match &args.file {
        Some(file) if file.as_os_str() == "-" => serde_json::from_reader(std::io::stdin()).context("standard input is not JSON")?,
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
            serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?
        }
        None => json!([one(&args.task)?]),
    };
    let body = json!({ "project": args.project, "tasks": tasks });
    let submitted = match &args.idempotency_key {
        Some(key) => client.post_as("/tasks", key, &body).await?,
        None => client.post("/tasks", &body).await?,
    };
    if json {
        println!("{submitted}");
    } else {
        let tasks = submitted["tasks"].as_array().into_iter().flatten();
        table::show(
            ["TASK", "STATE", "HELD", "TITLE"],
            tasks.map(|t| [text(t, "id"), text(t, "state"), text(t, "held"), text(t, "title")]),
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Millionths of a dollar.
fn usd_micros(given: &str) -> Result<u64, String> {
    match given.parse::<f64>() {
        Ok(usd) if (0.0..1e9).contains(&usd) => Ok((usd * 1e6).round() as u64),
        _ => Err("must be dollars, like 0.50".to_owned()),
    }
}

fn one(args: &One) -> anyhow::Result<Value> {
    let input: Value = serde_json::from_str(&args.input).context("--input is not JSON")?;
    let skill = |given: &String| match given.split_once('=') {
        Some((skill, least)) => {
            Ok((skill.to_owned(), json!(least.parse::<f64>().with_context(|| format!("--skill {given}: not a number"))?)))
        }
        None => Ok((given.clone(), json!(0.0))),
    };
    let skills: serde_json::Map<String, Value> = args.skills.iter().map(skill).collect::<anyhow::Result<_>>()?;
    let rate = |given: &String| {
        let parts = given.split_once('=').and_then(|(key, rest)| Some((key, rest.split_once('/')?)));
        let (key, (limit, seconds)) = parts.with_context(|| format!("--rate {given}: not key=limit/seconds, like api=10/60"))?;
        let (limit, seconds) = (limit.parse::<u32>().ok(), seconds.parse::<f64>().ok());
        let (limit, seconds) = limit.zip(seconds).with_context(|| format!("--rate {given}: the limit and the seconds are numbers"))?;
        Ok(json!({ "key": key, "limit": limit, "period_ms": (seconds * 1e3) as u64 }))
    };
    let rates: Vec<Value> = args.rates.iter().map(rate).collect::<anyhow::Result<_>>()?;
    let on_failure: serde_json::Map<String, Value> = args.depends_on.iter().map(|on| (on.clone(), json!(args.on_failure))).collect();
    Ok(json!({
        "key": "task", "kind": args.kind, "role": args.role, "title": args.title, "input": input, "priority": args.priority,
        "pool": args.pool, "skills": skills, "labels": args.labels, "depends_on": args.depends_on, "run_after": args.run_after,
        "due_at": args.due, "deadline_at": args.deadline, "concurrency_key": args.concurrency_key,
        "concurrency_limit": args.concurrency_limit, "max_attempts": args.max_attempts, "timeout_s": args.timeout,
        "rate_limits": rates, "on_failure": on_failure, "parent": args.parent, "preferred_agent": args.preferred_agent,
        "only_agent": args.only_agent, "sticky": args.sticky,
        "budget": { "steps": args.budget_steps, "tokens": args.budget_tokens, "usd_micros": args.budget_usd },
        "retry": { "base_ms": args.retry_base_ms, "most_ms": args.retry_most_ms, "jitter": args.retry_jitter, "final_errors": args.final_errors },
    }))
}
