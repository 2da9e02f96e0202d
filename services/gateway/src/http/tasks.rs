use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::{self as proto, ActOnTaskRequest, GetTaskRequest, ListTasksRequest, SubmitTasksRequest};
use titan_service::retrying;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Caller, Query};
use super::idempotent::downstream_key;
use super::page::{PageIn, PageOut, json, short, time};
use crate::app::App;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TasksIn {
    /// Id or slug.
    project: String,
    /// 1 to 1,000 tasks, stored all or none.
    tasks: Vec<TaskIn>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TaskIn {
    /// Names the task in `depends_on` of others of this call.
    key: String,
    kind: String,
    /// The role an agent needs.
    role: String,
    title: String,
    /// 0 to 9, the highest first; 0 if not given.
    #[serde(default)]
    priority: i32,
    #[serde(default)]
    #[schema(value_type = Object)]
    input: Option<serde_json::Map<String, Value>>,
    /// Keys of this call, or ids of tasks of the same project.
    #[serde(default)]
    depends_on: Vec<String>,
    #[serde(default)]
    max_attempts: i32,
    /// Of one attempt, in seconds.
    #[serde(default)]
    timeout_s: u32,
    /// Of the tasks with one key, only one runs at a time.
    #[serde(default)]
    exclusive_key: String,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    run_after: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, ToSchema)]
struct TaskOut {
    id: String,
    project_id: String,
    goal_id: Option<String>,
    kind: String,
    role: String,
    title: String,
    /// `inbox`, `assigned`, `in_progress`, `review`, `done`, `blocked`, `failed` or `cancelled`.
    state: String,
    priority: i32,
    attempt: i32,
    max_attempts: i32,
    /// Dependencies that are not done yet.
    waiting_on: i32,
    depends_on: Vec<String>,
    agent: Option<String>,
    agent_id: Option<String>,
    #[schema(value_type = Object)]
    input: Value,
    #[schema(value_type = Object)]
    result: Value,
    error: String,
    /// Why this agent: the factors of the choice.
    #[schema(value_type = Object)]
    choice: Value,
    created_at: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|t| !t.is_empty())
}

impl From<proto::Task> for TaskOut {
    fn from(task: proto::Task) -> Self {
        let state = short(task.state().as_str_name(), "TASK_STATE_");
        let proto::Task {
            id,
            project_id,
            goal_id,
            kind,
            role,
            title,
            state: _,
            priority,
            attempt,
            max_attempts,
            waiting_on,
            agent_id,
            agent_name,
            input_json,
            result_json,
            error,
            choice_json,
            depends_on,
            created_at,
            started_at,
            finished_at,
        } = task;
        Self {
            id,
            project_id,
            goal_id: some(goal_id),
            kind,
            role,
            title,
            state,
            priority,
            attempt,
            max_attempts,
            waiting_on,
            depends_on,
            agent: some(agent_name),
            agent_id: some(agent_id),
            input: json(&input_json),
            result: json(&result_json),
            error,
            choice: json(&choice_json),
            created_at: time(created_at),
            started_at: time(started_at),
            finished_at: time(finished_at),
        }
    }
}

impl TaskIn {
    fn into_proto(self) -> proto::NewTask {
        let Self { key, kind, role, title, priority, input, depends_on, max_attempts, timeout_s, exclusive_key, run_after } = self;
        let input_json = Value::Object(input.unwrap_or_default()).to_string();
        let run_after = run_after.map(titan_proto::time::to_proto);
        proto::NewTask { key, kind, role, title, priority, input_json, depends_on, max_attempts, timeout_s, exclusive_key, run_after }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct TasksOut {
    /// In the order given.
    tasks: Vec<TaskOut>,
}

/// Submit a graph of tasks.
#[utoipa::path(post, path = "/api/v1/tasks", request_body = TasksIn, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = TasksOut), (status = 404), (status = 413), (status = 422)))]
async fn submit(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    headers: HeaderMap,
    Body(tasks): Body<TasksIn>,
) -> Result<(StatusCode, Json<TasksOut>)> {
    let TasksIn { project, tasks } = tasks;
    let request = SubmitTasksRequest {
        project,
        tasks: tasks.into_iter().map(TaskIn::into_proto).collect(),
        idempotency_key: downstream_key(&headers),
        goal_id: String::new(),
        attempt_credential: String::new(),
    };
    let submit = async || TaskServiceClient::new(app.orchestrator.clone()).submit_tasks(app.signer.request(&who, request.clone())?).await;
    let tasks = retrying(submit).await?.tasks.into_iter().map(TaskOut::from).collect();
    Ok((StatusCode::CREATED, Json(TasksOut { tasks })))
}

/// One task.
#[utoipa::path(get, path = "/api/v1/tasks/{id}", params(("id" = String, Path)), responses((status = 200, body = TaskOut), (status = 404), (status = 422)))]
async fn get(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<TaskOut>> {
    let get = async || {
        TaskServiceClient::new(app.orchestrator.clone()).get_task(app.signer.request(&who, GetTaskRequest { id: id.clone() })?).await
    };
    Ok(Json(retrying(get).await?.into()))
}

#[derive(Debug, Serialize, ToSchema)]
struct ChangeOut {
    at: Option<String>,
    from: String,
    to: String,
    attempt: i32,
    actor: String,
    reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct HistoryOut {
    /// Oldest first.
    changes: Vec<ChangeOut>,
}

/// Every transition of a task: when, from where to where, by whom and why.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/history", params(("id" = String, Path)), responses((status = 200, body = HistoryOut), (status = 404), (status = 422)))]
async fn history(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<HistoryOut>> {
    let get = async || {
        TaskServiceClient::new(app.orchestrator.clone())
            .get_task_history(app.signer.request(&who, GetTaskRequest { id: id.clone() })?)
            .await
    };
    let change = |change: proto::TaskChange| {
        let (from, to) = (short(change.from().as_str_name(), "TASK_STATE_"), short(change.to().as_str_name(), "TASK_STATE_"));
        let proto::TaskChange { at, from: _, to: _, attempt, actor, reason } = change;
        ChangeOut { at: time(at), from, to, attempt, actor, reason }
    };
    Ok(Json(HistoryOut { changes: retrying(get).await?.changes.into_iter().map(change).collect() }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct TasksFilter {
    /// Id or slug.
    #[serde(default)]
    project: String,
    #[serde(default)]
    goal: String,
    /// As shown in `state`.
    #[serde(default)]
    state: String,
}

/// Tasks.
#[utoipa::path(get, path = "/api/v1/tasks", params(PageIn, TasksFilter), responses((status = 200, body = PageOut<TaskOut>), (status = 422)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Query(page): Query<PageIn>,
    Query(filter): Query<TasksFilter>,
) -> Result<Json<PageOut<TaskOut>>> {
    let TasksFilter { project, goal, state } = filter;
    let state = match state.as_str() {
        "" => proto::TaskState::Unspecified,
        name => proto::TaskState::from_str_name(&format!("TASK_STATE_{}", name.to_uppercase()))
            .ok_or_else(|| Error::invalid("state", "is not a task state"))?,
    };
    let request = ListTasksRequest { page: page.request(), project, goal_id: goal, state: state.into() };
    let list = async || TaskServiceClient::new(app.orchestrator.clone()).list_tasks(app.signer.request(&who, request.clone())?).await;
    let found = retrying(list).await?;
    Ok(Json(PageOut::new(found.tasks, found.page, TaskOut::from)))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ActIn {
    /// For the history.
    #[serde(default)]
    reason: String,
}

/// End a task that has not ended, with everything that waits for it and what has not begun of its goal. Whoever works on it stops.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/cancel", params(("id" = String, Path)), request_body = ActIn,
    responses((status = 200, body = TaskOut), (status = 404), (status = 412), (status = 422)))]
async fn cancel(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Body(ActIn { reason }): Body<ActIn>,
) -> Result<Json<TaskOut>> {
    let request = ActOnTaskRequest { id, reason };
    let cancel = async || TaskServiceClient::new(app.orchestrator.clone()).cancel_task(app.signer.request(&who, request.clone())?).await;
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
    Ok(Json(TaskServiceClient::new(app.orchestrator.clone()).retry_task(request).await?.into_inner().into()))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(submit, list))
        .routes(routes!(get))
        .routes(routes!(history))
        .routes(routes!(cancel))
        .routes(routes!(retry))
}
