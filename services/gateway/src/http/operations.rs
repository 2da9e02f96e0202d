//! What takes long, all in one way: 202 with a place to look, where it says its state, how far it is, and what came of it, and where it
//! is cancelled. Goals and deployments are operations under their own ids.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::Value;
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::{DeploymentId, GoalId};
use titan_proto::common::PageRequest;
use titan_proto::deployment::deployment_service_client::DeploymentServiceClient;
use titan_proto::deployment::{Deployment, DeploymentState, GetDeploymentRequest};
use titan_proto::orchestrator::act_on_tasks_request::Action;
use titan_proto::orchestrator::{ActOnTasksRequest, GetGoalRequest, Goal, GoalState, ListTasksRequest, Task, TaskFilter, TaskState};
use titan_service::retrying;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Caller};
use super::interventions::ActIn;
use super::page::{json, time};
use crate::app::App;

#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OperationOut {
    id: String,
    /// `goal` or `deployment`.
    kind: String,
    /// `running`, `done`, `failed` or `cancelled`.
    state: String,
    /// How far it is, 0 to 1.
    progress: f64,
    /// Once it is done.
    #[schema(value_type = Object)]
    result: Value,
    /// Why it failed, and what to do.
    error: String,
    /// Where there is more.
    location: String,
    created_at: Option<String>,
    finished_at: Option<String>,
}

impl OperationOut {
    pub(super) fn of_goal(goal: Goal, tasks: &[Task]) -> Self {
        let in_state = |states: &[TaskState]| tasks.iter().filter(|task| states.contains(&task.state())).count();
        let state = match goal.state() {
            GoalState::Done => "done",
            // Nothing of it went wrong.
            GoalState::Failed if in_state(&[TaskState::Failed]) == 0 && in_state(&[TaskState::Cancelled]) > 0 => "cancelled",
            GoalState::Failed => "failed",
            _ => "running",
        };
        let finished = in_state(&[TaskState::Done, TaskState::Failed, TaskState::Cancelled]);
        #[expect(clippy::cast_precision_loss, reason = "a share of tasks")]
        let progress = if state == "done" { 1.0 } else { finished as f64 / tasks.len().max(1) as f64 };
        Self {
            location: format!("/api/v1/goals/{}", goal.id),
            id: goal.id,
            kind: "goal".to_owned(),
            state: state.to_owned(),
            progress,
            result: json(&goal.result_json),
            error: goal.error,
            created_at: time(goal.created_at),
            finished_at: time(goal.finished_at),
        }
    }

    pub(super) fn of_deployment(deployment: Deployment) -> Self {
        let (state, progress) = match deployment.state() {
            DeploymentState::Pending | DeploymentState::AwaitingApproval => ("running", 0.0),
            DeploymentState::TriedOut => ("running", 0.8),
            DeploymentState::Starting => ("running", 0.5),
            DeploymentState::Failed => ("failed", 1.0),
            DeploymentState::Stopped => ("cancelled", 1.0),
            // A later one came before it served.
            DeploymentState::Replaced if !deployment.error.is_empty() => ("cancelled", 1.0),
            _ => ("done", 1.0),
        };
        let result = serde_json::json!({ "url": deployment.url, "commit": deployment.commit, "environment": deployment.environment });
        Self {
            location: format!("/api/v1/deployments/{}", deployment.id),
            id: deployment.id,
            kind: "deployment".to_owned(),
            state: state.to_owned(),
            progress,
            result: if state == "done" { result } else { Value::Null },
            error: deployment.error,
            created_at: time(deployment.created_at),
            finished_at: time(deployment.finished_at),
        }
    }
}

/// `202` with the place where it is followed.
pub(super) fn accepted(id: &str, operation: OperationOut) -> Result<Response> {
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, format!("/api/v1/operations/{id}"))], Json(operation)).into_response())
}

/// Of what kind an operation is.
enum Operation {
    Goal(String),
    Deployment(String),
}

impl Operation {
    fn named(id: &str) -> Result<Self> {
        if id.parse::<GoalId>().is_ok() {
            Ok(Self::Goal(id.to_owned()))
        } else if id.parse::<DeploymentId>().is_ok() {
            Ok(Self::Deployment(id.to_owned()))
        } else {
            Err(Error::invalid("id", "must be the id of a goal or of a deployment"))
        }
    }
}

async fn goal(app: &App, who: &Principal, id: &str) -> Result<OperationOut> {
    let get = async || app.goal_service().get_goal(app.signer.request(who, GetGoalRequest { id: id.to_owned() })?).await;
    let mut goal = retrying(get).await?;
    app.blobs.bring_if_there(vec![&mut goal.result_json]).await?;
    let page = Some(PageRequest { limit: 200, after: String::new() });
    let request = ListTasksRequest { page, goal_id: id.to_owned(), ..Default::default() };
    let list = async || app.task_service().list_tasks(app.signer.request(who, request.clone())?).await;
    let tasks = retrying(list).await?.tasks;
    Ok(OperationOut::of_goal(goal, &tasks))
}

async fn deployment(app: &App, who: &Principal, id: &str) -> Result<OperationOut> {
    let get = async || {
        let request = app.signer.request(who, GetDeploymentRequest { id: id.to_owned() })?;
        DeploymentServiceClient::new(app.deployment.clone()).get_deployment(request).await
    };
    Ok(OperationOut::of_deployment(retrying(get).await?))
}

/// How far something is that takes long, and what came of it.
#[utoipa::path(get, path = "/api/v1/operations/{id}", params(("id" = String, Path)), responses((status = 200, body = OperationOut), (status = 404), (status = 422)))]
async fn get(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<OperationOut>> {
    Ok(Json(match Operation::named(&id)? {
        Operation::Goal(id) => goal(&app, &who, &id).await?,
        Operation::Deployment(id) => deployment(&app, &who, &id).await?,
    }))
}

/// Cancel what takes long: of a goal, everything that has not ended, with a deployment that does not serve yet; a deployment before it
/// serves.
#[utoipa::path(post, path = "/api/v1/operations/{id}/cancel", params(("id" = String, Path)), request_body = ActIn,
    responses((status = 200, body = OperationOut), (status = 404), (status = 412), (status = 422)))]
async fn cancel(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Body(ActIn { reason }): Body<ActIn>,
) -> Result<Json<OperationOut>> {
    Ok(Json(match Operation::named(&id)? {
        Operation::Goal(id) => {
            goal(&app, &who, &id).await?;
            let filter = Some(TaskFilter { goal_id: id.clone(), ..Default::default() });
            let request = ActOnTasksRequest { filter, action: Some(Action::Cancel(())), reason, after: String::new() };
            app.task_service().act_on_tasks(app.signer.request(&who, request)?).await?;
            goal(&app, &who, &id).await?
        }
        Operation::Deployment(id) => {
            let cancel = async || {
                let request = app.signer.request(&who, GetDeploymentRequest { id: id.clone() })?;
                DeploymentServiceClient::new(app.deployment.clone()).cancel_deployment(request).await
            };
            OperationOut::of_deployment(retrying(cancel).await?)
        }
    }))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get)).routes(routes!(cancel))
}
