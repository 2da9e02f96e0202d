use titan_identity::Principal;
use titan_lifecycle::now;
use titan_proto::orchestrator::schedule_service_server::ScheduleService;
use titan_proto::orchestrator::{
    CreateScheduleRequest, GetScheduleRequest, ListSchedulesRequest, ListSchedulesResponse, RunScheduleRequest, Schedule,
};
use tonic::{Request, Response, Status};

use super::{Api, convert, id};
use crate::app::ScheduleIn;

#[tonic::async_trait]
impl ScheduleService for Api {
    async fn create_schedule(&self, request: Request<CreateScheduleRequest>) -> Result<Response<Schedule>, Status> {
        let who = Principal::of(&request)?;
        let CreateScheduleRequest { project, name, cron, every_ms, time_zone, work } = request.into_inner();
        let schedule = ScheduleIn { project, name, cron, every_ms, time_zone, work: work.unwrap_or_default() };
        Ok(Response::new(convert::schedule(self.app.create_schedule(&who, schedule, now()).await?)?))
    }

    async fn get_schedule(&self, request: Request<GetScheduleRequest>) -> Result<Response<Schedule>, Status> {
        let who = Principal::of(&request)?;
        Ok(Response::new(convert::schedule(self.app.schedule(&who, id("id", &request.get_ref().id)?).await?)?))
    }

    async fn list_schedules(&self, request: Request<ListSchedulesRequest>) -> Result<Response<ListSchedulesResponse>, Status> {
        let who = Principal::of(&request)?;
        let ListSchedulesRequest { page, project } = request.into_inner();
        let (schedules, page) = self.app.schedules(&who, &project, page).await?.convert(convert::schedule);
        let schedules = schedules.into_iter().collect::<titan_error::Result<_>>()?;
        Ok(Response::new(ListSchedulesResponse { schedules, page }))
    }

    async fn pause_schedule(&self, request: Request<GetScheduleRequest>) -> Result<Response<Schedule>, Status> {
        let who = Principal::of(&request)?;
        let paused = self.app.pause_schedule(&who, id("id", &request.get_ref().id)?, true, now()).await?;
        Ok(Response::new(convert::schedule(paused)?))
    }

    async fn resume_schedule(&self, request: Request<GetScheduleRequest>) -> Result<Response<Schedule>, Status> {
        let who = Principal::of(&request)?;
        let resumed = self.app.pause_schedule(&who, id("id", &request.get_ref().id)?, false, now()).await?;
        Ok(Response::new(convert::schedule(resumed)?))
    }

    async fn run_schedule(&self, request: Request<RunScheduleRequest>) -> Result<Response<Schedule>, Status> {
        let who = Principal::of(&request)?;
        let RunScheduleRequest { id: schedule, idempotency_key } = request.into_inner();
        let ran = self.app.run_schedule(&who, id("id", &schedule)?, &idempotency_key, now()).await?;
        Ok(Response::new(convert::schedule(ran)?))
    }

    async fn delete_schedule(&self, request: Request<GetScheduleRequest>) -> Result<Response<Schedule>, Status> {
        let who = Principal::of(&request)?;
        Ok(Response::new(convert::schedule(self.app.delete_schedule(&who, id("id", &request.get_ref().id)?).await?)?))
    }
}
