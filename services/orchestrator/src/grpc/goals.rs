use titan_identity::Principal;
use titan_lifecycle::now;
use titan_proto::orchestrator as proto;
use titan_proto::orchestrator::goal_service_server::GoalService;
use titan_proto::orchestrator::{GetGoalRequest, Goal, ListGoalsRequest, ListGoalsResponse, SubmitGoalRequest};
use tonic::{Request, Response, Status};

use super::{Api, convert, id};
use crate::app::GoalIn;

#[tonic::async_trait]
impl GoalService for Api {
    async fn submit_goal(&self, request: Request<SubmitGoalRequest>) -> Result<Response<Goal>, Status> {
        let who = Principal::of(&request)?;
        let SubmitGoalRequest { sentence, project, idempotency_key, plan_only, environments } = request.into_inner();
        let goal = self.app.submit_goal(&who, GoalIn { sentence, project, idempotency_key, plan_only, environments }, now()).await?;
        Ok(Response::new(convert::goal(goal)))
    }

    async fn get_goal(&self, request: Request<GetGoalRequest>) -> Result<Response<Goal>, Status> {
        let who = Principal::of(&request)?;
        let goal = self.app.goal(&who, id("id", &request.get_ref().id)?).await?;
        Ok(Response::new(convert::goal(goal)))
    }

    async fn list_goals(&self, request: Request<ListGoalsRequest>) -> Result<Response<ListGoalsResponse>, Status> {
        let who = Principal::of(&request)?;
        let ListGoalsRequest { page, project } = request.into_inner();
        let (goals, page) = self.app.goals(&who, &project, page).await?.convert(convert::goal);
        Ok(Response::new(ListGoalsResponse { goals, page }))
    }

    async fn pause_goal(&self, request: Request<GetGoalRequest>) -> Result<Response<Goal>, Status> {
        let who = Principal::of(&request)?;
        Ok(Response::new(convert::goal(self.app.pause_goal(&who, id("id", &request.get_ref().id)?, true).await?)))
    }

    async fn resume_goal(&self, request: Request<GetGoalRequest>) -> Result<Response<Goal>, Status> {
        let who = Principal::of(&request)?;
        Ok(Response::new(convert::goal(self.app.pause_goal(&who, id("id", &request.get_ref().id)?, false).await?)))
    }

    async fn plan_goal(&self, request: Request<GetGoalRequest>) -> Result<Response<proto::GoalPlan>, Status> {
        let who = Principal::of(&request)?;
        Ok(Response::new(convert::plan(self.app.plan_goal(&who, id("id", &request.get_ref().id)?).await?)))
    }
}
