//! Many tasks at once.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::lists;
use crate::client::Client;
use crate::table::text;

#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// Those that have not ended.
    Cancel(Filter),
    /// Those that failed or were cancelled.
    Retry {
        #[command(flatten)]
        filter: Filter,
        /// So many a second; 0: at once.
        #[arg(long, default_value_t = 0.0)]
        rate: f64,
    },
    /// Failed ones leave the dead letters.
    Discard(Filter),
    /// Those that have not begun.
    Priority {
        /// 0 (lowest) to 9.
        priority: i32,
        #[command(flatten)]
        filter: Filter,
    },
}

/// Must name a project, a goal or tasks.
#[derive(clap::Args)]
pub(crate) struct Filter {
    /// Id or slug.
    #[arg(long, default_value = "")]
    project: String,
    #[arg(long, default_value = "")]
    goal: String,
    /// Only in this state, e.g. in_progress.
    #[arg(long, default_value = "")]
    state: String,
    #[arg(long, default_value = "")]
    label: String,
    /// Only subtasks of this one.
    #[arg(long, default_value = "")]
    parent: String,
    /// Only these; may be given more than once.
    #[arg(long = "task")]
    tasks: Vec<String>,
    /// For the history.
    #[arg(long, default_value = "")]
    reason: String,
}

pub(crate) async fn run(client: &Client, verb: Verb, json: bool) -> anyhow::Result<ExitCode> {
    let (filter, action) = match verb {
        Verb::Cancel(filter) => (filter, json!("cancel")),
        Verb::Retry { filter, rate } => (filter, json!({ "retry": { "per_second": rate } })),
        Verb::Discard(filter) => (filter, json!("discard")),
        Verb::Priority { priority, filter } => (filter, json!({ "priority": priority })),
    };
    act(client, filter, false, &action, json).await
}

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DeadArgs {
    #[command(flatten)]
    list: lists::TaskArgs,
    #[command(subcommand)]
    verb: Option<DeadVerb>,
}

#[derive(clap::Subcommand)]
enum DeadVerb {
    /// Try them again.
    Replay {
        #[command(flatten)]
        filter: Filter,
        /// So many a second; 0: at once.
        #[arg(long, default_value_t = 10.0)]
        rate: f64,
    },
    /// Take them off the list.
    Discard(Filter),
}

pub(crate) async fn dead_letters(client: &Client, args: DeadArgs, json: bool) -> anyhow::Result<ExitCode> {
    match args.verb {
        None => lists::dead_letters(client, args.list, json).await,
        Some(DeadVerb::Replay { filter, rate }) => act(client, filter, true, &json!({ "retry": { "per_second": rate } }), json).await,
        Some(DeadVerb::Discard(filter)) => act(client, filter, true, &json!("discard"), json).await,
    }
}

async fn act(client: &Client, filter: Filter, dead: bool, action: &Value, json: bool) -> anyhow::Result<ExitCode> {
    let Filter { project, goal, state, label, parent, tasks, reason } = filter;
    let filter = json!({ "project": project, "goal": goal, "state": state, "label": label, "parent": parent, "dead": dead, "ids": tasks });
    let (mut changed, mut refused, mut after) = (0, Vec::new(), String::new());
    loop {
        let mut action = action.clone();
        if action["retry"].is_object() {
            action["retry"]["already"] = json!(changed);
        }
        let body = json!({ "filter": filter, "action": action, "reason": reason, "after": after });
        let done = client.post("/tasks/bulk", &body).await?;
        changed += done["changed"].as_array().map_or(0, Vec::len);
        refused.extend(done["refused"].as_array().cloned().unwrap_or_default());
        if json {
            println!("{done}");
        }
        if done["more"] != json!(true) {
            break;
        }
        after = text(&done, "next");
    }
    if !json {
        println!("{changed} task(s) changed");
        for task in &refused {
            println!("{}  {}", text(task, "id"), text(task, "reason"));
        }
    }
    Ok(if refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
