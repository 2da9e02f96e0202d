use std::time::Duration;

use titan_identity::Principal;
use titan_proto::orchestrator::agent_service_server::AgentService;
use titan_proto::orchestrator::report_attempt_request::What as Reported;
use titan_proto::orchestrator::{
    Agent, GetAgentRequest, HeartbeatAgentRequest, HeartbeatAgentResponse, ListAgentsRequest, ListAgentsResponse, PollTaskRequest,
    PollTaskResponse, RegisterAgentRequest, ReportAttemptRequest, ReportAttemptResponse, SetAgentConditionRequest,
};
use titan_proto::worker::result::Outcome;
use titan_proto::worker::{AgentSlot, AttemptRef};
use tonic::{Request, Response, Status};

use super::worker::{attempt_key, attempt_ref, clean, hosted, outcome, usage};
use super::{Api, convert};
use crate::app::{Polled, Report, What};
use crate::domain::session::AttemptKey;
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

    async fn trigger_agent(&self, request: Request<GetAgentRequest>) -> Result<Response<Agent>, Status> {
        let who = Principal::of(&request)?;
        let agent = self.app.trigger_agent(&who, &request.get_ref().id).await?;
        Ok(Response::new(convert::agent(agent)))
    }

    async fn remove_agent(&self, request: Request<GetAgentRequest>) -> Result<Response<Agent>, Status> {
        let who = Principal::of(&request)?;
        Ok(Response::new(convert::agent(self.app.remove_agent(&who, &request.get_ref().id).await?)))
    }

    async fn register_agent(&self, request: Request<RegisterAgentRequest>) -> Result<Response<Agent>, Status> {
        let who = Principal::of(&request)?;
        let RegisterAgentRequest { name, role, department, pool, skills, max_concurrency, subscription } = request.into_inner();
        let max_concurrency = max_concurrency.max(1);
        let slot = AgentSlot { name, role, department, skills: Vec::new(), max_concurrency, pool, proficiency: skills, subscription };
        Ok(Response::new(convert::agent(self.app.register_agent(&who, hosted("", slot)?).await?)))
    }

    async fn poll_task(&self, request: Request<PollTaskRequest>) -> Result<Response<PollTaskResponse>, Status> {
        let who = Principal::of(&request)?;
        let PollTaskRequest { agent, wait_ms, running } = request.into_inner();
        let running = keys(running)?;
        let polled = tokio::select! {
            polled = self.app.poll_task(&who, &agent, Duration::from_millis(wait_ms.into()), &running) => polled?,
            () = self.app.stopping() => return Err(titan_error::Error::unavailable("the service is stopping; try again").into()),
        };
        Ok(Response::new(match polled {
            Polled::Assigned(assignment) => PollTaskResponse { assignment: Some(*assignment), ..PollTaskResponse::default() },
            Polled::Nothing { reason, retry_after } => {
                let retry_after_ms = u32::try_from(retry_after.as_millis()).unwrap_or(u32::MAX);
                PollTaskResponse { assignment: None, reason, retry_after_ms }
            }
        }))
    }

    async fn heartbeat_agent(&self, request: Request<HeartbeatAgentRequest>) -> Result<Response<HeartbeatAgentResponse>, Status> {
        let who = Principal::of(&request)?;
        let HeartbeatAgentRequest { agent, running } = request.into_inner();
        let (keep, wake) = self.app.heartbeat_agent(&who, &agent, &keys(running)?).await?;
        Ok(Response::new(HeartbeatAgentResponse { keep: keep.iter().map(attempt_ref).collect(), wake }))
    }

    async fn report_attempt(&self, request: Request<ReportAttemptRequest>) -> Result<Response<ReportAttemptResponse>, Status> {
        let who = Principal::of(&request)?;
        let ReportAttemptRequest { agent, attempt, what, usage: used } = request.into_inner();
        let (task, attempt) = attempt_key(attempt)?;
        let what = match what.ok_or_else(|| titan_error::Error::invalid("outcome", "is missing"))? {
            Reported::Progress(message) => What::Progressed(clean(&message)),
            Reported::Completed(completed) => What::Ended(outcome(Some(Outcome::Completed(completed)))),
            Reported::Failed(failed) => What::Ended(outcome(Some(Outcome::Failed(failed)))),
            Reported::Rejected(rejected) => What::Ended(outcome(Some(Outcome::Rejected(rejected)))),
        };
        let accepted = self.app.report_attempt(&who, &agent, Report { task, attempt, usage: used.map(usage), what }).await?;
        Ok(Response::new(ReportAttemptResponse { accepted }))
    }
}

fn keys(attempts: Vec<AttemptRef>) -> titan_error::Result<Vec<AttemptKey>> {
    attempts.into_iter().map(|attempt| attempt_key(Some(attempt))).collect()
}

impl Api {
    async fn set_condition(&self, request: &Request<SetAgentConditionRequest>, condition: Condition) -> Result<Response<Agent>, Status> {
        let who = Principal::of(request)?;
        let SetAgentConditionRequest { agent, reason } = request.get_ref();
        Ok(Response::new(convert::agent(self.app.set_condition(&who, agent, condition, reason).await?)))
    }
}
