//! What people do to tasks that exist.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use titan_error::Result;
use titan_proto::orchestrator::act_on_tasks_request::Action;
use titan_proto::orchestrator::{
    self as proto, ActOnTaskRequest, ActOnTasksRequest, HandOffTaskRequest, UpdateTaskRequest, update_task_request,
};
use titan_proto::time::to_proto;
use titan_service::retrying;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Caller, Query, if_match};
use super::tasks::{TaskOut, state_of, with_etag};
use crate::app::App;

#[derive(Debug, Default, Deserialize, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct ActIn {
    /// For the history.
    #[serde(default)]
    pub(super) reason: String,
}

/// End a task that has not ended, with its subtasks, everything that waits for it and what has not begun of its goal. Whoever works on
/// it stops.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/cancel", params(("id" = String, Path)), request_body = ActIn,
    responses((status = 200, body = TaskOut), (status = 404), (status = 412), (status = 422)))]
async fn cancel(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Body(ActIn { reason }): Body<ActIn>,
) -> Result<Json<TaskOut>> {
    let request = ActOnTaskRequest { id, reason };
    let cancel = async || app.task_service().cancel_task(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(cancel).await?.into()))
}

/// Give a task that failed or was cancelled another life, and with it what was cancelled because of it. Its goal goes on.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/retry", params(("id" = String, Path)), request_body = ActIn,
    responses((status = 200, body = TaskOut), (status = 404), (status = 412), (status = 422)))]
async fn retry(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Body(ActIn { reason }): Body<ActIn>,
) -> Result<Json<TaskOut>> {
    // Not repeated: what was tried again and failed anew meanwhile would get a third life.
    let request = app.signer.request(&who, ActOnTaskRequest { id, reason })?;
    Ok(Json(app.task_service().retry_task(request).await?.into_inner().into()))
}

/// What is not given stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct TaskPatch {
    title: Option<String>,
    /// 0 to 9, the highest first.
    priority: Option<i32>,
    /// All of them anew; an agent is given the task when it may take these.
    labels: Option<Vec<String>>,
    /// Null takes it away.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<Option<DateTime<Utc>>>,
    /// Null takes it away.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    deadline_at: Option<Option<DateTime<Utc>>>,
    /// For the history.
    reason: String,
}

/// Null is a value too.
fn given<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(value: D) -> std::result::Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// Change what is said of a task that has not ended; `If-Match` carries the ETag of the version the change was made against.
#[utoipa::path(patch, path = "/api/v1/tasks/{id}", params(("id" = String, Path), ("If-Match" = String, Header)), request_body = TaskPatch,
    responses((status = 200, body = TaskOut), (status = 404), (status = 412), (status = 422)))]
async fn update(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Body(patch): Body<TaskPatch>,
) -> Result<Response> {
    let TaskPatch { title, priority, labels, due_at, deadline_at, reason } = patch;
    let time = |given: Option<Option<DateTime<Utc>>>| given.map(|at| update_task_request::Time { at: at.map(to_proto) });
    let request = UpdateTaskRequest {
        id,
        title,
        priority,
        labels: labels.map(|labels| update_task_request::Labels { labels }),
        due_at: time(due_at),
        deadline_at: time(deadline_at),
        version: if_match(&headers, "task")?,
        reason,
    };
    let request = app.signer.request(&who, request)?;
    Ok(with_etag(app.task_service().update_task(request).await?.into_inner().into()))
}

/// Remove a task that has ended. Its history stays until it is dropped by age.
#[utoipa::path(delete, path = "/api/v1/tasks/{id}", params(("id" = String, Path), ActIn),
    responses((status = 200, body = TaskOut), (status = 404), (status = 412), (status = 422)))]
async fn delete(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Query(ActIn { reason }): Query<ActIn>,
) -> Result<Json<TaskOut>> {
    let request = app.signer.request(&who, ActOnTaskRequest { id, reason })?;
    Ok(Json(app.task_service().delete_task(request).await?.into_inner().into()))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HandOffIn {
    /// Name of the agent; whoever fits if not given.
    #[serde(default)]
    to: String,
    /// For the history.
    #[serde(default)]
    reason: String,
}

/// Give a task that has not ended to another agent. Whoever has it stops, and what it still reports is refused.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/hand-off", params(("id" = String, Path)), request_body = HandOffIn,
    responses((status = 200, body = TaskOut), (status = 404), (status = 412), (status = 422)))]
async fn hand_off(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Body(HandOffIn { to, reason }): Body<HandOffIn>,
) -> Result<Json<TaskOut>> {
    let request = HandOffTaskRequest { id, to, reason };
    let hand_off = async || app.task_service().hand_off_task(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(hand_off).await?.into()))
}

/// Must name a project, a goal or ids.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct FilterIn {
    /// Id or slug.
    project: String,
    goal: String,
    /// As shown in `state`.
    state: String,
    label: String,
    parent: String,
    /// Failed and not discarded.
    dead: bool,
    /// At most 1,000.
    ids: Vec<String>,
}

/// What is done to each.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum ActionIn {
    /// Those that have not ended.
    Cancel,
    /// Those that failed or were cancelled, so many a second; 0: at once. `already`: how many the calls before this one changed.
    Retry {
        per_second: f64,
        #[serde(default)]
        already: u32,
    },
    /// Failed ones leave the dead letters.
    Discard,
    /// Those that have not begun: 0 to 9.
    Priority(i32),
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BulkIn {
    filter: FilterIn,
    action: ActionIn,
    /// For the history.
    #[serde(default)]
    reason: String,
    /// `next` of the call before, where one is not enough for all.
    #[serde(default)]
    after: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct BulkOut {
    changed: Vec<String>,
    refused: Vec<RefusedOut>,
    /// After 10,000, or 500 retries, there are more; call again with `next` as `after`.
    more: bool,
    next: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct RefusedOut {
    id: String,
    reason: String,
}

/// The same to every task that a filter names.
#[utoipa::path(post, path = "/api/v1/tasks/bulk", request_body = BulkIn, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 200, body = BulkOut), (status = 404), (status = 422)))]
async fn bulk(State(app): State<Arc<App>>, Caller(who): Caller, Body(bulk): Body<BulkIn>) -> Result<Json<BulkOut>> {
    let BulkIn { filter, action, reason, after } = bulk;
    let FilterIn { project, goal: goal_id, state, label, parent: parent_id, dead, ids } = filter;
    let filter = Some(proto::TaskFilter { project, goal_id, state: state_of(&state)?, label, parent_id, ids, dead });
    let action = Some(match action {
        ActionIn::Cancel => Action::Cancel(()),
        ActionIn::Retry { per_second, already } => Action::Retry(proto::RetryTasks { per_second, already }),
        ActionIn::Discard => Action::Discard(()),
        ActionIn::Priority(priority) => Action::Priority(priority),
    });
    // Not repeated, as a single retry is not.
    let request = app.signer.request(&who, ActOnTasksRequest { filter, action, reason, after })?;
    let done = app.task_service().act_on_tasks(request).await?.into_inner();
    let refused = done.refused.into_iter().map(|proto::RefusedTask { id, reason }| RefusedOut { id, reason }).collect();
    Ok(Json(BulkOut { changed: done.changed, refused, more: done.more, next: done.next }))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(update, delete))
        .routes(routes!(cancel))
        .routes(routes!(retry))
        .routes(routes!(hand_off))
        .routes(routes!(bulk))
}
