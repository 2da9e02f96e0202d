use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::TransactionTrait as _;
use serde_json::Value;
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::{Message, MessageId};
use titan_proto::common::PageRequest;
use titan_proto::events::MessageSent;
use titan_proto::events::event::Body;
use titan_store::outbox::{self, About};
use titan_store::{Page, PageOf};

use super::{App, text};
use crate::store::messages::{self, MessageRow};

const WEEK_S: u32 = 7 * 86_400;
const BODY_MOST: usize = 64 << 10;
/// Shorter than the patience of who asks for them.
const WAIT_MOST: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct MessageIn {
    /// agent, department or team.
    pub(crate) to_kind: &'static str,
    pub(crate) to: String,
    pub(crate) priority: i32,
    pub(crate) subject: String,
    pub(crate) body_json: String,
    pub(crate) in_reply_to: Option<MessageId>,
    pub(crate) ttl_s: u32,
    pub(crate) idempotency_key: String,
    /// Of the attempt it is sent for, which must not be stale; may be empty.
    pub(crate) attempt_credential: String,
}

impl App {
    pub(crate) async fn send_message(&self, who: &Principal, given: MessageIn, now: DateTime<Utc>) -> Result<MessageRow> {
        let MessageIn { to_kind, to, priority, subject, body_json, in_reply_to, ttl_s, idempotency_key, attempt_credential } = given;
        let (to, subject) = (text("to", &to, 100)?, text("subject", &subject, 200)?);
        let key = Some(idempotency_key).filter(|key| !key.is_empty());
        if let Some(key) = &key
            && let Some(sent) = messages::by_key(&self.db, who.org, key).await?
        {
            return Ok(sent);
        }
        if !attempt_credential.is_empty() {
            self.current_attempt(who, &attempt_credential).await?;
        }
        if !(0..=9).contains(&priority) {
            return Err(Error::invalid("priority", "must be 0 to 9"));
        }
        let body: Value = match body_json.as_str() {
            "" => Value::Object(serde_json::Map::new()),
            json if json.len() > BODY_MOST => return Err(Error::invalid("body", "must be at most 64 KiB")),
            json if json.contains("\\u0000") => return Err(Error::invalid("body", "must not contain NUL characters")),
            json => serde_json::from_str(json).map_err(|e| Error::invalid("body", format!("is not JSON: {e}")))?,
        };
        if !body.is_object() {
            return Err(Error::invalid("body", "must be a JSON object"));
        }
        if let Some(earlier) = in_reply_to {
            messages::find(&self.db, who.org, earlier).await?;
        }
        let tx = self.db.begin().await?;
        let recipients = messages::recipients(&tx, who.org, to_kind, &to).await?;
        if recipients.is_empty() {
            return Err(Error::precondition(format!("there is no agent for the {to_kind} {to:?}; `titan agents` lists them")));
        }
        let row = MessageRow {
            id: MessageId::generate(),
            sender: who.id.to_string(),
            to_kind: to_kind.to_owned(),
            recipient: to.clone(),
            priority,
            subject: subject.clone(),
            body,
            in_reply_to,
            created_at: now,
            expires_at: now + chrono::Duration::seconds(i64::from(if ttl_s == 0 { WEEK_S } else { ttl_s })),
            recipients: i32::try_from(recipients.len()).unwrap_or(i32::MAX),
            acknowledged: 0,
            unread_by: Vec::new(),
        };
        if !messages::insert(&tx, who.org, &row, key.clone(), &recipients).await? {
            // Another call with the same key came first; its transaction is committed by now.
            tx.rollback().await?;
            let sent = messages::by_key(&self.db, who.org, key.as_deref().unwrap_or_default()).await?;
            return sent.ok_or_else(|| Error::unavailable("try again"));
        }
        let about = About {
            org: who.org,
            project: None,
            subject: row.id.to_string(),
            version: 0,
            causation: in_reply_to.map(|id| id.to_string()).unwrap_or_default(),
            traceparent: titan_telemetry::traceparent().unwrap_or_default(),
        };
        let sent = MessageSent { to_kind: to_kind.to_owned(), to, priority, message_subject: subject };
        outbox::append(&tx, &[outbox::event(about, Body::MessageSent(sent), now)]).await?;
        tx.commit().await?;
        self.outbox.wake();
        Ok(row)
    }

    /// What the agent has not acknowledged; waits for something when there is nothing.
    pub(crate) async fn read_mailbox(&self, who: &Principal, agent: &str, wait: Duration) -> Result<Vec<MessageRow>> {
        let agent = self.agent(who, agent).await?;
        let deadline = tokio::time::Instant::now() + wait.min(WAIT_MOST);
        loop {
            let woken = self.mail.notified();
            let unread = messages::unread(&self.db, agent.id).await?;
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if !unread.is_empty() || left.is_zero() {
                return Ok(unread);
            }
            let _ = tokio::time::timeout(left.min(LOOK), woken).await; // either way it looks again
        }
    }

    pub(crate) async fn acknowledge_message(&self, who: &Principal, id: MessageId, agent: &str) -> Result<MessageRow> {
        let agent = self.agent(who, agent).await?;
        messages::find(&self.db, who.org, id).await?;
        if !messages::acknowledge(&self.db, agent.id, id).await? {
            return Err(Error::not_found(format!("message {id} in the mailbox of {}", agent.name)));
        }
        messages::find(&self.db, who.org, id).await
    }

    pub(crate) async fn message(&self, who: &Principal, id: MessageId) -> Result<MessageRow> {
        messages::find(&self.db, who.org, id).await
    }

    pub(crate) async fn dead_messages(&self, who: &Principal, page: Option<PageRequest>) -> Result<PageOf<MessageRow>> {
        let page = Page::parse::<Message>(page)?;
        Ok(page.of(messages::dead(&self.db, who.org, page).await?, |m| m.id.to_string()))
    }

    pub(crate) async fn expire_messages(&self) -> Result<()> {
        let dead = messages::expire(&self.db).await?;
        if dead > 0 {
            tracing::warn!(dead, "messages were not acknowledged in time");
        }
        Ok(())
    }
}
