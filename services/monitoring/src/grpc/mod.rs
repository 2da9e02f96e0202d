//! The adapter: parse, authorise, convert, call the use case.

use std::sync::Arc;

use titan_error::Error;
use titan_identity::{Principal, authenticate};
use titan_ids::DeploymentId;
use titan_proto::latency::BUCKETS;
use titan_proto::monitoring::monitoring_service_server::{MonitoringService, MonitoringServiceServer};
use titan_proto::monitoring::{
    self as proto, BatchGetStatusRequest, BatchGetStatusResponse, ListHoursRequest, ListHoursResponse, RecordUsageRequest,
    RecordUsageResponse, TargetStatus, Traffic,
};
use titan_proto::time::to_proto;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use crate::app::{App, traffic};
use crate::config::Prices;
use crate::store::targets;
use crate::store::usage::{Hour, Usage};

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
        let currency = self.currency();
        let statuses = statuses.into_iter().map(|status| convert(status, currency.clone()));
        Ok(Response::new(BatchGetStatusResponse { statuses: statuses.collect() }))
    }

    async fn list_hours(&self, request: Request<ListHoursRequest>) -> Result<Response<ListHoursResponse>, Status> {
        let who = Principal::of(&request)?;
        let ListHoursRequest { deployment_id, hours } = request.into_inner();
        let hours = self.app.hours(&who, id("deployment_id", &deployment_id)?, hours).await?;
        let prices = self.app.prices.as_ref();
        Ok(Response::new(ListHoursResponse { hours: hours.iter().map(|of| hour(of, prices)).collect(), currency: self.currency() }))
    }

    async fn record_usage(&self, request: Request<RecordUsageRequest>) -> Result<Response<RecordUsageResponse>, Status> {
        let who = Principal::of(&request)?;
        let RecordUsageRequest { source, sequence, usages } = request.into_inner();
        let source = source.parse().map_err(|_| Error::invalid("source", "must be a UUID"))?;
        let usages = usages.into_iter().enumerate().map(|(i, of)| usage(i, of)).collect::<titan_error::Result<Vec<_>>>()?;
        self.app.record_usage(&who, source, sequence, &usages).await?;
        Ok(Response::new(RecordUsageResponse {}))
    }
}

impl Api {
    fn currency(&self) -> String {
        self.app.prices.as_ref().map(|prices| prices.currency.clone()).unwrap_or_default()
    }
}

fn id(field: &str, text: &str) -> titan_error::Result<DeploymentId> {
    text.parse().map_err(|e: titan_ids::ParseIdError| Error::invalid(field, e.to_string()))
}

fn usage(i: usize, given: proto::Usage) -> titan_error::Result<Usage> {
    let proto::Usage { deployment_id, requests, errors, latencies, cpu_ms, span_ms, memory_bytes, disk_bytes, received_bytes, sent_bytes } =
        given;
    let field = |name: &str| format!("usages[{i}].{name}");
    if latencies.len() != BUCKETS {
        return Err(Error::invalid(field("latencies"), format!("must be {BUCKETS} counts")));
    }
    let count = |name: &str, n: u64| i64::try_from(n).map_err(|_| Error::invalid(field(name), "is too large"));
    Ok(Usage {
        deployment: id(&field("deployment_id"), &deployment_id)?.uuid(),
        requests: count("requests", requests)?,
        errors: count("errors", errors)?,
        latencies: latencies.into_iter().map(|n| count("latencies", n)).collect::<titan_error::Result<_>>()?,
        cpu_ms: count("cpu_ms", cpu_ms)?,
        span_ms: count("span_ms", span_ms)?,
        memory_bytes: count("memory_bytes", memory_bytes)?,
        disk_bytes: count("disk_bytes", disk_bytes)?,
        received_bytes: count("received_bytes", received_bytes)?,
        sent_bytes: count("sent_bytes", sent_bytes)?,
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of probes")]
fn hour(hour: &Hour, prices: Option<&Prices>) -> proto::Hour {
    proto::Hour {
        begins_at: Some(to_proto(hour.begins_at)),
        probes: u64::try_from(hour.probes).unwrap_or(0),
        uptime: if hour.probes > 0 { hour.up as f64 / hour.probes as f64 } else { 0.0 },
        traffic: Some(traffic(&hour.counted, prices)),
    }
}

fn convert((status, recent, day): (targets::Status, Traffic, Traffic), currency: String) -> TargetStatus {
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
        recent: Some(recent),
        day: Some(day),
        currency,
    }
}
