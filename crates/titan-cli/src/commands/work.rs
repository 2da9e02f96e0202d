//! An agent that we did not write: a command that is run for each task.

use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::client::{Client, ClientError};
use crate::table::text;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Unique in the organisation; the same name after a restart is the same agent.
    #[arg(long)]
    name: String,
    #[arg(long)]
    role: String,
    /// Messages to this department reach it.
    #[arg(long, default_value = "")]
    department: String,
    /// Tasks for this pool are given to it.
    #[arg(long, default_value = "default")]
    pool: String,
    /// skill, or skill=proficiency from 0 to 1; may be given more than once.
    #[arg(long = "skill")]
    skills: Vec<String>,
    /// Only tasks with one of these labels.
    #[arg(long = "label")]
    labels: Vec<String>,
    /// Only tasks of this project, by id or slug; may be given more than once.
    #[arg(long = "project")]
    projects: Vec<String>,
    /// Only tasks of this priority or more urgent ones.
    #[arg(long, default_value_t = 0)]
    priority: i32,
    /// Leave after one task.
    #[arg(long)]
    once: bool,
    /// It gets the task as JSON on its standard input. Exit code 0: what it prints is the result (a JSON object, or {"output": text});
    /// another one: the attempt failed, with the end of its standard error; 65: there is to be no other attempt.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

const WAIT_MS: u32 = 20_000;
/// Whoever cancels a task is obeyed within two seconds.
const BEAT: Duration = Duration::from_millis(1_500);
/// As long as the engine waits for an agent that says nothing.
const LEASE: Duration = Duration::from_secs(60);
const PATIENCE: Duration = Duration::from_secs(600);
/// Bytes of standard error that make the message of a failure.
const TAIL: usize = 2_000;
/// EX_DATAERR of sysexits.h.
const FINAL: i32 = 65;

pub(crate) async fn run(client: &Client, args: Args) -> anyhow::Result<ExitCode> {
    let skill = |given: &String| match given.split_once('=') {
        Some((skill, level)) => {
            Ok((skill.to_owned(), json!(level.parse::<f64>().with_context(|| format!("--skill {given}: not a number"))?)))
        }
        None => Ok((given.clone(), json!(1.0))),
    };
    let skills: serde_json::Map<String, Value> = args.skills.iter().map(skill).collect::<anyhow::Result<_>>()?;
    let mut projects = Vec::new();
    for project in &args.projects {
        projects.push(text(&client.get(&format!("/projects/{project}")).await?, "id"));
    }
    let agent = json!({ "name": args.name, "role": args.role, "department": args.department, "pool": args.pool, "skills": skills,
        "subscription": { "labels": args.labels, "priority": args.priority, "projects": projects } });
    let registered = client.post("/agents", &agent).await?;
    let id = text(&registered, "id");
    eprintln!("{} waits for tasks; Ctrl-C ends it", args.name);
    let served = tokio::select! {
        served = serve(client, &id, &agent, &args) => served,
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    // What it has is somebody else's at once, not after its lease.
    let left = client.delete(&format!("/agents/{id}")).await;
    served?;
    left?;
    Ok(ExitCode::SUCCESS)
}

async fn serve(client: &Client, id: &str, agent: &Value, args: &Args) -> anyhow::Result<()> {
    loop {
        let path = format!("/agents/{id}/poll");
        let ask = json!({ "wait_ms": WAIT_MS });
        let polled = match insist(client, &path, &ask).await {
            // It was silent for too long, as this host was or the network.
            Err(ClientError::Refused { .. }) => {
                insist(client, "/agents", agent).await?;
                insist(client, &path, &ask).await?
            }
            polled => polled?,
        };
        let task = &polled["assignment"];
        if task.is_null() {
            tokio::time::sleep(Duration::from_millis(polled["retry_after_ms"].as_u64().unwrap_or(1_000))).await;
            continue;
        }
        eprintln!("{} attempt {}: {}", text(task, "task"), text(task, "attempt"), text(task, "title"));
        match work(client, id, task, &args.command).await? {
            Some(report) => {
                let accepted = insist(client, &format!("/agents/{id}/reports"), &report).await?["accepted"] == json!(true);
                let ended = report.as_object().and_then(|report| report.keys().find(|key| ["completed", "failed"].contains(&key.as_str())));
                eprintln!("  {}{}", ended.map_or("", String::as_str), if accepted { "" } else { ", but it was somebody else's by then" });
            }
            None => eprintln!("  stopped: it is somebody else's now"),
        }
        if args.once {
            return Ok(());
        }
    }
}

/// A gateway that is away for a while is no reason to leave.
async fn insist(client: &Client, path: &str, body: &Value) -> Result<Value, ClientError> {
    let key = uuid::Uuid::new_v4().to_string();
    let since = Instant::now();
    loop {
        match client.post_as(path, &key, body).await {
            Err(ClientError::Unreachable { .. }) if since.elapsed() < PATIENCE => {}
            answer => return answer,
        }
    }
}

/// What to report of it; none when it was taken away.
async fn work(client: &Client, agent: &str, task: &Value, command: &[String]) -> anyhow::Result<Option<Value>> {
    let (id, attempt) = (task["task"].clone(), task["attempt"].clone());
    let report = |what: &str, value: Value| Some(json!({ "task": id, "attempt": attempt, what: value }));
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .env("TITAN_TASK", text(task, "task"))
        .env("TITAN_ATTEMPT", text(task, "attempt"))
        .env("TITAN_KIND", text(task, "kind"))
        .env("TRACEPARENT", text(task, "traceparent"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("{} cannot be run", command[0]))?;
    let stdin = child.stdin.take();
    let given = async {
        if let Some(mut stdin) = stdin {
            // A command that does not read it is free not to.
            let _ = stdin.write_all(task.to_string().as_bytes()).await;
        }
    };
    let deadline = tokio::time::sleep(Duration::from_millis(task["deadline_ms"].as_u64().unwrap_or(300_000)));
    let (mut ended, mut deadline) = (std::pin::pin!(async { tokio::join!(child.wait_with_output(), given).0 }), std::pin::pin!(deadline));
    let beat = json!({ "running": [{ "task": id, "attempt": attempt }] });
    let mut heard = Instant::now();
    loop {
        let path = format!("/agents/{agent}/heartbeat");
        tokio::select! {
            output = &mut ended => {
                let output = output?;
                let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
                if output.status.success() {
                    let result = serde_json::from_str::<Value>(&out).ok().filter(Value::is_object);
                    return Ok(report("completed", result.unwrap_or_else(|| json!({ "output": out.trim_end() }))));
                }
                let tail: String = err.trim_end().chars().rev().take(TAIL).collect::<Vec<_>>().into_iter().rev().collect();
                let message = format!("{} ended with {}: {tail}", command[0], output.status);
                return Ok(report("failed", json!({ "message": message, "final": output.status.code() == Some(FINAL) })));
            }
            () = &mut deadline => return Ok(report("failed", json!({ "message": "it took longer than it may", "code": "timeout" }))),
            kept = async {
                tokio::time::sleep(BEAT).await;
                client.post(&path, &beat).await
            } => match kept {
                Ok(kept) if kept["keep"].as_array().is_none_or(Vec::is_empty) => return Ok(None),
                Ok(_) => heard = Instant::now(),
                // Its time is over when nobody was told for so long that it lives.
                Err(ClientError::Unreachable { .. }) if heard.elapsed() < LEASE => {}
                Err(_) => return Ok(None),
            }
        }
    }
}
