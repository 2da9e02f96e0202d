//! The state machine of a task. Readiness (dependencies, `run_after`) is separate from the board column.

use std::time::Duration;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(crate) enum TaskState {
    Inbox,
    Assigned,
    InProgress,
    Review,
    Done,
    Blocked,
    Failed,
    Cancelled,
}

/// What a transition depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub(crate) state: TaskState,
    pub(crate) attempt: i32,
    pub(crate) failures: i32,
    pub(crate) losses: i32,
    pub(crate) rejections: i32,
    pub(crate) max_attempts: i32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    Claim,
    Start {
        attempt: i32,
    },
    Complete {
        attempt: i32,
    },
    Fail {
        attempt: i32,
        last: bool,
        backoff: Backoff,
    },
    /// The verdict of a gate: the work this task judges goes back.
    Reject {
        attempt: i32,
    },
    /// The attempt ended without a word: its worker is gone or its deadline passed.
    Lose {
        attempt: i32,
    },
    /// The fix that a rejection waited for is done.
    Unblock,
    Cancel,
    /// Its own deadline passed, whatever it was doing.
    Expire,
    /// Its owner gives it to somebody else; nothing is held against it.
    HandOff {
        attempt: i32,
    },
    /// By hand: everything counted against it is forgotten.
    Retry,
}

/// How long to wait before the next attempt: doubled with each failure, up to a most.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Backoff {
    pub(crate) base: Duration,
    pub(crate) most: Duration,
    /// The share of the pause that is drawn by lot: 1 is full jitter, 0 none.
    pub(crate) jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: Duration::from_millis(500), most: Duration::from_secs(60), jitter: 1.0 }
    }
}

impl Backoff {
    /// `lot` is drawn evenly from 0 to 1.
    fn pause(&self, failures: i32, lot: f64) -> Duration {
        let doublings = u32::try_from(failures - 1).unwrap_or(0).min(16);
        (self.base * 2_u32.pow(doublings)).min(self.most).mul_f64(1.0 - self.jitter * (1.0 - lot))
    }
}

/// What becomes of a task when one it depends on ends without being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub(crate) enum OnFailure {
    Fail,
    Skip,
    Run,
}

/// What people do to many tasks at once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Action {
    Cancel,
    /// So many a second; 0: at once.
    Retry {
        per_second: f64,
        /// So many were by the calls before this one.
        already: u32,
    },
    /// Failed tasks leave the list of dead letters.
    Discard,
    Prioritise(i32),
}

/// How a task ended, for those that depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    Failed,
    /// It was not needed, because of how what it depends on ended.
    Skipped,
}

/// What the end of a parent does to a task that depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consequence {
    /// One thing less to wait for.
    Counts,
    Cancelled,
    Skipped,
}

impl OnFailure {
    pub(crate) fn consequence(self, parent: End) -> Consequence {
        match (parent, self) {
            (End::Done, _) | (_, Self::Run) => Consequence::Counts,
            (End::Failed, Self::Fail) => Consequence::Cancelled,
            (End::Skipped, Self::Fail) | (_, Self::Skip) => Consequence::Skipped,
        }
    }
}

/// The next version of the task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transition {
    pub(crate) task: Task,
    /// Wait this long before the next claim.
    pub(crate) retry_after: Option<Duration>,
    /// It was handed off before it began, and keeps its permit and its tokens: nothing was done for them.
    pub(crate) admitted: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Illegal {
    #[error("attempt {given} is stale: the task is at attempt {current}")]
    Stale { given: i32, current: i32 },
    #[error("not possible in state {from:?}")]
    State { from: TaskState },
}

/// A task that takes its worker down with it must not take down all of them.
const MOST_LOSSES: i32 = 10;
/// A fix that does not convince twice will not convince the third time.
const MOST_REJECTIONS: i32 = 2;

impl TaskState {
    pub(crate) fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
    /// Those in which an agent has it.
    pub(crate) const OWNED: [Self; 2] = [Self::Assigned, Self::InProgress];
    pub(crate) fn is_owned(self) -> bool {
        Self::OWNED.contains(&self)
    }
}

impl Task {
    /// Decides; writes nothing. `lot` is drawn evenly from 0 to 1 by the caller.
    pub(crate) fn transition(&self, command: Command, lot: f64) -> Result<Transition, Illegal> {
        self.check_fence(command)?;
        let mut task = *self;
        let mut retry_after = None;
        task.state = match (command, self.state) {
            (Command::Claim, TaskState::Inbox) => {
                task.attempt += 1;
                TaskState::Assigned
            }
            (Command::Start { .. }, TaskState::Assigned) => TaskState::InProgress,
            (Command::Complete { .. }, s) if s.is_owned() => TaskState::Done,
            (Command::Fail { last, backoff, .. }, s) if s.is_owned() => {
                task.failures += 1;
                if last || task.failures >= self.max_attempts {
                    TaskState::Failed
                } else {
                    retry_after = Some(backoff.pause(task.failures, lot));
                    TaskState::Inbox
                }
            }
            (Command::Reject { .. }, s) if s.is_owned() => {
                task.rejections += 1;
                if task.rejections > MOST_REJECTIONS { TaskState::Failed } else { TaskState::Blocked }
            }
            (Command::Lose { .. }, s) if s.is_owned() => {
                task.losses += 1;
                if task.losses >= MOST_LOSSES { TaskState::Failed } else { TaskState::Inbox }
            }
            (Command::Unblock, TaskState::Blocked) => TaskState::Inbox,
            (Command::Cancel, s) if !s.is_terminal() => TaskState::Cancelled,
            (Command::Expire, s) if !s.is_terminal() => TaskState::Failed,
            (Command::HandOff { .. }, s) if s.is_owned() => TaskState::Inbox,
            (Command::Retry, TaskState::Failed | TaskState::Cancelled) => {
                (task.failures, task.losses, task.rejections) = (0, 0, 0);
                TaskState::Inbox
            }
            (_, from) => return Err(Illegal::State { from }),
        };
        let admitted = matches!(command, Command::HandOff { .. }) && self.state == TaskState::Assigned;
        Ok(Transition { task, retry_after, admitted })
    }

    fn check_fence(&self, command: Command) -> Result<(), Illegal> {
        match command {
            Command::Start { attempt }
            | Command::Complete { attempt }
            | Command::Fail { attempt, .. }
            | Command::Reject { attempt }
            | Command::Lose { attempt }
            | Command::HandOff { attempt }
                if attempt != self.attempt =>
            {
                Err(Illegal::Stale { given: attempt, current: self.attempt })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn new() -> Task {
        Task { state: TaskState::Inbox, attempt: 0, failures: 0, losses: 0, rejections: 0, max_attempts: 3 }
    }

    fn any_command() -> impl Strategy<Value = Command> {
        let attempt = 0..6_i32;
        prop_oneof![
            Just(Command::Claim),
            attempt.clone().prop_map(|attempt| Command::Start { attempt }),
            attempt.clone().prop_map(|attempt| Command::Complete { attempt }),
            (attempt.clone(), any::<bool>()).prop_map(|(attempt, last)| Command::Fail { attempt, last, backoff: Backoff::default() }),
            attempt.clone().prop_map(|attempt| Command::Reject { attempt }),
            attempt.clone().prop_map(|attempt| Command::Lose { attempt }),
            attempt.prop_map(|attempt| Command::HandOff { attempt }),
            Just(Command::Unblock),
            Just(Command::Cancel),
            Just(Command::Expire),
            Just(Command::Retry),
        ]
    }

    proptest! {
        #[test]
        fn the_fence_only_rises_and_what_is_terminal_stays(commands in prop::collection::vec(any_command(), 0..60)) {
            let mut task = new();
            for command in commands {
                let Ok(next) = task.transition(command, 0.5) else { continue };
                let by_hand = matches!(command, Command::Retry) && task.state != TaskState::Done;
                prop_assert!(!task.state.is_terminal() || by_hand, "left {:?} by {command:?}", task.state);
                let claimed = matches!(command, Command::Claim);
                prop_assert_eq!(next.task.attempt, task.attempt + i32::from(claimed));
                prop_assert!(next.task.failures <= task.max_attempts);
                task = next.task;
            }
        }

        #[test]
        fn a_stale_attempt_changes_nothing(owned in any::<bool>(), given in 0..5_i32) {
            let state = if owned { TaskState::InProgress } else { TaskState::Done };
            let task = Task { state, attempt: 5, ..new() };
            let stale = Err(Illegal::Stale { given, current: 5 });
            prop_assert_eq!(task.transition(Command::Complete { attempt: given }, 0.0).map(|_| ()), stale);
        }
    }

    #[test]
    fn every_attempt_failing_ends_in_failed() {
        let mut task = new();
        for attempt in 1..=3 {
            task = task.transition(Command::Claim, 0.0).unwrap().task;
            let failed = task.transition(Command::Fail { attempt, last: false, backoff: Backoff::default() }, 1.0).unwrap();
            assert_eq!(failed.retry_after.is_some(), attempt < 3);
            task = failed.task;
        }
        assert_eq!(task.state, TaskState::Failed);
    }

    #[test]
    fn rejection_blocks_twice_then_fails() {
        let mut task = new();
        for state in [TaskState::Blocked, TaskState::Blocked, TaskState::Failed] {
            task = task.transition(Command::Claim, 0.0).unwrap().task;
            task = task.transition(Command::Reject { attempt: task.attempt }, 0.0).unwrap().task;
            assert_eq!(task.state, state);
            task = task.transition(Command::Unblock, 0.0).map_or(task, |t| t.task);
        }
    }

    #[test]
    fn a_pause_doubles_up_to_the_most_and_only_its_jitter_is_drawn() {
        let backoff = Backoff { base: Duration::from_secs(1), most: Duration::from_secs(5), jitter: 0.5 };
        let pauses: Vec<_> = (1..=4).map(|failures| backoff.pause(failures, 1.0).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 5]);
        assert_eq!(backoff.pause(4, 0.0), Duration::from_millis(2_500));
    }

    #[test]
    fn each_policy_has_its_consequence() {
        let of = |parent| [OnFailure::Fail, OnFailure::Skip, OnFailure::Run].map(|policy| policy.consequence(parent));
        assert_eq!(of(End::Done), [Consequence::Counts; 3]);
        assert_eq!(of(End::Failed), [Consequence::Cancelled, Consequence::Skipped, Consequence::Counts]);
        assert_eq!(of(End::Skipped), [Consequence::Skipped, Consequence::Skipped, Consequence::Counts]);
    }
}
