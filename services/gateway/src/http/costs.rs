//! What a project's apps cost.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use titan_error::{Error, Result};
use titan_proto::common::PageRequest;
use titan_proto::deployment::deployment_service_client::DeploymentServiceClient;
use titan_proto::deployment::{DeploymentState, ListDeploymentsRequest};
use titan_proto::monitoring::Cost;
use titan_service::retrying;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::deployments::{health, state_name};
use super::extract::Caller;
use super::versions::project_of;
use crate::app::App;

const MONTH_HOURS: f64 = 730.0;
/// Of a span that is shorter nothing is said of a month.
const HOURS_LEAST: f64 = 1.0;
/// Hours stand for themselves: of a day there are 22 whole ones at the least.
const DAY_HOURS: f64 = 22.0;

/// In the currency of the prices.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CostOut {
    processor: f64,
    memory: f64,
    disk: f64,
    /// Of what was sent.
    network: f64,
    total: f64,
    /// A month of the same; null while too little was seen.
    month: Option<f64>,
}

impl CostOut {
    /// Of so many hours.
    pub(super) fn new(cost: Cost, hours: f64) -> Self {
        let Cost { processor, memory, disk, network } = cost;
        let total = processor + memory + disk + network;
        Self { processor, memory, disk, network, total, month: (hours >= HOURS_LEAST).then(|| total / hours * MONTH_HOURS) }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct CostsOut {
    currency: String,
    /// What ran in the last 24 hours, newest first.
    items: Vec<CostsOfOut>,
    /// All of them together, in the last 24 hours.
    total: f64,
    /// A month of what runs now; of what too little was seen of, nothing.
    month: f64,
    /// Deployments that run and of which monitoring knows nothing yet.
    unknown: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct CostsOfOut {
    deployment: String,
    environment: String,
    state: String,
    /// How much of the last 24 hours it was looked at.
    hours: f64,
    requests: u64,
    /// Of that time; versions of one environment share its disk, and each has it while it runs.
    cost: CostOut,
    /// What could be spared, where that can be seen.
    advice: String,
}

/// What a project's apps cost in the last 24 hours, and those that run would in a month.
#[utoipa::path(get, path = "/api/v1/projects/{project}/costs", params(("project" = String, Path)),
    responses((status = 200, body = CostsOut), (status = 404), (status = 412), (status = 503)))]
async fn costs(State(app): State<Arc<App>>, Caller(who): Caller, Path(project): Path<String>) -> Result<Json<CostsOut>> {
    let (id, _) = project_of(&app, &who, &project).await?;
    let list = async || {
        let page = Some(PageRequest { limit: 200, after: String::new() });
        let request = ListDeploymentsRequest { page, project_id: id.to_string(), state: DeploymentState::Unspecified.into() };
        DeploymentServiceClient::new(app.deployment.clone()).list_deployments(app.signer.request(&who, request)?).await
    };
    let deployments = retrying(list).await?.deployments;
    let mut seen = health(&app, &who, deployments.iter().map(|d| d.id.clone()).collect()).await;
    if seen.is_empty() && deployments.iter().any(|d| d.state() == DeploymentState::Running) {
        return Err(Error::unavailable("monitoring does not answer, or has not seen what runs yet; try again"));
    }
    let mut all = CostsOut { currency: String::new(), items: Vec::new(), total: 0.0, month: 0.0, unknown: Vec::new() };
    for deployment in deployments {
        let runs = deployment.state() == DeploymentState::Running;
        let Some(status) = seen.remove(&deployment.id) else {
            all.unknown.extend(runs.then_some(deployment.id));
            continue;
        };
        if status.currency.is_empty() {
            return Err(Error::precondition("nobody has set prices: `prices` in the settings of the monitoring service"));
        }
        let day = status.day.unwrap_or_default();
        if day.hours == 0.0 && day.requests == 0 {
            continue; // it ended before
        }
        let cost = CostOut::new(day.cost.unwrap_or_default(), day.hours);
        all.currency = status.currency;
        all.total += cost.total;
        all.month += cost.month.filter(|_| runs).unwrap_or(0.0);
        let idle = runs && day.requests == 0 && day.hours > DAY_HOURS;
        let advice = if idle { format!("nobody asked it anything for a day: `titan stop {}`", deployment.id) } else { String::new() };
        let (state, hours, requests) = (state_name(deployment.state()), day.hours, day.requests);
        all.items.push(CostsOfOut { deployment: deployment.id, environment: deployment.environment, state, hours, requests, cost, advice });
    }
    Ok(Json(all))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(costs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_foretold_of_what_was_seen_long_enough() {
        let cost = Cost { processor: 1.0, memory: 0.5, disk: 0.25, network: 0.25 };
        let day = CostOut::new(cost, 20.0);
        assert!((day.total - 2.0).abs() < 1e-9 && day.month.is_some_and(|month| (month - 73.0).abs() < 1e-9), "{day:?}");
        assert_eq!(CostOut::new(cost, 0.9).month, None);
    }
}
