//! What the processes of apps use.

use std::collections::HashMap;
use std::time::Instant;

use titan_error::{Error, Result};
use titan_ids::DeploymentId;
use titan_proto::latency::BUCKETS;
use titan_proto::monitoring::Usage;

use super::App;
use crate::provider::process::{self, Process};
use crate::reports::Usages;
use crate::store::deployments;

/// What each process had used when it was looked at last, and when that was.
pub(crate) type Seen = HashMap<DeploymentId, (Process, u64, Instant)>;

impl App {
    /// By the processes that this replica supervises, since they were looked at last.
    pub(crate) async fn usages(&self, seen: &mut Seen) -> Result<Usages> {
        let processes = deployments::processes(&self.db, &self.apps.host, &self.owner).await?;
        let looked_at: Vec<Process> = processes.iter().map(|(.., process)| *process).collect();
        let used = tokio::task::spawn_blocking(move || process::used(&looked_at)).await.map_err(Error::internal)?;
        let (mut usages, mut now) = (Usages::new(), Seen::new());
        for (org, id, process) in processes {
            let Some(used) = used.get(&process.pid) else { continue };
            // Of a process that is seen for the first time only what it uses from now on is known.
            if let Some((_, cpu_before, since)) = seen.get(&id).filter(|(before, ..)| *before == process) {
                usages.entry(org).or_default().push(Usage {
                    deployment_id: id.to_string(),
                    latencies: vec![0; BUCKETS],
                    cpu_ms: used.cpu_ms.saturating_sub(*cpu_before),
                    span_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
                    memory_bytes: used.memory_bytes,
                    ..Usage::default()
                });
            }
            now.insert(id, (process, used.cpu_ms, Instant::now()));
        }
        *seen = now;
        Ok(usages)
    }
}
