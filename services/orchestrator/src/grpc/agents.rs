use titan_identity::Principal;
use titan_proto::orchestrator::agent_service_server::AgentService;
use titan_proto::orchestrator::{Agent, GetAgentRequest, ListAgentsRequest, ListAgentsResponse};
use tonic::{Request, Response, Status};

use super::{Api, convert, id};

#[tonic::async_trait]
impl AgentService for Api {
    async fn list_agents(&self, request: Request<ListAgentsRequest>) -> Result<Response<ListAgentsResponse>, Status> {
        let who = Principal::of(&request)?;
        let (agents, page) = self.app.agents(&who, request.into_inner().page).await?.convert(convert::agent);
        Ok(Response::new(ListAgentsResponse { agents, page }))
    }

    async fn get_agent(&self, request: Request<GetAgentRequest>) -> Result<Response<Agent>, Status> {
        let who = Principal::of(&request)?;
        let agent = self.app.agent(&who, id("id", &request.get_ref().id)?).await?;
        Ok(Response::new(convert::agent(agent)))
    }
}
