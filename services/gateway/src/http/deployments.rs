use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_proto::deployment::deployment_service_client::DeploymentServiceClient;
use titan_proto::deployment::{
    self as proto, DecideDeploymentRequest, DeploymentState, GetDeploymentRequest, GetLogsRequest, ListDeploymentsRequest,
};
use titan_proto::monitoring::monitoring_service_client::MonitoringServiceClient;
use titan_proto::monitoring::{BatchGetStatusRequest, Hour, ListHoursRequest, ListHoursResponse, TargetStatus, Traffic};
use titan_proto::orchestrator::GetProjectRequest;
use titan_service::retrying;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::costs::CostOut;
use super::extract::{Body, Caller, Query};
use super::interventions::ActIn;
use super::page::{PageIn, PageOut, short, time};
use crate::app::App;

#[derive(Debug, Serialize, ToSchema)]
struct DeploymentOut {
    id: String,
    project_id: String,
    project: String,
    environment: String,
    provider: String,
    commit: String,
    /// `pending`, `awaiting_approval`, `starting`, `tried_out`, `running`, `failed`, `replaced` or `stopped`.
    state: String,
    /// `rolling`, `blue-green`, `canary` or `gradual`.
    strategy: String,
    /// Of the requests, in percent, while it is tried out.
    share: u32,
    /// For how many seconds it is tried out.
    observe_s: u32,
    /// The commit that served when this version was put back; empty: it is no way back.
    back_from: String,
    /// The backup whose data it brings; empty: it brings none.
    restores: String,
    url: String,
    error: String,
    restarts: i32,
    created_at: Option<String>,
    finished_at: Option<String>,
    /// Oldest first; only when one deployment is asked for.
    history: Vec<ChangeOut>,
    /// Absent while monitoring does not know it, or does not answer.
    health: Option<HealthOut>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ChangeOut {
    at: Option<String>,
    to: String,
    reason: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct HealthOut {
    /// Absent until the first probe.
    up: Option<bool>,
    /// Share of probes that succeeded in the last 24 hours, 0 to 1.
    uptime: f64,
    /// Milliseconds, over the same time.
    latency_p50_ms: f64,
    latency_p95_ms: f64,
    probes: u64,
    last_probe_at: Option<String>,
    last_error: String,
    interval_s: u32,
    /// Of the last five minutes, without probes.
    recent: TrafficOut,
    /// Of the last 24 hours.
    day: TrafficOut,
    /// Of the costs; empty where nobody has set prices.
    currency: String,
}

/// Of a span of time.
#[derive(Debug, Default, Serialize, ToSchema)]
struct TrafficOut {
    requests: u64,
    /// Of them, those answered with 5xx or not at all.
    errors: u64,
    requests_per_s: f64,
    /// Share of the requests, 0 to 1.
    error_rate: f64,
    /// Milliseconds to the answer's head; null without requests.
    latency_p50_ms: Option<f64>,
    latency_p95_ms: Option<f64>,
    /// Processors used, on average.
    cpu_cores: f64,
    /// Resident, the most at a time.
    memory_bytes: u64,
    /// Kept in files, the most at a time.
    disk_bytes: u64,
    /// Bodies of requests, and of answers.
    received_bytes: u64,
    sent_bytes: u64,
    /// For how much of it the app's processes were looked at.
    hours: f64,
    /// What that cost; null where nobody has set prices (`prices` of the monitoring service).
    cost: Option<CostOut>,
}

impl From<Option<Traffic>> for TrafficOut {
    fn from(traffic: Option<Traffic>) -> Self {
        let Traffic {
            requests,
            errors,
            requests_per_s,
            error_rate,
            latency_p50_ms,
            latency_p95_ms,
            cpu_cores,
            memory_bytes,
            disk_bytes,
            received_bytes,
            sent_bytes,
            hours,
            cost,
        } = traffic.unwrap_or_default();
        Self {
            requests,
            errors,
            requests_per_s,
            error_rate,
            latency_p50_ms,
            latency_p95_ms,
            cpu_cores,
            memory_bytes,
            disk_bytes,
            received_bytes,
            sent_bytes,
            hours,
            cost: cost.map(|cost| CostOut::new(cost, hours)),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct HourOut {
    begins_at: Option<String>,
    probes: u64,
    /// Share of them that succeeded.
    uptime: f64,
    traffic: TrafficOut,
}

impl From<TargetStatus> for HealthOut {
    fn from(status: TargetStatus) -> Self {
        let TargetStatus {
            deployment_id: _,
            url: _,
            up,
            uptime,
            latency_p50_ms,
            latency_p95_ms,
            probes,
            last_probe_at,
            last_error,
            interval_s,
            recent,
            day,
            currency,
        } = status;
        let (last_probe_at, recent, day) = (time(last_probe_at), recent.into(), day.into());
        Self { up, uptime, latency_p50_ms, latency_p95_ms, probes, last_probe_at, last_error, interval_s, recent, day, currency }
    }
}

pub(super) fn state_name(state: DeploymentState) -> String {
    short(state.as_str_name(), "DEPLOYMENT_STATE_")
}

fn out(deployment: proto::Deployment, health: Option<TargetStatus>) -> DeploymentOut {
    let state = state_name(deployment.state());
    let proto::Deployment {
        id,
        project_id,
        project_slug,
        environment,
        provider,
        commit,
        state: _,
        url,
        error,
        created_at,
        finished_at,
        restarts,
        history,
        rollout,
        back_from,
        restores,
    } = deployment;
    let rollout = rollout.unwrap_or_default();
    let change = |c: proto::DeploymentChange| ChangeOut { to: state_name(c.to()), at: time(c.at), reason: c.reason };
    DeploymentOut {
        id,
        project_id,
        project: project_slug,
        environment,
        provider,
        commit,
        state,
        strategy: short(rollout.strategy().as_str_name(), "STRATEGY_").replace('_', "-"),
        share: rollout.share,
        observe_s: rollout.observe_s,
        url,
        error,
        restarts,
        created_at: time(created_at),
        finished_at: time(finished_at),
        history: history.into_iter().map(change).collect(),
        back_from,
        restores,
        health: health.map(HealthOut::from),
    }
}

/// How monitoring sees them; nothing when it does not answer, for that must not hide the deployments.
pub(super) async fn health(app: &App, who: &Principal, ids: Vec<String>) -> HashMap<String, TargetStatus> {
    let Ok(request) = app.signer.request(who, BatchGetStatusRequest { deployment_ids: ids }) else { return HashMap::new() };
    match MonitoringServiceClient::new(app.monitoring.clone()).batch_get_status(request).await {
        Ok(answer) => answer.into_inner().statuses.into_iter().map(|s| (s.deployment_id.clone(), s)).collect(),
        Err(error) => {
            tracing::warn!(%error, "deployments are shown without their health");
            HashMap::new()
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct DeploymentsFilter {
    /// Id or slug.
    #[serde(default)]
    project: String,
    /// `pending`, `awaiting_approval`, `starting`, `tried_out`, `running`, `failed`, `replaced` or `stopped`; any if not given.
    #[serde(default)]
    state: String,
}

/// Deployments with their health and traffic.
#[utoipa::path(get, path = "/api/v1/deployments", params(PageIn, DeploymentsFilter), responses((status = 200, body = PageOut<DeploymentOut>), (status = 422)))]
async fn list(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Query(page): Query<PageIn>,
    Query(filter): Query<DeploymentsFilter>,
) -> Result<Json<PageOut<DeploymentOut>>> {
    let project_id = if filter.project.is_empty() {
        String::new()
    } else {
        let get = async || {
            app.project_service().get_project(app.signer.request(&who, GetProjectRequest { project: filter.project.clone() })?).await
        };
        retrying(get).await?.id
    };
    let state = match &*filter.state {
        "" => DeploymentState::Unspecified,
        state => DeploymentState::from_str_name(&format!("DEPLOYMENT_STATE_{}", state.to_uppercase())).ok_or_else(|| {
            Error::invalid("state", "must be one of pending, awaiting_approval, starting, tried_out, running, failed, replaced and stopped")
        })?,
    };
    let request = ListDeploymentsRequest { page: page.request(), project_id, state: state.into() };
    let list =
        async || DeploymentServiceClient::new(app.deployment.clone()).list_deployments(app.signer.request(&who, request.clone())?).await;
    let found = retrying(list).await?;
    let ids = found.deployments.iter().map(|d| d.id.clone()).collect();
    let health = health(&app, &who, ids).await;
    Ok(Json(PageOut::new(found.deployments, found.page, |d| {
        let status = health.get(&d.id).cloned();
        out(d, status)
    })))
}

/// One deployment with its history and health.
#[utoipa::path(get, path = "/api/v1/deployments/{id}", params(("id" = String, Path)), responses((status = 200, body = DeploymentOut), (status = 404), (status = 422)))]
async fn get(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<DeploymentOut>> {
    let get = async || {
        DeploymentServiceClient::new(app.deployment.clone())
            .get_deployment(app.signer.request(&who, GetDeploymentRequest { id: id.clone() })?)
            .await
    };
    let deployment = retrying(get).await?;
    let mut health = health(&app, &who, vec![deployment.id.clone()]).await;
    let status = health.remove(&deployment.id);
    Ok(Json(out(deployment, status)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct HoursIn {
    /// How many, up to now: 1 to 744; 24 if not given.
    #[serde(default)]
    hours: u32,
}

#[derive(Debug, Serialize, ToSchema)]
struct HoursOut {
    /// Oldest first; those in which nothing was seen are left out.
    hours: Vec<HourOut>,
    /// Of the costs; empty where nobody has set prices.
    currency: String,
}

/// Uptime, traffic and use of resources, hour by hour.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/hours", params(("id" = String, Path), HoursIn), responses((status = 200, body = HoursOut), (status = 404), (status = 422)))]
async fn hours(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Query(HoursIn { hours }): Query<HoursIn>,
) -> Result<Json<HoursOut>> {
    let get = async || {
        DeploymentServiceClient::new(app.deployment.clone())
            .get_deployment(app.signer.request(&who, GetDeploymentRequest { id: id.clone() })?)
            .await
    };
    retrying(get).await?;
    let list = async || {
        let request = ListHoursRequest { deployment_id: id.clone(), hours };
        MonitoringServiceClient::new(app.monitoring.clone()).list_hours(app.signer.request(&who, request)?).await
    };
    let hour =
        |Hour { begins_at, probes, uptime, traffic }| HourOut { begins_at: time(begins_at), probes, uptime, traffic: traffic.into() };
    let ListHoursResponse { hours, currency } = retrying(list).await?;
    Ok(Json(HoursOut { hours: hours.into_iter().map(hour).collect(), currency }))
}

/// Approve a deployment that waits for it: it begins.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/approve", params(("id" = String, Path)), request_body = ActIn,
    responses((status = 200, body = DeploymentOut), (status = 404), (status = 412), (status = 422)))]
async fn approve(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Body(ActIn { reason }): Body<ActIn>,
) -> Result<Json<DeploymentOut>> {
    decide(&app, &who, DecideDeploymentRequest { id, approved: true, reason }).await
}

/// Reject a deployment that waits for approval: it never begins.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/reject", params(("id" = String, Path)), request_body = ActIn,
    responses((status = 200, body = DeploymentOut), (status = 404), (status = 412), (status = 422)))]
async fn reject(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Body(ActIn { reason }): Body<ActIn>,
) -> Result<Json<DeploymentOut>> {
    decide(&app, &who, DecideDeploymentRequest { id, approved: false, reason }).await
}

async fn decide(app: &App, who: &Principal, request: DecideDeploymentRequest) -> Result<Json<DeploymentOut>> {
    let request = app.signer.request(who, request)?;
    Ok(Json(out(DeploymentServiceClient::new(app.deployment.clone()).decide_deployment(request).await?.into_inner(), None)))
}

/// Stop a deployment: its app ends and its URL goes away.
#[utoipa::path(post, path = "/api/v1/deployments/{id}/stop", params(("id" = String, Path)), responses((status = 200, body = DeploymentOut), (status = 404), (status = 422)))]
async fn stop(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<DeploymentOut>> {
    let stop = async || {
        DeploymentServiceClient::new(app.deployment.clone())
            .stop_deployment(app.signer.request(&who, GetDeploymentRequest { id: id.clone() })?)
            .await
    };
    Ok(Json(out(retrying(stop).await?, None)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LogsIn {
    /// Lines from the end; 100 if not given, 5,000 at the most.
    #[serde(default)]
    lines: u32,
}

#[derive(Debug, Serialize, ToSchema)]
struct LogsOut {
    lines: Vec<String>,
}

/// What the app printed.
#[utoipa::path(get, path = "/api/v1/deployments/{id}/logs", params(("id" = String, Path), LogsIn), responses((status = 200, body = LogsOut), (status = 404), (status = 422)))]
async fn logs(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Query(LogsIn { lines }): Query<LogsIn>,
) -> Result<Json<LogsOut>> {
    let logs = async || {
        DeploymentServiceClient::new(app.deployment.clone())
            .get_logs(app.signer.request(&who, GetLogsRequest { id: id.clone(), lines })?)
            .await
    };
    Ok(Json(LogsOut { lines: retrying(logs).await?.lines }))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get))
        .routes(routes!(stop))
        .routes(routes!(logs))
        .routes(routes!(hours))
        .routes(routes!(approve))
        .routes(routes!(reject))
}
