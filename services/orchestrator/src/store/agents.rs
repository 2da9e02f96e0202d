use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use titan_error::{Error, Result};
use titan_ids::{AgentId, OrgId, SessionId};
use titan_store::{Page, sql};
use uuid::Uuid;

/// An agent with its liveness, which is its session's.
#[derive(Debug, FromQueryResult)]
pub(crate) struct AgentRow {
    pub(crate) id: AgentId,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) department: String,
    pub(crate) skills: Vec<String>,
    pub(crate) max_concurrency: i32,
    pub(crate) alive: bool,
    pub(crate) running: i64,
    pub(crate) last_seen_at: DateTime<Utc>,
}

const SELECT: &str = "SELECT a.id, a.name, a.role, a.department, a.skills, a.max_concurrency,
        s.state <> 'expired' AND s.lease_until > now() AS alive,
        least(s.lease_until, now()) AS last_seen_at,
        (SELECT count(*) FROM task t WHERE t.agent_id = a.id AND t.state IN ('assigned', 'in_progress')) AS running
    FROM agent a JOIN worker_session s ON s.id = a.session_id";

pub(crate) async fn find(db: &impl ConnectionTrait, org: OrgId, id: AgentId) -> Result<AgentRow> {
    let select = format!("{SELECT} WHERE a.org_id = $1 AND a.id = $2");
    let row = AgentRow::find_by_statement(sql(&select, [org.into(), id.into()])).one(db).await?;
    row.ok_or_else(|| Error::not_found(format!("agent {id}")))
}

pub(crate) async fn list(db: &impl ConnectionTrait, org: OrgId, page: Page) -> Result<Vec<AgentRow>> {
    let select = format!("{SELECT} WHERE a.org_id = $1 AND a.id < $2 ORDER BY a.id DESC LIMIT $3");
    let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
    Ok(AgentRow::find_by_statement(sql(&select, [org.into(), page.before.into(), limit.into()])).all(db).await?)
}

/// What a worker says of an agent it hosts.
#[derive(Clone, Debug)]
pub(crate) struct Hosted {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) department: String,
    pub(crate) skills: Vec<String>,
    pub(crate) max_concurrency: i32,
}

/// Registers the agent under its name, now hosted by `session`; the same name keeps its id.
pub(crate) async fn register(db: &impl ConnectionTrait, org: OrgId, session: SessionId, agent: &Hosted) -> Result<AgentId> {
    let Hosted { name, role, department, skills, max_concurrency } = agent.clone();
    let insert = "INSERT INTO agent (id, org_id, session_id, name, role, department, skills, max_concurrency)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (org_id, name) DO UPDATE SET session_id = $3, role = $5, department = $6, skills = $7, max_concurrency = $8
        RETURNING id";
    let id = AgentId::generate();
    let values =
        [id.into(), org.into(), session.into(), name.into(), role.into(), department.into(), skills.into(), max_concurrency.into()];
    let row = db.query_one_raw(sql(insert, values)).await?;
    let id: Uuid = row.ok_or_else(|| Error::internal("an upsert without a row"))?.try_get("", "id")?;
    Ok(id.into())
}
