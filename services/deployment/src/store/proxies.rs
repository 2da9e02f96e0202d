//! The proxies in front of a host's apps.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use titan_error::Result;
use titan_store::sql;

/// It is there, and is asked before an app ends.
pub(crate) async fn seen(db: &impl ConnectionTrait, url: &str, host: &str) -> Result<()> {
    let upsert = "INSERT INTO proxy (url, host) VALUES ($1, $2) ON CONFLICT (url) DO UPDATE SET host = $2, seen_at = now()";
    db.execute_raw(sql(upsert, [url.into(), host.into()])).await?;
    Ok(())
}

/// On shutdown: nobody need ask it any more.
pub(crate) async fn forget(db: &impl ConnectionTrait, url: &str) -> Result<()> {
    db.execute_raw(sql("DELETE FROM proxy WHERE url = $1", [url.into()])).await?;
    Ok(())
}

/// Each with whether it has not been seen for so long. They are forgotten after an hour.
pub(crate) async fn known(db: &impl ConnectionTrait, host: &str, within: Duration) -> Result<Vec<(String, bool)>> {
    let select = "SELECT url, seen_at < now() - $2 * interval '1 millisecond' AS stale FROM proxy WHERE host = $1 AND seen_at > now() - interval '1 hour'";
    let millis = i64::try_from(within.as_millis()).unwrap_or(i64::MAX);
    let rows = db.query_all_raw(sql(select, [host.into(), millis.into()])).await?;
    rows.iter().map(|row| Ok((row.try_get("", "url")?, row.try_get("", "stale")?))).collect()
}
