//! The adapter: parse, authorise, convert, call the use case.

use std::sync::Arc;

use titan_identity::{Principal, authenticate};
use titan_proto::monitoring::monitoring_service_server::{MonitoringService, MonitoringServiceServer};
use titan_proto::monitoring::{BatchGetStatusRequest, BatchGetStatusResponse, TargetStatus};
use titan_proto::time::to_proto;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::app::App;
use crate::store::targets;

struct Api {
    app: Arc<App>,
}

pub(crate) fn routes(app: Arc<App>) -> Routes {
    let auth = authenticate(app.signer.clone());
    Routes::new(MonitoringServiceServer::with_interceptor(Api { app }, auth))
}

#[tonic::async_trait]
impl MonitoringService for Api {
    async fn batch_get_status(&self, request: Request<BatchGetStatusRequest>) -> Result<Response<BatchGetStatusResponse>, Status> {
        let who = Principal::of(&request)?;
        let statuses = self.app.statuses(&who, &request.get_ref().deployment_ids).await?;
        Ok(Response::new(BatchGetStatusResponse { statuses: statuses.into_iter().map(convert).collect() }))
    }
}

fn convert(status: targets::Status) -> TargetStatus {
    let targets::Status { deployment_id, url, up, uptime, latency_p50_ms, latency_p95_ms, probes, last_probe_at, last_error, interval_s } =
        status;
    TargetStatus {
        deployment_id: deployment_id.to_string(),
        url,
        up,
        uptime: uptime.unwrap_or_default(),
        latency_p50_ms: latency_p50_ms.unwrap_or_default(),
        latency_p95_ms: latency_p95_ms.unwrap_or_default(),
        probes: u64::try_from(probes).unwrap_or(0),
        last_probe_at: last_probe_at.map(to_proto),
        last_error,
        interval_s: u32::try_from(interval_s).unwrap_or(0),
    }
}
