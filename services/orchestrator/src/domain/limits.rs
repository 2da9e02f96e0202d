//! Which tasks may be ready, by the limits they are under. A task is given a permit of its concurrency key and a token of
//! each of its rate keys, or it waits for the first one that has none left.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use titan_ids::TaskId;

use super::task::TaskState;

/// Why a task in the inbox that waits for nothing is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Its goal is paused.
    Paused,
    /// Its time has not come.
    Later,
    /// The limit with this key.
    Limit(String),
}

const PAUSED: &str = "paused";
const LATER: &str = "later";

impl Held {
    /// Keys hold a slash, so that they are neither of the other two.
    pub(crate) fn parse(text: &str) -> Self {
        match text {
            PAUSED => Self::Paused,
            LATER => Self::Later,
            key => Self::Limit(key.to_owned()),
        }
    }
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Paused => PAUSED,
            Self::Later => LATER,
            Self::Limit(key) => key,
        }
    }
}

/// Where a task stands when it comes (back) to the inbox.
pub(crate) fn held(paused: bool, later: bool, mut keys: impl Iterator<Item = String>) -> Option<Held> {
    if paused {
        Some(Held::Paused)
    } else if later {
        Some(Held::Later)
    } else {
        keys.next().map(Held::Limit)
    }
}

/// Whether a task in this place has a permit of its concurrency key.
pub(crate) fn has_permit(state: TaskState, held: Option<&Held>) -> bool {
    state.is_owned() || state == TaskState::Review || (state == TaskState::Inbox && held.is_none())
}

/// The counter of a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) most: i32,
    /// Permits given and not given back.
    pub(crate) taken: i32,
    pub(crate) bucket: Option<Bucket>,
}

/// `most` tokens, refilled evenly within the period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) period_ms: i64,
    pub(crate) tokens: f64,
    pub(crate) refilled_at: DateTime<Utc>,
}

impl Limit {
    fn has_room(&self) -> bool {
        self.bucket.map_or(self.taken < self.most, |bucket| bucket.tokens >= 1.0)
    }
    fn take(&mut self) {
        match &mut self.bucket {
            Some(bucket) => bucket.tokens -= 1.0,
            None => self.taken += 1,
        }
    }
    /// A clock that went back refills nothing.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a period")]
    pub(crate) fn refill(&mut self, now: DateTime<Utc>) {
        let Some(bucket) = &mut self.bucket else { return };
        let passed = (now - bucket.refilled_at).num_milliseconds().max(0) as f64;
        bucket.tokens = (bucket.tokens + passed * f64::from(self.most) / bucket.period_ms as f64).min(f64::from(self.most));
        bucket.refilled_at = bucket.refilled_at.max(now);
    }
}

/// A task that waits for a limit, with all of its keys.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) id: TaskId,
    /// Of its keys, the one it waits for.
    pub(crate) held: String,
    pub(crate) keys: Vec<String>,
}

/// Decides on `waiting`, in their order, and takes from `limits` what is given. None: the task is ready now. A task with a key
/// that is not among `limits` is left out.
pub(crate) fn admit(limits: &mut BTreeMap<String, Limit>, waiting: &[Waiting]) -> Vec<(TaskId, Option<Held>)> {
    let mut decided = Vec::with_capacity(waiting.len());
    for task in waiting {
        if !task.keys.iter().all(|key| limits.contains_key(key)) {
            continue;
        }
        let full = task.keys.iter().find(|key| limits.get(*key).is_some_and(|limit| !limit.has_room()));
        if full.is_none() {
            for key in &task.keys {
                if let Some(limit) = limits.get_mut(key) {
                    limit.take();
                }
            }
        }
        decided.push((task.id, full.cloned().map(Held::Limit)));
    }
    decided
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(millis).unwrap()
    }
    fn permits(most: i32) -> Limit {
        Limit { most, taken: 0, bucket: None }
    }
    fn waiting(keys: &[&str]) -> Waiting {
        Waiting { id: TaskId::generate(), held: keys[0].to_owned(), keys: keys.iter().map(|k| (*k).to_owned()).collect() }
    }

    #[test]
    fn a_task_takes_of_all_its_keys_or_of_none() {
        let mut limits = BTreeMap::from([("c/a".to_owned(), permits(2)), ("c/b".to_owned(), permits(1))]);
        let tasks = [waiting(&["c/a", "c/b"]), waiting(&["c/a", "c/b"]), waiting(&["c/a"]), waiting(&["c/a"])];
        let decided: Vec<_> = admit(&mut limits, &tasks).into_iter().map(|(_, held)| held).collect();
        let held = |key: &str| Some(Held::Limit(key.to_owned()));
        assert_eq!(decided, [None, held("c/b"), None, held("c/a")]);
        assert_eq!((limits["c/a"].taken, limits["c/b"].taken), (2, 1));
    }

    #[test]
    fn a_bucket_refills_evenly_and_not_above_its_size() {
        let mut limit = Limit { most: 10, taken: 0, bucket: Some(Bucket { period_ms: 1_000, tokens: 0.0, refilled_at: at(0) }) };
        limit.refill(at(250));
        assert_eq!(limit.bucket.unwrap().tokens, 2.5);
        limit.refill(at(100));
        assert_eq!(limit.bucket.unwrap().tokens, 2.5, "a clock that went back");
        limit.refill(at(60_000));
        assert_eq!(limit.bucket.unwrap().tokens, 10.0);
    }

    proptest! {
        #[test]
        fn no_limit_is_exceeded(most in prop::collection::vec(1..4_i32, 3), tasks in prop::collection::vec(prop::collection::btree_set(0..3_usize, 1..3), 0..40)) {
            let key = |i: usize| format!("c/{i}");
            let mut limits: BTreeMap<_, _> = most.iter().enumerate().map(|(i, most)| (key(i), permits(*most))).collect();
            let tasks: Vec<_> = tasks.iter().map(|keys| Waiting { id: TaskId::generate(), held: String::new(), keys: keys.iter().map(|i| key(*i)).collect() }).collect();
            let decided = admit(&mut limits, &tasks);
            for (i, most) in most.iter().enumerate() {
                let taken = tasks.iter().zip(&decided).filter(|(t, (_, held))| held.is_none() && t.keys.contains(&key(i))).count();
                prop_assert!(taken <= *most as usize);
                prop_assert_eq!(limits[&key(i)].taken as usize, taken);
            }
        }
    }
}
