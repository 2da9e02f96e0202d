use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use titan_error::{Error, Result};
use titan_proto::orchestrator::scheduled_work::Work;
use titan_proto::orchestrator::{
    self as proto, CreateScheduleRequest, GetScheduleRequest, ListSchedulesRequest, RunScheduleRequest, ScheduledWork,
};
use titan_service::retrying;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Caller, Query};
use super::idempotent::downstream_key;
use super::page::{PageIn, PageOut, time};
use super::tasks::TaskIn;
use crate::app::App;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleIn {
    /// Id or slug.
    project: String,
    /// 1 to 100 characters, unique in the project.
    name: String,
    /// Minute, hour, day of month, month, day of week; six fields with seconds first; or @hourly, @daily, …
    #[serde(default)]
    cron: String,
    /// Or an interval, at least a second.
    #[serde(default)]
    every_ms: u64,
    /// Of the cron expression, e.g. `Europe/Berlin`; UTC if not given.
    #[serde(default)]
    time_zone: String,
    /// What is made each time: the sentence of a goal …
    #[serde(default)]
    goal: String,
    /// … or a task.
    #[serde(default)]
    task: Option<TaskIn>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ScheduleOut {
    id: String,
    project_id: String,
    project: String,
    name: String,
    cron: Option<String>,
    every_ms: Option<u64>,
    time_zone: String,
    /// `{"goal": "…"}` or `{"task": {"kind", "role", "title"}}`
    #[schema(value_type = Object)]
    work: Value,
    paused: bool,
    next_at: Option<String>,
    last_at: Option<String>,
    /// The goal or task of the last run.
    last_made: Option<String>,
    runs: i64,
    /// Why the last run made nothing.
    error: Option<String>,
    created_by: String,
    created_at: Option<String>,
}

impl From<proto::Schedule> for ScheduleOut {
    fn from(schedule: proto::Schedule) -> Self {
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let work = match schedule.work.and_then(|work| work.work) {
            Some(Work::Goal(sentence)) => json!({ "goal": sentence }),
            Some(Work::Task(task)) => json!({ "task": { "kind": task.kind, "role": task.role, "title": task.title } }),
            None => Value::Null,
        };
        Self {
            id: schedule.id,
            project_id: schedule.project_id,
            project: schedule.project_slug,
            name: schedule.name,
            cron: some(schedule.cron),
            every_ms: Some(schedule.every_ms).filter(|ms| *ms > 0),
            time_zone: schedule.time_zone,
            work,
            paused: schedule.paused,
            next_at: time(schedule.next_at),
            last_at: time(schedule.last_at),
            last_made: some(schedule.last_made),
            runs: schedule.runs,
            error: some(schedule.error),
            created_by: schedule.created_by,
            created_at: time(schedule.created_at),
        }
    }
}

/// Make a goal or a task again and again. Runs that were missed are made up for by one. The same schedule said twice is one.
#[utoipa::path(post, path = "/api/v1/schedules", request_body = ScheduleIn, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = ScheduleOut), (status = 404), (status = 409), (status = 422)))]
async fn create(State(app): State<Arc<App>>, Caller(who): Caller, Body(schedule): Body<ScheduleIn>) -> Result<Response> {
    let ScheduleIn { project, name, cron, every_ms, time_zone, goal, task } = schedule;
    let work = match (goal.is_empty(), task) {
        (false, None) => Work::Goal(goal),
        (true, Some(task)) => {
            let mut task = task.into_proto();
            app.blobs.put_aside(vec![&mut task.input_json]).await?;
            Work::Task(task)
        }
        _ => return Err(Error::invalid("goal", "give either a goal or a task")),
    };
    let request = CreateScheduleRequest { project, name, cron, every_ms, time_zone, work: Some(ScheduledWork { work: Some(work) }) };
    let create = async || app.schedule_service().create_schedule(app.signer.request(&who, request.clone())?).await;
    let schedule = retrying(create).await?;
    Ok(super::created(format!("/api/v1/schedules/{}", schedule.id), ScheduleOut::from(schedule)))
}

/// One schedule.
#[utoipa::path(get, path = "/api/v1/schedules/{id}", params(("id" = String, Path)), responses((status = 200, body = ScheduleOut), (status = 404), (status = 422)))]
async fn get(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<ScheduleOut>> {
    let request = GetScheduleRequest { id };
    let get = async || app.schedule_service().get_schedule(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(get).await?.into()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SchedulesIn {
    /// Id or slug.
    #[serde(default)]
    project: String,
}

/// Schedules.
#[utoipa::path(get, path = "/api/v1/schedules", params(PageIn, SchedulesIn), responses((status = 200, body = PageOut<ScheduleOut>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Query(page): Query<PageIn>,
    Query(filter): Query<SchedulesIn>,
) -> Result<Json<PageOut<ScheduleOut>>> {
    let request = ListSchedulesRequest { page: page.request(), project: filter.project };
    let list = async || app.schedule_service().list_schedules(app.signer.request(&who, request.clone())?).await;
    let found = retrying(list).await?;
    Ok(Json(PageOut::new(found.schedules, found.page, ScheduleOut::from)))
}

/// Make nothing more until it is resumed; what would have run meanwhile is not made up for.
#[utoipa::path(post, path = "/api/v1/schedules/{id}/pause", params(("id" = String, Path)), responses((status = 200, body = ScheduleOut), (status = 404), (status = 422)))]
async fn pause(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<ScheduleOut>> {
    let request = GetScheduleRequest { id };
    let pause = async || app.schedule_service().pause_schedule(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(pause).await?.into()))
}

/// Let a paused schedule go on.
#[utoipa::path(post, path = "/api/v1/schedules/{id}/resume", params(("id" = String, Path)), responses((status = 200, body = ScheduleOut), (status = 404), (status = 422)))]
async fn resume(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<ScheduleOut>> {
    let request = GetScheduleRequest { id };
    let resume = async || app.schedule_service().resume_schedule(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(resume).await?.into()))
}

/// Run it now; its times stay as they are.
#[utoipa::path(post, path = "/api/v1/schedules/{id}/run", params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = ScheduleOut), (status = 404), (status = 422)))]
async fn run(State(app): State<Arc<App>>, Caller(who): Caller, headers: HeaderMap, Path(id): Path<String>) -> Result<Json<ScheduleOut>> {
    let request = RunScheduleRequest { id, idempotency_key: downstream_key(&headers) };
    let run = async || app.schedule_service().run_schedule(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(run).await?.into()))
}

/// Delete a schedule; what it made stays.
#[utoipa::path(delete, path = "/api/v1/schedules/{id}", params(("id" = String, Path)), responses((status = 200, body = ScheduleOut), (status = 404), (status = 422)))]
async fn delete(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<ScheduleOut>> {
    let request = app.signer.request(&who, GetScheduleRequest { id })?;
    Ok(Json(app.schedule_service().delete_schedule(request).await?.into_inner().into()))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(create, list))
        .routes(routes!(get, delete))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(run))
}
