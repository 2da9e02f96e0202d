//! What nobody asks for any more: sessions and agents that are gone, messages that were read, keys of submissions. Some rows at a time, so that nothing
//! is held for long.

use sea_orm::ConnectionTrait;
use titan_error::Result;
use titan_store::sql;

const AT_ONCE: i64 = 5_000;

/// Returns how many rows went; there may be more.
pub(crate) async fn prune(db: &impl ConnectionTrait, days: u32) -> Result<u64> {
    // Rows hang on those that come after them.
    let deletes = [
        "DELETE FROM mailbox WHERE (message_id, agent_id) IN (SELECT b.message_id, b.agent_id FROM mailbox b JOIN message m ON m.id = b.message_id
            WHERE (b.acknowledged_at IS NOT NULL OR b.dead) AND m.created_at < now() - $1 * interval '1 day' LIMIT $2)",
        "DELETE FROM message WHERE id IN (SELECT m.id FROM message m WHERE m.created_at < now() - $1 * interval '1 day'
            AND NOT EXISTS (SELECT FROM mailbox b WHERE b.message_id = m.id) LIMIT $2)",
        "DELETE FROM agent_record WHERE agent_id IN (SELECT a.id FROM agent a JOIN worker_session s ON s.id = a.session_id
            WHERE s.state = 'expired' AND s.lease_until < now() - $1 * interval '1 day' LIMIT $2)",
        "DELETE FROM agent WHERE id IN (SELECT a.id FROM agent a JOIN worker_session s ON s.id = a.session_id
            WHERE s.state = 'expired' AND s.lease_until < now() - $1 * interval '1 day'
            AND NOT EXISTS (SELECT FROM mailbox b WHERE b.agent_id = a.id) LIMIT $2)",
        "DELETE FROM worker_session WHERE id IN (SELECT s.id FROM worker_session s WHERE s.state = 'expired' AND s.lease_until < now() - $1 * interval '1 day'
            AND NOT EXISTS (SELECT FROM agent a WHERE a.session_id = s.id) LIMIT $2)",
        "DELETE FROM submission WHERE (project_id, idempotency_key) IN
            (SELECT project_id, idempotency_key FROM submission WHERE created_at < now() - $1 * interval '1 day' LIMIT $2)",
    ];
    let mut gone = 0;
    for delete in deletes {
        gone += db.execute_raw(sql(delete, [i64::from(days).into(), AT_ONCE.into()])).await?.rows_affected();
    }
    Ok(gone)
}
