use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use titan_error::Result;
use titan_proto::orchestrator::agent_service_client::AgentServiceClient;
use titan_proto::orchestrator::{self as proto, GetAgentRequest, ListAgentsRequest};
use titan_service::retrying;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Caller, Query};
use super::page::{PageIn, PageOut, short, time};
use crate::app::App;

#[derive(Debug, Serialize, ToSchema)]
struct AgentOut {
    id: String,
    /// `<role>@<worker>`
    name: String,
    role: String,
    department: String,
    skills: Vec<String>,
    max_concurrency: i32,
    /// `idle`, `active` or `offline`.
    status: String,
    /// Tasks it owns now.
    running: i32,
    last_seen_at: Option<String>,
}

impl From<proto::Agent> for AgentOut {
    fn from(agent: proto::Agent) -> Self {
        let status = short(agent.status().as_str_name(), "AGENT_STATUS_");
        let proto::Agent { id, name, role, skills, max_concurrency, status: _, running, last_seen_at, department } = agent;
        Self { id, name, role, department, skills, max_concurrency, status, running, last_seen_at: time(last_seen_at) }
    }
}

/// Agents that are or were connected.
#[utoipa::path(get, path = "/api/v1/agents", params(PageIn), responses((status = 200, body = PageOut<AgentOut>)))]
async fn list(State(app): State<Arc<App>>, Caller(who): Caller, Query(page): Query<PageIn>) -> Result<Json<PageOut<AgentOut>>> {
    let page = page.request();
    let list = async || {
        AgentServiceClient::new(app.orchestrator.clone())
            .list_agents(app.signer.request(&who, ListAgentsRequest { page: page.clone() })?)
            .await
    };
    let found = retrying(list).await?;
    Ok(Json(PageOut::new(found.agents, found.page, AgentOut::from)))
}

/// One agent.
#[utoipa::path(get, path = "/api/v1/agents/{id}", params(("id" = String, Path)), responses((status = 200, body = AgentOut), (status = 404), (status = 422)))]
async fn get(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<AgentOut>> {
    let get = async || {
        AgentServiceClient::new(app.orchestrator.clone()).get_agent(app.signer.request(&who, GetAgentRequest { id: id.clone() })?).await
    };
    Ok(Json(retrying(get).await?.into()))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get))
}
