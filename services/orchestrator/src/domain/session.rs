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
    use proptest::prelude::*;

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

    fn attempts(ids: &[TaskId], of: &[(usize, i32)]) -> Vec<AttemptKey> {
        of.iter().map(|(n, attempt)| (ids[*n], *attempt)).collect::<HashSet<_>>().into_iter().collect()
    }

    proptest! {
        #[test]
        fn whatever_a_worker_says_it_ends_up_with_what_it_owns_and_nothing_else(
            owned in prop::collection::vec((0..6usize, 1..3i32), 0..8),
            running in prop::collection::vec((0..6usize, 1..3i32), 0..8),
            held in prop::collection::vec((0..6usize, 1..3i32), 0..8),
        ) {
            let ids: Vec<TaskId> = (0..6).map(|_| TaskId::generate()).collect();
            let [owned, running, held] = [owned, running, held].map(|of| attempts(&ids, &of));
            let plan = resume(&owned, &running, &held);
            let set = |of: &[AttemptKey]| of.iter().copied().collect::<HashSet<_>>();
            let (keep, redeliver) = (set(&plan.keep), set(&plan.redeliver));
            prop_assert!(keep.is_disjoint(&redeliver), "nothing is delivered that runs");
            prop_assert!(keep.is_subset(&set(&running)));
            let left: HashSet<_> = set(&owned).difference(&set(&held)).copied().collect();
            prop_assert_eq!(keep.union(&redeliver).copied().collect::<HashSet<_>>(), left, "each that is its own and not ended");
        }

        #[test]
        fn a_worker_stops_before_its_attempts_are_given_away(lease in 1_000..600_000u64, grace in 1_000..600_000u64, slow in 0..100u64) {
            let hold = holds(Duration::from_millis(lease), Duration::from_millis(grace));
            // By a clock that goes up to a tenth slower.
            let really = hold * 1_000 / u32::try_from(1_000 - slow).unwrap();
            prop_assert!(really <= Duration::from_millis(lease.min(grace)));
        }
    }
}
