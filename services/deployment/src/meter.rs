//! What passes through the proxy to each deployment.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use titan_ids::DeploymentId;
use titan_proto::latency::{BUCKETS, bucket, quantile_ms};

use crate::domain::rollout::Did;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) requests: u64,
    /// Answered with 5xx, or not at all.
    pub(crate) errors: u64,
    pub(crate) latencies: [u64; BUCKETS],
}

impl Traffic {
    pub(crate) fn did(&self) -> Did {
        Did { requests: self.requests, errors: self.errors, p95_ms: quantile_ms(&self.latencies, 0.95) }
    }

    pub(crate) fn count(&mut self, took: Duration, failed: bool) {
        self.requests += 1;
        self.errors += u64::from(failed);
        self.latencies[bucket(took.as_secs_f64() * 1e3)] += 1;
    }
}

#[derive(Debug, Default)]
struct Counted {
    all: Traffic,
    /// What monitoring has not been told yet.
    untold: Traffic,
}

/// Of this replica's proxy, since its start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Mutex<HashMap<DeploymentId, Counted>>>);

impl Meter {
    fn counted(&self) -> MutexGuard<'_, HashMap<DeploymentId, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, deployment: DeploymentId, took: Duration, failed: bool) {
        let mut counted = self.counted();
        let counted = counted.entry(deployment).or_default();
        counted.all.count(took, failed);
        counted.untold.count(took, failed);
    }

    pub(crate) fn of(&self, deployment: DeploymentId) -> Traffic {
        self.counted().get(&deployment).map(|counted| counted.all).unwrap_or_default()
    }

    /// What was not taken before; what is not among `kept` is forgotten.
    pub(crate) fn take(&self, kept: &HashSet<DeploymentId>) -> HashMap<DeploymentId, Traffic> {
        let mut counted = self.counted();
        counted.retain(|id, _| kept.contains(id));
        counted.iter_mut().map(|(id, counted)| (*id, std::mem::take(&mut counted.untold))).collect()
    }
}
