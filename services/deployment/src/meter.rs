//! What passes through the proxy to each deployment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use titan_ids::DeploymentId;
use titan_proto::latency::{BUCKETS, bucket};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) requests: u64,
    /// Answered with 5xx, or not at all.
    pub(crate) errors: u64,
    pub(crate) latencies: [u64; BUCKETS],
}

impl Traffic {
    pub(crate) fn count(&mut self, took: Duration, failed: bool) {
        self.requests += 1;
        self.errors += u64::from(failed);
        self.latencies[bucket(took.as_secs_f64() * 1e3)] += 1;
    }
}

/// Since it was read last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Mutex<HashMap<DeploymentId, Traffic>>>);

impl Meter {
    pub(crate) fn count(&self, deployment: DeploymentId, took: Duration, failed: bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(deployment).or_default().count(took, failed);
    }

    pub(crate) fn take(&self) -> HashMap<DeploymentId, Traffic> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
