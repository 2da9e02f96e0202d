use titan_identity::Principal;
use titan_proto::orchestrator::agent_service_server::AgentService;
use titan_proto::orchestrator::{Agent, GetAgentRequest, ListAgentsRequest, ListAgentsResponse, SetAgentConditionRequest};
use tonic::{Request, Response, Status};

use super::{Api, convert};
use crate::store::agents::Condition;

#[tonic::async_trait]
impl AgentService for Api {
    async fn list_agents(&self, request: Request<ListAgentsRequest>) -> Result<Response<ListAgentsResponse>, Status> {
        let who = Principal::of(&request)?;
        let (agents, page) = self.app.agents(&who, request.into_inner().page).await?.convert(convert::agent);
        Ok(Response::new(ListAgentsResponse { agents, page }))
    }

    async fn get_agent(&self, request: Request<GetAgentRequest>) -> Result<Response<Agent>, Status> {
        let who = Principal::of(&request)?;
        let agent = self.app.agent(&who, &request.get_ref().id).await?;
        Ok(Response::new(convert::agent(agent)))
    }

    async fn drain_agent(&self, request: Request<SetAgentConditionRequest>) -> Result<Response<Agent>, Status> {
        self.set_condition(&request, Condition::Draining).await
    }

    async fn quarantine_agent(&self, request: Request<SetAgentConditionRequest>) -> Result<Response<Agent>, Status> {
        self.set_condition(&request, Condition::Quarantined).await
    }

    async fn return_agent(&self, request: Request<SetAgentConditionRequest>) -> Result<Response<Agent>, Status> {
        self.set_condition(&request, Condition::Fit).await
    }
}

impl Api {
    async fn set_condition(&self, request: &Request<SetAgentConditionRequest>, condition: Condition) -> Result<Response<Agent>, Status> {
        let who = Principal::of(request)?;
        let SetAgentConditionRequest { agent, reason } = request.get_ref();
        Ok(Response::new(convert::agent(self.app.set_condition(&who, agent, condition, reason).await?)))
    }
}
