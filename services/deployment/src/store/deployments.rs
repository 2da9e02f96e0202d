use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum as _, ConnectionTrait, FromQueryResult};
use titan_error::{Error, Result};
use titan_ids::{ChangeId, DeploymentId, OrgId, ProjectId};
use titan_store::{Page, sql};

use crate::domain::State;
use crate::domain::rollout::Strategy;
use crate::provider::process::Process;

#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct Row {
    pub(crate) id: DeploymentId,
    pub(crate) org_id: OrgId,
    pub(crate) project_id: ProjectId,
    pub(crate) project_slug: String,
    pub(crate) environment: String,
    pub(crate) commit: String,
    pub(crate) causation: String,
    pub(crate) traceparent: String,
    pub(crate) state: State,
    pub(crate) error: String,
    pub(crate) restarts: i32,
    pub(crate) starts: i32,
    pub(crate) port: Option<i32>,
    pub(crate) pid: Option<i32>,
    pub(crate) pid_started: Option<i64>,
    pub(crate) due: bool,
    pub(crate) starting_for_s: Option<f64>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) finished_at: Option<DateTime<Utc>>,
    /// The deployment that takes over its data.
    pub(crate) held_for: Option<DeploymentId>,
    /// That one has failed, or was stopped, and its process is gone.
    pub(crate) holder_gone: bool,
    #[sea_orm(nested)]
    pub(crate) rollout: Rollout,
    /// For how long it has been tried out.
    pub(crate) observed_for_s: Option<f64>,
    pub(crate) awaits_approval: bool,
    /// The commit that served when its version was put back; empty: it is no way back.
    pub(crate) back_from: String,
    /// The deployment before which the backup was made whose data it brings.
    pub(crate) restores: Option<DeploymentId>,
    /// The project's hook for what serves is still to be run.
    pub(crate) hook_due: bool,
}

const SELECT: &str = "SELECT id, org_id, project_id, project_slug, environment, commit, causation, traceparent, state, error, restarts, starts,
    port, pid, pid_started, start_after <= now() AS due, extract(epoch FROM now() - starting_since)::float8 AS starting_for_s, created_at, finished_at,
    held_for, coalesce((SELECT o.state NOT IN ('pending', 'starting', 'running') AND o.port IS NULL FROM deployment o WHERE o.id = deployment.held_for), false) AS holder_gone,
    strategy, share, observe_s, extract(epoch FROM now() - observed_since)::float8 AS observed_for_s, awaits_approval, back_from, restores, hook_due
    FROM deployment";

impl Row {
    /// The one that has its data, or is about to.
    pub(crate) fn holder(&self) -> Option<DeploymentId> {
        self.held_for.filter(|_| !self.holder_gone)
    }

    pub(crate) fn process(&self) -> Option<Process> {
        self.pid.zip(self.pid_started).map(|(pid, started)| Process { pid, started })
    }
}

pub(crate) async fn find(db: &impl ConnectionTrait, org: OrgId, id: DeploymentId) -> Result<Row> {
    let row = Row::find_by_statement(sql(&format!("{SELECT} WHERE org_id = $1 AND id = $2"), [org.into(), id.into()])).one(db).await?;
    row.ok_or_else(|| Error::not_found(format!("deployment {id}")))
}

pub(crate) async fn by_key(db: &impl ConnectionTrait, org: OrgId, key: &str) -> Result<Option<Row>> {
    let select = format!("{SELECT} WHERE org_id = $1 AND idempotency_key = $2");
    Ok(Row::find_by_statement(sql(&select, [org.into(), key.into()])).one(db).await?)
}

pub(crate) async fn list(
    db: &impl ConnectionTrait,
    org: OrgId,
    project: Option<ProjectId>,
    shown: Option<String>,
    page: Page,
) -> Result<Vec<Row>> {
    let select = format!(
        "{SELECT} WHERE org_id = $1 AND id < $2 AND ($3::uuid IS NULL OR project_id = $3) AND ($5::text IS NULL OR {SHOWN} = $5) ORDER BY id DESC LIMIT $4"
    );
    let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
    Ok(Row::find_by_statement(sql(&select, [org.into(), page.before.into(), project.into(), limit.into(), shown.into()])).all(db).await?)
}

/// The state as people see it.
const SHOWN: &str = "CASE WHEN state = 'pending' AND awaits_approval THEN 'awaiting_approval'
    WHEN state = 'starting' AND observed_since IS NOT NULL THEN 'tried_out' ELSE state END";

/// A deployment asked for.
#[derive(Clone, Debug)]
pub(crate) struct New<'a> {
    pub(crate) id: DeploymentId,
    pub(crate) org: OrgId,
    pub(crate) project: ProjectId,
    pub(crate) project_slug: &'a str,
    pub(crate) environment: &'a str,
    pub(crate) commit: &'a str,
    pub(crate) key: &'a str,
    pub(crate) causation: &'a str,
    pub(crate) traceparent: &'a str,
    pub(crate) host: &'a str,
    pub(crate) rollout: Rollout,
    pub(crate) awaits_approval: bool,
    pub(crate) back_from: &'a str,
    pub(crate) restores: Option<DeploymentId>,
}

/// How traffic comes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub(crate) struct Rollout {
    pub(crate) strategy: Strategy,
    /// Of the requests, in percent, while it is tried out.
    pub(crate) share: i32,
    /// How long it is tried out.
    pub(crate) observe_s: i32,
}

/// False when the key is taken.
pub(crate) async fn insert(db: &impl ConnectionTrait, new: &New<'_>, now: DateTime<Utc>) -> Result<bool> {
    let New { id, org, project, project_slug, environment, commit, key, causation, traceparent, .. } = new.clone();
    let New { host, rollout, awaits_approval, back_from, restores, .. } = new.clone();
    let Rollout { strategy, share, observe_s } = rollout;
    let insert = "INSERT INTO deployment (id, org_id, project_id, project_slug, environment, commit, idempotency_key, causation, traceparent, state, host, created_at,
            strategy, share, observe_s, awaits_approval, back_from, restores)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending', $10, $11, $12, $13, $14, $15, $16, $17) ON CONFLICT (org_id, idempotency_key) DO NOTHING";
    let values = [
        id.into(),
        org.into(),
        project.into(),
        project_slug.into(),
        environment.into(),
        commit.into(),
        key.into(),
        causation.into(),
        traceparent.into(),
        host.into(),
        now.into(),
        strategy.to_value().into(),
        share.into(),
        observe_s.into(),
        awaits_approval.into(),
        back_from.into(),
        restores.into(),
    ];
    Ok(db.execute_raw(sql(insert, values)).await?.rows_affected() == 1)
}

/// Other holders of leases that have not ended.
pub(crate) async fn others(db: &impl ConnectionTrait, host: &str, owner: &str) -> Result<Vec<String>> {
    let select = "SELECT DISTINCT owner FROM deployment
        WHERE host = $1 AND (state IN ('pending', 'starting', 'running') OR port IS NOT NULL) AND owner <> $2 AND owner_until > now()";
    let rows = db.query_all_raw(sql(select, [host.into(), owner.into()])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "owner")?)).collect()
}

/// Takes or renews the lease of every deployment of the host that needs a supervisor, and returns them. Leases of those who are `gone`
/// have ended.
pub(crate) async fn lease(db: &impl ConnectionTrait, host: &str, owner: &str, gone: Vec<String>, lease: Duration) -> Result<Vec<Row>> {
    let update = "UPDATE deployment SET owner = $2, owner_until = now() + $3 * interval '1 millisecond'
        WHERE host = $1 AND (state IN ('pending', 'starting', 'running') OR port IS NOT NULL) AND (owner IS NULL OR owner = $2 OR owner_until < now() OR owner = ANY($4))";
    let millis = i64::try_from(lease.as_millis()).unwrap_or(i64::MAX);
    db.execute_raw(sql(update, [host.into(), owner.into(), millis.into(), gone.into()])).await?;
    let select = format!(
        "{SELECT} WHERE host = $1 AND owner = $2 AND (state IN ('pending', 'starting', 'running') OR port IS NOT NULL) ORDER BY id"
    );
    Ok(Row::find_by_statement(sql(&select, [host.into(), owner.into()])).all(db).await?)
}

/// On shutdown: another replica need not wait for the lease to end.
pub(crate) async fn give_back(db: &impl ConnectionTrait, owner: &str) -> Result<()> {
    db.execute_raw(sql("UPDATE deployment SET owner = NULL WHERE owner = $1", [owner.into()])).await?;
    Ok(())
}

pub(crate) async fn ports(db: &impl ConnectionTrait, host: &str) -> Result<Vec<i32>> {
    let rows = db.query_all_raw(sql("SELECT port FROM deployment WHERE host = $1 AND port IS NOT NULL", [host.into()])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "port")?)).collect()
}

/// Recorded before the process is started: the port is ours, and one more try is counted.
pub(crate) async fn starting(db: &impl ConnectionTrait, id: DeploymentId, owner: &str, port: i32, pause: Duration) -> Result<bool> {
    let update = "UPDATE deployment SET port = $3, pid = NULL, pid_started = NULL, starts = starts + 1,
            restarts = restarts + CASE WHEN state = 'running' THEN 1 ELSE 0 END,
            state = CASE WHEN state = 'pending' THEN 'starting' ELSE state END,
            starting_since = CASE WHEN state = 'pending' THEN now() ELSE starting_since END,
            start_after = now() + $4 * interval '1 millisecond'
        WHERE id = $1 AND owner = $2 AND owner_until > now() AND state IN ('pending', 'starting', 'running')";
    let millis = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
    Ok(db.execute_raw(sql(update, [id.into(), owner.into(), port.into(), millis.into()])).await?.rows_affected() == 1)
}

/// False when the deployment is somebody else's by now: the process is one too many.
pub(crate) async fn started(db: &impl ConnectionTrait, id: DeploymentId, owner: &str, process: Process) -> Result<bool> {
    let update = "UPDATE deployment SET pid = $3, pid_started = $4 WHERE id = $1 AND owner = $2 AND owner_until > now() AND pid IS NULL";
    let values = [id.into(), owner.into(), process.pid.into(), process.started.into()];
    Ok(db.execute_raw(sql(update, values)).await?.rows_affected() == 1)
}

/// The process is gone for good, and the port is free again.
pub(crate) async fn forget_process(db: &impl ConnectionTrait, id: DeploymentId, owner: &str) -> Result<()> {
    let update = "UPDATE deployment SET pid = NULL, pid_started = NULL, port = NULL WHERE id = $1 AND owner = $2 AND owner_until > now()";
    db.execute_raw(sql(update, [id.into(), owner.into()])).await?;
    Ok(())
}

/// Locks the row until the commit; false when the deployment is somebody else's by now.
pub(crate) async fn lock_owned(db: &impl ConnectionTrait, id: DeploymentId, owner: &str) -> Result<bool> {
    let select = "SELECT FROM deployment WHERE id = $1 AND owner = $2 AND owner_until > now() FOR UPDATE";
    Ok(db.query_one_raw(sql(select, [id.into(), owner.into()])).await?.is_some())
}

/// Locks the row until the commit.
pub(crate) async fn lock(db: &impl ConnectionTrait, id: DeploymentId) -> Result<()> {
    db.execute_raw(sql("SELECT FROM deployment WHERE id = $1 FOR UPDATE", [id.into()])).await?;
    Ok(())
}

/// False when the deployment is no longer in one of the states `from`.
pub(crate) async fn set_state(
    db: &impl ConnectionTrait,
    id: DeploymentId,
    from: &[State],
    to: State,
    error: &str,
    now: DateTime<Utc>,
) -> Result<bool> {
    let from: Vec<String> = from.iter().map(|s| s.to_value()).collect();
    let update = "UPDATE deployment SET state = $3, error = $4, held_for = CASE WHEN $3 = 'running' THEN held_for END, finished_at = CASE WHEN $3 = 'running' THEN NULL ELSE $5 END WHERE id = $1 AND state = ANY($2)";
    let values = [id.into(), from.into(), to.to_value().into(), error.into(), now.into()];
    Ok(db.execute_raw(sql(update, values)).await?.rows_affected() == 1)
}

/// Requests to this one wait from now on, for another one takes over its data. False when it does not serve any more, or it is held otherwise
/// than it was.
pub(crate) async fn hold(db: &impl ConnectionTrait, serving: &Row, holder: DeploymentId) -> Result<bool> {
    let update = "UPDATE deployment SET held_for = $2 WHERE id = $1 AND state = 'running' AND held_for IS NOT DISTINCT FROM $3";
    Ok(db.execute_raw(sql(update, [serving.id.into(), holder.into(), serving.held_for.into()])).await?.rows_affected() == 1)
}

/// Requests go on. False when that one does not hold it any more.
pub(crate) async fn release(db: &impl ConnectionTrait, id: DeploymentId, holder: DeploymentId) -> Result<bool> {
    let update = "UPDATE deployment SET held_for = NULL WHERE id = $1 AND held_for = $2";
    Ok(db.execute_raw(sql(update, [id.into(), holder.into()])).await?.rows_affected() == 1)
}

/// It is tried out from now on. False when it is somebody else's by now, or was stopped.
pub(crate) async fn try_out(db: &impl ConnectionTrait, id: DeploymentId, owner: &str) -> Result<bool> {
    let update = "UPDATE deployment SET observed_since = now() WHERE id = $1 AND owner = $2 AND owner_until > now() AND state = 'starting'";
    Ok(db.execute_raw(sql(update, [id.into(), owner.into()])).await?.rows_affected() == 1)
}

/// False when there is nothing to approve any more.
pub(crate) async fn approve(db: &impl ConnectionTrait, id: DeploymentId) -> Result<bool> {
    let update = "UPDATE deployment SET awaits_approval = false WHERE id = $1 AND state = 'pending' AND awaits_approval";
    Ok(db.execute_raw(sql(update, [id.into()])).await?.rows_affected() == 1)
}

/// What serves an environment.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(crate) struct Rival {
    pub(crate) id: DeploymentId,
    /// The one that takes over its data.
    pub(crate) held_for: Option<DeploymentId>,
    /// The newest one that is tried out.
    pub(crate) tried_out: Option<DeploymentId>,
}

pub(crate) async fn rival(db: &impl ConnectionTrait, project: ProjectId, environment: &str) -> Result<Option<Rival>> {
    let select =
        "SELECT id, held_for, (SELECT o.id FROM deployment o WHERE o.project_id = $1 AND o.environment = $2 AND o.state = 'starting'
            AND o.observed_since IS NOT NULL ORDER BY o.id DESC LIMIT 1) AS tried_out
        FROM deployment WHERE project_id = $1 AND environment = $2 AND state = 'running'";
    Ok(Rival::find_by_statement(sql(select, [project.into(), environment.into()])).one(db).await?)
}

/// Those that do not serve yet.
pub(crate) async fn under_way(db: &impl ConnectionTrait, project: ProjectId, environment: &str) -> Result<Vec<Row>> {
    let select = format!("{SELECT} WHERE project_id = $1 AND environment = $2 AND state IN ('pending', 'starting') ORDER BY id");
    Ok(Row::find_by_statement(sql(&select, [project.into(), environment.into()])).all(db).await?)
}

/// Those whose processes are to end.
pub(crate) async fn ending(db: &impl ConnectionTrait, project: ProjectId, environment: &str) -> Result<Vec<Row>> {
    let select = format!(
        "{SELECT} WHERE project_id = $1 AND environment = $2 AND state NOT IN ('pending', 'starting', 'running') AND port IS NOT NULL ORDER BY id"
    );
    Ok(Row::find_by_statement(sql(&select, [project.into(), environment.into()])).all(db).await?)
}

/// The one before it that served last, and has the data as it left it.
pub(crate) async fn last(db: &impl ConnectionTrait, row: &Row) -> Result<Option<Row>> {
    let select = format!(
        "{SELECT} WHERE project_id = $1 AND environment = $2 AND id < $3
            AND EXISTS (SELECT FROM deployment_change c WHERE c.deployment_id = deployment.id AND c.to_state = 'running') ORDER BY id DESC LIMIT 1"
    );
    let values = [row.project_id.into(), row.environment.as_str().into(), row.id.into()];
    Ok(Row::find_by_statement(sql(&select, values)).one(db).await?)
}

/// Those before it that were to bring data back, and ended before they served.
pub(crate) async fn restores_in_vain(db: &impl ConnectionTrait, row: &Row) -> Result<Vec<Row>> {
    let select = format!(
        "{SELECT} WHERE project_id = $1 AND environment = $2 AND id < $3 AND restores IS NOT NULL AND state NOT IN ('pending', 'starting', 'running')
            AND NOT EXISTS (SELECT FROM deployment_change c WHERE c.deployment_id = deployment.id AND c.to_state = 'running') ORDER BY id DESC"
    );
    let values = [row.project_id.into(), row.environment.as_str().into(), row.id.into()];
    Ok(Row::find_by_statement(sql(&select, values)).all(db).await?)
}

/// The deployment that serves the environment now, locked.
pub(crate) async fn serving(db: &impl ConnectionTrait, project: ProjectId, environment: &str) -> Result<Option<Row>> {
    let select = format!("{SELECT} WHERE project_id = $1 AND environment = $2 AND state = 'running' FOR UPDATE");
    Ok(Row::find_by_statement(sql(&select, [project.into(), environment.into()])).one(db).await?)
}

/// The newest one that served the environment with another commit: of one that begins so, or before what serves. Where that was put back
/// itself, before what it was put back to.
pub(crate) async fn served(db: &impl ConnectionTrait, serving: &Row, commit: &str) -> Result<Option<Row>> {
    let ran = |of: &str| format!("EXISTS (SELECT FROM deployment_change c WHERE c.deployment_id = {of}.id AND c.to_state = 'running')");
    let select = format!(
        "{SELECT} WHERE project_id = $1 AND environment = $2 AND commit <> $3 AND starts_with(commit, $4) AND {}
            AND ($4 <> '' OR id < (SELECT o.id FROM deployment o WHERE o.project_id = $1 AND o.environment = $2 AND o.commit = $3
                AND o.id <= $5 AND {} ORDER BY ($6 AND o.back_from = '') DESC, o.id DESC LIMIT 1))
        ORDER BY id DESC LIMIT 1",
        ran("deployment"),
        ran("o")
    );
    let (environment, from) = (serving.environment.as_str(), serving.commit.as_str());
    let back = !serving.back_from.is_empty();
    let values = [serving.project_id.into(), environment.into(), from.into(), commit.into(), serving.id.into(), back.into()];
    Ok(Row::find_by_statement(sql(&select, values)).one(db).await?)
}

/// The project's hook for what serves is to be run.
pub(crate) async fn hook_due(db: &impl ConnectionTrait, id: DeploymentId) -> Result<()> {
    db.execute_raw(sql("UPDATE deployment SET hook_due = true WHERE id = $1", [id.into()])).await?;
    Ok(())
}

/// It has been. False when it serves no longer.
pub(crate) async fn hook_ran(db: &impl ConnectionTrait, id: DeploymentId) -> Result<bool> {
    let update = "UPDATE deployment SET hook_due = false WHERE id = $1 AND state = 'running'";
    Ok(db.execute_raw(sql(update, [id.into()])).await?.rows_affected() == 1)
}

/// Those whose processes the owner supervises.
pub(crate) async fn with_processes(db: &impl ConnectionTrait, host: &str, owner: &str) -> Result<Vec<Row>> {
    let select = format!("{SELECT} WHERE host = $1 AND port IS NOT NULL AND owner = $2 AND pid IS NOT NULL");
    Ok(Row::find_by_statement(sql(&select, [host.into(), owner.into()])).all(db).await?)
}

/// Where traffic goes.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub(crate) struct Route {
    pub(crate) id: DeploymentId,
    pub(crate) org_id: OrgId,
    pub(crate) project_slug: String,
    pub(crate) environment: String,
    pub(crate) port: i32,
    /// Requests wait.
    pub(crate) held: bool,
    /// It is tried out, with so many percent of the requests.
    pub(crate) share: Option<i32>,
}

pub(crate) async fn routes(db: &impl ConnectionTrait, host: &str) -> Result<Vec<Route>> {
    // A gradual one's share grows four times, evenly, and has all in the last quarter of its time.
    let select = "SELECT id, org_id, project_slug, environment, port, held_for IS NOT NULL AS held, CASE WHEN state = 'starting' AND strategy = 'gradual'
            THEN share + (100 - share) * least(floor(extract(epoch FROM now() - observed_since) * 4 / greatest(observe_s, 1)), 3)::int / 3
            WHEN state = 'starting' THEN share END AS share
        FROM deployment WHERE host = $1 AND port IS NOT NULL AND (state = 'running' OR (state = 'starting' AND observed_since IS NOT NULL)) ORDER BY id";
    Ok(Route::find_by_statement(sql(select, [host.into()])).all(db).await?)
}

pub(crate) async fn record(db: &impl ConnectionTrait, id: DeploymentId, to: State, reason: &str, now: DateTime<Utc>) -> Result<()> {
    let insert = "INSERT INTO deployment_change (id, deployment_id, at, to_state, reason) VALUES ($1, $2, $3, $4, $5)";
    db.execute_raw(sql(insert, [ChangeId::generate().into(), id.into(), now.into(), to.to_value().into(), reason.into()])).await?;
    Ok(())
}

#[derive(Debug, FromQueryResult)]
pub(crate) struct Change {
    pub(crate) at: DateTime<Utc>,
    pub(crate) to_state: State,
    pub(crate) reason: String,
}

pub(crate) async fn history(db: &impl ConnectionTrait, id: DeploymentId) -> Result<Vec<Change>> {
    let select = "SELECT at, to_state, reason FROM deployment_change WHERE deployment_id = $1 ORDER BY id";
    Ok(Change::find_by_statement(sql(select, [id.into()])).all(db).await?)
}
