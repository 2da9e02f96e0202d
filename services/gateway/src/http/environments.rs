//! Where versions run: deployed to an environment, promoted to another one, with variables of each.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use titan_error::{Error, Result};
use titan_git::Version;
use titan_identity::Principal;
use titan_proto::common::PageRequest;
use titan_proto::deployment::deployment_service_client::DeploymentServiceClient;
use titan_proto::deployment::{
    DeployRequest, DeploymentState, GetVariablesRequest, ListDeploymentsRequest, PlanRollBackRequest, RollBackPlan, RollBackRequest,
    Rollout, SetVariablesRequest, Strategy,
};
use titan_service::retrying;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::deployments::health;
use super::extract::{Body, Caller, Query};
use super::idempotent::downstream_key;
use super::operations::{self, OperationOut};
use super::page::time;
use super::versions::{VersionOut, commit, project_of};
use crate::app::App;

const VERSIONS_MOST: usize = 1_000;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeployIn {
    /// `dev`, `staging` or `production`.
    environment: String,
    /// A commit of `versions`, or the beginning of its id; the version that is, if not given.
    #[serde(default)]
    commit: String,
    /// `rolling` (if not given): as soon as it is healthy it has all requests. `blue-green`: and the version before it stays ready until it has
    /// proved itself. `canary`: it has a share of the requests until then; `gradual`: a share that grows four times. While it is tried out it fails, and the version before it has all
    /// requests again, when it is not well, fails more of them or takes clearly longer.
    #[serde(default)]
    strategy: String,
    /// Of canary and gradual: percent of the requests, at the beginning; 10 if not given.
    #[serde(default)]
    share: u32,
    /// Of all but rolling: for how many seconds it is tried out; 60 if not given.
    #[serde(default)]
    observe_s: u32,
}

/// How traffic comes to it.
fn rollout(strategy: &str, share: u32, observe_s: u32) -> Result<Rollout> {
    let strategy = match strategy {
        "" | "rolling" => Strategy::Rolling,
        "blue-green" => Strategy::BlueGreen,
        "canary" => Strategy::Canary,
        "gradual" => Strategy::Gradual,
        _ => return Err(Error::invalid("strategy", "must be rolling, blue-green, canary or gradual")),
    };
    Ok(Rollout { strategy: strategy.into(), share, observe_s })
}

/// Deploy a version of a project. Follow it at its location; what serves goes on until the new one is well.
#[utoipa::path(post, path = "/api/v1/projects/{project}/deployments", params(("project" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = DeployIn, responses((status = 202, body = OperationOut), (status = 404), (status = 412), (status = 422)))]
async fn deploy(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(project): Path<String>,
    headers: HeaderMap,
    Body(DeployIn { environment, commit: wanted, strategy, share, observe_s }): Body<DeployIn>,
) -> Result<Response> {
    let rollout = Some(rollout(&strategy, share, observe_s)?);
    let (id, slug) = project_of(&app, &who, &project).await?;
    let versions = app.repos.open(id).await?.versions(VERSIONS_MOST).await?;
    let version = if wanted.is_empty() {
        versions.first().ok_or_else(|| Error::precondition(format!("the project {project:?} has no version yet; give it a goal first")))?
    } else {
        let wanted = commit("commit", &wanted)?;
        let found = versions.iter().find(|version| version.commit.as_str().starts_with(wanted));
        found.ok_or_else(|| Error::not_found(format!("version {wanted} of {project:?}")))?
    };
    let request = DeployRequest {
        project_id: id.to_string(),
        project_slug: slug,
        environment,
        commit: version.commit.to_string(),
        rollout,
        ..Default::default()
    };
    begin(&app, &who, &headers, request).await
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PromoteIn {
    /// The environment whose version it is.
    from: String,
    /// Where it is to run too.
    to: String,
    /// As of a deployment.
    #[serde(default)]
    strategy: String,
    /// As of a deployment.
    #[serde(default)]
    share: u32,
    /// As of a deployment.
    #[serde(default)]
    observe_s: u32,
}

/// Deploy to one environment what another one runs: the same commit.
#[utoipa::path(post, path = "/api/v1/projects/{project}/promote", params(("project" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = PromoteIn, responses((status = 202, body = OperationOut), (status = 404), (status = 412), (status = 422)))]
async fn promote(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(project): Path<String>,
    headers: HeaderMap,
    Body(PromoteIn { from, to, strategy, share, observe_s }): Body<PromoteIn>,
) -> Result<Response> {
    if from == to {
        return Err(Error::invalid("to", "must be another environment"));
    }
    let (id, slug) = project_of(&app, &who, &project).await?;
    let page = Some(PageRequest { limit: 200, after: String::new() });
    let list = async || {
        let request = ListDeploymentsRequest { page: page.clone(), project_id: id.to_string(), state: DeploymentState::Running.into() };
        DeploymentServiceClient::new(app.deployment.clone()).list_deployments(app.signer.request(&who, request)?).await
    };
    let found = retrying(list).await?.deployments;
    let running = found.into_iter().find(|d| d.environment == from);
    let running = running.ok_or_else(|| Error::precondition(format!("nothing of {project:?} runs in {from:?}")))?;
    let request = DeployRequest {
        project_id: id.to_string(),
        project_slug: slug,
        environment: to,
        commit: running.commit,
        rollout: Some(rollout(&strategy, share, observe_s)?),
        ..Default::default()
    };
    begin(&app, &who, &headers, request).await
}

async fn begin(app: &App, who: &Principal, headers: &HeaderMap, request: DeployRequest) -> Result<Response> {
    let request = DeployRequest { idempotency_key: key(headers), ..request };
    let deploy = async || DeploymentServiceClient::new(app.deployment.clone()).deploy(app.signer.request(who, request.clone())?).await;
    let deployment = retrying(deploy).await?;
    operations::accepted(&deployment.id.clone(), OperationOut::of_deployment(deployment))
}

/// The caller's, or one that makes what we ask again ourselves happen once.
pub(super) fn key(headers: &HeaderMap) -> String {
    Some(downstream_key(headers)).filter(|key| !key.is_empty()).unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct RollBackIn {
    /// A commit that served the environment, or the beginning of its id; the one before what serves, if not given.
    to: String,
    /// As of a deployment.
    strategy: String,
    /// As of a deployment.
    share: u32,
    /// As of a deployment.
    observe_s: u32,
    /// Begins without approval, also where that is configured; needs a reason.
    emergency: bool,
    /// For the history; 500 characters at the most.
    reason: String,
}

/// Put back what served an environment before; the project's `main` stays. Follow it at its location: what cannot be fails, and what serves
/// goes on.
#[utoipa::path(post, path = "/api/v1/projects/{project}/environments/{environment}/rollback",
    params(("project" = String, Path), ("environment" = String, Path), ("Idempotency-Key" = Option<String>, Header)),
    request_body = RollBackIn, responses((status = 202, body = OperationOut), (status = 404), (status = 412), (status = 422)))]
async fn roll_back(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path((project, environment)): Path<(String, String)>,
    headers: HeaderMap,
    Body(RollBackIn { to, strategy, share, observe_s, emergency, reason }): Body<RollBackIn>,
) -> Result<Response> {
    let rollout = Some(rollout(&strategy, share, observe_s)?);
    let (id, project_slug) = project_of(&app, &who, &project).await?;
    let (project_id, commit, idempotency_key) = (id.to_string(), to, key(&headers));
    let request = RollBackRequest { project_id, project_slug, environment, commit, idempotency_key, rollout, emergency, reason };
    let back = async || DeploymentServiceClient::new(app.deployment.clone()).roll_back(app.signer.request(&who, request.clone())?).await;
    let deployment = retrying(back).await?;
    operations::accepted(&deployment.id.clone(), OperationOut::of_deployment(deployment))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct RollBackPlanIn {
    /// A commit that served the environment, or the beginning of its id; the one before what serves, if not given.
    #[serde(default)]
    to: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct RollBackPlanOut {
    /// The commit that serves.
    from: String,
    /// The one that would be put back.
    to: String,
    /// When that was deployed last.
    deployed_at: Option<String>,
    /// The data has another shape: requests wait while it is taken over, and the version is not tried out.
    data_changes: bool,
    /// Whether the data can go along, as rehearsed on a copy.
    possible: bool,
    /// What the rehearsal said.
    message: String,
    needs_approval: bool,
    /// Versions whose work would serve no longer, newest first.
    undone: Vec<VersionOut>,
    /// Versions whose work would serve again: when what serves was put back itself. Newest first.
    redone: Vec<VersionOut>,
    /// Deployments of the environment that do not serve yet; they are replaced when this one serves.
    under_way: Vec<String>,
    /// What comes to the version that serves, of the last five minutes; null when that is not known.
    requests_per_s: Option<f64>,
}

/// What came after `older`, with `newer`; nothing when they came the other way round.
fn between(versions: &[Version], newer: &str, older: &str) -> Vec<VersionOut> {
    let at = |commit: &str| versions.iter().position(|version| version.commit.as_str() == commit);
    let (Some(from), Some(to)) = (at(newer), at(older)) else { return Vec::new() };
    versions.get(from..to).unwrap_or_default().iter().cloned().map(VersionOut::from).collect()
}

/// What a way back would be, rehearsed on a copy of the data; changes nothing.
#[utoipa::path(get, path = "/api/v1/projects/{project}/environments/{environment}/rollback",
    params(("project" = String, Path), ("environment" = String, Path), RollBackPlanIn),
    responses((status = 200, body = RollBackPlanOut), (status = 404), (status = 412), (status = 422)))]
async fn plan_roll_back(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path((project, environment)): Path<(String, String)>,
    Query(RollBackPlanIn { to }): Query<RollBackPlanIn>,
) -> Result<Json<RollBackPlanOut>> {
    let (id, _) = project_of(&app, &who, &project).await?;
    let request = PlanRollBackRequest { project_id: id.to_string(), environment, commit: to };
    // Not asked again by itself: it may take long.
    let plan = DeploymentServiceClient::new(app.deployment.clone()).plan_roll_back(app.signer.request(&who, request)?).await?;
    let RollBackPlan { from, to, deployed_at, serving_id, data_changes, possible, message, needs_approval, under_way } = plan.into_inner();
    let status = health(&app, &who, vec![serving_id.clone()]).await.remove(&serving_id);
    let requests_per_s = status.and_then(|status| status.recent).map(|recent| recent.requests_per_s);
    let deployed_at = time(deployed_at);
    let versions = app.repos.open(id).await?.versions(VERSIONS_MOST).await?;
    let (undone, redone) = (between(&versions, &from, &to), between(&versions, &to, &from));
    Ok(Json(RollBackPlanOut {
        from,
        to,
        deployed_at,
        data_changes,
        possible,
        message,
        needs_approval,
        undone,
        redone,
        under_way,
        requests_per_s,
    }))
}

#[derive(Debug, Serialize, ToSchema)]
struct VariablesOut {
    variables: BTreeMap<String, String>,
}

/// What the apps of an environment find in theirs.
#[utoipa::path(get, path = "/api/v1/projects/{project}/environments/{environment}/variables", params(("project" = String, Path), ("environment" = String, Path)),
    responses((status = 200, body = VariablesOut), (status = 404), (status = 422)))]
async fn variables(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path((project, environment)): Path<(String, String)>,
) -> Result<Json<VariablesOut>> {
    let (id, _) = project_of(&app, &who, &project).await?;
    let get = async || {
        let request = GetVariablesRequest { project_id: id.to_string(), environment: environment.clone() };
        DeploymentServiceClient::new(app.deployment.clone()).get_variables(app.signer.request(&who, request)?).await
    };
    Ok(Json(VariablesOut { variables: retrying(get).await?.variables.into_iter().collect() }))
}

/// Change variables of an environment: null takes one away, what is not named stays. The next deployment has them.
#[utoipa::path(patch, path = "/api/v1/projects/{project}/environments/{environment}/variables", params(("project" = String, Path), ("environment" = String, Path)),
    request_body = BTreeMap<String, Option<String>>, responses((status = 200, body = VariablesOut), (status = 404), (status = 422)))]
async fn set_variables(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path((project, environment)): Path<(String, String)>,
    Body(given): Body<BTreeMap<String, Option<String>>>,
) -> Result<Json<VariablesOut>> {
    let (id, _) = project_of(&app, &who, &project).await?;
    let unset = given.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.clone()).collect();
    let set = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let request = SetVariablesRequest { project_id: id.to_string(), environment, set, unset };
    let change =
        async || DeploymentServiceClient::new(app.deployment.clone()).set_variables(app.signer.request(&who, request.clone())?).await;
    Ok(Json(VariablesOut { variables: retrying(change).await?.variables.into_iter().collect() }))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(deploy))
        .routes(routes!(promote))
        .routes(routes!(plan_roll_back, roll_back))
        .routes(routes!(variables, set_variables))
}
