//! What time has brought, asked for all at once: an idle replica costs the database one look.

use sea_orm::{ConnectionTrait, FromQueryResult};
use titan_error::{Error, Result};
use titan_store::sql;

/// What there is something to do about, or may be.
#[derive(Clone, Copy, Debug, FromQueryResult)]
pub(crate) struct Due {
    /// Tasks that could start.
    pub(crate) ready: bool,
    /// Attempts that have an owner.
    pub(crate) owned: bool,
    pub(crate) sessions: bool,
    pub(crate) quarantined: bool,
    pub(crate) deadlines: bool,
    pub(crate) schedules: bool,
    pub(crate) messages: bool,
    /// Tasks whose time has come, and those that wait for a limit.
    pub(crate) held: bool,
}

pub(crate) async fn look(db: &impl ConnectionTrait) -> Result<Due> {
    // Each is one step into an index of its own. In the index's order, so that it is taken even while the planner believes that there
    // is plenty to be found anywhere: right after a load it read all tasks for the first that is ready, and there was none. From the end of
    // it, where what is new stands: before that lies what is dead, which nobody cleans away while an old snapshot is held.
    let select = "SELECT (SELECT true FROM task WHERE state = 'inbox' AND waiting_on = 0 AND held IS NULL
                ORDER BY lane_id DESC, project_id DESC, (-priority) DESC, due_at DESC, id DESC LIMIT 1) IS NOT NULL AS ready,
            (SELECT true FROM task WHERE state IN ('assigned', 'in_progress') ORDER BY attempt_deadline DESC LIMIT 1) IS NOT NULL AS owned,
            EXISTS (SELECT FROM worker_session WHERE state <> 'expired' AND lease_until < now()) AS sessions,
            EXISTS (SELECT FROM agent WHERE condition <> 'fit') AS quarantined,
            (SELECT true FROM task WHERE deadline_at < now() AND state NOT IN ('done', 'failed', 'cancelled')
                ORDER BY deadline_at LIMIT 1) IS NOT NULL AS deadlines,
            EXISTS (SELECT FROM schedule WHERE NOT paused AND next_at <= now()) AS schedules,
            (SELECT true FROM mailbox WHERE acknowledged_at IS NULL AND NOT dead AND expires_at <= now()
                ORDER BY expires_at LIMIT 1) IS NOT NULL AS messages,
            ((SELECT true FROM task WHERE state = 'inbox' AND held = 'later' AND run_after <= now() ORDER BY run_after LIMIT 1) IS NOT NULL
                OR (SELECT true FROM task WHERE state = 'inbox' AND waiting_on = 0 AND held IS NOT NULL AND held < 'later'
                    ORDER BY held LIMIT 1) IS NOT NULL
                OR (SELECT true FROM task WHERE state = 'inbox' AND waiting_on = 0 AND held IS NOT NULL AND held > 'paused'
                    ORDER BY held LIMIT 1) IS NOT NULL) AS held";
    Due::find_by_statement(sql(select, [])).one(db).await?.ok_or_else(|| Error::internal("a look without an answer"))
}
