use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::{OrgId, ProjectId};
use titan_store::sql;

/// An event to be logged.
#[derive(Debug)]
pub(crate) struct NewEntry {
    pub(crate) org: OrgId,
    pub(crate) project: Option<ProjectId>,
    pub(crate) name: String,
    pub(crate) subject: String,
    pub(crate) causation: String,
    pub(crate) at: DateTime<Utc>,
    pub(crate) event: Value,
}

/// Appends under the next number. The counter's row stays locked until the commit, so numbers become
/// visible in their order.
pub(crate) async fn append(db: &impl ConnectionTrait, entry: NewEntry) -> Result<()> {
    let NewEntry { org, project, name, subject, causation, at, event } = entry;
    let insert = "WITH next AS (UPDATE event_counter SET last = last + 1 RETURNING last)
        INSERT INTO event_log (seq, org_id, project_id, name, subject, causation, at, event)
        SELECT last, $1, $2, $3, $4, $5, $6, $7 FROM next";
    let values = [org.into(), project.into(), name.into(), subject.into(), causation.into(), at.into(), event.into()];
    db.execute_raw(sql(insert, values)).await?;
    Ok(())
}

/// Wakes the sockets of every replica when the transaction commits.
pub(crate) async fn notify(db: &impl ConnectionTrait) -> Result<()> {
    db.execute_raw(sql("SELECT pg_notify('titan_events', '')", [])).await?;
    Ok(())
}

#[derive(Debug, FromQueryResult)]
pub(crate) struct Entry {
    pub(crate) seq: i64,
    pub(crate) event: Value,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// Only events of this goal and what it caused.
    pub(crate) goal: Option<String>,
    pub(crate) project: Option<ProjectId>,
}

pub(crate) async fn after(db: &impl ConnectionTrait, org: OrgId, filter: &Filter, seq: i64, limit: i64) -> Result<Vec<Entry>> {
    let select = "SELECT seq, event FROM event_log WHERE org_id = $1 AND seq > $2
        AND ($3::text IS NULL OR causation = $3 OR subject = $3) AND ($4::uuid IS NULL OR project_id = $4) ORDER BY seq LIMIT $5";
    let values = [org.into(), seq.into(), filter.goal.clone().into(), filter.project.into(), limit.into()];
    Ok(Entry::find_by_statement(sql(select, values)).all(db).await?)
}

/// The newest number given.
pub(crate) async fn last(db: &impl ConnectionTrait) -> Result<i64> {
    let row = db.query_one_raw(sql("SELECT last FROM event_counter", [])).await?;
    Ok(row.ok_or_else(|| Error::internal("the event counter has no row"))?.try_get("", "last")?)
}
