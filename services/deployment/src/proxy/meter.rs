//! What passes through the proxy to each deployment.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use titan_ids::{DeploymentId, OrgId};
use titan_proto::latency::{BUCKETS, bucket};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) requests: u64,
    /// Answered with 5xx, or not at all.
    pub(crate) errors: u64,
    pub(crate) latencies: [u64; BUCKETS],
}

impl Traffic {
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
    org: OrgId,
    deployment: DeploymentId,
    began: Instant,
    answered: bool,
}

/// Who leaves sooner may have had another reason.
const IN_VAIN: Duration = Duration::from_secs(1);

impl Asked {
    pub(crate) fn answered(mut self, failed: bool) {
        self.answered = true;
        self.meter.count(self.org, self.deployment, self.began.elapsed(), failed);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.answered && self.began.elapsed() >= IN_VAIN {
            self.meter.count(self.org, self.deployment, self.began.elapsed(), true);
        }
    }
}

#[derive(Debug)]
struct Counted {
    org: OrgId,
    all: Traffic,
    /// What monitoring has not been told yet.
    untold: Traffic,
}

/// Since the proxy's start.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<Mutex<HashMap<DeploymentId, Counted>>>);

impl Meter {
    fn counted(&self) -> MutexGuard<'_, HashMap<DeploymentId, Counted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ask(&self, org: OrgId, deployment: DeploymentId) -> Asked {
        Asked { meter: self.clone(), org, deployment, began: Instant::now(), answered: false }
    }

    fn count(&self, org: OrgId, deployment: DeploymentId, took: Duration, failed: bool) {
        let mut counted = self.counted();
        let counted = counted.entry(deployment).or_insert_with(|| Counted { org, all: Traffic::default(), untold: Traffic::default() });
        counted.all.count(took, failed);
        counted.untold.count(took, failed);
    }

    pub(crate) fn of(&self, deployment: DeploymentId) -> Traffic {
        self.counted().get(&deployment).map(|counted| counted.all).unwrap_or_default()
    }

    /// What was not taken before; those that are not `kept` are forgotten once it was taken.
    pub(crate) fn take(&self, kept: &HashSet<DeploymentId>) -> Vec<(OrgId, DeploymentId, Traffic)> {
        let mut counted = self.counted();
        counted.retain(|id, counted| kept.contains(id) || counted.untold.requests > 0);
        let untold = counted.iter_mut().filter(|(_, counted)| counted.untold.requests > 0);
        untold.map(|(id, counted)| (counted.org, *id, std::mem::take(&mut counted.untold))).collect()
    }
}
