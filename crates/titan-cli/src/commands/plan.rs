//! What a sentence would do, said before anything is done.

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::goal::understood;
use super::watch;
use crate::client::Client;
use crate::table::text;

#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Choice {
    /// Only say what would be done.
    #[arg(long, conflicts_with = "ask")]
    plan: bool,
    /// Say what would be done, and do it when the answer is yes.
    #[arg(long)]
    ask: bool,
}

/// Of a goal and of a change.
#[derive(clap::Args)]
pub(crate) struct Environments {
    /// Where it is deployed, one after the other, such as staging,production; production if not given.
    #[arg(long, value_delimiter = ',')]
    pub(super) environments: Vec<String>,
}

/// What is to be done after a plan.
pub(super) enum Then {
    /// It was said yes to.
    Go,
    /// It was not, or nobody was asked, or it cannot be.
    End(ExitCode),
}

impl Choice {
    pub(super) fn wanted(self, json: bool) -> anyhow::Result<bool> {
        anyhow::ensure!(!(self.ask && json), "--ask is for people; use --plan with --json");
        Ok(self.plan || self.ask)
    }

    /// After it was said what would be done.
    pub(super) fn then(self, possible: bool) -> anyhow::Result<Then> {
        Ok(match possible {
            true if self.ask && yes()? => Then::Go,
            true => Then::End(ExitCode::SUCCESS),
            false => Then::End(ExitCode::FAILURE),
        })
    }

    /// Says what the goal, which ends with its plan, would do.
    pub(super) async fn say(self, client: &Client, goal: &str, json: bool) -> anyhow::Result<Then> {
        let done = watch::goal(client, goal, true).await?;
        let possible = text(&done, "state") == "done";
        if json {
            println!("{done}");
        } else if possible {
            lines(&done["result"]["plan-goal"]).iter().for_each(|line| println!("{line}"));
        } else {
            println!("It cannot be: {}", text(&done, "error"));
        }
        self.then(possible)
    }
}

fn yes() -> anyhow::Result<bool> {
    print!("\nDo it? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

const LOOK: Duration = Duration::from_millis(100);

/// Says what a goal that goes on is about to do, as soon as it is planned. Nothing when its plan failed.
pub(super) async fn say_first(client: &Client, goal: &str) -> anyhow::Result<()> {
    loop {
        let tasks = client.get(&format!("/tasks?limit=200&goal={goal}")).await?;
        let plan = tasks["items"].as_array().into_iter().flatten().find(|task| task["kind"] == "plan-goal");
        match plan.map(|plan| (text(plan, "state"), text(plan, "id"))) {
            Some((state, id)) if state == "done" => {
                lines(&client.get(&format!("/tasks/{id}")).await?["result"]).iter().for_each(|line| println!("{line}"));
                println!();
                return Ok(());
            }
            Some((state, _)) if ["failed", "cancelled"].contains(&state.as_str()) => return Ok(()),
            _ => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Of a plan's result.
fn lines(planned: &Value) -> Vec<String> {
    if planned["change"].is_null() { understood(&planned["understanding"]) } else { changed(planned) }
}

/// What changes, and what that touches.
fn changed(planned: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
    let change = &planned["change"];
    let impact = &change["impact"];
    let mut lines: Vec<String> = list(&change["changes"]).into_iter().map(|change| format!("Changes     {change}")).collect();
    lines.extend(list(&planned["understanding"]["assumed"]).into_iter().map(|assumed| format!("Assumed     {assumed}")));
    for (word, field) in [
        ("Data", "data"),
        ("Endpoints", "endpoints"),
        ("New", "files_added"),
        ("Changed", "files_changed"),
        ("Gone", "files_removed"),
        ("Kept", "kept"),
    ] {
        let said = list(&impact[field]);
        lines.extend((!said.is_empty()).then(|| format!("{word:<11} {}", said.join(", "))));
    }
    let tests = list(&impact["tests"]).len();
    lines.push(format!(
        "Tests       all of the new version's, in {tests} files, on the change and on its merge; the data is rehearsed on a copy"
    ));
    lines
}
