//! Follows a goal by its events, live: a line a task on a terminal, plain lines otherwise.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::StreamExt as _;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;
use titan_lifecycle::Backoff;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::client::Client;
use crate::table::text;

/// Returns the finished goal.
pub(super) async fn goal(client: &Client, id: &str, quiet: bool) -> anyhow::Result<Value> {
    let mut board = Board::new(quiet);
    let mut after = 0;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    let mut silent = 0;
    loop {
        let seen = after;
        let ended = follow(client, id, &mut after, &mut board).await;
        if matches!(ended, Ok(true)) {
            board.finish();
            return Ok(client.get(&format!("/goals/{id}")).await?);
        }
        silent = if after > seen { 0 } else { silent + 1 };
        if silent > 20 {
            ended.context("the live stream breaks again and again")?;
        }
        // Any replica resumes after the last number seen.
        backoff.sleep().await;
    }
}

/// True when the goal has finished.
async fn follow(client: &Client, id: &str, after: &mut i64, board: &mut Board) -> anyhow::Result<bool> {
    let url = format!("{}/api/v1/events/stream?goal={id}&after={after}", client.url().replacen("http", "ws", 1));
    let mut request = url.into_client_request()?;
    request.headers_mut().insert("authorization", format!("Bearer {}", client.key()).parse()?);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
    while let Some(message) = socket.next().await {
        let Message::Text(message) = message? else { continue };
        let entry: Value = serde_json::from_str(&message)?;
        *after = entry["seq"].as_i64().unwrap_or(*after);
        let event = &entry["event"];
        board.show(event);
        if event["name"] == "goal.finished" {
            return Ok(true);
        }
    }
    Ok(false)
}

struct Board {
    /// On a terminal; otherwise lines are printed.
    bars: Option<MultiProgress>,
    quiet: bool,
    started: Instant,
    tasks: BTreeMap<String, Line>,
}

struct Line {
    title: String,
    agent: String,
    bar: Option<ProgressBar>,
}

impl Board {
    fn new(quiet: bool) -> Self {
        let bars = (!quiet && std::io::stdout().is_terminal()).then(MultiProgress::new);
        Self { bars, quiet, started: Instant::now(), tasks: BTreeMap::new() }
    }

    fn show(&mut self, event: &Value) {
        let (name, subject) = (text(event, "name"), text(event, "subject"));
        let Some(change) = name.strip_prefix("task.") else { return };
        let body = event["body"].as_object().and_then(|b| b.values().next()).cloned().unwrap_or_default();
        let bars = &self.bars;
        let line = self.tasks.entry(subject).or_insert_with(|| Line {
            title: String::new(),
            agent: String::new(),
            bar: bars.as_ref().map(spinner),
        });
        if !text(&body, "title").is_empty() {
            line.title = text(&body, "title");
        }
        if !text(&body, "agent").is_empty() {
            line.agent = text(&body, "agent");
        }
        let (state, note) = match change {
            "submitted" => ("waiting", String::new()),
            "assigned" => ("assigned", String::new()),
            "started" => ("working", String::new()),
            "progressed" => ("working", text(&body, "message")),
            "completed" => ("done", String::new()),
            "failed" => ("FAILED", text(&body, "error")),
            "cancelled" => ("cancelled", text(&body, "reason")),
            "retried" => ("again", text(&body, "reason")),
            _ => return,
        };
        self.line(&text(event, "subject"), state, &note);
    }

    fn line(&self, task: &str, state: &str, note: &str) {
        let Some(line) = self.tasks.get(task) else { return };
        let note = note.lines().next().unwrap_or_default();
        let shown = format!("{state:<9} {:<16} {}{}{note}", line.agent, line.title, if note.is_empty() { "" } else { " — " });
        match &line.bar {
            Some(bar) if state == "done" => bar.finish_with_message(format!("✓ {shown}")),
            Some(bar) if state == "FAILED" || state == "cancelled" => bar.abandon_with_message(format!("✗ {shown}")),
            Some(bar) => bar.set_message(shown),
            None if !self.quiet => println!("{:>6.1}s  {shown}", self.started.elapsed().as_secs_f64()),
            None => {}
        }
    }

    fn finish(&self) {
        for bar in self.tasks.values().filter_map(|line| line.bar.as_ref()).filter(|bar| !bar.is_finished()) {
            bar.abandon();
        }
    }
}

fn spinner(bars: &MultiProgress) -> ProgressBar {
    let bar = bars.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
