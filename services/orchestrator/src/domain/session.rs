//! What a worker that (re)connects is told about the attempts it has.

use std::collections::HashSet;
use std::time::Duration;

use titan_ids::TaskId;

pub(crate) type AttemptKey = (TaskId, i32);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResumePlan {
    /// The worker has them and still owns them.
    pub(crate) keep: Vec<AttemptKey>,
    /// It owns them but never got them, or lost them: to be delivered again with the same attempt.
    pub(crate) redeliver: Vec<AttemptKey>,
}

/// How long a worker acts on its own clock after a heartbeat that was answered. Its attempts are given away no sooner than the
/// grace after its stream broke; a tenth less leaves room for a clock that goes slower.
pub(crate) fn holds(lease: Duration, grace: Duration) -> Duration {
    lease.min(grace) * 9 / 10
}

/// `owned` by the tables, `running` by the worker's word; results it still holds (`unacknowledged`) are
/// settled before.
pub(crate) fn resume(owned: &[AttemptKey], running: &[AttemptKey], unacknowledged: &[AttemptKey]) -> ResumePlan {
    let has: HashSet<_> = running.iter().collect();
    let settled: HashSet<_> = unacknowledged.iter().collect();
    let (keep, missing): (Vec<_>, Vec<_>) = owned.iter().filter(|a| !settled.contains(a)).partition(|a| has.contains(a));
    ResumePlan { keep, redeliver: missing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_redelivered_and_dropped() {
        let ids: Vec<TaskId> = (0..4).map(|_| TaskId::generate()).collect();
        let owned = [(ids[0], 1), (ids[1], 2), (ids[2], 1)];
        let running = [(ids[0], 1), (ids[1], 1), (ids[3], 1)];
        let plan = resume(&owned, &running, &[(ids[2], 1)]);
        assert_eq!(plan.keep, [(ids[0], 1)]);
        assert_eq!(plan.redeliver, [(ids[1], 2)], "the stale attempt 1 is dropped, attempt 2 delivered");
    }
}
