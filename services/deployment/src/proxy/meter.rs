//! What passes through the proxy to each deployment.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;
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
    /// Bytes of the bodies of requests, and of answers.
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Traffic {
    fn count(&mut self, took: Duration, failed: bool) {
        self.requests += 1;
        self.errors += u64::from(failed);
        self.latencies[bucket(took.as_secs_f64() * 1e3)] += 1;
    }

    /// What came after it was `before`.
    fn since(mut self, before: &Self) -> Self {
        self.requests -= before.requests;
        self.errors -= before.errors;
        self.latencies.iter_mut().zip(before.latencies).for_each(|(now, before)| *now -= before);
        self.received -= before.received;
        self.sent -= before.sent;
        self
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

/// The bytes of one request and of its answer, counted when both have passed or were given up.
pub(crate) struct Passed {
    meter: Meter,
    org: OrgId,
    deployment: DeploymentId,
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
}

impl Drop for Passed {
    fn drop(&mut self) {
        let (received, sent) = (*self.received.get_mut(), *self.sent.get_mut());
        if received + sent > 0 {
            self.meter.add(self.org, self.deployment, |traffic| {
                traffic.received += received;
                traffic.sent += sent;
            });
        }
    }
}

#[derive(Debug)]
struct Counted {
    org: OrgId,
    all: Traffic,
    /// What monitoring has not been told yet.
    untold: Traffic,
    /// What is tried out beside it, and what had come to this one before that.
    beside: Option<(DeploymentId, Traffic)>,
}

impl Counted {
    fn new(org: OrgId) -> Self {
        Self { org, all: Traffic::default(), untold: Traffic::default(), beside: None }
    }
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

    pub(crate) fn pass(&self, org: OrgId, deployment: DeploymentId) -> Passed {
        Passed { meter: self.clone(), org, deployment, received: AtomicU64::new(0), sent: AtomicU64::new(0) }
    }

    fn count(&self, org: OrgId, deployment: DeploymentId, took: Duration, failed: bool) {
        self.add(org, deployment, |traffic| traffic.count(took, failed));
    }

    fn add(&self, org: OrgId, deployment: DeploymentId, add: impl Fn(&mut Traffic)) {
        let mut counted = self.counted();
        let counted = counted.entry(deployment).or_insert_with(|| Counted::new(org));
        add(&mut counted.all);
        add(&mut counted.untold);
    }

    /// What comes to it from now on is compared with what comes to `other`, which is tried out beside it.
    pub(crate) fn try_out(&self, org: OrgId, deployment: DeploymentId, other: DeploymentId) {
        let mut counted = self.counted();
        let counted = counted.entry(deployment).or_insert_with(|| Counted::new(org));
        if counted.beside.is_none_or(|(beside, _)| beside != other) {
            counted.beside = Some((other, counted.all));
        }
    }

    /// What came to it since `other` was tried out beside it.
    pub(crate) fn beside(&self, deployment: DeploymentId, other: DeploymentId) -> Traffic {
        let counted = self.counted();
        let of = counted.get(&deployment).and_then(|of| Some((of, of.beside.filter(|(beside, _)| *beside == other)?)));
        of.map(|(of, (_, before))| of.all.since(&before)).unwrap_or_default()
    }

    pub(crate) fn of(&self, deployment: DeploymentId) -> Traffic {
        self.counted().get(&deployment).map(|counted| counted.all).unwrap_or_default()
    }

    /// What was not taken before; those that are not `kept` are forgotten once it was taken.
    pub(crate) fn take(&self, kept: &HashSet<DeploymentId>) -> Vec<(OrgId, DeploymentId, Traffic)> {
        let mut counted = self.counted();
        let untold = |counted: &Counted| counted.untold != Traffic::default();
        counted.retain(|id, counted| kept.contains(id) || untold(counted));
        let untold = counted.iter_mut().filter(|(_, counted)| untold(counted));
        untold.map(|(id, counted)| (counted.org, *id, std::mem::take(&mut counted.untold))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_since_something_was_tried_out_is_told_apart() {
        let (meter, org) = (Meter::default(), OrgId::DEFAULT);
        let (serving, new, newer) = (DeploymentId::generate(), DeploymentId::generate(), DeploymentId::generate());
        let ms = Duration::from_millis;
        meter.count(org, serving, ms(1), true);
        assert_eq!(meter.beside(serving, new), Traffic::default(), "nothing is tried out");
        meter.try_out(org, serving, new);
        meter.count(org, serving, ms(4), false);
        meter.try_out(org, serving, new);
        let beside = meter.beside(serving, new);
        assert_eq!((beside.requests, beside.errors, beside.latencies.iter().sum::<u64>()), (1, 0, 1));
        meter.try_out(org, serving, newer);
        assert_eq!((meter.beside(serving, newer).requests, meter.beside(serving, new).requests, meter.of(serving).requests), (0, 0, 2));
    }

    #[test]
    fn bytes_are_counted_when_they_have_passed() {
        let (meter, deployment) = (Meter::default(), DeploymentId::generate());
        let passed = meter.pass(OrgId::DEFAULT, deployment);
        passed.received.store(7, std::sync::atomic::Ordering::Relaxed);
        assert!(meter.take(&HashSet::new()).is_empty());
        drop(passed);
        let told = meter.take(&HashSet::new());
        assert_eq!(told.iter().map(|(.., traffic)| (traffic.requests, traffic.received, traffic.sent)).collect::<Vec<_>>(), [(0, 7, 0)]);
        assert!(meter.take(&HashSet::new()).is_empty(), "told once");
    }
}
