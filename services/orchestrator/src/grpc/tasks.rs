use titan_identity::{Effects, Principal};
use titan_lifecycle::now;
use titan_proto::orchestrator::task_service_server::TaskService;
use titan_proto::orchestrator::{
    ActOnTaskRequest, GetTaskHistoryResponse, GetTaskRequest, ListTasksRequest, ListTasksResponse, NewTask, SubmitTasksRequest,
    SubmitTasksResponse, Task, VerifyAttemptRequest, VerifyAttemptResponse,
};
use titan_proto::time::from_proto;
use tonic::{Request, Response, Status};

use super::{Api, convert, id, optional_id};
use crate::app::{SubmissionIn, TaskIn};

#[tonic::async_trait]
impl TaskService for Api {
    async fn submit_tasks(&self, request: Request<SubmitTasksRequest>) -> Result<Response<SubmitTasksResponse>, Status> {
        let who = Principal::of(&request)?;
        let SubmitTasksRequest { project, tasks, idempotency_key, goal_id, attempt_credential } = request.into_inner();
        let goal = optional_id("goal_id", &goal_id)?;
        let tasks = tasks.into_iter().map(task_in).collect();
        let submission = SubmissionIn { project, goal, idempotency_key, attempt_credential, tasks };
        let tasks = self.app.submit_tasks(&who, submission).await?;
        Ok(Response::new(SubmitTasksResponse { tasks: tasks.into_iter().map(convert::task).collect() }))
    }

    async fn get_task(&self, request: Request<GetTaskRequest>) -> Result<Response<Task>, Status> {
        let who = Principal::of(&request)?;
        let task = self.app.task(&who, id("id", &request.get_ref().id)?).await?;
        Ok(Response::new(convert::task(task)))
    }

    async fn list_tasks(&self, request: Request<ListTasksRequest>) -> Result<Response<ListTasksResponse>, Status> {
        let who = Principal::of(&request)?;
        let ListTasksRequest { page, project, goal_id, state } = request.into_inner();
        let (goal, state) = (optional_id("goal_id", &goal_id)?, convert::state_filter(state)?);
        let (tasks, page) = self.app.tasks(&who, &project, goal, state, page).await?.convert(convert::task);
        Ok(Response::new(ListTasksResponse { tasks, page }))
    }

    async fn get_task_history(&self, request: Request<GetTaskRequest>) -> Result<Response<GetTaskHistoryResponse>, Status> {
        let who = Principal::of(&request)?;
        let changes = self.app.history(&who, id("id", &request.get_ref().id)?).await?;
        Ok(Response::new(GetTaskHistoryResponse { changes: changes.into_iter().map(convert::change).collect() }))
    }

    async fn cancel_task(&self, request: Request<ActOnTaskRequest>) -> Result<Response<Task>, Status> {
        let who = Principal::of(&request)?;
        let ActOnTaskRequest { id: task, reason } = request.into_inner();
        Ok(Response::new(convert::task(self.app.cancel_task(&who, id("id", &task)?, &reason, now()).await?)))
    }

    async fn retry_task(&self, request: Request<ActOnTaskRequest>) -> Result<Response<Task>, Status> {
        let who = Principal::of(&request)?;
        let ActOnTaskRequest { id: task, reason } = request.into_inner();
        Ok(Response::new(convert::task(self.app.retry_task(&who, id("id", &task)?, &reason, now()).await?)))
    }

    async fn verify_attempt(&self, request: Request<VerifyAttemptRequest>) -> Result<Response<VerifyAttemptResponse>, Status> {
        let who = Principal::of(&request)?;
        let (attempt, project) = self.app.verify_attempt(&who, &request.get_ref().credential).await?;
        Ok(Response::new(VerifyAttemptResponse {
            git_ref: attempt.git_ref(),
            task_id: attempt.task.to_string(),
            attempt: attempt.attempt,
            project_id: project.id.to_string(),
            project_slug: project.slug,
            may_merge: attempt.effects == Effects::Merge,
            org_id: attempt.org.to_string(),
        }))
    }
}

fn task_in(task: NewTask) -> TaskIn {
    let NewTask { key, kind, role, title, priority, input_json, depends_on, max_attempts, timeout_s, exclusive_key, run_after } = task;
    let run_after = run_after.as_ref().and_then(from_proto);
    TaskIn { key, kind, role, title, priority, input_json, depends_on, max_attempts, timeout_s, exclusive_key, run_after }
}
