use std::collections::BTreeMap;

use serde_json::{Value, json};
use titan_error::{Error, Result};
use titan_proto::orchestrator::SubmitTasksRequest;
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_templates::Understanding;

use crate::playbook::Playbook;
use crate::runs::{Attempt, Worker};

/// What is planned, and by which playbook.
pub(crate) struct Plan<'a> {
    pub(crate) playbook: &'a str,
    /// Where it is deployed at last, and before that.
    pub(crate) environment: &'a str,
    pub(crate) before: &'a [String],
    pub(crate) understanding: &'a Understanding,
    /// The sentence, where it changes what is there.
    pub(crate) change: Option<&'a str>,
}

const SENTENCE_SHOWN: usize = 120;

/// Keyed: submits the playbook's graph under the step's key.
pub(crate) async fn run(worker: &Worker, attempt: &Attempt, seq: usize, plan: &Plan<'_>) -> Result<Value> {
    let Plan { playbook, environment, before, understanding, change } = *plan;
    let playbook = Playbook::load(playbook).map_err(|e| Error::invalid("playbook", format!("{e:#}")))?;
    let variables = BTreeMap::from([
        ("resource", understanding.things()),
        ("kind", understanding.kind.to_string()),
        ("sentence", change.unwrap_or_default().chars().take(SENTENCE_SHOWN).collect()),
    ]);
    let input = json!({ "understanding": understanding, "environment": environment, "change": change });
    let tasks = playbook
        .tasks(&variables, &input, &[before, &[environment.to_owned()]].concat())
        .map_err(|e| Error::invalid("playbook", format!("{e:#}")))?;
    let request = SubmitTasksRequest {
        project: attempt.project.to_string(),
        tasks,
        idempotency_key: attempt.effect_key(seq),
        goal_id: attempt.goal.map(|g| g.to_string()).unwrap_or_default(),
        attempt_credential: attempt.credential.clone(),
    };
    let request = worker.signer().service_request(attempt.org, request)?;
    let submitted = TaskServiceClient::new(worker.orchestrator.clone()).submit_tasks(request).await?.into_inner();
    let tasks: Vec<_> = submitted.tasks.into_iter().map(|t| json!({ "id": t.id, "kind": t.kind, "title": t.title })).collect();
    Ok(json!({ "tasks": tasks }))
}
