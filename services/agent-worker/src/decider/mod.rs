//! What to do next, from the task and its finished steps. A decider has no memory of its own: the same
//! steps always lead to the same answer, on any worker. The template engine is the one there is; a model
//! emits the same actions.

mod report;
mod template;

use serde_json::Value;
use titan_error::Result;

use crate::runs::Attempt;
use crate::tools::{Action, Done};

/// Recorded with every run.
pub(crate) const NAME: &str = "template";

#[derive(Debug)]
pub(crate) enum Next {
    Act(Action),
    Complete(Value),
    /// The work this task judges goes back with the findings.
    Reject {
        message: String,
        findings: Value,
    },
    /// For good; the text says why and what to do.
    Fail(String),
}

pub(crate) fn decide(attempt: &Attempt, steps: &[Done]) -> Result<Next> {
    template::decide(attempt, steps)
}
