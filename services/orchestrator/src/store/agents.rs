use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ActiveEnum as _, ConnectionTrait, DeriveActiveEnum, EnumIter, FromQueryResult, QueryResult};
use serde::Serialize;
use serde_json::{Value, json};
use titan_error::{Error, Result};
use titan_ids::{AgentId, OrgId, SessionId};
use titan_store::{Combined, Page, sql};
use uuid::Uuid;

use crate::domain::matching::{Agent, Subscription};
use crate::domain::records::Tally;

/// An agent with its liveness, which is its session's.
#[derive(Debug, FromQueryResult)]
pub(crate) struct AgentRow {
    pub(crate) id: AgentId,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) department: String,
    pub(crate) pool: String,
    pub(crate) skills: Vec<String>,
    pub(crate) proficiency: Value,
    pub(crate) subscription: Value,
    pub(crate) condition: Condition,
    pub(crate) condition_reason: String,
    pub(crate) max_concurrency: i32,
    pub(crate) alive: bool,
    pub(crate) running: i64,
    pub(crate) last_seen_at: DateTime<Utc>,
}

const SELECT: &str =
    "SELECT a.id, a.name, a.role, a.department, a.pool, a.skills, a.proficiency, a.subscription, a.condition, a.condition_reason,
        a.max_concurrency,
        s.state <> 'expired' AND s.lease_until > now() AS alive,
        least(s.lease_until, now()) AS last_seen_at,
        (SELECT count(*) FROM task t WHERE t.agent_id = a.id AND t.state IN ('assigned', 'in_progress')) AS running
    FROM agent a JOIN worker_session s ON s.id = a.session_id";

pub(crate) async fn find(db: &impl ConnectionTrait, org: OrgId, id: AgentId) -> Result<AgentRow> {
    let select = format!("{SELECT} WHERE a.org_id = $1 AND a.id = $2");
    let row = AgentRow::find_by_statement(sql(&select, [org.into(), id.into()])).one(db).await?;
    row.ok_or_else(|| Error::not_found(format!("agent {id}")))
}

pub(crate) async fn by_name(db: &impl ConnectionTrait, org: OrgId, name: &str) -> Result<AgentRow> {
    let select = format!("{SELECT} WHERE a.org_id = $1 AND a.name = $2");
    let row = AgentRow::find_by_statement(sql(&select, [org.into(), name.into()])).one(db).await?;
    row.ok_or_else(|| Error::not_found(format!("agent {name:?}")))
}

/// An agent that asks for its work, with its session.
#[derive(Clone, Debug)]
pub(crate) struct External {
    pub(crate) agent: Agent,
    pub(crate) session: SessionId,
    pub(crate) epoch: i64,
}

/// None when a worker hosts it.
pub(crate) async fn external(db: &impl ConnectionTrait, id: AgentId) -> Result<Option<External>> {
    let select = "SELECT a.id, a.org_id, a.name, a.pool, a.role, a.proficiency, a.subscription, a.max_concurrency, a.session_id, s.epoch
        FROM agent a JOIN worker_session s ON s.id = a.session_id WHERE a.id = $1 AND s.worker = $2";
    let Some(row) = db.query_one_raw(sql(select, [id.into(), super::sessions::EXTERNAL.into()])).await? else { return Ok(None) };
    let json = |column: &str| -> Result<Value> { Ok(row.try_get("", column)?) };
    let agent = Agent {
        id: row.try_get("", "id")?,
        org: row.try_get("", "org_id")?,
        name: row.try_get("", "name")?,
        pool: row.try_get("", "pool")?,
        role: row.try_get("", "role")?,
        skills: serde_json::from_value(json("proficiency")?).map_err(Error::internal)?,
        subscription: serde_json::from_value(json("subscription")?).map_err(Error::internal)?,
        max_concurrency: u32::try_from(row.try_get::<i32>("", "max_concurrency")?).unwrap_or(1),
    };
    Ok(Some(External { agent, session: row.try_get("", "session_id")?, epoch: row.try_get("", "epoch")? }))
}

/// Those that are there first.
pub(crate) async fn of_role(db: &impl ConnectionTrait, org: OrgId, role: &str, most: u64) -> Result<Vec<AgentRow>> {
    let select = format!("SELECT * FROM ({SELECT} WHERE a.org_id = $1 AND a.role = $2) a ORDER BY alive DESC, name LIMIT $3");
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    Ok(AgentRow::find_by_statement(sql(&select, [org.into(), role.into(), most.into()])).all(db).await?)
}

pub(crate) async fn list(db: &impl ConnectionTrait, org: OrgId, page: Page) -> Result<Vec<AgentRow>> {
    let select = format!("{SELECT} WHERE a.org_id = $1 AND a.id < $2 ORDER BY a.id DESC LIMIT $3");
    let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
    Ok(AgentRow::find_by_statement(sql(&select, [org.into(), page.before.into(), limit.into()])).all(db).await?)
}

/// What a worker says of an agent it hosts.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Hosted {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) department: String,
    pub(crate) pool: String,
    pub(crate) skills: Vec<String>,
    /// By skill, 0 to 1.
    pub(crate) proficiency: BTreeMap<String, f64>,
    pub(crate) subscription: Subscription,
    pub(crate) max_concurrency: u32,
}

/// Registers agents under their names, now hosted by `session`; the same name keeps its id.
pub(crate) async fn register(db: &impl ConnectionTrait, org: OrgId, session: SessionId, hosted: &[Hosted]) -> Result<Vec<Agent>> {
    let rows = hosted.iter().map(|agent| {
        let mut row = serde_json::to_value(agent).map_err(Error::internal)?;
        row["id"] = json!(AgentId::generate().uuid());
        Ok(row)
    });
    let rows: Value = rows.collect::<Result<Vec<_>>>()?.into();
    let upsert = "INSERT INTO agent (id, org_id, session_id, name, role, department, pool, skills, proficiency, subscription, max_concurrency)
        SELECT id, $2, $3, name, role, department, pool, skills, proficiency, subscription, max_concurrency
        FROM jsonb_to_recordset($1) AS r(id uuid, name text, role text, department text, pool text, skills text[], proficiency jsonb,
            subscription jsonb, max_concurrency int) ORDER BY name
        ON CONFLICT (org_id, name) DO UPDATE SET session_id = $3, role = excluded.role, department = excluded.department, pool = excluded.pool,
            skills = excluded.skills, proficiency = excluded.proficiency, subscription = excluded.subscription,
            max_concurrency = excluded.max_concurrency
        RETURNING id, name";
    let rows = db.query_all_raw(sql(upsert, [rows.into(), org.into(), session.into()])).await?;
    let ids = rows.iter().map(|row| Ok((row.try_get("", "name")?, row.try_get("", "id")?)));
    let ids: HashMap<String, AgentId> = ids.collect::<Result<_>>()?;
    let agent = |agent: &Hosted| {
        let Hosted { name, role, department: _, pool, skills: _, proficiency, subscription, max_concurrency } = agent.clone();
        let id = ids.get(&name).copied().ok_or_else(|| Error::internal("an upsert without a row"))?;
        Ok(Agent { id, org, name, pool, role, skills: proficiency, subscription, max_concurrency })
    };
    hosted.iter().map(agent).collect()
}

/// How these agents did so far.
pub(crate) async fn records(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<(AgentId, String, Tally)>> {
    let select = "SELECT agent_id, kind, done, failed, busy_ms FROM agent_record WHERE agent_id = ANY($1)";
    let rows = db.query_all_raw(sql(select, [ids.to_vec().into()])).await?;
    let record = |row: &QueryResult| {
        let (done, failed, busy_ms) = (row.try_get("", "done")?, row.try_get("", "failed")?, row.try_get("", "busy_ms")?);
        let tally = Tally { done, failed, faults: 0, busy_ms };
        Ok((row.try_get("", "agent_id")?, row.try_get("", "kind")?, tally))
    };
    rows.iter().map(record).collect()
}

/// Adds to what is known of agents.
pub(crate) async fn record(db: &impl ConnectionTrait, records: &BTreeMap<(AgentId, String), Tally>) -> Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let rows = records.iter().map(|((agent, kind), tally)| {
        json!({ "agent_id": agent.uuid(), "kind": kind, "done": tally.done, "failed": tally.failed, "busy_ms": tally.busy_ms })
    });
    let rows: Value = rows.collect();
    let upsert = "INSERT INTO agent_record AS a (agent_id, kind, done, failed, busy_ms)
        SELECT agent_id, kind, done, failed, busy_ms
        FROM jsonb_to_recordset($1) AS r(agent_id uuid, kind text, done bigint, failed bigint, busy_ms bigint) ORDER BY agent_id, kind
        ON CONFLICT (agent_id, kind) DO UPDATE SET done = a.done + excluded.done, failed = a.failed + excluded.failed,
            busy_ms = a.busy_ms + excluded.busy_ms";
    db.execute_raw(sql(upsert, [rows.into()])).await?;
    Ok(())
}

/// One that did something well begins anew. Most have nothing to forget.
pub(crate) fn forgive(writes: &mut Combined, records: &BTreeMap<(AgentId, String), Tally>) {
    if records.is_empty() {
        return;
    }
    let well: BTreeSet<Uuid> = records.iter().filter(|(_, tally)| tally.done > 0).map(|((agent, _), _)| agent.uuid()).collect();
    writes.add("UPDATE agent SET strikes = 0 WHERE id = ANY($1) AND strikes > 0", [well.into_iter().collect::<Vec<_>>().into()]);
}

/// Agents whose last attempts all failed, as many as `strikes`, are quarantined; those are returned.
pub(crate) async fn strike(db: &impl ConnectionTrait, records: &BTreeMap<(AgentId, String), Tally>, strikes: u32) -> Result<Vec<AgentId>> {
    let mut by_agent: BTreeMap<AgentId, (i64, i64)> = BTreeMap::new();
    for ((agent, _), tally) in records {
        let (done, failed) = by_agent.entry(*agent).or_default();
        (*done, *failed) = (*done + tally.done, *failed + tally.faults);
    }
    // One that did something well begins anew.
    let (agents, failed): (Vec<Uuid>, Vec<i64>) =
        by_agent.iter().filter(|(_, (done, failed))| *done == 0 && *failed > 0).map(|(id, (_, failed))| (id.uuid(), *failed)).unzip();
    if agents.is_empty() {
        return Ok(Vec::new());
    }
    let update = "WITH told AS (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS t(id, failed)),
        locked AS MATERIALIZED (SELECT a.id, t.failed FROM agent a JOIN told t ON t.id = a.id ORDER BY a.id FOR UPDATE OF a)
        UPDATE agent a SET strikes = a.strikes + l.failed::int,
            condition = CASE WHEN a.condition = 'fit' AND a.strikes + l.failed >= $3 THEN 'quarantined' ELSE a.condition END,
            condition_since = CASE WHEN a.condition = 'fit' THEN now() ELSE a.condition_since END,
            condition_reason = CASE WHEN a.condition = 'fit' AND a.strikes + l.failed >= $3
                THEN (a.strikes + l.failed) || ' attempts in a row failed' ELSE a.condition_reason END
        FROM locked l WHERE a.id = l.id RETURNING a.id, a.condition";
    let rows = db.query_all_raw(sql(update, [agents.into(), failed.into(), i64::from(strikes).into()])).await?;
    let mut quarantined = Vec::new();
    for row in rows {
        if row.try_get::<String>("", "condition")? == "quarantined" {
            quarantined.push(row.try_get("", "id")?);
        }
    }
    Ok(quarantined)
}

/// Whether new work is given to an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub(crate) enum Condition {
    Fit,
    /// What it has it ends; nothing more is given to it.
    Draining,
    /// Like draining, after too many failures.
    Quarantined,
}

/// By hand, so for as long as nobody says otherwise.
pub(crate) async fn set_condition(db: &impl ConnectionTrait, id: AgentId, condition: Condition, reason: &str) -> Result<()> {
    let update = "UPDATE agent SET condition = $2, condition_reason = $3, condition_since = 'infinity', strikes = 0 WHERE id = $1";
    db.execute_raw(sql(update, [id.into(), condition.to_value().into(), reason.into()])).await?;
    Ok(())
}

/// Gives those that were quarantined long enough another chance: one more failure quarantines them again.
pub(crate) async fn release(db: &impl ConnectionTrait, after: Duration, strikes: u32) -> Result<u64> {
    let update = "UPDATE agent SET condition = 'fit', condition_since = now(), strikes = $2 - 1, condition_reason = 'given another chance'
        WHERE condition = 'quarantined' AND condition_since < now() - $1 * interval '1 second'";
    let seconds = i64::try_from(after.as_secs()).unwrap_or(i64::MAX);
    Ok(db.execute_raw(sql(update, [seconds.into(), i32::try_from(strikes).unwrap_or(i32::MAX).into()])).await?.rows_affected())
}

/// Agents that are given nothing.
pub(crate) async fn unfit(db: &impl ConnectionTrait) -> Result<HashSet<AgentId>> {
    let rows = db.query_all_raw(sql("SELECT id FROM agent WHERE condition <> 'fit'", [])).await?;
    rows.iter().map(|row| Ok(row.try_get("", "id")?)).collect()
}

/// Tells the replica that the agent is connected to.
pub(crate) async fn notify_trigger(db: &impl ConnectionTrait, agent: AgentId) -> Result<()> {
    db.execute_raw(sql("SELECT pg_notify('titan_trigger', $1)", [agent.to_string().into()])).await?;
    Ok(())
}

/// Tells every replica, when the transaction commits.
pub(crate) async fn notify_conditions(db: &impl ConnectionTrait) -> Result<()> {
    db.execute_raw(sql("SELECT pg_notify('titan_agents', '')", [])).await?;
    Ok(())
}
