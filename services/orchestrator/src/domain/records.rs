//! How agents did.

use std::collections::HashMap;

use titan_ids::AgentId;

/// How an agent did with a kind of task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) done: i64,
    pub(crate) failed: i64,
    /// Of the failed: those that may be the agent's fault. A worker that is gone and a task that cannot be done are not.
    pub(crate) faults: i64,
    pub(crate) busy_ms: i64,
}

impl Tally {
    pub(crate) fn add(&mut self, more: Self) {
        self.done += more.done;
        self.failed += more.failed;
        self.faults += more.faults;
        self.busy_ms += more.busy_ms;
    }
}

/// How agents did, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records(HashMap<AgentId, HashMap<String, Tally>>);

#[expect(clippy::cast_precision_loss, reason = "counts of attempts")]
impl Records {
    pub(crate) fn add(&mut self, agent: AgentId, kind: &str, more: Tally) {
        let kinds = self.0.entry(agent).or_default();
        if !kinds.contains_key(kind) {
            kinds.insert(kind.to_owned(), Tally::default());
        }
        if let Some(tally) = kinds.get_mut(kind) {
            tally.add(more);
        }
    }

    pub(crate) fn forget(&mut self, agent: AgentId) {
        self.0.remove(&agent);
    }

    pub(super) fn of(&self, agent: AgentId, kind: &str) -> Tally {
        self.0.get(&agent).and_then(|kinds| kinds.get(kind)).copied().unwrap_or_default()
    }

    /// Two attempts' worth of what is known of the other kinds stands in for what is not known of this one.
    pub(super) fn performance(&self, agent: AgentId, kind: &str) -> f64 {
        let Some(kinds) = self.0.get(&agent) else { return 0.5 };
        let (done, failed) = kinds.values().fold((0, 0), |(done, failed), tally| (done + tally.done, failed + tally.failed));
        let overall = (done as f64 + 1.0) / ((done + failed) as f64 + 2.0);
        let this = self.of(agent, kind);
        (this.done as f64 + 2.0 * overall) / ((this.done + this.failed) as f64 + 2.0)
    }

    pub(super) fn mean_ms(&self, agent: AgentId, kind: &str) -> Option<f64> {
        let tally = self.of(agent, kind);
        (tally.done > 0).then(|| tally.busy_ms as f64 / tally.done as f64)
    }
}
