//! What apps did and used, told to monitoring.

use std::collections::{BTreeMap, VecDeque};

use titan_error::Result;
use titan_identity::Signer;
use titan_ids::OrgId;
use titan_proto::monitoring::monitoring_service_client::MonitoringServiceClient;
use titan_proto::monitoring::{RecordUsageRequest, Usage};
use tonic::Code;
use tonic::transport::Channel;
use uuid::Uuid;

/// By the organisations whose apps they are.
pub(crate) type Usages = BTreeMap<OrgId, Vec<Usage>>;

/// Deployments in a report.
const REPORT_MOST: usize = 1_000;

pub(crate) struct Reports {
    monitoring: Channel,
    signer: Signer,
    /// This process, from its start to its end.
    source: Uuid,
    sequence: u64,
    /// Told again until it is taken; what happens meanwhile is counted for the next one.
    pending: VecDeque<(OrgId, RecordUsageRequest)>,
}

impl Reports {
    pub(crate) fn to(monitoring: Channel, signer: Signer) -> Self {
        Self { monitoring, signer, source: Uuid::new_v4(), sequence: 0, pending: VecDeque::new() }
    }

    /// Tells what is pending, or else what there is to tell now.
    pub(crate) async fn tell(&mut self, measure: &mut impl AsyncFnMut() -> Result<Usages>) -> Result<()> {
        if self.pending.is_empty() {
            let usages = measure().await?;
            let parts = usages.iter().flat_map(|(org, usages)| usages.chunks(REPORT_MOST).map(|part| (*org, part.to_vec())));
            for (org, usages) in parts {
                self.sequence += 1;
                self.pending.push_back((org, RecordUsageRequest { source: self.source.to_string(), sequence: self.sequence, usages }));
            }
        }
        // In their order: one that comes after a later one is taken for one that came before.
        while let Some((org, report)) = self.pending.front() {
            let request = self.signer.service_request(*org, report.clone())?;
            match MonitoringServiceClient::new(self.monitoring.clone()).record_usage(request).await {
                // It would be refused for ever, and keep the others back.
                Err(refused) if refused.code() == Code::InvalidArgument => {
                    tracing::error!(%org, %refused, "a report of what apps did is lost");
                }
                told => drop(told?),
            }
            self.pending.pop_front();
        }
        Ok(())
    }
}
