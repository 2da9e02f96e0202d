//! The counters of limits, and the tasks that wait for them.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, QueryResult};
use serde::Serialize;
use titan_error::{Error, Result};
use titan_ids::TaskId;
use titan_store::sql;
use uuid::Uuid;

use crate::domain::limits::{Bucket, Held, Limit, Waiting};

/// A limit as a submission states it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Stated {
    pub(crate) key: String,
    pub(crate) most: i32,
    /// Of a rate.
    pub(crate) period_ms: Option<i64>,
}

/// Makes the limits as stated; what was stated last counts. A new bucket is full.
pub(crate) async fn state(db: &impl ConnectionTrait, stated: &BTreeMap<String, Stated>) -> Result<()> {
    if stated.is_empty() {
        return Ok(());
    }
    let upsert = "INSERT INTO task_limit AS l (key, most, period_ms, tokens)
        SELECT key, most, period_ms, most FROM jsonb_to_recordset($1) AS r(key text, most int, period_ms bigint) ORDER BY key
        ON CONFLICT (key) DO UPDATE SET most = excluded.most, period_ms = excluded.period_ms
        WHERE (l.most, l.period_ms) IS DISTINCT FROM (excluded.most, excluded.period_ms)";
    let rows = serde_json::to_value(stated.values().collect::<Vec<_>>()).map_err(Error::internal)?;
    db.execute_raw(sql(upsert, [rows.into()])).await?;
    Ok(())
}

/// Tasks read for a key at once.
const READ: i32 = 100;

/// The tasks that wait for one of `keys`, by urgency; only as many of a key as could be admitted at all. None is locked.
pub(crate) async fn waiting(db: &impl ConnectionTrait, keys: &BTreeSet<String>) -> Result<Vec<Waiting>> {
    let select = "SELECT w.id, w.held, w.concurrency_key, coalesce(w.rate_keys, '{}') AS rate_keys FROM unnest($1::text[]) AS k(key)
            JOIN task_limit m ON m.key = k.key, LATERAL (
            SELECT t.id, t.held, t.concurrency_key, t.rate_keys, t.priority, t.due_at FROM task t
            WHERE t.state = 'inbox' AND t.waiting_on = 0 AND t.held IS NOT NULL AND t.held = k.key
            ORDER BY -t.priority, t.due_at, t.id LIMIT least(m.most, $2)) w
        ORDER BY -w.priority, w.due_at, w.id";
    let keys: Vec<String> = keys.iter().cloned().collect();
    let rows = db.query_all_raw(sql(select, [keys.into(), READ.into()])).await?;
    let waiting = |row: &QueryResult| {
        let concurrency: Option<String> = row.try_get("", "concurrency_key")?;
        let rates: Vec<String> = row.try_get("", "rate_keys")?;
        Ok(Waiting { id: row.try_get("", "id")?, held: row.try_get("", "held")?, keys: concurrency.into_iter().chain(rates).collect() })
    };
    rows.iter().map(waiting).collect()
}

pub(crate) async fn read(db: &impl ConnectionTrait, keys: &BTreeSet<String>) -> Result<BTreeMap<String, Limit>> {
    counters(db, keys, "").await
}

/// The counters, locked in the order of their keys.
pub(crate) async fn lock(db: &impl ConnectionTrait, keys: &BTreeSet<String>) -> Result<BTreeMap<String, Limit>> {
    counters(db, keys, "FOR UPDATE").await
}

/// More of them, although it is not their turn: those that somebody else has are left out.
pub(crate) async fn lock_more(db: &impl ConnectionTrait, keys: &BTreeSet<String>) -> Result<BTreeMap<String, Limit>> {
    counters(db, keys, "FOR UPDATE SKIP LOCKED").await
}

async fn counters(db: &impl ConnectionTrait, keys: &BTreeSet<String>, lock: &str) -> Result<BTreeMap<String, Limit>> {
    let select = format!("SELECT key, most, taken, period_ms, tokens, refilled_at FROM task_limit WHERE key = ANY($1) ORDER BY key {lock}");
    let keys: Vec<String> = keys.iter().cloned().collect();
    let rows = db.query_all_raw(sql(&select, [keys.into()])).await?;
    let limit = |row: &QueryResult| {
        let bucket = match row.try_get("", "period_ms")? {
            Some(period_ms) => Some(Bucket { period_ms, tokens: row.try_get("", "tokens")?, refilled_at: row.try_get("", "refilled_at")? }),
            None => None,
        };
        Ok((row.try_get("", "key")?, Limit { most: row.try_get("", "most")?, taken: row.try_get("", "taken")?, bucket }))
    };
    rows.iter().map(limit).collect()
}

pub(crate) async fn write(db: &impl ConnectionTrait, limits: &BTreeMap<String, Limit>, now: DateTime<Utc>) -> Result<()> {
    let keys: Vec<String> = limits.keys().cloned().collect();
    let taken: Vec<i32> = limits.values().map(|l| l.taken).collect();
    let tokens: Vec<f64> = limits.values().map(|l| l.bucket.map_or(0.0, |b| b.tokens)).collect();
    let refilled: Vec<DateTime<Utc>> = limits.values().map(|l| l.bucket.map_or(now, |b| b.refilled_at)).collect();
    let update = "UPDATE task_limit l SET taken = w.taken, tokens = w.tokens, refilled_at = w.refilled
        FROM unnest($1::text[], $2::int[], $3::float8[], $4::timestamptz[]) AS w(key, taken, tokens, refilled) WHERE l.key = w.key";
    db.execute_raw(sql(update, [keys.into(), taken.into(), tokens.into(), refilled.into()])).await?;
    Ok(())
}

/// Locks those of `tasks` that still wait for a limit and that nobody else is changing; who is changes them looks at the limit
/// after this commit.
pub(crate) async fn lock_waiting(db: &impl ConnectionTrait, tasks: &[Waiting]) -> Result<BTreeSet<TaskId>> {
    let ids: Vec<Uuid> = tasks.iter().map(|t| t.id.uuid()).collect();
    let select = "SELECT id FROM task WHERE id = ANY($1) AND state || '' = 'inbox' AND waiting_on = 0 AND held IS NOT NULL
            AND held NOT IN ('paused', 'later') ORDER BY id FOR UPDATE SKIP LOCKED";
    let rows = db.query_all_raw(sql(select, [ids.into()])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}

/// Where these tasks stand now. Returns those that are held by nothing any more, each with its lane.
pub(crate) async fn hold(db: &impl ConnectionTrait, decided: &[(TaskId, Option<Held>)]) -> Result<Vec<(TaskId, i32)>> {
    let ids: Vec<Uuid> = decided.iter().map(|(id, _)| id.uuid()).collect();
    let held: Vec<String> = decided.iter().map(|(_, held)| held.as_ref().map_or("", Held::text).to_owned()).collect();
    let update = "UPDATE task t SET held = nullif(d.held, '') FROM unnest($1::uuid[], $2::text[]) AS d(id, held)
        WHERE t.id = d.id AND t.held IS DISTINCT FROM nullif(d.held, '') RETURNING t.id, t.lane_id, t.held IS NULL AS free";
    let rows = db.query_all_raw(sql(update, [ids.into(), held.into()])).await?;
    let free = |row: &QueryResult| Ok(row.try_get::<bool>("", "free")?.then_some((row.try_get("", "id")?, row.try_get("", "lane_id")?)));
    rows.iter().filter_map(|row| free(row).transpose()).collect()
}

/// Lets tasks whose time has come go on: to the limit they are under, or to the ready ones. Returns whether any was, and the
/// limits to look at.
pub(crate) async fn release_due(db: &impl ConnectionTrait) -> Result<(bool, BTreeSet<String>)> {
    let update = "WITH due AS MATERIALIZED (SELECT id FROM task WHERE state = 'inbox' AND held = 'later' AND run_after <= now()
            ORDER BY run_after LIMIT 1000 FOR UPDATE SKIP LOCKED)
        UPDATE task t SET held = coalesce(t.concurrency_key, t.rate_keys[1]) FROM due WHERE t.id = due.id RETURNING t.held";
    let rows = db.query_all_raw(sql(update, [])).await?;
    let keys = rows.iter().map(|row| Ok(row.try_get::<Option<String>>("", "held")?)).collect::<Result<Vec<_>>>()?;
    Ok((!rows.is_empty(), keys.into_iter().flatten().collect()))
}

/// Limits with room that tasks wait for: buckets that were refilled, and what a crash between two rounds left.
pub(crate) async fn with_room(db: &impl ConnectionTrait) -> Result<BTreeSet<String>> {
    let select = "WITH RECURSIVE next AS (
            (SELECT held FROM task WHERE state = 'inbox' AND waiting_on = 0 AND held IS NOT NULL ORDER BY held LIMIT 1)
            UNION ALL
            SELECT (SELECT t.held FROM task t WHERE t.state = 'inbox' AND t.waiting_on = 0 AND t.held IS NOT NULL AND t.held > next.held
                ORDER BY t.held LIMIT 1)
            FROM next WHERE next.held IS NOT NULL)
        SELECT l.key FROM next JOIN task_limit l ON l.key = next.held
        WHERE CASE WHEN l.period_ms IS NULL THEN l.taken < l.most
            ELSE l.tokens + extract(epoch FROM now() - l.refilled_at) * 1000 * l.most / l.period_ms >= 1 END ORDER BY random() LIMIT 1000";
    let rows = db.query_all_raw(sql(select, [])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "key")?)).collect()
}

/// Sets the permits of the locked `keys` to what the tasks say; returns the keys that were wrong.
pub(crate) async fn recount(db: &impl ConnectionTrait, keys: &BTreeSet<String>) -> Result<Vec<String>> {
    let keys: Vec<String> = keys.iter().cloned().collect();
    let update = "UPDATE task_limit l SET taken = c.taken FROM (SELECT k.key, (SELECT count(*) FROM task t WHERE t.concurrency_key = k.key
                AND (t.state IN ('assigned', 'in_progress', 'review') OR (t.state = 'inbox' AND t.held IS NULL)))::int AS taken
            FROM unnest($1::text[]) AS k(key)) c
        WHERE l.key = c.key AND l.period_ms IS NULL AND l.taken <> c.taken RETURNING l.key";
    let rows = db.query_all_raw(sql(update, [keys.into()])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "key")?)).collect()
}

/// A page of the concurrency keys, for those who count them anew.
pub(crate) async fn keys_after(db: &impl ConnectionTrait, after: &str) -> Result<BTreeSet<String>> {
    let select = "SELECT key FROM task_limit WHERE period_ms IS NULL AND key > $1 ORDER BY key LIMIT 100";
    let rows = db.query_all_raw(sql(select, [after.into()])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "key")?)).collect()
}
