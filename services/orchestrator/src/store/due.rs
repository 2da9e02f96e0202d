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
    // Each is one step into an index of its own.
    let select = "SELECT EXISTS (SELECT FROM task WHERE state = 'inbox' AND waiting_on = 0 AND held IS NULL) AS ready,
            EXISTS (SELECT FROM task WHERE state IN ('assigned', 'in_progress')) AS owned,
            EXISTS (SELECT FROM worker_session WHERE state <> 'expired' AND lease_until < now()) AS sessions,
            EXISTS (SELECT FROM agent WHERE condition <> 'fit') AS quarantined,
            EXISTS (SELECT FROM task WHERE deadline_at < now() AND state NOT IN ('done', 'failed', 'cancelled')) AS deadlines,
            EXISTS (SELECT FROM schedule WHERE NOT paused AND next_at <= now()) AS schedules,
            EXISTS (SELECT FROM mailbox WHERE acknowledged_at IS NULL AND NOT dead AND expires_at <= now()) AS messages,
            (EXISTS (SELECT FROM task WHERE state = 'inbox' AND held = 'later' AND run_after <= now())
                OR EXISTS (SELECT FROM task WHERE state = 'inbox' AND waiting_on = 0 AND held IS NOT NULL AND held < 'later')
                OR EXISTS (SELECT FROM task WHERE state = 'inbox' AND waiting_on = 0 AND held IS NOT NULL AND held > 'paused')) AS held";
    Due::find_by_statement(sql(select, [])).one(db).await?.ok_or_else(|| Error::internal("a look without an answer"))
}
