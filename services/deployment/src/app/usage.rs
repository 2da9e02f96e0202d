//! What the processes of apps use.

use std::collections::HashMap;
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
        let look = move || {
            let used = process::used(&running.iter().map(|(_, process, _)| *process).collect::<Vec<_>>());
            let at = Instant::now();
            // Versions of one environment share their data.
            let mut disks: HashMap<PathBuf, u64> = HashMap::new();
            let mut looked_at = Vec::new();
            for (row, process, data) in running {
                if let Some(used) = used.get(&process.pid) {
                    let disk_bytes = *disks.entry(data).or_insert_with_key(|data| disk(data));
                    looked_at.push((row, process, *used, disk_bytes));
                }
            }
            (at, looked_at)
        };
        let (at, looked_at) = tokio::task::spawn_blocking(look).await.map_err(Error::internal)?;
        let (mut usages, mut now) = (Usages::new(), Seen::new());
        for (row, process, used, disk_bytes) in looked_at {
            // Of a process that is seen for the first time only what it uses from now on is known.
            if let Some((_, cpu_before, since)) = seen.get(&row.id).filter(|(before, ..)| *before == process) {
                usages.entry(row.org_id).or_default().push(Usage {
                    deployment_id: row.id.to_string(),
                    latencies: vec![0; BUCKETS],
                    cpu_ms: used.cpu_ms.saturating_sub(*cpu_before),
                    span_ms: u64::try_from(at.duration_since(*since).as_millis()).unwrap_or(u64::MAX),
                    memory_bytes: used.memory_bytes,
                    disk_bytes,
                    ..Usage::default()
                });
            }
            now.insert(row.id, (process, used.cpu_ms, at));
        }
        *seen = now;
        Ok(usages)
    }
}

/// What the files below use of the disk. What goes away meanwhile uses nothing.
pub(super) fn disk(dir: &Path) -> u64 {
    // The app says how deep it goes.
    let (mut bytes, mut next) = (0, vec![dir.to_owned()]);
    while let Some(dir) = next.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(of) if of.is_dir() => next.push(entry.path()),
                of => bytes += of.map_or(0, |of| of.blocks() * BLOCK),
            }
        }
    }
    bytes
}

/// What the system counts a file's blocks in.
const BLOCK: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deep_is_counted_and_what_is_linked_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut deep = dir.path().to_owned();
        deep.extend(std::iter::repeat_n("d", 1_000));
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("file"), vec![1; 100_000]).unwrap();
        std::os::unix::fs::symlink("/usr", dir.path().join("link")).unwrap();
        let bytes = disk(dir.path());
        assert!((100_000..200_000).contains(&bytes), "{bytes}");
        assert_eq!(disk(&dir.path().join("nothing")), 0);
    }
}
