//! What apps use, told to monitoring.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

use titan_error::Result;
use titan_ids::{DeploymentId, OrgId};
use titan_proto::monitoring::monitoring_service_client::MonitoringServiceClient;
use titan_proto::monitoring::{RecordUsageRequest, Usage};
use tonic::Code;

use super::App;
use crate::meter::Traffic;
use crate::provider::process::{self, Process};
use crate::store::deployments;

/// Deployments in a report.
const REPORT_MOST: usize = 1_000;

/// What was looked at last, and what is still to be told.
#[derive(Debug, Default)]
pub(crate) struct Meters {
    seen: HashMap<DeploymentId, (Process, u64, Instant)>,
    sequence: u64,
    /// Told again until it is taken; what happens meanwhile is counted for the next one.
    pending: VecDeque<(OrgId, RecordUsageRequest)>,
}

impl App {
    /// Tells monitoring what apps did since it was told last.
    pub(crate) async fn tell_usage(&self, meters: &mut Meters) -> Result<()> {
        if meters.pending.is_empty() {
            meters.pending = self.measure(meters).await?;
        }
        // In their order: one that comes after a later one is taken for one that came before.
        while let Some((org, report)) = meters.pending.front() {
            let request = self.signer.service_request(*org, report.clone())?;
            match MonitoringServiceClient::new(self.monitoring.clone()).record_usage(request).await {
                // It would be refused for ever, and keep the others back.
                Err(refused) if refused.code() == Code::InvalidArgument => {
                    tracing::error!(%org, %refused, "a report of what apps did is lost");
                }
                told => drop(told?),
            }
            meters.pending.pop_front();
        }
        Ok(())
    }

    /// A report for each organisation: of apps this replica supervises what their processes used, of all what passed through its proxy.
    async fn measure(&self, meters: &mut Meters) -> Result<VecDeque<(OrgId, RecordUsageRequest)>> {
        let served = deployments::served(&self.db, &self.apps.host, &self.owner).await?;
        let processes: Vec<Process> = served.iter().filter_map(|of| of.process()).collect();
        let used = tokio::task::spawn_blocking(move || process::used(&processes)).await.map_err(titan_error::Error::internal)?;
        let mut traffic = self.meter.take(&served.iter().map(|of| of.id).collect());
        let (mut usages, mut seen): (BTreeMap<OrgId, Vec<Usage>>, HashMap<_, _>) = (BTreeMap::new(), HashMap::new());
        for of in &served {
            let Traffic { requests, errors, latencies } = traffic.remove(&of.id).unwrap_or_default();
            let now = of.process().and_then(|process| Some((process, *used.get(&process.pid)?)));
            let (mut cpu_ms, mut span_ms, mut memory_bytes) = (0, 0, 0);
            if let Some((process, used)) = now {
                memory_bytes = used.memory_bytes;
                // Of a process that is seen for the first time only what it uses from now on is known.
                if let Some((_, cpu_before, since)) = meters.seen.get(&of.id).filter(|(before, ..)| *before == process) {
                    cpu_ms = used.cpu_ms.saturating_sub(*cpu_before);
                    span_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                }
                seen.insert(of.id, (process, used.cpu_ms, Instant::now()));
            }
            if requests + span_ms > 0 {
                let (deployment_id, latencies) = (of.id.to_string(), latencies.to_vec());
                usages.entry(of.org_id).or_default().push(Usage {
                    deployment_id,
                    requests,
                    errors,
                    latencies,
                    cpu_ms,
                    span_ms,
                    memory_bytes,
                });
            }
        }
        meters.seen = seen;
        let parts = usages.iter().flat_map(|(org, usages)| usages.chunks(REPORT_MOST).map(|part| (*org, part.to_vec())));
        let report = |(org, usages)| {
            meters.sequence += 1;
            (org, RecordUsageRequest { source: self.owner.clone(), sequence: meters.sequence, usages })
        };
        Ok(parts.map(report).collect())
    }
}
