use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::client::Client;
use crate::table::{self, short, text, time};

#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// `titan message send --department engineering "Freeze at noon"`
    Send(SendArgs),
    /// What an agent has not acknowledged.
    Read {
        /// Name or id.
        agent: String,
    },
    /// Take a message out of an agent's mailbox.
    Ack {
        /// Name or id.
        agent: String,
        /// As shown by `titan message read`.
        id: String,
    },
    /// One message, and who has not acknowledged it.
    Show {
        /// As shown by `titan message read`.
        id: String,
    },
    /// What nobody acknowledged in time.
    Dead,
}

#[derive(clap::Args)]
#[group(id = "recipient", required = true, multiple = false)]
struct Recipient {
    /// Name or id of an agent.
    #[arg(long)]
    agent: Option<String>,
    /// Every agent of it.
    #[arg(long)]
    department: Option<String>,
    /// Every agent of this pool.
    #[arg(long)]
    team: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    to: Recipient,
    subject: String,
    /// JSON object.
    #[arg(long, default_value = "{}")]
    body: String,
    /// 0 to 9, the highest is read first.
    #[arg(long, default_value_t = 0)]
    priority: i32,
    #[arg(long, default_value = "")]
    in_reply_to: String,
    /// Seconds it waits for its readers; 0: a week.
    #[arg(long, default_value_t = 0)]
    ttl: u32,
}

pub(crate) async fn run(client: &Client, verb: Verb, json: bool) -> anyhow::Result<ExitCode> {
    match verb {
        Verb::Send(SendArgs { to, subject, body, priority, in_reply_to, ttl }) => {
            let body: Value = serde_json::from_str(&body).context("--body is not JSON")?;
            let (kind, to) = match (to.agent, to.department, to.team) {
                (Some(agent), _, _) => ("agent", agent),
                (_, Some(department), _) => ("department", department),
                (_, _, team) => ("team", team.unwrap_or_default()),
            };
            let message = json!({ "to_kind": kind, "to": to, "subject": subject, "body": body, "priority": priority, "in_reply_to": in_reply_to, "ttl_s": ttl });
            let sent = client.post("/messages", &message).await?;
            if json {
                println!("{sent}");
            } else {
                println!("{}  to {} agent(s)", text(&sent, "id"), text(&sent, "recipients"));
            }
        }
        Verb::Read { agent } => show(&client.get(&format!("/agents/{agent}/messages")).await?, "messages", json),
        Verb::Show { id } => {
            let message = client.get(&format!("/messages/{id}")).await?;
            if json {
                println!("{message}");
            } else {
                println!("{}  {}", text(&message, "id"), text(&message, "subject"));
                println!(
                    "from     {}, to {} {}, {}",
                    text(&message, "from"),
                    text(&message, "to_kind"),
                    text(&message, "to"),
                    time(&message, "created_at")
                );
                println!("read by  {} of {}", text(&message, "acknowledged"), text(&message, "recipients"));
                let unread: Vec<&str> = message["unread_by"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                if !unread.is_empty() {
                    println!("not by   {}", unread.join(", "));
                }
                println!("\n{:#}", message["body"]);
            }
        }
        Verb::Dead => show(&client.get("/messages/dead").await?, "items", json),
        Verb::Ack { agent, id } => {
            let message = client.post(&format!("/agents/{agent}/messages/{id}/ack"), &json!({})).await?;
            if json {
                println!("{message}");
            } else {
                println!("{}  {} of {} acknowledged", text(&message, "id"), text(&message, "acknowledged"), text(&message, "recipients"));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(answer: &Value, field: &str, json: bool) {
    if json {
        println!("{answer}");
        return;
    }
    let row = |m: &Value| {
        [
            text(m, "id"),
            time(m, "created_at"),
            text(m, "priority"),
            text(m, "from"),
            short(&text(m, "subject"), 40),
            short(&m["body"].to_string(), 60),
        ]
    };
    table::show(["MESSAGE", "SENT", "PRIORITY", "FROM", "SUBJECT", "BODY"], answer[field].as_array().into_iter().flatten().map(row));
}
