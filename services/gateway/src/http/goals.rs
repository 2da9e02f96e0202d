use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use titan_error::Result;
use titan_proto::orchestrator::{self as proto, GetGoalRequest, ListGoalsRequest, SubmitGoalRequest};
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
struct GoalIn {
    /// What is wanted, in one sentence of at most 2,000 characters.
    sentence: String,
    /// Id or slug of a project; a new one is made if not given.
    #[serde(default)]
    project: String,
    /// It ends with its plan: what was understood, and what would change.
    #[serde(default)]
    plan_only: bool,
    /// Where it is deployed, one after the other: `dev`, `staging`, `production`; production if none are given. Each begins when the one before it
    /// serves.
    #[serde(default)]
    environments: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct GoalOut {
    id: String,
    project_id: String,
    project: String,
    sentence: String,
    /// `running`, `done` or `failed`.
    state: String,
    /// Results of the tasks by their kind, once it is done.
    #[schema(value_type = Object)]
    result: Value,
    /// Why it failed, and what to do.
    error: String,
    /// Nothing of it is begun until it is resumed.
    paused: bool,
    created_at: Option<String>,
    finished_at: Option<String>,
}

impl From<proto::Goal> for GoalOut {
    fn from(goal: proto::Goal) -> Self {
        let state = short(goal.state().as_str_name(), "GOAL_STATE_");
        let proto::Goal { id, project_id, project_slug, sentence, state: _, result_json, error, created_at, finished_at, paused } = goal;
        let (result, created_at, finished_at) = (json(&result_json), time(created_at), time(finished_at));
        Self { id, project_id, project: project_slug, sentence, state, result, error, paused, created_at, finished_at }
    }
}

/// Give a goal. Follow it with `/api/v1/events?goal=…` or its tasks.
#[utoipa::path(post, path = "/api/v1/goals", request_body = GoalIn, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = GoalOut), (status = 404), (status = 413), (status = 422)))]
async fn submit(State(app): State<Arc<App>>, Caller(who): Caller, headers: HeaderMap, Body(goal): Body<GoalIn>) -> Result<Response> {
    let GoalIn { sentence, project, plan_only, environments } = goal;
    let request = SubmitGoalRequest { sentence, project, idempotency_key: downstream_key(&headers), plan_only, environments };
    let submit = async || app.goal_service().submit_goal(app.signer.request(&who, request.clone())?).await;
    let goal = retrying(submit).await?;
    Ok(super::created(format!("/api/v1/goals/{}", goal.id), GoalOut::from(goal)))
}

/// One goal.
#[utoipa::path(get, path = "/api/v1/goals/{id}", params(("id" = String, Path)), responses((status = 200, body = GoalOut), (status = 404), (status = 422)))]
async fn get(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<GoalOut>> {
    let get = async || app.goal_service().get_goal(app.signer.request(&who, GetGoalRequest { id: id.clone() })?).await;
    let mut goal = retrying(get).await?;
    app.blobs.bring_if_there(vec![&mut goal.result_json]).await?;
    Ok(Json(goal.into()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct GoalsIn {
    /// Id or slug.
    #[serde(default)]
    project: String,
}

/// Goals.
#[utoipa::path(get, path = "/api/v1/goals", params(PageIn, GoalsIn), responses((status = 200, body = PageOut<GoalOut>)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Query(page): Query<PageIn>,
    Query(filter): Query<GoalsIn>,
) -> Result<Json<PageOut<GoalOut>>> {
    let request = ListGoalsRequest { page: page.request(), project: filter.project };
    let list = async || app.goal_service().list_goals(app.signer.request(&who, request.clone())?).await;
    let found = retrying(list).await?;
    Ok(Json(PageOut::new(found.goals, found.page, GoalOut::from)))
}

/// Begin nothing more of a goal until it is resumed; what runs goes on.
#[utoipa::path(post, path = "/api/v1/goals/{id}/pause", params(("id" = String, Path)), responses((status = 200, body = GoalOut), (status = 404), (status = 412), (status = 422)))]
async fn pause(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<GoalOut>> {
    let pause = async || app.goal_service().pause_goal(app.signer.request(&who, GetGoalRequest { id: id.clone() })?).await;
    Ok(Json(retrying(pause).await?.into()))
}

/// Let a paused goal go on.
#[utoipa::path(post, path = "/api/v1/goals/{id}/resume", params(("id" = String, Path)), responses((status = 200, body = GoalOut), (status = 404), (status = 412), (status = 422)))]
async fn resume(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<GoalOut>> {
    let resume = async || app.goal_service().resume_goal(app.signer.request(&who, GetGoalRequest { id: id.clone() })?).await;
    Ok(Json(retrying(resume).await?.into()))
}

#[derive(Debug, Serialize, ToSchema)]
struct PlanOut {
    /// What is left, each after what it waits for.
    steps: Vec<StepOut>,
    /// However many agents there are.
    shortest_ms: u64,
    /// The last one is the most that help.
    by_agents: Vec<AgentsOut>,
}

#[derive(Debug, Serialize, ToSchema)]
struct StepOut {
    task: String,
    title: String,
    kind: String,
    state: String,
    /// By how long tasks of its kind took.
    left_ms: u64,
    /// Nobody did its kind yet: a guess of a minute.
    guessed: bool,
    /// What it takes longer, the goal takes longer.
    critical: bool,
}

#[derive(Debug, Serialize, ToSchema)]
struct AgentsOut {
    agents: u32,
    takes_ms: u64,
}

/// How long what is left of a goal takes: its critical path, and how many agents would help.
#[utoipa::path(get, path = "/api/v1/goals/{id}/plan", params(("id" = String, Path)), responses((status = 200, body = PlanOut), (status = 404), (status = 422)))]
async fn plan(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<PlanOut>> {
    let plan = async || app.goal_service().plan_goal(app.signer.request(&who, GetGoalRequest { id: id.clone() })?).await;
    let proto::GoalPlan { steps, shortest_ms, by_agents } = retrying(plan).await?;
    let step = |step: proto::goal_plan::Step| {
        let state = short(step.state().as_str_name(), "TASK_STATE_");
        let proto::goal_plan::Step { task_id, title, kind, state: _, left_ms, guessed, critical } = step;
        StepOut { task: task_id, title, kind, state, left_ms, guessed, critical }
    };
    let agents = |proto::goal_plan::Agents { agents, takes_ms }| AgentsOut { agents, takes_ms };
    let (steps, by_agents) = (steps.into_iter().map(step).collect(), by_agents.into_iter().map(agents).collect());
    Ok(Json(PlanOut { steps, shortest_ms, by_agents }))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(submit, list))
        .routes(routes!(get))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(plan))
}
