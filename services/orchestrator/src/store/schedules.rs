use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, FromQueryResult};
use titan_error::{Error, Result};
use titan_ids::{OrgId, ProjectId, ScheduleId};
use titan_store::{Page, sql};

#[derive(Clone, Debug, FromQueryResult)]
pub(crate) struct ScheduleRow {
    pub(crate) id: ScheduleId,
    pub(crate) org_id: OrgId,
    pub(crate) project_id: ProjectId,
    pub(crate) project_slug: String,
    pub(crate) name: String,
    pub(crate) cron: String,
    pub(crate) every_ms: Option<i64>,
    pub(crate) time_zone: String,
    pub(crate) work: Vec<u8>,
    pub(crate) paused: bool,
    pub(crate) next_at: DateTime<Utc>,
    pub(crate) last_at: Option<DateTime<Utc>>,
    pub(crate) last_made: String,
    pub(crate) runs: i64,
    pub(crate) error: String,
    pub(crate) created_by: String,
    pub(crate) created_at: DateTime<Utc>,
}

const SELECT: &str = "SELECT s.*, j.slug AS project_slug FROM schedule s JOIN project j ON j.id = s.project_id";

pub(crate) async fn find(db: &impl ConnectionTrait, org: OrgId, id: ScheduleId) -> Result<ScheduleRow> {
    let select = format!("{SELECT} WHERE s.org_id = $1 AND s.id = $2");
    let row = ScheduleRow::find_by_statement(sql(&select, [org.into(), id.into()])).one(db).await?;
    row.ok_or_else(|| Error::not_found(format!("schedule {id}")))
}

pub(crate) async fn by_name(db: &impl ConnectionTrait, project: ProjectId, name: &str) -> Result<Option<ScheduleRow>> {
    let select = format!("{SELECT} WHERE s.project_id = $1 AND s.name = $2");
    Ok(ScheduleRow::find_by_statement(sql(&select, [project.into(), name.into()])).one(db).await?)
}

pub(crate) async fn list(db: &impl ConnectionTrait, org: OrgId, project: Option<ProjectId>, page: Page) -> Result<Vec<ScheduleRow>> {
    let select =
        format!("{SELECT} WHERE s.org_id = $1 AND s.id < $2 AND ($3::uuid IS NULL OR s.project_id = $3) ORDER BY s.id DESC LIMIT $4");
    let limit = i64::try_from(page.fetch()).unwrap_or(i64::MAX);
    let values = [org.into(), page.before.into(), project.into(), limit.into()];
    Ok(ScheduleRow::find_by_statement(sql(&select, values)).all(db).await?)
}

/// False when the name is taken.
pub(crate) async fn insert(db: &impl ConnectionTrait, row: &ScheduleRow) -> Result<bool> {
    let ScheduleRow { id, org_id, project_id, name, cron, every_ms, time_zone, work, next_at, created_by, created_at, .. } = row.clone();
    let insert = "INSERT INTO schedule (id, org_id, project_id, name, cron, every_ms, time_zone, work, next_at, created_by, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (project_id, name) DO NOTHING";
    let values = [
        id.into(),
        org_id.into(),
        project_id.into(),
        name.into(),
        cron.into(),
        every_ms.into(),
        time_zone.into(),
        work.into(),
        next_at.into(),
        created_by.into(),
        created_at.into(),
    ];
    Ok(db.execute_raw(sql(insert, values)).await?.rows_affected() == 1)
}

pub(crate) async fn due(db: &impl ConnectionTrait) -> Result<Vec<ScheduleRow>> {
    let select = format!("{SELECT} WHERE NOT s.paused AND s.next_at <= now() ORDER BY s.next_at LIMIT 100");
    Ok(ScheduleRow::find_by_statement(sql(&select, [])).all(db).await?)
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    pub(crate) made: String,
    pub(crate) error: String,
}

/// The run at `at` is done with, and the next one is at `next`; without one it is paused. Whoever comes second changes nothing.
pub(crate) async fn advance(
    db: &impl ConnectionTrait,
    id: ScheduleId,
    at: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
    run: &Run,
) -> Result<()> {
    let update = "UPDATE schedule SET next_at = coalesce($3, next_at), paused = paused OR $3 IS NULL, last_at = now(), runs = runs + CASE WHEN $5 = '' THEN 1 ELSE 0 END,
            last_made = CASE WHEN $5 = '' THEN $4 ELSE last_made END, error = $5
        WHERE id = $1 AND next_at = $2 AND NOT paused";
    db.execute_raw(sql(update, [id.into(), at.into(), next.into(), run.made.clone().into(), run.error.clone().into()])).await?;
    Ok(())
}

/// Run by hand: its times stay as they are.
pub(crate) async fn ran(db: &impl ConnectionTrait, id: ScheduleId, made: &str) -> Result<()> {
    let update = "UPDATE schedule SET last_at = now(), runs = runs + 1, last_made = $2, error = '' WHERE id = $1 AND last_made <> $2";
    db.execute_raw(sql(update, [id.into(), made.into()])).await?;
    Ok(())
}

pub(crate) async fn set_paused(db: &impl ConnectionTrait, id: ScheduleId, paused: bool, next: DateTime<Utc>) -> Result<()> {
    let update = "UPDATE schedule SET paused = $2, next_at = CASE WHEN $2 THEN next_at ELSE $3 END WHERE id = $1 AND paused <> $2";
    db.execute_raw(sql(update, [id.into(), paused.into(), next.into()])).await?;
    Ok(())
}

pub(crate) async fn delete(db: &impl ConnectionTrait, id: ScheduleId) -> Result<()> {
    db.execute_raw(sql("DELETE FROM schedule WHERE id = $1", [id.into()])).await?;
    Ok(())
}
