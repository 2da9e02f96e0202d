use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use titan_error::Result;
use titan_ids::{ApiKeyId, OrgId, UserId};
use titan_store::sql;

#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(crate) struct Owner {
    pub(crate) member_id: UserId,
    pub(crate) org_id: OrgId,
}

/// Whose key it is; none when there is no such key or it was revoked.
pub(crate) async fn owner(db: &impl ConnectionTrait, digest: Vec<u8>) -> Result<Option<Owner>> {
    let select = "SELECT m.id AS member_id, m.org_id FROM api_key k JOIN member m ON m.id = k.member_id WHERE k.digest = $1 AND k.revoked_at IS NULL";
    Ok(Owner::find_by_statement(sql(select, [digest.into()])).one(db).await?)
}

/// Held to the end of the transaction: replicas that start together make one first key.
pub(crate) async fn lock_first(db: &impl ConnectionTrait) -> Result<()> {
    db.execute_raw(sql("SELECT pg_advisory_xact_lock(7164)", [])).await?;
    Ok(())
}

pub(crate) async fn any(db: &impl ConnectionTrait) -> Result<bool> {
    Ok(db.query_one_raw(sql("SELECT 1 FROM api_key LIMIT 1", [])).await?.is_some())
}

pub(crate) async fn insert(db: &impl ConnectionTrait, org: OrgId, name: &str, digest: Vec<u8>, now: DateTime<Utc>) -> Result<()> {
    let (member, key) = (UserId::generate(), ApiKeyId::generate());
    let insert = "INSERT INTO member (id, org_id, name, created_at) VALUES ($1, $2, $3, $4)";
    db.execute_raw(sql(insert, [member.into(), org.into(), name.into(), now.into()])).await?;
    let insert = "INSERT INTO api_key (id, member_id, digest, created_at) VALUES ($1, $2, $3, $4)";
    db.execute_raw(sql(insert, [key.into(), member.into(), digest.into(), now.into()])).await?;
    Ok(())
}
