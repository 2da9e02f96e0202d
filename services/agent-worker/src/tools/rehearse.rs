use serde::{Deserialize, Serialize};
use serde_json::Value;
use titan_error::Result;
use titan_proto::deployment::RehearseRequest;
use titan_proto::deployment::deployment_service_client::DeploymentServiceClient;

use crate::runs::{Attempt, Worker};

/// What came of starting the new version on a copy of the data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rehearsed {
    /// The data can go along.
    pub(crate) possible: bool,
    /// What was found, or what was in the way.
    pub(crate) message: String,
}

/// Pure: of the environment's data only a copy is touched.
pub(crate) async fn run(worker: &Worker, attempt: &Attempt, environment: &str, commit: &str) -> Result<Value> {
    let request = RehearseRequest {
        project_id: attempt.project.to_string(),
        environment: environment.to_owned(),
        commit: commit.to_owned(),
        attempt_credential: attempt.credential.clone(),
    };
    let request = worker.signer().service_request(attempt.org, request)?;
    let answer = DeploymentServiceClient::new(worker.deployment.clone()).rehearse(request).await?.into_inner();
    super::outcome(&Rehearsed { possible: answer.possible, message: answer.message })
}
