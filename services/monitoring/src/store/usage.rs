//! What apps did: as it was reported, and added up by the hour.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use serde::Serialize;
use titan_error::Result;
use titan_ids::{DeploymentId, OrgId};
use titan_store::sql;
use uuid::Uuid;

/// What an app did in a span of time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Usage {
    /// As the database knows it.
    pub(crate) deployment: Uuid,
    pub(crate) requests: i64,
    pub(crate) errors: i64,
    pub(crate) latencies: Vec<i64>,
    pub(crate) cpu_ms: i64,
    pub(crate) span_ms: i64,
    pub(crate) memory_bytes: i64,
    pub(crate) disk_bytes: i64,
    pub(crate) received_bytes: i64,
    pub(crate) sent_bytes: i64,
}

/// False when this report was there before.
pub(crate) async fn is_new(db: &impl ConnectionTrait, source: Uuid, sequence: i64) -> Result<bool> {
    let upsert = "INSERT INTO usage_source AS s (source, sequence) VALUES ($1, $2)
        ON CONFLICT (source) DO UPDATE SET sequence = $2, at = now() WHERE s.sequence < $2";
    Ok(db.execute_raw(sql(upsert, [source.into(), sequence.into()])).await?.rows_affected() == 1)
}

const COUNTED: &str = "requests, errors, latencies, cpu_ms, span_ms, memory_bytes, disk_bytes, received_bytes, sent_bytes";
/// Of a report: what was used for how long.
const BYTE_HOURS: [&str; 2] = ["memory_bytes * (span_ms / 3.6e6)", "disk_bytes * (span_ms / 3.6e6)"];
const ADDED: &str =
    "ARRAY(SELECT coalesce(a, 0) + coalesce(b, 0) FROM unnest(h.latencies, excluded.latencies) WITH ORDINALITY AS x(a, b, n) ORDER BY n)";

/// Each deployment stands in `usages` once. It may be one that nobody has told of yet: while it is tried out, it is no target.
pub(crate) async fn record(db: &impl ConnectionTrait, usages: &[Usage], at: DateTime<Utc>) -> Result<()> {
    let json = serde_json::to_value(usages).map_err(titan_error::Error::internal)?;
    let [memory, disk] = BYTE_HOURS;
    let upsert = format!(
        "WITH u AS (SELECT u.* FROM jsonb_to_recordset($1) AS u(deployment uuid, requests bigint, errors bigint, latencies bigint[], cpu_ms bigint,
                span_ms bigint, memory_bytes bigint, disk_bytes bigint, received_bytes bigint, sent_bytes bigint) ORDER BY u.deployment),
            kept AS (INSERT INTO usage (deployment_id, at, {COUNTED})
                SELECT deployment, $2, {COUNTED} FROM u)
        INSERT INTO hour AS h (deployment_id, begins_at, {COUNTED}, memory_byte_hours, disk_byte_hours)
            SELECT deployment, date_trunc('hour', $2::timestamptz, 'UTC'), {COUNTED}, {memory}, {disk} FROM u
        ON CONFLICT (deployment_id, begins_at) DO UPDATE SET requests = h.requests + excluded.requests, errors = h.errors + excluded.errors,
            latencies = {ADDED}, cpu_ms = h.cpu_ms + excluded.cpu_ms, span_ms = h.span_ms + excluded.span_ms,
            memory_bytes = greatest(h.memory_bytes, excluded.memory_bytes), disk_bytes = greatest(h.disk_bytes, excluded.disk_bytes),
            received_bytes = h.received_bytes + excluded.received_bytes, sent_bytes = h.sent_bytes + excluded.sent_bytes,
            memory_byte_hours = h.memory_byte_hours + excluded.memory_byte_hours, disk_byte_hours = h.disk_byte_hours + excluded.disk_byte_hours"
    );
    db.execute_raw(sql(&upsert, [json.into(), at.into()])).await?;
    Ok(())
}

/// A probe counts in its hour.
pub(crate) async fn count_probe(db: &impl ConnectionTrait, deployment: DeploymentId, at: DateTime<Utc>, up: bool) -> Result<()> {
    let upsert =
        "INSERT INTO hour AS h (deployment_id, begins_at, probes, up) VALUES ($1, date_trunc('hour', $2::timestamptz, 'UTC'), 1, $3::int)
        ON CONFLICT (deployment_id, begins_at) DO UPDATE SET probes = h.probes + 1, up = h.up + $3::int";
    db.execute_raw(sql(upsert, [deployment.into(), at.into(), i32::from(up).into()])).await?;
    Ok(())
}

/// What was counted over some time.
#[derive(Clone, Debug, Default, FromQueryResult)]
pub(crate) struct Counted {
    /// What was used for how long.
    pub(crate) memory_byte_hours: f64,
    pub(crate) disk_byte_hours: f64,
    pub(crate) requests: i64,
    pub(crate) errors: i64,
    pub(crate) latencies: Vec<i64>,
    pub(crate) cpu_ms: i64,
    pub(crate) span_ms: i64,
    pub(crate) memory_bytes: i64,
    pub(crate) disk_bytes: i64,
    pub(crate) received_bytes: i64,
    pub(crate) sent_bytes: i64,
}

#[derive(Debug, FromQueryResult)]
pub(crate) struct CountedOf {
    pub(crate) deployment_id: DeploymentId,
    #[sea_orm(nested)]
    pub(crate) counted: Counted,
}

/// Where what was counted stands, and its column of times.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Grain {
    /// As it was reported.
    Reports,
    Hours,
}

/// Over the last `minutes`; whoever did nothing is left out.
pub(crate) async fn over(db: &impl ConnectionTrait, grain: Grain, ids: &[Uuid], minutes: i32) -> Result<Vec<CountedOf>> {
    let (table, at, [memory, disk]) = match grain {
        Grain::Reports => ("usage", "at", BYTE_HOURS),
        Grain::Hours => ("hour", "begins_at", ["memory_byte_hours", "disk_byte_hours"]),
    };
    let select = format!(
        "WITH r AS MATERIALIZED (SELECT * FROM {table} WHERE deployment_id = ANY($1) AND {at} > now() - $2 * interval '1 minute')
        SELECT deployment_id, sum(requests)::bigint AS requests, sum(errors)::bigint AS errors, sum(cpu_ms)::bigint AS cpu_ms,
            sum(span_ms)::bigint AS span_ms, max(memory_bytes) AS memory_bytes, max(disk_bytes) AS disk_bytes,
            sum({memory})::float8 AS memory_byte_hours, sum({disk})::float8 AS disk_byte_hours,
            sum(received_bytes)::bigint AS received_bytes, sum(sent_bytes)::bigint AS sent_bytes,
            ARRAY(SELECT sum(x.count)::bigint FROM r o, unnest(o.latencies) WITH ORDINALITY AS x(count, n) WHERE o.deployment_id = r.deployment_id
                GROUP BY x.n ORDER BY x.n) AS latencies
        FROM r GROUP BY deployment_id"
    );
    Ok(CountedOf::find_by_statement(sql(&select, [ids.to_vec().into(), minutes.into()])).all(db).await?)
}

#[derive(Debug, FromQueryResult)]
pub(crate) struct Hour {
    pub(crate) begins_at: DateTime<Utc>,
    pub(crate) probes: i64,
    pub(crate) up: i64,
    #[sea_orm(nested)]
    pub(crate) counted: Counted,
}

pub(crate) async fn hours(db: &impl ConnectionTrait, org: OrgId, deployment: DeploymentId, hours: i32) -> Result<Vec<Hour>> {
    let select = format!(
        "SELECT begins_at, probes, up, {COUNTED}, memory_byte_hours, disk_byte_hours FROM hour WHERE deployment_id = (SELECT deployment_id FROM target WHERE org_id = $1 AND deployment_id = $2)
            AND begins_at > now() - $3 * interval '1 hour' ORDER BY begins_at"
    );
    Ok(Hour::find_by_statement(sql(&select, [org.into(), deployment.into(), hours.into()])).all(db).await?)
}

/// Hours that are too old, and sources that are gone.
pub(crate) async fn prune(db: &impl ConnectionTrait, days: u32) -> Result<u64> {
    db.execute_raw(sql("DELETE FROM usage_source WHERE at < now() - interval '1 day'", [])).await?;
    let delete = "DELETE FROM hour WHERE begins_at < now() - $1 * interval '1 day'";
    Ok(db.execute_raw(sql(delete, [i64::from(days).into()])).await?.rows_affected())
}
