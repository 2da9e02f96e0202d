//! What a task may use, and what its attempts have used.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Usage {
    pub(crate) tokens: u64,
    pub(crate) usd_micros: u64,
    pub(crate) steps: u64,
}

/// What all attempts of a task together may use; what is none has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Budget {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) usd_micros: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) steps: Option<u64>,
}

/// Attempts say what they used since they were given, so that a report that comes twice counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spent {
    /// By the attempts before it.
    before: Usage,
    attempt: i32,
    now: Usage,
}

impl Usage {
    fn with(self, other: Self, how: fn(u64, u64) -> u64) -> Self {
        Self {
            tokens: how(self.tokens, other.tokens),
            usd_micros: how(self.usd_micros, other.usd_micros),
            steps: how(self.steps, other.steps),
        }
    }
}

impl Spent {
    pub(crate) fn total(&self) -> Usage {
        self.before.with(self.now, u64::saturating_add)
    }

    /// With what this attempt says that it has used so far; never less than it said before.
    pub(crate) fn report(self, attempt: i32, used: Usage) -> Self {
        if attempt == self.attempt {
            return Self { now: self.now.with(used, u64::max), ..self };
        }
        Self { before: self.total(), attempt, now: used }
    }
}

impl Budget {
    pub(crate) fn is_limited(&self) -> bool {
        *self != Self::default()
    }

    /// What is left of it.
    pub(crate) fn left(&self, spent: Usage) -> Self {
        let left = |most: Option<u64>, used| most.map(|most| most.saturating_sub(used));
        Self {
            tokens: left(self.tokens, spent.tokens),
            usd_micros: left(self.usd_micros, spent.usd_micros),
            steps: left(self.steps, spent.steps),
        }
    }

    /// Another attempt could do nothing.
    pub(crate) fn is_used_up(&self, spent: Usage) -> bool {
        let Self { tokens, usd_micros, steps } = self.left(spent);
        [tokens, usd_micros, steps].contains(&Some(0))
    }

    /// What it was exceeded by, in words.
    pub(crate) fn exceeded(&self, spent: Usage) -> Option<String> {
        let parts = [
            ("tokens", self.tokens, spent.tokens),
            ("millionths of a dollar", self.usd_micros, spent.usd_micros),
            ("steps", self.steps, spent.steps),
        ];
        let (what, most, used) = parts.into_iter().find_map(|(what, most, used)| Some((what, most.filter(|most| used > *most)?, used)))?;
        Some(format!("its budget is exceeded: {used} {what} used of {most}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tokens(tokens: u64) -> Usage {
        Usage { tokens, ..Usage::default() }
    }

    proptest! {
        /// Lost, repeated and out of order as they may be: each attempt counts with the most it said.
        #[test]
        fn each_attempt_counts_once(said in prop::collection::vec(prop::collection::vec(0..1_000_u64, 1..5), 1..5)) {
            let mut spent = Spent::default();
            for (attempt, reports) in (1..).zip(&said) {
                for used in reports {
                    spent = spent.report(attempt, tokens(*used));
                }
            }
            let most: u64 = said.iter().filter_map(|reports| reports.iter().max()).sum();
            prop_assert_eq!(spent.total(), tokens(most));
        }
    }

    #[test]
    fn what_has_no_limit_is_never_exceeded() {
        let budget = Budget { tokens: Some(100), ..Budget::default() };
        let spent = Usage { steps: 7, ..tokens(100) };
        assert_eq!((budget.exceeded(spent), budget.is_used_up(spent), budget.left(spent).tokens), (None, true, Some(0)));
        assert_eq!(budget.exceeded(tokens(101)).unwrap(), "its budget is exceeded: 101 tokens used of 100");
        assert!(!Budget::default().is_used_up(tokens(u64::MAX)));
        let dollars = Budget { usd_micros: Some(5), ..Budget::default() };
        assert!(!dollars.is_used_up(tokens(9)) && dollars.exceeded(Usage { usd_micros: 6, ..Usage::default() }).is_some());
    }
}
