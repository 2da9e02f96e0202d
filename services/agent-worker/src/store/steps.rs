use sea_orm::{ConnectionTrait, FromQueryResult};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::{OrgId, ProjectId, TaskId};
use titan_store::sql;

#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct Step {
    pub(crate) action: Value,
    /// None: cut off between intent and outcome.
    pub(crate) outcome: Option<Value>,
    pub(crate) commit: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct RunKey<'a> {
    pub(crate) task: TaskId,
    pub(crate) org: OrgId,
    pub(crate) project: ProjectId,
    pub(crate) kind: &'a str,
    pub(crate) role: &'a str,
    pub(crate) decider: &'a str,
}

/// Opens the run of a task, new or begun by an earlier attempt, and gives its steps.
pub(crate) async fn open(db: &impl ConnectionTrait, run: RunKey<'_>) -> Result<Vec<Step>> {
    let RunKey { task, org, project, kind, role, decider } = run;
    let insert = "INSERT INTO run (task_id, org_id, project_id, kind, role, decider, created_at) VALUES ($1, $2, $3, $4, $5, $6, now())
        ON CONFLICT (task_id) DO NOTHING";
    db.execute_raw(sql(insert, [task.into(), org.into(), project.into(), kind.into(), role.into(), decider.into()])).await?;
    list(db, task).await
}

/// Records what is about to be done. An attempt older than one that has written here is refused: the fence.
pub(crate) async fn begin(db: &impl ConnectionTrait, task: TaskId, attempt: i32, seq: i32, tool: &str, action: &Value) -> Result<()> {
    let insert = "INSERT INTO step (task_id, seq, attempt, tool, action, started_at)
        SELECT $1, $2, $3, $4, $5, now() WHERE NOT EXISTS (SELECT FROM step WHERE task_id = $1 AND attempt > $3)
        ON CONFLICT (task_id, seq) DO UPDATE SET attempt = $3 WHERE step.outcome IS NULL AND step.attempt <= $3";
    let values = [task.into(), seq.into(), attempt.into(), tool.into(), action.clone().into()];
    one_row(db.execute_raw(sql(insert, values)).await?.rows_affected())
}

/// Records what came of it.
pub(crate) async fn finish(
    db: &impl ConnectionTrait,
    task: TaskId,
    attempt: i32,
    seq: i32,
    outcome: &Value,
    commit: Option<&str>,
) -> Result<()> {
    let update = "UPDATE step SET outcome = $4, commit = $5, finished_at = now(), ended_by = $3
        WHERE task_id = $1 AND seq = $2 AND attempt = $3 AND outcome IS NULL";
    let values = [task.into(), seq.into(), attempt.into(), outcome.clone().into(), commit.into()];
    one_row(db.execute_raw(sql(update, values)).await?.rows_affected())
}

fn one_row(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Error::aborted("a newer attempt works on this task")) }
}

pub(crate) async fn list(db: &impl ConnectionTrait, task: TaskId) -> Result<Vec<Step>> {
    let select = "SELECT action, outcome, commit FROM step WHERE task_id = $1 ORDER BY seq";
    Ok(Step::find_by_statement(sql(select, [task.into()])).all(db).await?)
}
