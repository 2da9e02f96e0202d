use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::Value;
use titan_error::Result;
use titan_ids::OrgId;
use titan_store::sql;

#[derive(Debug, FromQueryResult)]
pub(crate) struct Known {
    pub(crate) request: Vec<u8>,
    pub(crate) status: Option<i32>,
    pub(crate) headers: Option<Value>,
    pub(crate) body: Option<Vec<u8>>,
}

/// Takes the key for a request. False when it is taken; one whose call began more than a minute ago and
/// never ended may be taken over, for what is behind it is idempotent as well.
pub(crate) async fn take(db: &impl ConnectionTrait, org: OrgId, key: &str, request: &[u8]) -> Result<bool> {
    let insert = "INSERT INTO idempotency_key AS k (org_id, key, request) VALUES ($1, $2, $3)
        ON CONFLICT (org_id, key) DO UPDATE SET created_at = now()
        WHERE k.status IS NULL AND k.request = $3 AND k.created_at < now() - interval '10 seconds'";
    Ok(db.execute_raw(sql(insert, [org.into(), key.into(), request.to_vec().into()])).await?.rows_affected() == 1)
}

pub(crate) async fn find(db: &impl ConnectionTrait, org: OrgId, key: &str) -> Result<Option<Known>> {
    let select = "SELECT request, status, headers, body FROM idempotency_key WHERE org_id = $1 AND key = $2";
    Ok(Known::find_by_statement(sql(select, [org.into(), key.into()])).one(db).await?)
}

pub(crate) async fn keep(db: &impl ConnectionTrait, org: OrgId, key: &str, status: u16, headers: Value, body: &[u8]) -> Result<()> {
    let update = "UPDATE idempotency_key SET status = $3, headers = $4, body = $5 WHERE org_id = $1 AND key = $2";
    db.execute_raw(sql(update, [org.into(), key.into(), i32::from(status).into(), headers.into(), body.to_vec().into()])).await?;
    Ok(())
}

/// The call failed without an answer worth keeping: the next one with the key starts anew.
pub(crate) async fn give_back(db: &impl ConnectionTrait, org: OrgId, key: &str) -> Result<()> {
    db.execute_raw(sql("DELETE FROM idempotency_key WHERE org_id = $1 AND key = $2 AND status IS NULL", [org.into(), key.into()])).await?;
    Ok(())
}

pub(crate) async fn prune(db: &impl ConnectionTrait) -> Result<()> {
    db.execute_raw(sql("DELETE FROM idempotency_key WHERE created_at < now() - interval '1 day'", [])).await?;
    Ok(())
}
