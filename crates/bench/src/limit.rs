//! What PostgreSQL alone does on this machine with batches of the same size: the life of a task as three statements on a
//! narrow table, from as many connections as there are cores. No services, no events, no history.

use std::time::{Duration, Instant};

use crate::database::Database;

const BATCH: i32 = 200;
const CONNECTIONS: usize = 2;

/// Lifecycles a second.
pub(crate) async fn lifecycles(database: &Database, lasting: Duration) -> anyhow::Result<f64> {
    let table =
        "CREATE TABLE lifecycle (id uuid PRIMARY KEY, state text NOT NULL, attempt int NOT NULL, payload jsonb NOT NULL, result jsonb);
        CREATE INDEX lifecycle_ready ON lifecycle (id) WHERE state = 'inbox'";
    sqlx::raw_sql(table).execute(&database.pool).await?;
    let started = Instant::now();
    let one = async || {
        let mut batches = 0_u32;
        while started.elapsed() < lasting {
            let ids: Vec<uuid::Uuid> = (0..BATCH).map(|_| uuid::Uuid::now_v7()).collect();
            let statements = [
                "INSERT INTO lifecycle SELECT id, 'inbox', 0, '{}' FROM unnest($1::uuid[]) AS id",
                "UPDATE lifecycle SET state = 'assigned', attempt = attempt + 1 WHERE id = ANY($1) AND state = 'inbox'",
                "UPDATE lifecycle SET state = 'done', result = '{}' WHERE id = ANY($1) AND attempt = 1",
            ];
            for statement in statements {
                sqlx::query(statement).bind(&ids).execute(&database.pool).await?;
            }
            batches += 1;
        }
        anyhow::Ok(batches)
    };
    let batches = futures::future::join_all((0..CONNECTIONS).map(|_| one())).await.into_iter().sum::<anyhow::Result<u32>>()?;
    Ok(f64::from(batches) * f64::from(BATCH) / started.elapsed().as_secs_f64())
}
