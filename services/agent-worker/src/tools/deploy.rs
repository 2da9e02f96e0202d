use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use titan_error::Result;
use titan_proto::deployment::deployment_service_client::DeploymentServiceClient;
use titan_proto::deployment::{DeployRequest, Deployment, DeploymentState, GetDeploymentRequest};
use titan_proto::monitoring::BatchGetStatusRequest;
use titan_proto::monitoring::monitoring_service_client::MonitoringServiceClient;

use crate::runs::{Attempt, Worker};

/// A deployment as its task sees it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Deployed {
    pub(crate) deployment: String,
    pub(crate) state: String,
    pub(crate) url: String,
    pub(crate) error: String,
}

const POLL: Duration = Duration::from_millis(200);
/// The task is done without it: monitoring being away is no reason to fail a running app.
const WATCHED_WITHIN: Duration = Duration::from_secs(10);

/// Keyed: the same step starts the same deployment.
pub(crate) async fn start(worker: &Worker, attempt: &Attempt, seq: usize, environment: &str, commit: &str) -> Result<Value> {
    let request = DeployRequest {
        project_id: attempt.project.to_string(),
        project_slug: attempt.project_slug.clone(),
        environment: environment.to_owned(),
        commit: commit.to_owned(),
        idempotency_key: attempt.effect_key(seq),
        attempt_credential: attempt.credential.clone(),
        rollout: None,
    };
    let request = worker.signer().service_request(attempt.org, request)?;
    let deployment = DeploymentServiceClient::new(worker.deployment.clone()).deploy(request).await?.into_inner();
    super::outcome(&deployed(deployment))
}

/// Pure: looks until it is decided.
pub(crate) async fn await_healthy(worker: &Worker, attempt: &Attempt, id: &str) -> Result<Value> {
    let mut client = DeploymentServiceClient::new(worker.deployment.clone());
    loop {
        let request = worker.signer().service_request(attempt.org, GetDeploymentRequest { id: id.to_owned() })?;
        let deployment = client.get_deployment(request).await?.into_inner();
        let decided = [DeploymentState::Running, DeploymentState::Failed, DeploymentState::Replaced, DeploymentState::Stopped];
        if decided.contains(&deployment.state()) {
            return super::outcome(&deployed(deployment));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Pure: looks until monitoring has probed it once.
pub(crate) async fn await_watched(worker: &Worker, attempt: &Attempt, id: &str) -> Result<Value> {
    let looking = async {
        let mut client = MonitoringServiceClient::new(worker.monitoring.clone());
        loop {
            let request = BatchGetStatusRequest { deployment_ids: vec![id.to_owned()] };
            let answer = client.batch_get_status(worker.signer().service_request(attempt.org, request)?).await;
            if let Ok(answer) = answer
                && let Some(status) = answer.into_inner().statuses.into_iter().find(|s| s.up.is_some())
            {
                return Ok::<_, titan_error::Error>(status.up);
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let up = tokio::time::timeout(WATCHED_WITHIN, looking).await.ok().transpose()?.flatten();
    let mut outcome =
        super::outcome(&Deployed { deployment: id.to_owned(), state: String::new(), url: String::new(), error: String::new() })?;
    outcome["watched"] = json!(up);
    Ok(outcome)
}

fn deployed(deployment: Deployment) -> Deployed {
    let state = deployment.state().as_str_name().trim_start_matches("DEPLOYMENT_STATE_").to_lowercase();
    let Deployment { id, url, error, .. } = deployment;
    Deployed { deployment: id, state, url, error }
}
