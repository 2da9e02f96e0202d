use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use titan_error::Result;
use titan_proto::orchestrator::{self as proto, GetAgentRequest, ListAgentsRequest, SetAgentConditionRequest};
use titan_service::retrying;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Caller, Query};
use super::interventions::ActIn;
use super::page::{PageIn, PageOut, short, time};
use crate::app::App;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AgentOut {
    id: String,
    /// `<role>@<worker>`
    name: String,
    role: String,
    department: String,
    pool: String,
    skills: Vec<String>,
    /// By skill, 0 to 1.
    proficiency: BTreeMap<String, f64>,
    max_concurrency: i32,
    /// `idle`, `active`, `draining`, `quarantined` or `offline`.
    status: String,
    /// Why it is draining or quarantined.
    reason: String,
    /// Tasks it owns now.
    running: i32,
    last_seen_at: Option<String>,
}

impl From<proto::Agent> for AgentOut {
    fn from(agent: proto::Agent) -> Self {
        let status = short(agent.status().as_str_name(), "AGENT_STATUS_");
        Self {
            id: agent.id,
            name: agent.name,
            role: agent.role,
            department: agent.department,
            pool: agent.pool,
            skills: agent.skills,
            proficiency: agent.proficiency.into_iter().collect(),
            max_concurrency: agent.max_concurrency,
            status,
            reason: agent.condition_reason,
            running: agent.running,
            last_seen_at: time(agent.last_seen_at),
        }
    }
}

/// Agents that are or were connected.
#[utoipa::path(get, path = "/api/v1/agents", params(PageIn), responses((status = 200, body = PageOut<AgentOut>)))]
async fn list(State(app): State<Arc<App>>, Caller(who): Caller, Query(page): Query<PageIn>) -> Result<Json<PageOut<AgentOut>>> {
    let page = page.request();
    let list = async || app.agent_service().list_agents(app.signer.request(&who, ListAgentsRequest { page: page.clone() })?).await;
    let found = retrying(list).await?;
    Ok(Json(PageOut::new(found.agents, found.page, AgentOut::from)))
}

/// One agent, by id or name.
#[utoipa::path(get, path = "/api/v1/agents/{id}", params(("id" = String, Path)), responses((status = 200, body = AgentOut), (status = 404), (status = 422)))]
async fn get(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<AgentOut>> {
    let get = async || app.agent_service().get_agent(app.signer.request(&who, GetAgentRequest { id: id.clone() })?).await;
    Ok(Json(retrying(get).await?.into()))
}

/// Give an agent nothing more; what it has it ends.
#[utoipa::path(post, path = "/api/v1/agents/{id}/drain", params(("id" = String, Path)), request_body = ActIn,
    responses((status = 200, body = AgentOut), (status = 404), (status = 422)))]
async fn drain(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(agent): Path<String>,
    Body(ActIn { reason }): Body<ActIn>,
) -> Result<Json<AgentOut>> {
    let request = SetAgentConditionRequest { agent, reason };
    let set = async || app.agent_service().drain_agent(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(set).await?.into()))
}

/// The same, for an agent that is not trusted. One whose attempts all fail is quarantined by itself, for a while.
#[utoipa::path(post, path = "/api/v1/agents/{id}/quarantine", params(("id" = String, Path)), request_body = ActIn,
    responses((status = 200, body = AgentOut), (status = 404), (status = 422)))]
async fn quarantine(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(agent): Path<String>,
    Body(ActIn { reason }): Body<ActIn>,
) -> Result<Json<AgentOut>> {
    let request = SetAgentConditionRequest { agent, reason };
    let set = async || app.agent_service().quarantine_agent(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(set).await?.into()))
}

/// Give an agent work again.
#[utoipa::path(post, path = "/api/v1/agents/{id}/return", params(("id" = String, Path)), request_body = ActIn,
    responses((status = 200, body = AgentOut), (status = 404), (status = 422)))]
async fn take_back(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(agent): Path<String>,
    Body(ActIn { reason }): Body<ActIn>,
) -> Result<Json<AgentOut>> {
    let request = SetAgentConditionRequest { agent, reason };
    let set = async || app.agent_service().return_agent(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(set).await?.into()))
}

/// Wake an agent for what is assigned to it and what it could take: what it has not begun is delivered again.
#[utoipa::path(post, path = "/api/v1/agents/{id}/trigger", params(("id" = String, Path)),
    responses((status = 200, body = AgentOut), (status = 404), (status = 412), (status = 422)))]
async fn trigger(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<AgentOut>> {
    let request = GetAgentRequest { id };
    let wake = async || app.agent_service().trigger_agent(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(wake).await?.into()))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(drain))
        .routes(routes!(quarantine))
        .routes(routes!(take_back))
        .routes(routes!(trigger))
}
