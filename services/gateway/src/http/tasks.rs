use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json as line};
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_proto::orchestrator::{self as proto, GetTaskRequest, ListTasksRequest, SubmitTasksRequest};
use titan_proto::time::to_proto;
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
pub(super) struct TaskIn {
    /// Names the task in `depends_on` of others of this call.
    key: String,
    kind: String,
    /// The role an agent needs.
    role: String,
    title: String,
    /// 0 to 9, the highest first; 0 if not given.
    #[serde(default)]
    priority: i32,
    /// Above 64 KiB it stands in the blob store, and `{"$blob": …}` for it where many tasks are listed.
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
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    run_after: Option<DateTime<Utc>>,
    /// Of tasks with the same priority, what is due first goes first.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    due_at: Option<DateTime<Utc>>,
    /// Whatever it is doing by then, it fails.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    deadline_at: Option<DateTime<Utc>>,
    /// Of the tasks of the project with one key, at most `concurrency_limit` (1 if not given) are ready or running at a time.
    #[serde(default)]
    concurrency_key: String,
    #[serde(default)]
    concurrency_limit: u32,
    #[serde(default)]
    rate_limits: Vec<RateLimitIn>,
    /// Agents of this pool are given it; `default` if not given.
    #[serde(default)]
    pool: String,
    /// What an agent needs, with the least proficiency, 0 to 1.
    #[serde(default)]
    skills: HashMap<String, f64>,
    #[serde(default)]
    labels: Vec<String>,
    /// Name of the agent that is given it if it is free.
    #[serde(default)]
    preferred_agent: String,
    /// Later attempts go to the agent that had it before, if that is free.
    #[serde(default)]
    sticky: bool,
    /// Name of the only agent that may be given it.
    #[serde(default)]
    only_agent: String,
    #[serde(default)]
    retry: Option<RetryIn>,
    /// A key of this call or the id of a task of the same project; cancelling it cancels this one.
    #[serde(default)]
    parent: String,
    /// By entry of `depends_on`, what happens when that one is not done: `fail` (if not given), `skip` or `run`.
    #[serde(default)]
    on_failure: HashMap<String, OnFailureIn>,
    /// What all its attempts together may use.
    #[serde(default)]
    budget: Option<BudgetIn>,
}

/// At most `limit` tasks with this key begin within the period.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RateLimitIn {
    key: String,
    limit: u32,
    period_ms: u64,
}

/// What is not given: 500 ms, doubled with each failure up to a minute, full jitter, no final errors.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RetryIn {
    base_ms: Option<u64>,
    most_ms: Option<u64>,
    /// The share of a pause that is drawn by lot, 0 to 1.
    jitter: Option<f64>,
    /// Codes of errors after which there is no other attempt.
    #[serde(default)]
    final_errors: Vec<String>,
}

/// 0: no limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BudgetIn {
    #[serde(default)]
    tokens: u64,
    /// Millionths of a US dollar.
    #[serde(default)]
    usd_micros: u64,
    #[serde(default)]
    steps: u64,
}

/// Of an attempt, or of all of them.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Usage {
    tokens: u64,
    /// Millionths of a US dollar.
    usd_micros: u64,
    steps: u64,
}

impl From<titan_proto::worker::Usage> for Usage {
    fn from(titan_proto::worker::Usage { tokens, usd_micros, steps }: titan_proto::worker::Usage) -> Self {
        Self { tokens, usd_micros, steps }
    }
}

impl From<Usage> for titan_proto::worker::Usage {
    fn from(Usage { tokens, usd_micros, steps }: Usage) -> Self {
        Self { tokens, usd_micros, steps }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum OnFailureIn {
    Fail,
    Skip,
    Run,
}

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TaskOut {
    id: String,
    project_id: String,
    goal_id: Option<String>,
    parent: Option<String>,
    kind: String,
    pool: String,
    role: String,
    skills: BTreeMap<String, f64>,
    labels: Vec<String>,
    title: String,
    /// `inbox`, `assigned`, `in_progress`, `review`, `done`, `blocked`, `failed` or `cancelled`.
    state: String,
    /// Why it is in the inbox although it waits for no other task: `paused`, `later`, `concurrency: …` or `rate: …`; null: it is
    /// ready for an agent.
    held: Option<String>,
    /// It was not done, and that does not fail its goal.
    tolerated: bool,
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
    concurrency_key: Option<String>,
    #[schema(value_type = Object)]
    budget: Value,
    /// What its attempts have used, since it was submitted or tried again by hand.
    spent: Usage,
    created_by: String,
    created_at: Option<String>,
    run_after: Option<String>,
    due_at: Option<String>,
    deadline_at: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
    /// Of what can be changed: the ETag.
    version: String,
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|t| !t.is_empty())
}

impl From<proto::Task> for TaskOut {
    fn from(task: proto::Task) -> Self {
        let state = short(task.state().as_str_name(), "TASK_STATE_");
        Self {
            id: task.id,
            project_id: task.project_id,
            goal_id: some(task.goal_id),
            parent: some(task.parent_id),
            kind: task.kind,
            pool: task.pool,
            role: task.role,
            skills: task.skills.into_iter().collect(),
            labels: task.labels,
            title: task.title,
            state,
            held: some(task.held),
            tolerated: task.tolerated,
            priority: task.priority,
            attempt: task.attempt,
            max_attempts: task.max_attempts,
            waiting_on: task.waiting_on,
            depends_on: task.depends_on,
            agent: some(task.agent_name),
            agent_id: some(task.agent_id),
            input: json(&task.input_json),
            result: json(&task.result_json),
            error: task.error,
            choice: json(&task.choice_json),
            concurrency_key: some(task.concurrency_key),
            budget: json(&task.budget_json),
            spent: task.spent.unwrap_or_default().into(),
            created_by: task.created_by,
            created_at: time(task.created_at),
            run_after: time(task.run_after),
            due_at: time(task.due_at),
            deadline_at: time(task.deadline_at),
            started_at: time(task.started_at),
            finished_at: time(task.finished_at),
            version: task.version,
        }
    }
}

impl TaskIn {
    pub(super) fn into_proto(self) -> proto::NewTask {
        let policy = |on: OnFailureIn| match on {
            OnFailureIn::Fail => proto::OnFailure::Fail,
            OnFailureIn::Skip => proto::OnFailure::Skip,
            OnFailureIn::Run => proto::OnFailure::Run,
        };
        let rate = |RateLimitIn { key, limit, period_ms }| proto::RateLimit { key, limit, period_ms };
        proto::NewTask {
            key: self.key,
            kind: self.kind,
            role: self.role,
            title: self.title,
            priority: self.priority,
            input_json: Value::Object(self.input.unwrap_or_default()).to_string(),
            depends_on: self.depends_on,
            max_attempts: self.max_attempts,
            timeout_s: self.timeout_s,
            run_after: self.run_after.map(to_proto),
            due_at: self.due_at.map(to_proto),
            deadline_at: self.deadline_at.map(to_proto),
            concurrency_key: self.concurrency_key,
            concurrency_limit: self.concurrency_limit,
            rate_limits: self.rate_limits.into_iter().map(rate).collect(),
            pool: self.pool,
            skills: self.skills,
            labels: self.labels,
            preferred_agent: self.preferred_agent,
            sticky: self.sticky,
            only_agent: self.only_agent,
            retry: self.retry.map(|RetryIn { base_ms, most_ms, jitter, final_errors }| proto::RetryPolicy {
                base_ms,
                most_ms,
                jitter,
                final_errors,
            }),
            parent_id: self.parent,
            on_failure: self.on_failure.into_iter().map(|(key, on)| (key, policy(on).into())).collect(),
            budget: self.budget.map(|BudgetIn { tokens, usd_micros, steps }| proto::Budget { tokens, usd_micros, steps }),
        }
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
    let mut tasks: Vec<proto::NewTask> = tasks.into_iter().map(TaskIn::into_proto).collect();
    app.blobs.put_aside(tasks.iter_mut().map(|task| &mut task.input_json).collect()).await?;
    let request = SubmitTasksRequest {
        project,
        tasks,
        idempotency_key: downstream_key(&headers),
        goal_id: String::new(),
        attempt_credential: String::new(),
    };
    let submit = async || app.task_service().submit_tasks(app.signer.request(&who, request.clone())?).await;
    let tasks = retrying(submit).await?.tasks.into_iter().map(TaskOut::from).collect();
    Ok((StatusCode::CREATED, Json(TasksOut { tasks })))
}

/// With its input and its result, also those that are too large for their rows.
async fn whole(app: &App, who: &Principal, id: &str) -> Result<TaskOut> {
    let get = async || {
        let request = app.signer.request(who, GetTaskRequest { id: id.to_owned() })?;
        app.task_service().get_task(request).await
    };
    let mut task = retrying(get).await?;
    app.blobs.bring_if_there(vec![&mut task.input_json, &mut task.result_json]).await?;
    Ok(task.into())
}

/// One task.
#[utoipa::path(get, path = "/api/v1/tasks/{id}", params(("id" = String, Path)), responses((status = 200, body = TaskOut), (status = 404), (status = 422)))]
async fn get(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Response> {
    Ok(with_etag(whole(&app, &who, &id).await?))
}

/// The task with its version as ETag.
pub(super) fn with_etag(task: TaskOut) -> Response {
    ([(header::ETAG, format!("\"{}\"", task.version))], Json(task)).into_response()
}

#[derive(Debug, Serialize, ToSchema)]
struct ChangeOut {
    at: Option<String>,
    from: String,
    to: String,
    attempt: i32,
    actor: String,
    reason: String,
    /// Of a claim: why this agent.
    #[schema(value_type = Object)]
    choice: Value,
}

impl From<proto::TaskChange> for ChangeOut {
    fn from(change: proto::TaskChange) -> Self {
        let (from, to) = (short(change.from().as_str_name(), "TASK_STATE_"), short(change.to().as_str_name(), "TASK_STATE_"));
        let proto::TaskChange { at, from: _, to: _, attempt, actor, reason, choice_json } = change;
        Self { at: time(at), from, to, attempt, actor, reason, choice: json(&choice_json) }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct HistoryOut {
    /// Oldest first.
    changes: Vec<ChangeOut>,
}

/// Every transition of a task: when, from where to where, by whom and why.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/history", params(("id" = String, Path)), responses((status = 200, body = HistoryOut), (status = 404), (status = 422)))]
async fn history(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<HistoryOut>> {
    Ok(Json(HistoryOut { changes: changes(&app, &who, &id).await?.collect() }))
}

async fn changes(app: &App, who: &Principal, id: &str) -> Result<impl Iterator<Item = ChangeOut>> {
    let get = async || {
        let request = app.signer.request(who, GetTaskRequest { id: id.to_owned() })?;
        app.task_service().get_task_history(request).await
    };
    Ok(retrying(get).await?.changes.into_iter().map(ChangeOut::from))
}

/// A task's whole story in order, as JSON Lines: what was submitted, every transition with who, why and, of a claim, the factors of
/// the choice, and what came of it with its evidence.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/audit", params(("id" = String, Path)), responses((status = 200, body = String, content_type = "application/jsonl"), (status = 404), (status = 422)))]
async fn audit(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Response> {
    let task = whole(&app, &who, &id).await?;
    let id = task.id.clone();
    let submitted = line!({ "task": id, "what": "submitted", "at": task.created_at, "who": task.created_by, "project": task.project_id,
        "goal": task.goal_id, "parent": task.parent, "kind": task.kind, "role": task.role, "pool": task.pool, "title": task.title,
        "priority": task.priority, "depends_on": task.depends_on, "input": task.input });
    let mut lines = vec![submitted];
    lines.extend(changes(&app, &who, &id).await?.map(|ChangeOut { at, from, to, attempt, actor, reason, choice }| {
        line!({ "task": id, "what": "changed", "at": at, "who": actor, "from": from, "to": to, "attempt": attempt, "why": reason,
            "choice": choice })
    }));
    if task.finished_at.is_some() {
        lines.push(line!({ "task": id, "what": "ended", "at": task.finished_at, "state": task.state, "attempt": task.attempt,
            "error": task.error, "result": task.result }));
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], text).into_response())
}

#[derive(Debug, Serialize, ToSchema)]
struct WhyOut {
    task: TaskOut,
    /// Sentences, the most important first.
    because: Vec<String>,
    /// Of a task that is ready: the agents of its role.
    agents: Vec<ExplainedAgentOut>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ExplainedAgentOut {
    name: String,
    /// What stands in the way of giving it the task; null: nothing.
    lacks: Option<String>,
}

/// Why a task is where it is, and why its agent was chosen.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/why", params(("id" = String, Path)), responses((status = 200, body = WhyOut), (status = 404), (status = 422)))]
async fn why(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<WhyOut>> {
    let explain = async || app.task_service().explain_task(app.signer.request(&who, GetTaskRequest { id: id.clone() })?).await;
    let proto::ExplainTaskResponse { task, because, agents } = retrying(explain).await?;
    let agents = agents.into_iter().map(|proto::ExplainedAgent { name, lacks }| ExplainedAgentOut { name, lacks: some(lacks) });
    Ok(Json(WhyOut { task: task.unwrap_or_default().into(), because, agents: agents.collect() }))
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
    #[serde(default)]
    label: String,
    #[serde(default)]
    parent: String,
    /// Dead letters: failed and not discarded.
    #[serde(default)]
    dead: bool,
    /// Words that the title has, whatever their case. The 100,000 newest tasks before the page are searched.
    #[serde(default)]
    search: String,
}

pub(super) fn state_of(name: &str) -> Result<i32> {
    let state = match name {
        "" => Some(proto::TaskState::Unspecified),
        name => proto::TaskState::from_str_name(&format!("TASK_STATE_{}", name.to_uppercase())),
    };
    state.map(Into::into).ok_or_else(|| Error::invalid("state", "is not a task state"))
}

/// Tasks.
#[utoipa::path(get, path = "/api/v1/tasks", params(PageIn, TasksFilter), responses((status = 200, body = PageOut<TaskOut>), (status = 422)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Query(page): Query<PageIn>,
    Query(filter): Query<TasksFilter>,
) -> Result<Json<PageOut<TaskOut>>> {
    let TasksFilter { project, goal: goal_id, state, label, parent: parent_id, dead, search } = filter;
    let request = ListTasksRequest { page: page.request(), project, goal_id, state: state_of(&state)?, label, parent_id, dead, search };
    let list = async || app.task_service().list_tasks(app.signer.request(&who, request.clone())?).await;
    let found = retrying(list).await?;
    Ok(Json(PageOut::new(found.tasks, found.page, TaskOut::from)))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(submit, list))
        .routes(routes!(get))
        .routes(routes!(history))
        .routes(routes!(audit))
        .routes(routes!(why))
}
