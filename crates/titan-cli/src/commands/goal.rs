use std::process::ExitCode;

use serde_json::{Value, json};
use tracing::Instrument as _;

use super::{plan, watch};
use crate::client::Client;
use crate::table::{self, text};

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// What you want, in one sentence.
    #[arg(required = true)]
    sentence: Option<String>,
    /// Id or slug of a project; a new one is made if not given.
    #[arg(long, default_value = "")]
    project: String,
    /// Show the tasks while they are worked on, and a summary at the end.
    #[arg(short, long)]
    watch: bool,
    #[command(flatten)]
    plan: plan::Choice,
    #[command(flatten)]
    deployed: plan::Environments,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// How long what is left takes: the critical path, and how many agents would help.
    Plan(IdArgs),
    /// Begin nothing more of it; what runs goes on.
    Pause(IdArgs),
    /// Let it go on.
    Resume(IdArgs),
}

#[derive(clap::Args)]
struct IdArgs {
    /// As shown by `titan goals`.
    id: String,
}

async fn critical_path(client: &Client, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    let plan = client.get(&format!("/goals/{id}/plan")).await?;
    if json {
        println!("{plan}");
        return Ok(ExitCode::SUCCESS);
    }
    let seconds = |value: &Value, field: &str| format!("{:.1} s", value[field].as_f64().unwrap_or(0.0) / 1_000.0);
    let steps = plan["steps"].as_array().into_iter().flatten();
    let left = |s: &Value| format!("{}{}", seconds(s, "left_ms"), if s["guessed"] == json!(true) { " (a guess)" } else { "" });
    let critical = |s: &Value| if s["critical"] == json!(true) { "critical" } else { "" }.to_owned();
    table::show(
        ["TASK", "STATE", "LEFT", "", "TITLE"],
        steps.map(|s| [text(s, "task"), text(s, "state"), left(s), critical(s), text(s, "title")]),
    );
    println!("\nAt least {} are left, along the critical path.", seconds(&plan, "shortest_ms"));
    for agents in plan["by_agents"].as_array().into_iter().flatten() {
        println!("{} with {} agent(s)", seconds(agents, "takes_ms"), text(agents, "agents"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn act(client: &Client, id: &str, verb: &str, json: bool) -> anyhow::Result<ExitCode> {
    let goal = client.post(&format!("/goals/{id}/{verb}"), &json!({})).await?;
    if json {
        println!("{goal}");
    } else {
        println!("{id}  {}", if goal["paused"] == json!(true) { "paused".to_owned() } else { text(&goal, "state") });
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn run(client: &Client, args: Args, json: bool) -> anyhow::Result<ExitCode> {
    match &args.verb {
        Some(Verb::Plan(IdArgs { id })) => return critical_path(client, id, json).await,
        Some(Verb::Pause(IdArgs { id })) => return act(client, id, "pause", json).await,
        Some(Verb::Resume(IdArgs { id })) => return act(client, id, "resume", json).await,
        None => {}
    }
    let sentence = args.sentence.as_deref().unwrap_or_default();
    let mut project = args.project;
    if args.plan.wanted(json)? {
        let planned = submit(client, sentence, &project, true, &[]).await?;
        let then = args.plan.say(client, &text(&planned, "id"), json).await?;
        let made = text(&planned, "project");
        if let plan::Then::End(code) = then {
            if project.is_empty() {
                // It was made for the plan.
                client.delete(&format!("/projects/{made}")).await?;
            }
            return Ok(code);
        }
        project = made;
    }
    let goal = submit(client, sentence, &project, false, &args.deployed.environments).await?;
    let id = text(&goal, "id");
    if !args.watch {
        if json {
            println!("{goal}")
        } else {
            println!("{id} in project {} is running; follow it with `titan tasks --goal {id}`", text(&goal, "project"))
        }
        return Ok(ExitCode::SUCCESS);
    }
    let done = watch::goal(client, &id, json).await?;
    if json {
        println!("{done}");
    } else {
        for line in summary(client, &done).await? {
            println!("{line}");
        }
    }
    Ok(if text(&done, "state") == "done" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The trace of everything done for the goal begins here.
pub(super) async fn submit(
    client: &Client,
    sentence: &str,
    project: &str,
    plan_only: bool,
    environments: &[String],
) -> anyhow::Result<Value> {
    let body = json!({ "sentence": sentence, "project": project, "plan_only": plan_only, "environments": environments });
    Ok(client.post("/goals", &body).instrument(tracing::info_span!("titan goal")).await?)
}

/// What came of a finished goal, for people.
pub(super) async fn summary(client: &Client, goal: &Value) -> anyhow::Result<Vec<String>> {
    let mut lines = vec![String::new()];
    let result = &goal["result"];
    lines.extend(understood(&result["plan-goal"]["understanding"]));
    if text(goal, "state") != "done" {
        lines.push(format!("The goal failed. {}", text(goal, "error")));
        return Ok(lines);
    }
    let tasks = client.get(&format!("/tasks?limit=200&goal={}", text(goal, "id"))).await?;
    let count = tasks["items"].as_array().map_or(0, Vec::len);
    let verify = &result["verify"];
    let findings = verify["findings"].as_array().map_or(0, Vec::len);
    let coverage = verify["coverage"].as_f64().map(|c| format!("{c:.1} % of lines covered")).unwrap_or_default();
    lines.push(format!("Tasks       {count} done"));
    lines.push(format!("Tests       {} passed, {coverage}", text(verify, "tests")));
    lines.push(format!("Security    {findings} finding(s)"));
    let performance = &verify["report"]["performance"];
    if let (Some(p50), Some(p95)) = (performance["p50_ms"].as_f64(), performance["p95_ms"].as_f64()) {
        lines.push(format!(
            "Speed       p50 {p50:.1} ms, p95 {p95:.1} ms, started in {:.0} ms",
            performance["started_ms"].as_f64().unwrap_or(0.0)
        ));
    }
    let advice = verify["report"]["recommendations"].as_array().into_iter().flatten().filter_map(Value::as_str);
    lines.extend(advice.map(|advice| format!("Advice      {advice}")));
    lines.push(format!("App         {}", text(&result["deploy"], "url")));
    lines.push(format!("Logs        titan logs {}", text(&result["deploy"], "deployment")));
    let repository = format!("{}/git/{}.git", client.url(), text(goal, "project"));
    lines.push(format!("Code        git clone -c credential.helper='!titan git-credential' {repository}"));
    lines.push(format!("Duration    {:.1} s", duration(goal)));
    Ok(lines)
}

fn duration(goal: &Value) -> f64 {
    let at = |field: &str| text(goal, field).parse::<chrono::DateTime<chrono::Utc>>().ok();
    match (at("created_at"), at("finished_at")) {
        (Some(from), Some(to)) => (to - from).as_seconds_f64(),
        _ => 0.0,
    }
}

/// What the plan understood, assumed and did not understand.
pub(super) fn understood(understanding: &Value) -> Vec<String> {
    if understanding.is_null() {
        return Vec::new();
    }
    let field = |f: &Value| {
        let mut says = vec![text(f, "type")];
        says.extend(["required", "unique"].into_iter().filter(|flag| f[*flag] == json!(true)).map(str::to_owned));
        let choices: Vec<_> = f["choices"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        says.extend((!choices.is_empty()).then(|| format!("one of {}", choices.join(" | "))));
        let bounds = [("least", "at least"), ("most", "at most")].into_iter().filter(|(bound, _)| !f[*bound].is_null());
        says.extend(bounds.map(|(bound, words)| format!("{words} {}", f[bound].as_f64().unwrap_or(0.0))));
        says.extend((!f["default"].is_null()).then(|| match f["type"].as_str() {
            Some("boolean") => format!("default {}", f["default"] != 0),
            _ => format!("default {}", text(f, "default")),
        }));
        if let Some(path) = f["references"].as_str() {
            says[0] = format!("one of the {path}");
        }
        format!("{} ({})", text(f, "name"), says.join(", "))
    };
    let resource = |r: &Value| {
        let fields = r["fields"].as_array().into_iter().flatten().map(field).collect::<Vec<_>>().join(", ");
        format!("{}: {fields}", text(r, "plural"))
    };
    let mut resources = understanding["resources"].as_array().into_iter().flatten().map(resource);
    let texts =
        |name: &str| understanding[name].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
    let mut lines = vec![format!("Understood  {} for {}", text(understanding, "kind"), resources.next().unwrap_or_default())];
    lines.extend(resources.map(|resource| format!("        and {resource}")));
    let blocks = texts("blocks");
    lines.extend((!blocks.is_empty()).then(|| format!("With        {}", blocks.join(", "))));
    lines.extend(
        understanding["every_s"].as_u64().map(|every_s| format!("Every       {every_s} s, from {}", texts("formats").join(" and "))),
    );
    lines.extend(texts("assumed").into_iter().map(|a| format!("Assumed     {a}")));
    lines.extend(texts("not_understood").into_iter().map(|n| format!("Left out    {n}")));
    lines
}
