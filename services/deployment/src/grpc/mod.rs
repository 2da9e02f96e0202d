//! The adapter: parse, authorise, convert, call the use case.

pub(crate) mod proxy;

use std::sync::Arc;

use titan_error::Error;
use titan_identity::{Principal, authenticate};
use titan_ids::{DeploymentId, ProjectId};
use titan_lifecycle::now;
use titan_proto::deployment::deployment_service_server::{DeploymentService, DeploymentServiceServer};
use titan_proto::deployment::{
    self as proto, DecideDeploymentRequest, DeployRequest, GetDeploymentRequest, GetLogsRequest, GetLogsResponse, GetVariablesRequest,
    ListBackupsRequest, ListBackupsResponse, ListDeploymentsRequest, ListDeploymentsResponse, PlanRollBackRequest, RehearseRequest,
    RehearseResponse, RestoreBackupRequest, RollBackPlan, RollBackRequest, SetVariablesRequest, Variables,
};
use titan_proto::time::to_proto;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::app::{App, DeployIn, Plan, RestoreIn, RollBackIn};
use crate::domain::State;
use crate::domain::rollout::Strategy;
use crate::store::backups::Backup;
use crate::store::deployments::{Change, Rollout, Row};

struct Api {
    app: Arc<App>,
}

pub(crate) fn routes(app: Arc<App>) -> Routes {
    let auth = authenticate(app.signer.clone());
    Routes::new(DeploymentServiceServer::with_interceptor(Api { app }, auth))
}

fn id(text: &str) -> Result<DeploymentId, Error> {
    text.parse().map_err(|e: titan_ids::ParseIdError| Error::invalid("id", e.to_string()))
}

fn project(text: &str) -> Result<ProjectId, Error> {
    text.parse().map_err(|e: titan_ids::ParseIdError| Error::invalid("project_id", e.to_string()))
}

#[tonic::async_trait]
impl DeploymentService for Api {
    async fn deploy(&self, request: Request<DeployRequest>) -> Result<Response<proto::Deployment>, Status> {
        let who = Principal::of(&request)?;
        let DeployRequest { project_id, project_slug, environment, commit, idempotency_key, attempt_credential, rollout } =
            request.into_inner();
        let (project, rollout) = (project(&project_id)?, rollout.unwrap_or_default());
        let (strategy, proto::Rollout { share, observe_s, .. }) = (strategy(rollout), rollout);
        let deploy =
            DeployIn { project, project_slug, environment, commit, idempotency_key, attempt_credential, strategy, share, observe_s };
        let row = self.app.deploy(&who, deploy, now()).await?;
        Ok(Response::new(self.convert(row, Vec::new())))
    }

    async fn get_deployment(&self, request: Request<GetDeploymentRequest>) -> Result<Response<proto::Deployment>, Status> {
        let who = Principal::of(&request)?;
        let (row, history) = self.app.deployment(&who, id(&request.get_ref().id)?).await?;
        Ok(Response::new(self.convert(row, history)))
    }

    async fn list_deployments(&self, request: Request<ListDeploymentsRequest>) -> Result<Response<ListDeploymentsResponse>, Status> {
        let who = Principal::of(&request)?;
        let request = request.into_inner();
        let shown = match request.state() {
            proto::DeploymentState::Unspecified => None,
            state => Some(state.as_str_name().trim_start_matches("DEPLOYMENT_STATE_").to_lowercase()),
        };
        let ListDeploymentsRequest { page, project_id, state: _ } = request;
        let project = if project_id.is_empty() { None } else { Some(project(&project_id)?) };
        let (deployments, page) = self.app.deployments(&who, project, shown, page).await?.convert(|row| self.convert(row, Vec::new()));
        Ok(Response::new(ListDeploymentsResponse { deployments, page }))
    }

    async fn get_logs(&self, request: Request<GetLogsRequest>) -> Result<Response<GetLogsResponse>, Status> {
        let who = Principal::of(&request)?;
        let GetLogsRequest { id: text, lines } = request.into_inner();
        Ok(Response::new(GetLogsResponse { lines: self.app.logs(&who, id(&text)?, lines).await? }))
    }

    async fn roll_back(&self, request: Request<RollBackRequest>) -> Result<Response<proto::Deployment>, Status> {
        let who = Principal::of(&request)?;
        let RollBackRequest { project_id, project_slug, environment, commit, idempotency_key, rollout, emergency, reason } =
            request.into_inner();
        let (project, rollout) = (project(&project_id)?, rollout.unwrap_or_default());
        let (strategy, proto::Rollout { share, observe_s, .. }) = (strategy(rollout), rollout);
        let attempt_credential = String::new();
        let deploy =
            DeployIn { project, project_slug, environment, commit, idempotency_key, attempt_credential, strategy, share, observe_s };
        let back = RollBackIn { deploy, emergency, reason };
        let row = self.app.roll_back(&who, back, now()).await?;
        Ok(Response::new(self.convert(row, Vec::new())))
    }

    async fn list_backups(&self, request: Request<ListBackupsRequest>) -> Result<Response<ListBackupsResponse>, Status> {
        let who = Principal::of(&request)?;
        let ListBackupsRequest { project_id, environment } = request.into_inner();
        let backups = self.app.backups(&who, project(&project_id)?, &environment).await?;
        let backup = |(Backup { deployment_id, commit, made_at, .. }, bytes)| proto::Backup {
            id: deployment_id.to_string(),
            commit,
            made_at: Some(to_proto(made_at)),
            bytes,
        };
        Ok(Response::new(ListBackupsResponse { backups: backups.into_iter().map(backup).collect() }))
    }

    async fn restore_backup(&self, request: Request<RestoreBackupRequest>) -> Result<Response<proto::Deployment>, Status> {
        let who = Principal::of(&request)?;
        let RestoreBackupRequest { project_id, project_slug, environment, backup_id, idempotency_key, emergency, reason } =
            request.into_inner();
        let backup = backup_id.parse().map_err(|e: titan_ids::ParseIdError| Error::invalid("backup_id", e.to_string()))?;
        let deploy = DeployIn {
            project: project(&project_id)?,
            project_slug,
            environment,
            commit: String::new(),
            idempotency_key,
            attempt_credential: String::new(),
            strategy: Strategy::Rolling,
            share: 0,
            observe_s: 0,
        };
        let row = self.app.restore(&who, RestoreIn { deploy, backup, emergency, reason }, now()).await?;
        Ok(Response::new(self.convert(row, Vec::new())))
    }

    async fn plan_roll_back(&self, request: Request<PlanRollBackRequest>) -> Result<Response<RollBackPlan>, Status> {
        let who = Principal::of(&request)?;
        let PlanRollBackRequest { project_id, environment, commit } = request.into_inner();
        let plan = self.app.plan_roll_back(&who, project(&project_id)?, &environment, &commit).await?;
        let Plan { serving, to, data_changes, rehearsed, needs_approval, under_way } = plan;
        let possible = rehearsed.is_ok();
        Ok(Response::new(RollBackPlan {
            from: serving.commit,
            to: to.commit,
            deployed_at: Some(to_proto(to.created_at)),
            serving_id: serving.id.to_string(),
            data_changes,
            possible,
            message: rehearsed.unwrap_or_else(|why| why),
            needs_approval,
            under_way: under_way.into_iter().map(|other| other.id.to_string()).collect(),
        }))
    }

    async fn set_variables(&self, request: Request<SetVariablesRequest>) -> Result<Response<Variables>, Status> {
        let who = Principal::of(&request)?;
        let SetVariablesRequest { project_id, environment, set, unset } = request.into_inner();
        let variables = self.app.set_variables(&who, project(&project_id)?, &environment, &set, &unset).await?;
        Ok(Response::new(Variables { variables: variables.into_iter().collect() }))
    }

    async fn get_variables(&self, request: Request<GetVariablesRequest>) -> Result<Response<Variables>, Status> {
        let who = Principal::of(&request)?;
        let GetVariablesRequest { project_id, environment } = request.into_inner();
        let variables = self.app.variables(&who, project(&project_id)?, &environment).await?;
        Ok(Response::new(Variables { variables: variables.into_iter().collect() }))
    }

    async fn rehearse(&self, request: Request<RehearseRequest>) -> Result<Response<RehearseResponse>, Status> {
        let who = Principal::of(&request)?;
        let RehearseRequest { project_id, environment, commit, attempt_credential } = request.into_inner();
        let rehearsed = self.app.rehearse(&who, project(&project_id)?, &environment, &commit, &attempt_credential).await?;
        let (possible, message) = rehearsed.map_or_else(|why| (false, why), |found| (true, found));
        Ok(Response::new(RehearseResponse { possible, message }))
    }

    async fn decide_deployment(&self, request: Request<DecideDeploymentRequest>) -> Result<Response<proto::Deployment>, Status> {
        let who = Principal::of(&request)?;
        let DecideDeploymentRequest { id: text, approved, reason } = request.into_inner();
        let (row, history) = self.app.decide(&who, id(&text)?, approved, &reason, now()).await?;
        Ok(Response::new(self.convert(row, history)))
    }

    async fn cancel_deployment(&self, request: Request<GetDeploymentRequest>) -> Result<Response<proto::Deployment>, Status> {
        let who = Principal::of(&request)?;
        let (row, history) = self.app.cancel(&who, id(&request.get_ref().id)?, now()).await?;
        Ok(Response::new(self.convert(row, history)))
    }

    async fn stop_deployment(&self, request: Request<GetDeploymentRequest>) -> Result<Response<proto::Deployment>, Status> {
        let who = Principal::of(&request)?;
        let (row, history) = self.app.stop(&who, id(&request.get_ref().id)?, now()).await?;
        Ok(Response::new(self.convert(row, history)))
    }
}

impl Api {
    fn convert(&self, row: Row, history: Vec<Change>) -> proto::Deployment {
        let url = self.app.url(&row);
        let Row {
            id,
            org_id: _,
            project_id,
            project_slug,
            environment,
            commit,
            causation: _,
            traceparent: _,
            state: row_state,
            error,
            restarts,
            starts: _,
            port: _,
            pid: _,
            pid_started: _,
            due: _,
            starting_for_s: _,
            created_at,
            finished_at,
            held_for: _,
            holder_gone: _,
            rollout: Rollout { strategy, share, observe_s },
            observed_for_s,
            awaits_approval,
            back_from,
            restores,
            hook_due: _,
        } = row;
        let shown = match row_state {
            State::Pending if awaits_approval => proto::DeploymentState::AwaitingApproval,
            State::Starting if observed_for_s.is_some() => proto::DeploymentState::TriedOut,
            other => state(other),
        };
        let strategy = match strategy {
            Strategy::Rolling => proto::Strategy::Rolling,
            Strategy::BlueGreen => proto::Strategy::BlueGreen,
            Strategy::Canary => proto::Strategy::Canary,
            Strategy::Gradual => proto::Strategy::Gradual,
        };
        let whole = |n: i32| u32::try_from(n).unwrap_or(0);
        let rollout = Some(proto::Rollout { strategy: strategy.into(), share: whole(share), observe_s: whole(observe_s) });
        let change =
            |Change { at, to_state, reason }| proto::DeploymentChange { at: Some(to_proto(at)), to: state(to_state).into(), reason };
        proto::Deployment {
            id: id.to_string(),
            project_id: project_id.to_string(),
            project_slug,
            environment,
            provider: "process".to_owned(),
            commit,
            state: shown.into(),
            rollout,
            url: if row_state == State::Running { url } else { String::new() },
            error,
            created_at: Some(to_proto(created_at)),
            finished_at: finished_at.map(to_proto),
            restarts,
            history: history.into_iter().map(change).collect(),
            back_from,
            restores: restores.map(|backup| backup.to_string()).unwrap_or_default(),
        }
    }
}

fn strategy(rollout: proto::Rollout) -> Strategy {
    match rollout.strategy() {
        proto::Strategy::Unspecified | proto::Strategy::Rolling => Strategy::Rolling,
        proto::Strategy::BlueGreen => Strategy::BlueGreen,
        proto::Strategy::Canary => Strategy::Canary,
        proto::Strategy::Gradual => Strategy::Gradual,
    }
}

fn state(state: State) -> proto::DeploymentState {
    match state {
        State::Pending => proto::DeploymentState::Pending,
        State::Starting => proto::DeploymentState::Starting,
        State::Running => proto::DeploymentState::Running,
        State::Failed => proto::DeploymentState::Failed,
        State::Replaced => proto::DeploymentState::Replaced,
        State::Stopped => proto::DeploymentState::Stopped,
    }
}
