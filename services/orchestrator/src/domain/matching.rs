//! Which agent gets which task: a pure function of candidates and free slots. The factors of a choice are
//! stored, so "why this agent" has an answer.

use std::collections::HashSet;

use serde::Serialize;
use titan_ids::{AgentId, SessionId, TaskId};

use super::task::{Command, Task};

#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) id: TaskId,
    /// As it was read.
    pub(crate) task: Task,
    pub(crate) role: String,
    /// Of the tasks with one key only one may run.
    pub(crate) exclusive_key: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) agent: AgentId,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) session: SessionId,
    pub(crate) epoch: i64,
    pub(crate) running: u32,
    pub(crate) max_concurrency: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) candidate: Candidate,
    /// The task once it is claimed.
    pub(crate) next: Task,
    pub(crate) slot: Slot,
    pub(crate) factors: Factors,
}

/// Why the agent was chosen. Each factor is 0 to 1, higher is better.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Factors {
    pub(crate) agent: String,
    pub(crate) role: String,
    /// Free share of the agent's slots.
    pub(crate) workload: f64,
    /// Agents of the role with a free slot that were compared.
    pub(crate) considered: usize,
}

/// Gives each candidate, in their order, to the least loaded free agent of its role.
pub(crate) fn assign(candidates: Vec<Candidate>, mut slots: Vec<Slot>) -> Vec<Choice> {
    let mut choices = Vec::new();
    let mut taken_keys = HashSet::new();
    for candidate in candidates {
        let Ok(next) = candidate.task.transition(Command::Claim, 0.0) else { continue };
        if candidate.exclusive_key.as_ref().is_some_and(|key| !taken_keys.insert(key.clone())) {
            continue;
        }
        let free: Vec<usize> = (0..slots.len()).filter(|i| slots[*i].role == candidate.role && slots[*i].is_free()).collect();
        let best = free
            .iter()
            .max_by(|a, b| slots[**a].workload().total_cmp(&slots[**b].workload()).then(slots[**b].agent.cmp(&slots[**a].agent)));
        let Some(best) = best else { continue };
        let slot = &mut slots[*best];
        let factors = Factors { agent: slot.name.clone(), role: slot.role.clone(), workload: slot.workload(), considered: free.len() };
        slot.running += 1;
        choices.push(Choice { candidate, next: next.task, slot: slot.clone(), factors });
    }
    choices
}

impl Slot {
    pub(crate) fn is_free(&self) -> bool {
        self.free() > 0
    }
    pub(crate) fn free(&self) -> u32 {
        self.max_concurrency.saturating_sub(self.running)
    }
    fn workload(&self) -> f64 {
        1.0 - f64::from(self.running) / f64::from(self.max_concurrency.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::task::TaskState;

    fn candidate(role: &str, key: Option<&str>) -> Candidate {
        let task = Task { state: TaskState::Inbox, attempt: 0, failures: 0, losses: 0, rejections: 0, max_attempts: 3 };
        Candidate { id: TaskId::generate(), task, role: role.to_owned(), exclusive_key: key.map(str::to_owned) }
    }
    fn slot(role: &str, running: u32, max_concurrency: u32) -> Slot {
        let (agent, session) = (AgentId::generate(), SessionId::generate());
        Slot { agent, name: role.to_owned(), role: role.to_owned(), session, epoch: 1, running, max_concurrency }
    }

    #[test]
    fn the_least_loaded_agent_of_the_role_is_chosen_and_the_reason_kept() {
        let slots = vec![slot("dev", 1, 2), slot("dev", 1, 4), slot("qa", 0, 4)];
        let choices = assign(vec![candidate("dev", None)], slots.clone());
        assert_eq!(choices[0].slot.agent, slots[1].agent);
        assert_eq!((choices[0].factors.workload, choices[0].factors.considered), (0.75, 2));
    }

    #[test]
    fn slots_are_not_overfilled() {
        let choices = assign((0..9).map(|_| candidate("dev", None)).collect(), vec![slot("dev", 0, 2), slot("dev", 3, 4)]);
        assert_eq!(choices.len(), 3);
    }

    #[test]
    fn a_key_is_given_once() {
        let candidates = vec![candidate("qa", Some("merge")), candidate("qa", Some("merge")), candidate("qa", Some("other"))];
        assert_eq!(assign(candidates, vec![slot("qa", 0, 9)]).len(), 2);
    }

    #[test]
    fn another_role_gets_nothing() {
        assert!(assign(vec![candidate("ops", None)], vec![slot("dev", 0, 2)]).is_empty());
    }
}
