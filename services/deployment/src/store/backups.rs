//! What was kept of an environment's data before each deployment.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use titan_error::Result;
use titan_ids::DeploymentId;
use titan_store::sql;

use super::variables::Of;

#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct Backup {
    /// The deployment before which it was made.
    pub(crate) deployment_id: DeploymentId,
    /// What served until then.
    pub(crate) commit: String,
    pub(crate) made_at: DateTime<Utc>,
    /// That deployment served, or is about to.
    pub(crate) served: bool,
}

/// Once for each deployment, however often it is made anew.
pub(crate) async fn insert(db: &impl ConnectionTrait, deployment: DeploymentId, commit: &str) -> Result<()> {
    let insert = "INSERT INTO backup (deployment_id, commit) VALUES ($1, $2) ON CONFLICT (deployment_id) DO NOTHING";
    db.execute_raw(sql(insert, [deployment.into(), commit.into()])).await?;
    Ok(())
}

/// Those that were made of an environment on a host, newest first.
pub(crate) async fn list(db: &impl ConnectionTrait, of: Of<'_>, host: &str) -> Result<Vec<Backup>> {
    let select = "SELECT b.deployment_id, b.commit, b.made_at, d.state IN ('pending', 'starting')
            OR EXISTS (SELECT FROM deployment_change c WHERE c.deployment_id = d.id AND c.to_state = 'running') AS served
        FROM backup b JOIN deployment d ON d.id = b.deployment_id
        WHERE d.org_id = $1 AND d.project_id = $2 AND d.environment = $3 AND d.host = $4 ORDER BY b.deployment_id DESC";
    let values = [of.org.into(), of.project.into(), of.environment.into(), host.into()];
    Ok(Backup::find_by_statement(sql(select, values)).all(db).await?)
}

pub(crate) async fn forget(db: &impl ConnectionTrait, deployment: DeploymentId) -> Result<()> {
    db.execute_raw(sql("DELETE FROM backup WHERE deployment_id = $1", [deployment.into()])).await?;
    Ok(())
}
