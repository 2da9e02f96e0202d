//! What passes through the proxy to each deployment.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

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

    fn count(&mut self, took: Duration, failed: bool) {
        self.requests += 1;
        self.errors += u64::from(failed);
        self.latencies[bucket(took.as_secs_f64() * 1e3)] += 1;
    }
}

/// A request on its way. Whoever gives it up without an answer has waited in vain, or has not waited.
#[derive(Debug)]
pub(crate) struct Asked {
    meter: Meter,
    deployment: DeploymentId,
    began: Instant,
    answered: bool,
}

/// Who leaves sooner may have had another reason.
const IN_VAIN: Duration = Duration::from_secs(1);

impl Asked {
    pub(crate) fn answered(mut self, failed: bool) {
        self.answered = true;
        self.meter.count(self.deployment, self.began.elapsed(), failed);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.answered && self.began.elapsed() >= IN_VAIN {
            self.meter.count(self.deployment, self.began.elapsed(), true);
        }
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

    pub(crate) fn ask(&self, deployment: DeploymentId) -> Asked {
        Asked { meter: self.clone(), deployment, began: Instant::now(), answered: false }
    }

    fn count(&self, deployment: DeploymentId, took: Duration, failed: bool) {
        let mut counted = self.counted();
        let counted = counted.entry(deployment).or_default();
        counted.all.count(took, failed);
        counted.untold.count(took, failed);
    }

    pub(crate) fn of(&self, deployment: DeploymentId) -> Traffic {
        self.counted().get(&deployment).map(|counted| counted.all).unwrap_or_default()
    }

    /// What was not taken before, of those that are `kept`; others are forgotten once it was taken.
    pub(crate) fn take(&self, kept: &HashSet<DeploymentId>) -> HashMap<DeploymentId, Traffic> {
        let mut counted = self.counted();
        counted.retain(|id, counted| kept.contains(id) || counted.untold.requests > 0);
        counted.iter_mut().filter(|(id, _)| kept.contains(id)).map(|(id, counted)| (*id, std::mem::take(&mut counted.untold))).collect()
    }
}
