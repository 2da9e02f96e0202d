use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::{AgentId, MessageId, OrgId};
use titan_store::{Page, sql};

#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct MessageRow {
    pub(crate) id: MessageId,
    pub(crate) sender: String,
    /// agent, department or team.
    pub(crate) to_kind: String,
    pub(crate) recipient: String,
    pub(crate) priority: i32,
    pub(crate) subject: String,
    pub(crate) body: Value,
    pub(crate) in_reply_to: Option<MessageId>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) recipients: i32,
    pub(crate) acknowledged: i64,
    /// Names of agents.
    pub(crate) unread_by: Vec<String>,
}

const SELECT: &str =
    "SELECT m.*, (SELECT count(*) FROM mailbox b WHERE b.message_id = m.id AND b.acknowledged_at IS NOT NULL) AS acknowledged,
        ARRAY(SELECT a.name FROM mailbox b JOIN agent a ON a.id = b.agent_id WHERE b.message_id = m.id AND b.acknowledged_at IS NULL ORDER BY a.name
            LIMIT 100) AS unread_by
    FROM message m";

pub(crate) async fn find(db: &impl ConnectionTrait, org: OrgId, id: MessageId) -> Result<MessageRow> {
    let select = format!("{SELECT} WHERE m.org_id = $1 AND m.id = $2");
    let row = MessageRow::find_by_statement(sql(&select, [org.into(), id.into()])).one(db).await?;
    row.ok_or_else(|| Error::not_found(format!("message {id}")))
}

pub(crate) async fn by_key(db: &impl ConnectionTrait, org: OrgId, key: &str) -> Result<Option<MessageRow>> {
    let select = format!("{SELECT} WHERE m.org_id = $1 AND m.idempotency_key = $2");
    Ok(MessageRow::find_by_statement(sql(&select, [org.into(), key.into()])).one(db).await?)
}

/// Who is meant at this moment.
pub(crate) async fn recipients(db: &impl ConnectionTrait, org: OrgId, to_kind: &str, to: &str) -> Result<Vec<AgentId>> {
    let select = "SELECT id FROM agent WHERE org_id = $1 AND CASE $2 WHEN 'department' THEN department = $3 WHEN 'team' THEN pool = $3
        ELSE name = $3 OR 'agent_' || replace(id::text, '-', '') = $3 END ORDER BY id";
    let rows = db.query_all_raw(sql(select, [org.into(), to_kind.into(), to.into()])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}

/// False when the key is taken.
pub(crate) async fn insert(db: &impl ConnectionTrait, org: OrgId, row: &MessageRow, key: Option<String>, to: &[AgentId]) -> Result<bool> {
    let MessageRow { id, sender, to_kind, recipient, priority, subject, body, in_reply_to, created_at, expires_at, recipients, .. } =
        row.clone();
    let insert =
        "INSERT INTO message (id, org_id, sender, to_kind, recipient, priority, subject, body, in_reply_to, recipients, idempotency_key,
            created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (org_id, idempotency_key) DO NOTHING";
    let values = [
        id.into(),
        org.into(),
        sender.into(),
        to_kind.into(),
        recipient.into(),
        priority.into(),
        subject.into(),
        body.into(),
        in_reply_to.into(),
        recipients.into(),
        key.into(),
        created_at.into(),
        expires_at.into(),
    ];
    if db.execute_raw(sql(insert, values)).await?.rows_affected() == 0 {
        return Ok(false);
    }
    let agents: Vec<uuid::Uuid> = to.iter().map(|id| id.uuid()).collect();
    let insert = "INSERT INTO mailbox (agent_id, message_id, priority, expires_at) SELECT unnest($1::uuid[]), $2, $3, $4";
    db.execute_raw(sql(insert, [agents.into(), id.into(), priority.into(), expires_at.into()])).await?;
    db.execute_raw(sql("SELECT pg_notify('titan_mail', '')", [])).await?;
    Ok(true)
}

const UNREAD_MOST: i64 = 100;

pub(crate) async fn unread(db: &impl ConnectionTrait, agent: AgentId) -> Result<Vec<MessageRow>> {
    let select = format!(
        "SELECT m.*, 0::bigint AS acknowledged, ARRAY[]::text[] AS unread_by FROM mailbox b JOIN message m ON m.id = b.message_id
        WHERE b.agent_id = $1 AND b.acknowledged_at IS NULL AND NOT b.dead AND b.expires_at > now()
        ORDER BY -b.priority, b.message_id LIMIT {UNREAD_MOST}"
    );
    Ok(MessageRow::find_by_statement(sql(&select, [agent.into()])).all(db).await?)
}

/// False when it is not in the mailbox, and never was. Twice is like once.
pub(crate) async fn acknowledge(db: &impl ConnectionTrait, agent: AgentId, id: MessageId) -> Result<bool> {
    let update =
        "UPDATE mailbox SET acknowledged_at = coalesce(acknowledged_at, now()), dead = false WHERE agent_id = $1 AND message_id = $2";
    Ok(db.execute_raw(sql(update, [agent.into(), id.into()])).await?.rows_affected() == 1)
}

/// What was not acknowledged in time is dead.
pub(crate) async fn expire(db: &impl ConnectionTrait) -> Result<u64> {
    let update = "UPDATE mailbox SET dead = true WHERE acknowledged_at IS NULL AND NOT dead AND expires_at <= now()";
    Ok(db.execute_raw(sql(update, [])).await?.rows_affected())
}

pub(crate) async fn dead(db: &impl ConnectionTrait, org: OrgId, page: Page) -> Result<Vec<MessageRow>> {
    let select = format!(
        "{SELECT} WHERE m.org_id = $1 AND m.id < $2 AND EXISTS (SELECT FROM mailbox b WHERE b.message_id = m.id AND b.dead)
        ORDER BY m.id DESC LIMIT $3"
    );
    let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
    Ok(MessageRow::find_by_statement(sql(&select, [org.into(), page.before.into(), limit.into()])).all(db).await?)
}
