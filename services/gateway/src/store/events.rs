use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::{OrgId, ProjectId};
use titan_store::sql;
use uuid::Uuid;

/// An event to be logged.
#[derive(Debug)]
pub(crate) struct NewEntry {
    pub(crate) org: OrgId,
    pub(crate) project: Option<ProjectId>,
    pub(crate) name: String,
    pub(crate) subject: String,
    pub(crate) causation: String,
    pub(crate) at: DateTime<Utc>,
    /// As JSON.
    pub(crate) event: String,
}

/// Appends under the next numbers. The counter's row stays locked until the commit, so numbers become
/// visible in their order.
pub(crate) async fn append(db: &impl ConnectionTrait, entries: &[NewEntry]) -> Result<()> {
    let text = |of: fn(&NewEntry) -> &str| entries.iter().map(|e| of(e).to_owned()).collect::<Vec<String>>();
    let orgs: Vec<Uuid> = entries.iter().map(|e| e.org.uuid()).collect();
    // Arrays without nulls: an empty text stands for no project.
    let projects: Vec<String> = entries.iter().map(|e| e.project.map(|p| p.uuid().to_string()).unwrap_or_default()).collect();
    let times: Vec<DateTime<Utc>> = entries.iter().map(|e| e.at).collect();
    let insert =
        "WITH next AS (UPDATE event_counter SET last = last + cardinality($1::uuid[]) RETURNING last - cardinality($1::uuid[]) AS before)
        INSERT INTO event_log (seq, org_id, project_id, name, subject, causation, at, event)
        SELECT next.before + e.n, e.org, nullif(e.project, '')::uuid, e.name, e.subject, e.causation, e.at, e.event::json
        FROM next, unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[])
            WITH ORDINALITY AS e(org, project, name, subject, causation, at, event, n)";
    let values = [
        orgs.into(),
        projects.into(),
        text(|e| &e.name).into(),
        text(|e| &e.subject).into(),
        text(|e| &e.causation).into(),
        times.into(),
        text(|e| &e.event).into(),
    ];
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
