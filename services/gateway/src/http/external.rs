//! Agents that we did not write: they register, ask for tasks, and report.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_proto::orchestrator::report_attempt_request::What;
use titan_proto::orchestrator::{
    GetAgentRequest, HeartbeatAgentRequest, HeartbeatAgentResponse, PollTaskRequest, PollTaskResponse, RegisterAgentRequest,
    ReportAttemptRequest,
};
use titan_proto::worker::{Assignment, AttemptRef, Completed, Failed, Rejected, Subscription};
use titan_service::retrying;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::agents::AgentOut;
use super::extract::{Body, Caller};
use super::idempotent::NotKept;
use super::page::json;
use super::tasks::Usage;
use crate::app::App;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AgentIn {
    /// 1 to 100 characters, unique in the organisation.
    name: String,
    role: String,
    #[serde(default)]
    department: String,
    /// `default` if not given.
    #[serde(default)]
    pool: String,
    /// By skill, 0 to 1.
    #[serde(default)]
    skills: std::collections::HashMap<String, f64>,
    /// Tasks it takes at once; 1 if not given.
    #[serde(default)]
    max_concurrency: u32,
    #[serde(default)]
    subscription: SubscriptionIn,
}

/// What it takes of what it could; empty takes everything.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct SubscriptionIn {
    /// One of them.
    labels: Vec<String>,
    /// This or more urgent.
    priority: i32,
    /// Ids.
    projects: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
struct AttemptIn {
    task: String,
    attempt: i32,
}

impl From<AttemptIn> for AttemptRef {
    fn from(AttemptIn { task, attempt }: AttemptIn) -> Self {
        Self { task_id: task, attempt }
    }
}

/// Register an agent of your own, or again after a restart: what its earlier life had is given back. One that says nothing for a
/// minute is gone.
#[utoipa::path(post, path = "/api/v1/agents", request_body = AgentIn, responses((status = 201, body = AgentOut), (status = 409), (status = 422)))]
async fn register(State(app): State<Arc<App>>, Caller(who): Caller, Body(agent): Body<AgentIn>) -> Result<Response> {
    let AgentIn { name, role, department, pool, skills, max_concurrency, subscription } = agent;
    let SubscriptionIn { labels, priority, projects } = subscription;
    let subscription = Some(Subscription { labels, priority, projects });
    let request = RegisterAgentRequest { name, role, department, pool, skills, max_concurrency, subscription };
    let register = async || app.agent_service().register_agent(app.signer.request(&who, request.clone())?).await;
    let agent = retrying(register).await?;
    Ok(super::created(format!("/api/v1/agents/{}", agent.id), AgentOut::from(agent)))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct PollIn {
    /// At most 20,000.
    wait_ms: u32,
    /// What it works on already; whatever else it was given is delivered again.
    running: Vec<AttemptIn>,
}

#[derive(Debug, Serialize, ToSchema)]
struct PollOut {
    /// Null when there was none in time.
    assignment: Option<AssignmentOut>,
    /// When there was none.
    reason: Option<String>,
    retry_after_ms: Option<u32>,
}

#[derive(Debug, Serialize, ToSchema)]
struct AssignmentOut {
    task: String,
    attempt: i32,
    kind: String,
    role: String,
    title: String,
    project: String,
    goal: Option<String>,
    #[schema(value_type = Object)]
    input: Value,
    /// Results of the tasks it depends on, oldest first.
    dependencies: Vec<DependencyOut>,
    /// How long the attempt may still take.
    deadline_ms: u32,
    /// What earlier attempts left of it.
    #[schema(value_type = Object)]
    budget: Value,
    /// For git pushes and deployments on the attempt's behalf; refused once it is stale.
    credential: String,
    traceparent: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct DependencyOut {
    task: String,
    kind: String,
    #[schema(value_type = Object)]
    result: Value,
}

impl From<Assignment> for AssignmentOut {
    fn from(given: Assignment) -> Self {
        let dependency = |d: titan_proto::worker::Dependency| DependencyOut { task: d.task_id, kind: d.kind, result: json(&d.result_json) };
        Self {
            task: given.task_id,
            attempt: given.attempt,
            kind: given.kind,
            role: given.role,
            title: given.title,
            project: given.project_slug,
            goal: Some(given.goal_id).filter(|goal| !goal.is_empty()),
            input: json(&given.input_json),
            dependencies: given.dependencies.into_iter().map(dependency).collect(),
            deadline_ms: given.deadline_ms,
            budget: json(&given.budget_json),
            credential: given.credential,
            traceparent: given.traceparent,
        }
    }
}

/// An agent of your own leaves: what it has is somebody else's at once.
#[utoipa::path(delete, path = "/api/v1/agents/{id}", params(("id" = String, Path)), responses((status = 200, body = AgentOut), (status = 404), (status = 412)))]
async fn remove(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<AgentOut>> {
    let request = GetAgentRequest { id };
    let remove = async || app.agent_service().remove_agent(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(remove).await?.into()))
}

/// Wait for a task. It is the agent's from then on.
#[utoipa::path(post, path = "/api/v1/agents/{id}/poll", params(("id" = String, Path)), request_body = PollIn,
    responses((status = 200, body = PollOut), (status = 404), (status = 412), (status = 422)))]
async fn poll(State(app): State<Arc<App>>, Caller(who): Caller, Path(agent): Path<String>, Body(poll): Body<PollIn>) -> Result<Response> {
    let PollIn { wait_ms, running } = poll;
    let request = PollTaskRequest { agent, wait_ms, running: running.into_iter().map(Into::into).collect() };
    // An answer that got lost is asked for again: what was given is delivered again.
    let poll = async || app.agent_service().poll_task(app.signer.request(&who, request.clone())?).await;
    let PollTaskResponse { assignment, reason, retry_after_ms } = app.while_it_runs(retrying(poll)).await?;
    let none = assignment.is_none();
    let assignment = match assignment {
        Some(mut given) => {
            // Those that are too large for their rows.
            let mut documents = vec![&mut given.input_json];
            documents.extend(given.dependencies.iter_mut().map(|d| &mut d.result_json));
            app.blobs.bring_if_there(documents).await?;
            Some(given.into())
        }
        None => None,
    };
    // Asking again is safe and gives what is true then.
    let asks = axum::Extension(NotKept);
    let answer = PollOut { assignment, reason: none.then_some(reason), retry_after_ms: none.then_some(retry_after_ms) };
    let seconds = Duration::from_millis(retry_after_ms.into()).as_secs().max(1).to_string();
    Ok(if none { (asks, [(header::RETRY_AFTER, seconds)], Json(answer)).into_response() } else { (asks, Json(answer)).into_response() })
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct HeartbeatIn {
    running: Vec<AttemptIn>,
}

#[derive(Debug, Serialize, ToSchema)]
struct HeartbeatOut {
    /// Of the running; the rest is to be dropped.
    keep: Vec<AttemptIn>,
    /// It has tasks that it does not name as running: poll.
    wake: bool,
}

/// Say that the agent lives, and hear what it still owns.
#[utoipa::path(post, path = "/api/v1/agents/{id}/heartbeat", params(("id" = String, Path)), request_body = HeartbeatIn,
    responses((status = 200, body = HeartbeatOut), (status = 404), (status = 412), (status = 422)))]
async fn heartbeat(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(agent): Path<String>,
    Body(beat): Body<HeartbeatIn>,
) -> Result<Response> {
    let request = HeartbeatAgentRequest { agent, running: beat.running.into_iter().map(Into::into).collect() };
    let beat = async || app.agent_service().heartbeat_agent(app.signer.request(&who, request.clone())?).await;
    let HeartbeatAgentResponse { keep, wake } = retrying(beat).await?;
    let keep = keep.into_iter().map(|AttemptRef { task_id, attempt }| AttemptIn { task: task_id, attempt }).collect();
    Ok((axum::Extension(NotKept), Json(HeartbeatOut { keep, wake })).into_response())
}

/// One of `progress`, `completed`, `failed` and `rejected`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReportIn {
    task: String,
    attempt: i32,
    /// A line for people.
    progress: Option<String>,
    /// The result.
    #[schema(value_type = Option<Object>)]
    completed: Option<serde_json::Map<String, Value>>,
    failed: Option<FailedIn>,
    rejected: Option<RejectedIn>,
    /// What the attempt has used so far, all together: more than the task's budget fails the task.
    usage: Option<Usage>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct FailedIn {
    message: String,
    /// For the retry policy.
    #[serde(default)]
    code: String,
    /// There is to be no other attempt.
    #[serde(default)]
    r#final: bool,
}

/// A verdict against the work this task judges.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RejectedIn {
    message: String,
    #[schema(value_type = Object)]
    findings: serde_json::Map<String, Value>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ReportOut {
    /// False: the attempt is stale or its budget used up; stop.
    accepted: bool,
}

/// End an attempt, or say how it goes. The same again is accepted again.
#[utoipa::path(post, path = "/api/v1/agents/{id}/reports", params(("id" = String, Path)), request_body = ReportIn,
    responses((status = 200, body = ReportOut), (status = 404), (status = 412), (status = 422)))]
async fn report(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(agent): Path<String>,
    Body(report): Body<ReportIn>,
) -> Result<Json<ReportOut>> {
    let ReportIn { task, attempt, progress, completed, failed, rejected, usage } = report;
    let text = async |map: serde_json::Map<String, Value>| {
        let mut json = Value::Object(map).to_string();
        app.blobs.put_aside(vec![&mut json]).await?;
        Ok::<_, Error>(json)
    };
    let what = match (progress, completed, failed, rejected) {
        (Some(message), None, None, None) => What::Progress(message),
        (None, Some(result), None, None) => What::Completed(Completed { result_json: text(result).await? }),
        (None, None, Some(FailedIn { message, code, r#final }), None) => What::Failed(Failed { message, r#final, code }),
        (None, None, None, Some(RejectedIn { message, findings })) => {
            What::Rejected(Rejected { message, findings_json: text(findings).await? })
        }
        _ => return Err(Error::invalid("completed", "give one of progress, completed, failed and rejected")),
    };
    let what = Some(what);
    let attempt = Some(AttemptRef { task_id: task, attempt });
    let request = ReportAttemptRequest { agent, attempt, what, usage: usage.map(Into::into) };
    let report = async || app.agent_service().report_attempt(app.signer.request(&who, request.clone())?).await;
    Ok(Json(ReportOut { accepted: retrying(report).await?.accepted }))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(remove))
        .routes(routes!(poll))
        .routes(routes!(heartbeat))
        .routes(routes!(report))
}
