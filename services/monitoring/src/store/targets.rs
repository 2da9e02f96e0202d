use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use titan_error::Result;
use titan_ids::{DeploymentId, OrgId, ProjectId, SampleId};
use titan_store::sql;
use uuid::Uuid;

use super::usage;

/// A target as an event describes it.
#[derive(Clone, Debug)]
pub(crate) struct New<'a> {
    pub(crate) deployment: DeploymentId,
    pub(crate) org: OrgId,
    pub(crate) project: ProjectId,
    pub(crate) url: &'a str,
    pub(crate) version: i64,
    pub(crate) interval_s: u32,
    pub(crate) traceparent: &'a str,
}

/// Watches it from now on, unless a later event has said otherwise.
pub(crate) async fn watch(db: &impl ConnectionTrait, new: &New<'_>) -> Result<()> {
    let New { deployment, org, project, url, version, interval_s, traceparent } = new.clone();
    let upsert =
        "INSERT INTO target AS t (deployment_id, org_id, project_id, url, active, subject_version, interval_s, next_probe_at, traceparent)
        VALUES ($1, $2, $3, $4, true, $5, $6, now(), $7)
        ON CONFLICT (deployment_id) DO UPDATE SET url = excluded.url, active = true, subject_version = $5, next_probe_at = now()
        WHERE t.subject_version < $5";
    let interval = i32::try_from(interval_s).unwrap_or(i32::MAX);
    let values = [deployment.into(), org.into(), project.into(), url.into(), version.into(), interval.into(), traceparent.into()];
    db.execute_raw(sql(upsert, values)).await?;
    Ok(())
}

/// Watches it no longer. An end that overtakes its beginning is remembered.
pub(crate) async fn unwatch(db: &impl ConnectionTrait, new: &New<'_>) -> Result<()> {
    let New { deployment, org, project, url: _, version, interval_s, traceparent } = new.clone();
    let upsert =
        "INSERT INTO target AS t (deployment_id, org_id, project_id, url, active, subject_version, interval_s, next_probe_at, traceparent)
        VALUES ($1, $2, $3, '', false, $4, $5, now(), $6)
        ON CONFLICT (deployment_id) DO UPDATE SET active = false, subject_version = $4 WHERE t.subject_version < $4";
    let interval = i32::try_from(interval_s).unwrap_or(i32::MAX);
    db.execute_raw(sql(upsert, [deployment.into(), org.into(), project.into(), version.into(), interval.into(), traceparent.into()]))
        .await?;
    Ok(())
}

#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct Due {
    pub(crate) deployment_id: DeploymentId,
    pub(crate) org_id: OrgId,
    pub(crate) project_id: ProjectId,
    pub(crate) url: String,
    pub(crate) up: Option<bool>,
    pub(crate) traceparent: String,
}

/// Takes targets that are due and sets their next turn; another replica takes others.
pub(crate) async fn take_due(db: &impl ConnectionTrait, limit: i64) -> Result<Vec<Due>> {
    let update = "UPDATE target SET next_probe_at = greatest(next_probe_at + interval_s * interval '1 second', now())
        WHERE deployment_id IN (SELECT deployment_id FROM target WHERE active AND next_probe_at <= now() ORDER BY next_probe_at LIMIT $1 FOR UPDATE SKIP LOCKED)
        RETURNING deployment_id, org_id, project_id, url, up, traceparent";
    Ok(Due::find_by_statement(sql(update, [limit.into()])).all(db).await?)
}

/// What a probe found.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) at: DateTime<Utc>,
    pub(crate) up: bool,
    pub(crate) latency_ms: Option<f64>,
    pub(crate) error: String,
}

pub(crate) async fn record(db: &impl ConnectionTrait, target: DeploymentId, sample: &Sample) -> Result<()> {
    let Sample { at, up, latency_ms, error } = sample.clone();
    let insert = "INSERT INTO probe (id, deployment_id, at, up, latency_ms, error) VALUES ($1, $2, $3, $4, $5, $6)";
    db.execute_raw(sql(
        insert,
        [SampleId::generate().into(), target.into(), at.into(), up.into(), latency_ms.into(), error.clone().into()],
    ))
    .await?;
    usage::count_probe(db, target, at, up).await?;
    let update = "UPDATE target SET up = $2, last_probe_at = $3, last_error = $4 WHERE deployment_id = $1";
    db.execute_raw(sql(update, [target.into(), up.into(), at.into(), error.into()])).await?;
    Ok(())
}

#[derive(Debug, FromQueryResult)]
pub(crate) struct Status {
    pub(crate) deployment_id: DeploymentId,
    pub(crate) url: String,
    pub(crate) up: Option<bool>,
    pub(crate) uptime: Option<f64>,
    pub(crate) latency_p50_ms: Option<f64>,
    pub(crate) latency_p95_ms: Option<f64>,
    pub(crate) probes: i64,
    pub(crate) last_probe_at: Option<DateTime<Utc>>,
    pub(crate) last_error: String,
    pub(crate) interval_s: i32,
}

/// Over the last 24 hours.
pub(crate) async fn statuses(db: &impl ConnectionTrait, org: OrgId, ids: Vec<Uuid>) -> Result<Vec<Status>> {
    let select = "SELECT t.deployment_id, t.url, t.up, t.last_probe_at, t.last_error, t.interval_s, s.* FROM target t,
        LATERAL (SELECT count(*) AS probes, avg(up::int)::float8 AS uptime,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE up) AS latency_p50_ms,
            percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) FILTER (WHERE up) AS latency_p95_ms
            FROM probe WHERE deployment_id = t.deployment_id AND at > now() - interval '24 hours') s
        WHERE t.org_id = $1 AND t.deployment_id = ANY($2)";
    Ok(Status::find_by_statement(sql(select, [org.into(), ids.into()])).all(db).await?)
}
