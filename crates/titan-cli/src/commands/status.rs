//! How what is deployed does: a look, or one look after the other.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::Client;
use crate::table::{self, text};

#[derive(clap::Args)]
pub(crate) struct StatusArgs {
    /// Only of this project, by id or slug.
    #[arg(default_value = "")]
    project: String,
    /// Show it anew every two seconds, until Ctrl-C.
    #[arg(long, short)]
    watch: bool,
}

#[derive(clap::Args)]
pub(crate) struct TopArgs {
    /// Only of this project, by id or slug.
    #[arg(default_value = "")]
    project: String,
}

#[derive(clap::Args)]
pub(crate) struct CostsArgs {
    /// Id or slug.
    project: String,
}

/// Of the last 24 hours, and of a month of the same.
pub(crate) async fn costs(client: &Client, args: CostsArgs, json: bool) -> anyhow::Result<ExitCode> {
    let costs = client.get(&format!("/projects/{}/costs", args.project)).await?;
    if json {
        println!("{costs}");
        return Ok(ExitCode::SUCCESS);
    }
    let currency = text(&costs, "currency");
    let money = |of: &Value, digits: usize| of.as_f64().map_or_else(|| "-".to_owned(), |sum| format!("{sum:.digits$} {currency}"));
    let row = |of: &Value| {
        let cost = &of["cost"];
        let [processor, memory, disk, network, total] =
            ["processor", "memory", "disk", "network", "total"].map(|part| money(&cost[part], 4));
        let hours = format!("{:.1}", of["hours"].as_f64().unwrap_or(0.0));
        let (environment, month, advice) = (text(of, "environment"), money(&cost["month"], 2), text(of, "advice"));
        [environment, text(of, "state"), hours, processor, memory, disk, network, total, month, advice]
    };
    let headings = ["ENVIRONMENT", "STATE", "HOURS", "PROCESSOR", "MEMORY", "DISK", "NETWORK", "TOTAL", "MONTH", "ADVICE"];
    table::show(headings, costs["items"].as_array().into_iter().flatten().map(row));
    println!("Together {}; a month of what runs now {}", money(&costs["total"], 4), money(&costs["month"], 2));
    for unknown in costs["unknown"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        println!("Of {unknown} nothing is known yet");
    }
    Ok(ExitCode::SUCCESS)
}

const EVERY: Duration = Duration::from_secs(2);
/// Clears the screen, and goes to its first line.
const ANEW: &str = "\x1b[2J\x1b[H";

pub(crate) async fn run(client: &Client, args: StatusArgs, json: bool) -> anyhow::Result<ExitCode> {
    if args.watch {
        return watch(client, &args.project, json, |_| {}).await;
    }
    show(&running(client, &args.project).await?, json);
    Ok(ExitCode::SUCCESS)
}

/// Those that use the most processor time first.
pub(crate) async fn top(client: &Client, args: TopArgs, json: bool) -> anyhow::Result<ExitCode> {
    let cores = |d: &Value| d["health"]["recent"]["cpu_cores"].as_f64().unwrap_or(0.0);
    watch(client, &args.project, json, |all| all.sort_by(|a, b| cores(b).total_cmp(&cores(a)))).await
}

async fn watch(client: &Client, project: &str, json: bool, order: impl Fn(&mut Vec<Value>)) -> anyhow::Result<ExitCode> {
    loop {
        // What cannot be asked just now is asked again.
        match running(client, project).await {
            Ok(mut all) => {
                order(&mut all);
                if !json {
                    print!("{ANEW}");
                }
                show(&all, json);
            }
            Err(error) => eprintln!("{error:#}"),
        }
        std::io::stdout().flush()?;
        tokio::time::sleep(EVERY).await;
    }
}

async fn running(client: &Client, project: &str) -> anyhow::Result<Vec<Value>> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let query = [("state", "running"), ("limit", "200"), ("project", project), ("after", &after)];
        let url = reqwest::Url::parse_with_params("http://titan", &query)?;
        let page = client.get(&format!("/deployments?{}", url.query().unwrap_or_default())).await?;
        all.extend(page["items"].as_array().into_iter().flatten().cloned());
        after = text(&page, "next");
        if after.is_empty() {
            return Ok(all);
        }
    }
}

fn show(all: &[Value], json: bool) {
    if json {
        println!("{}", json!({ "deployments": all }));
        return;
    }
    let headings = [
        "PROJECT",
        "ENVIRONMENT",
        "HEALTH",
        "UPTIME 24H",
        "REQ/S",
        "ERRORS",
        "P50",
        "P95",
        "CPU",
        "MEMORY",
        "DISK",
        "IN 24H",
        "OUT 24H",
        "RESTARTS",
        "COMMIT",
        "URL",
    ];
    table::show(headings, all.iter().map(row));
}

fn row(d: &Value) -> [String; 16] {
    let (health, recent, day) = (&d["health"], &d["health"]["recent"], &d["health"]["day"]);
    let figure = |of: &Value, factor: f64, digits: usize, unit: &str| {
        of.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{:.digits$}{unit}", value * factor))
    };
    let up = match health["up"].as_bool() {
        Some(true) => "up",
        Some(false) => "DOWN",
        None => "-",
    };
    let probed = if health["probes"].as_u64() > Some(0) { &health["uptime"] } else { &Value::Null };
    // Of a process that was not looked at yet nothing is known.
    let known = |what: &str| if recent["memory_bytes"].as_u64() > Some(0) { &recent[what] } else { &Value::Null };
    let mib = |of: &Value, digits: usize| figure(of, 1.0 / 1_048_576.0, digits, " MiB");
    let of_requests = if recent["requests"].as_u64() > Some(0) { &recent["error_rate"] } else { &Value::Null };
    [
        text(d, "project"),
        text(d, "environment"),
        up.to_owned(),
        figure(probed, 100.0, 2, " %"),
        figure(&recent["requests_per_s"], 1.0, 1, ""),
        figure(of_requests, 100.0, 2, " %"),
        figure(&recent["latency_p50_ms"], 1.0, 1, " ms"),
        figure(&recent["latency_p95_ms"], 1.0, 1, " ms"),
        figure(&recent["cpu_cores"], 100.0, 1, " %"),
        mib(known("memory_bytes"), 0),
        mib(known("disk_bytes"), 1),
        mib(&day["received_bytes"], 1),
        mib(&day["sent_bytes"], 1),
        text(d, "restarts"),
        table::commit(d, "commit"),
        text(d, "url"),
    ]
}
