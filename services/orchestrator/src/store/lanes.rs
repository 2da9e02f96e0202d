use sea_orm::{ConnectionTrait, QueryResult};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_store::sql;

use crate::domain::matching::Lane;

pub(crate) async fn all(db: &impl ConnectionTrait) -> Result<Vec<Lane>> {
    let rows = db.query_all_raw(sql("SELECT id, pool, role, demands FROM lane ORDER BY id", [])).await?;
    rows.iter().map(lane).collect()
}

/// The lane, made when there is none; every replica is told then.
pub(crate) async fn find_or_insert(db: &impl ConnectionTrait, pool: &str, role: &str, demands: &Value) -> Result<Lane> {
    let select = "WITH made AS (INSERT INTO lane (pool, role, demands) SELECT $1, $2, $3::jsonb
            WHERE NOT EXISTS (SELECT FROM lane WHERE pool = $1 AND role = $2 AND demands = $3::jsonb)
            ON CONFLICT (pool, role, md5(demands::text)) DO UPDATE SET pool = excluded.pool RETURNING *),
        told AS (SELECT pg_notify('titan_lanes', '') FROM made)
        SELECT id, pool, role, demands FROM made CROSS JOIN told
        UNION ALL SELECT id, pool, role, demands FROM lane WHERE pool = $1 AND role = $2 AND demands = $3::jsonb LIMIT 1";
    let row = db.query_one_raw(sql(select, [pool.into(), role.into(), demands.clone().into()])).await?;
    lane(&row.ok_or_else(|| Error::internal("an upsert without a row"))?)
}

fn lane(row: &QueryResult) -> Result<Lane> {
    let demands: Value = row.try_get("", "demands")?;
    Ok(Lane {
        id: row.try_get("", "id")?,
        pool: row.try_get("", "pool")?,
        role: row.try_get("", "role")?,
        demands: serde_json::from_value(demands).map_err(Error::internal)?,
    })
}
