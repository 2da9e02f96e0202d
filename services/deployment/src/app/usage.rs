//! What the processes of apps use.

use std::collections::HashMap;
use std::fs::DirEntry;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use titan_error::{Error, Result};
use titan_ids::DeploymentId;
use titan_proto::latency::BUCKETS;
use titan_proto::monitoring::Usage;

use super::App;
use crate::provider::process::{self, Process};
use crate::reports::Usages;
use crate::store::deployments::{self, Row};

/// What each process had used when it was looked at last, and when that was.
pub(crate) type Seen = HashMap<DeploymentId, (Process, u64, Instant)>;

impl App {
    /// By the processes that this replica supervises, since they were looked at last.
    pub(crate) async fn usages(&self, seen: &mut Seen) -> Result<Usages> {
        let rows = deployments::with_processes(&self.db, &self.apps.host, &self.owner).await?;
        let running: Vec<(Row, Process, PathBuf)> = rows
            .into_iter()
            .filter_map(|row| {
                let (process, data) = (row.process()?, self.data_dir(&row));
                Some((row, process, data))
            })
            .collect();
        let looked_at = move || {
            let used = process::used(&running.iter().map(|(_, process, _)| *process).collect::<Vec<_>>());
            running
                .into_iter()
                .filter_map(|(row, process, data)| Some((row, process, *used.get(&process.pid)?, disk(&data))))
                .collect::<Vec<_>>()
        };
        let looked_at = tokio::task::spawn_blocking(looked_at).await.map_err(Error::internal)?;
        let (mut usages, mut now) = (Usages::new(), Seen::new());
        for (row, process, used, disk_bytes) in looked_at {
            // Of a process that is seen for the first time only what it uses from now on is known.
            if let Some((_, cpu_before, since)) = seen.get(&row.id).filter(|(before, ..)| *before == process) {
                usages.entry(row.org_id).or_default().push(Usage {
                    deployment_id: row.id.to_string(),
                    latencies: vec![0; BUCKETS],
                    cpu_ms: used.cpu_ms.saturating_sub(*cpu_before),
                    span_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
                    memory_bytes: used.memory_bytes,
                    disk_bytes,
                    ..Usage::default()
                });
            }
            now.insert(row.id, (process, used.cpu_ms, Instant::now()));
        }
        *seen = now;
        Ok(usages)
    }
}

/// What the files below use of the disk. What goes away meanwhile uses nothing.
fn disk(dir: &Path) -> u64 {
    let used = |entry: DirEntry| match entry.metadata() {
        Ok(of) if of.is_dir() => disk(&entry.path()),
        of => of.map_or(0, |of| of.blocks() * BLOCK),
    };
    std::fs::read_dir(dir).into_iter().flatten().flatten().map(used).sum()
}

/// What the system counts a file's blocks in.
const BLOCK: u64 = 512;
