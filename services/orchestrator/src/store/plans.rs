//! What is left of a goal.

use sea_orm::{ConnectionTrait, FromQueryResult};
use titan_error::Result;
use titan_ids::{GoalId, TaskId};
use titan_store::sql;
use uuid::Uuid;

use crate::domain::task::TaskState;

#[derive(Debug, FromQueryResult)]
pub(crate) struct Planned {
    pub(crate) id: TaskId,
    pub(crate) title: String,
    pub(crate) kind: String,
    pub(crate) state: TaskState,
    /// By how long such tasks took; none when none was done yet.
    pub(crate) left_ms: Option<i64>,
    after: Vec<Uuid>,
}

impl Planned {
    /// What it waits for.
    pub(crate) fn after(&self) -> impl Iterator<Item = TaskId> {
        self.after.iter().map(|id| TaskId::from(*id))
    }
}

pub(crate) async fn unfinished(db: &impl ConnectionTrait, goal: GoalId) -> Result<Vec<Planned>> {
    let select = "SELECT t.id, p.title, t.kind, t.state, CASE WHEN r.mean_ms IS NOT NULL THEN greatest(0, r.mean_ms - CASE WHEN t.state = 'in_progress'
                THEN (extract(epoch FROM now() - t.started_at) * 1000)::bigint ELSE 0 END) END AS left_ms,
            ARRAY(SELECT d.depends_on FROM task_dependency d WHERE d.task_id = t.id) AS after
        FROM task t JOIN task_payload p ON p.task_id = t.id
            LEFT JOIN (SELECT kind, (sum(busy_ms) / sum(done))::bigint AS mean_ms FROM agent_record GROUP BY kind HAVING sum(done) > 0) r
                ON r.kind = t.kind
        WHERE t.goal_id = $1 AND t.state NOT IN ('done', 'failed', 'cancelled') ORDER BY t.id";
    Ok(Planned::find_by_statement(sql(select, [goal.into()])).all(db).await?)
}
