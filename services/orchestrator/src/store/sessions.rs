use std::time::Duration;

use sea_orm::{ConnectionTrait, FromQueryResult};
use titan_error::{Error, Result};
use titan_ids::{AgentId, SessionId, TaskId};
use titan_store::sql;
use uuid::Uuid;

use crate::domain::session::AttemptKey;

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Connects the session, new or again, and gives its new epoch; none when it has expired, which is final.
pub(crate) async fn connect(db: &impl ConnectionTrait, id: SessionId, worker: &str, lease: Duration) -> Result<Option<i64>> {
    let upsert = "INSERT INTO worker_session AS s (id, worker, epoch, state, lease_until)
        VALUES ($1, $2, 1, 'connected', now() + $3 * interval '1 millisecond')
        ON CONFLICT (id) DO UPDATE SET epoch = s.epoch + 1, state = 'connected', lease_until = excluded.lease_until
        WHERE s.state <> 'expired' RETURNING epoch";
    let row = db.query_one_raw(sql(upsert, [id.into(), worker.into(), millis(lease).into()])).await?;
    Ok(row.map(|row| row.try_get("", "epoch")).transpose()?)
}

/// Extends the leases of sessions that are still at the epoch given; returns those.
pub(crate) async fn extend(db: &impl ConnectionTrait, sessions: &[(SessionId, i64)], lease: Duration) -> Result<Vec<SessionId>> {
    let (ids, epochs): (Vec<Uuid>, Vec<i64>) = sessions.iter().map(|(id, epoch)| (id.uuid(), *epoch)).unzip();
    let update = "UPDATE worker_session s SET lease_until = now() + $3 * interval '1 millisecond'
        FROM unnest($1::uuid[], $2::bigint[]) AS beat(id, epoch)
        WHERE s.id = beat.id AND s.epoch = beat.epoch AND s.state = 'connected' RETURNING s.id";
    let rows = db.query_all_raw(sql(update, [ids.into(), epochs.into(), millis(lease).into()])).await?;
    rows.into_iter().map(|row| row.try_get::<SessionId>("", "id").map_err(Error::from)).collect()
}

/// Hosts one agent that asks for its work.
pub(crate) const EXTERNAL: &str = "external";

/// It is over, and what it had is given back.
pub(crate) async fn end(db: &impl ConnectionTrait, id: SessionId) -> Result<()> {
    db.execute_raw(sql("UPDATE worker_session SET state = 'expired' WHERE id = $1", [id.into()])).await?;
    Ok(())
}

/// The stream broke: the tasks stay the session's for the grace only.
pub(crate) async fn disconnect(db: &impl ConnectionTrait, id: SessionId, epoch: i64, grace: Duration) -> Result<()> {
    let update = "UPDATE worker_session SET state = 'disconnected', lease_until = least(lease_until, now() + $3 * interval '1 millisecond')
        WHERE id = $1 AND epoch = $2 AND state = 'connected'";
    db.execute_raw(sql(update, [id.into(), epoch.into(), millis(grace).into()])).await?;
    Ok(())
}

/// Expires the sessions whose lease has passed, on the database's clock.
pub(crate) async fn expire(db: &impl ConnectionTrait) -> Result<u64> {
    let update = "UPDATE worker_session SET state = 'expired' WHERE state <> 'expired' AND lease_until < now()";
    Ok(db.execute_raw(sql(update, [])).await?.rows_affected())
}

#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(crate) struct Owned {
    pub(crate) id: TaskId,
    pub(crate) attempt: i32,
}

/// Tasks whose session is no more. Found again and again until released, whoever expired the session.
pub(crate) async fn orphans(db: &impl ConnectionTrait) -> Result<Vec<Owned>> {
    let select = "SELECT t.id, t.attempt FROM task t JOIN worker_session s ON s.id = t.session_id
        WHERE t.state IN ('assigned', 'in_progress') AND s.state = 'expired' ORDER BY t.attempt_deadline LIMIT 1000";
    Ok(Owned::find_by_statement(sql(select, [])).all(db).await?)
}

/// Tells the replica that has the attempt's worker, when the transaction commits.
pub(crate) async fn notify_revoked(db: &impl ConnectionTrait, task: TaskId, attempt: i32) -> Result<()> {
    db.execute_raw(sql("SELECT pg_notify('titan_revoked', $1)", [format!("{task}/{attempt}").into()])).await?;
    Ok(())
}

/// The attempts a session owns, with the agents that have them.
pub(crate) async fn owned_by(db: &impl ConnectionTrait, session: SessionId) -> Result<Vec<(AttemptKey, AgentId)>> {
    let select = "SELECT id, attempt, agent_id FROM task WHERE session_id = $1 AND state IN ('assigned', 'in_progress') ORDER BY id";
    let rows = db.query_all_raw(sql(select, [session.into()])).await?;
    rows.iter().map(|row| Ok(((row.try_get("", "id")?, row.try_get("", "attempt")?), row.try_get("", "agent_id")?))).collect()
}

/// Attempts that took longer than they may, with a margin for their worker to say so itself.
pub(crate) async fn overdue(db: &impl ConnectionTrait, margin: Duration) -> Result<Vec<Owned>> {
    let select = "SELECT id, attempt FROM task WHERE state IN ('assigned', 'in_progress') AND (deadline_at IS NULL OR deadline_at > now())
        AND attempt_deadline < now() - $1 * interval '1 millisecond' ORDER BY attempt_deadline LIMIT 1000";
    Ok(Owned::find_by_statement(sql(select, [millis(margin).into()])).all(db).await?)
}

/// Tasks whose own deadline passed, whatever they were doing.
pub(crate) async fn expired_tasks(db: &impl ConnectionTrait) -> Result<Vec<TaskId>> {
    let select =
        "SELECT id FROM task WHERE deadline_at < now() AND state NOT IN ('done', 'failed', 'cancelled') ORDER BY deadline_at LIMIT 1000";
    let rows = db.query_all_raw(sql(select, [])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}

/// Nobody else claims for the session before the caller's commit. Returns how many tasks it has.
pub(crate) async fn alone(db: &impl ConnectionTrait, id: SessionId) -> Result<i64> {
    db.execute_raw(sql("SELECT FROM worker_session WHERE id = $1 FOR NO KEY UPDATE", [id.into()])).await?;
    // A statement of its own, so that it sees what was committed while the first one waited.
    let count = "SELECT count(*) AS owned FROM task WHERE session_id = $1 AND state IN ('assigned', 'in_progress')";
    let row = db.query_one_raw(sql(count, [id.into()])).await?;
    Ok(row.map(|row| row.try_get("", "owned")).transpose()?.unwrap_or_default())
}

/// Tasks that their agents have not begun: those of agents that are given nothing, and those given longer ago than `within` while
/// another agent that could take them has room.
pub(crate) async fn not_begun(db: &impl ConnectionTrait, within: Duration) -> Result<Vec<TaskId>> {
    let select = "SELECT t.id FROM task t JOIN agent a ON a.id = t.agent_id JOIN lane l ON l.id = t.lane_id
        WHERE t.state = 'assigned' AND (a.condition <> 'fit' OR (l.demands->'agent' IS NULL AND t.attempt_deadline - t.timeout_s * interval '1 second' < now() - $1 * interval '1 millisecond'
            AND (t.deadline_at IS NULL OR t.attempt_deadline < t.deadline_at
                OR (SELECT max(c.at) FROM task_change c WHERE c.task_id = t.id AND c.to_state = 'assigned') < now() - $1 * interval '1 millisecond')
            AND EXISTS (SELECT FROM agent o JOIN worker_session s ON s.id = o.session_id
                WHERE o.org_id = a.org_id AND o.role = a.role AND o.pool = a.pool AND o.id <> a.id AND o.condition = 'fit'
                AND NOT EXISTS (SELECT FROM jsonb_each_text(coalesce(l.demands->'skills', '{}')) k WHERE coalesce((o.proficiency->>k.key)::float8, -1) < k.value::float8)
                AND (coalesce(jsonb_array_length(o.subscription->'labels'), 0) = 0 OR o.subscription->'labels' ?| ARRAY(SELECT jsonb_array_elements_text(coalesce(l.demands->'labels', '[]'))))
                AND t.priority >= coalesce((o.subscription->>'priority')::int, 0)
                AND (coalesce(jsonb_array_length(o.subscription->'projects'), 0) = 0 OR o.subscription->'projects' ? t.project_id::text)
                AND s.state = 'connected' AND s.lease_until > now() AND o.max_concurrency >
                    (SELECT count(*) FROM task r WHERE r.session_id = o.session_id AND r.agent_id = o.id AND r.state IN ('assigned', 'in_progress')))))
        ORDER BY t.attempt_deadline LIMIT 200";
    let rows = db.query_all_raw(sql(select, [millis(within).into()])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}
