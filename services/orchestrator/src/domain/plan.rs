//! How long a graph of tasks takes: its critical path, and how many agents would help.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

/// A task that is not done.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// What is left of it, in milliseconds.
    pub(crate) left_ms: u64,
    /// Positions of the steps it waits for.
    pub(crate) after: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Positions along the longest path.
    pub(crate) critical_path: Vec<usize>,
    /// It takes this long, however many agents there are.
    pub(crate) shortest_ms: u64,
    /// By number of agents, up to the most that help: how long it takes then.
    pub(crate) by_agents: Vec<(usize, u64)>,
}

/// More agents are not tried.
const AGENTS_MOST: usize = 64;

/// `steps` in an order in which each comes after what it waits for.
pub(crate) fn plan(steps: &[Step]) -> Plan {
    let mut ends = vec![0_u64; steps.len()];
    let mut before = vec![None; steps.len()];
    for (i, step) in steps.iter().enumerate() {
        let last = step.after.iter().copied().max_by_key(|on| (ends[*on], Reverse(*on)));
        before[i] = last;
        ends[i] = last.map_or(0, |on| ends[on]) + step.left_ms;
    }
    let mut critical_path: Vec<usize> =
        std::iter::successors((0..steps.len()).max_by_key(|i| (ends[*i], Reverse(*i))), |i| before[*i]).collect();
    critical_path.reverse();
    let shortest_ms = ends.iter().copied().max().unwrap_or(0);
    let mut by_agents: Vec<(usize, u64)> = Vec::new();
    for agents in 1..=steps.len().min(AGENTS_MOST) {
        let takes = with_agents(steps, agents);
        if by_agents.last().is_some_and(|(_, fewer)| takes >= *fewer) {
            break;
        }
        by_agents.push((agents, takes));
    }
    Plan { critical_path, shortest_ms, by_agents }
}

/// List scheduling: whoever is free takes, of what can begin, that with the longest way to go.
fn with_agents(steps: &[Step], agents: usize) -> u64 {
    let mut dependents: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut waiting: Vec<usize> = steps.iter().map(|step| step.after.len()).collect();
    let mut to_go: Vec<u64> = steps.iter().map(|step| step.left_ms).collect();
    for (i, step) in steps.iter().enumerate().rev() {
        for on in &step.after {
            dependents.entry(*on).or_default().push(i);
            to_go[*on] = to_go[*on].max(steps[*on].left_ms + to_go[i]);
        }
    }
    let mut ready: BinaryHeap<(u64, Reverse<usize>)> =
        (0..steps.len()).filter(|i| waiting[*i] == 0).map(|i| (to_go[i], Reverse(i))).collect();
    let mut running: BTreeMap<(u64, usize), ()> = BTreeMap::new();
    let mut now = 0;
    loop {
        while running.len() < agents
            && let Some((_, Reverse(i))) = ready.pop()
        {
            running.insert((now + steps[i].left_ms, i), ());
        }
        let Some(((end, i), ())) = running.pop_first() else { return now };
        now = end;
        for dependent in dependents.get(&i).into_iter().flatten() {
            waiting[*dependent] -= 1;
            if waiting[*dependent] == 0 {
                ready.push((to_go[*dependent], Reverse(*dependent)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(left_ms: u64, after: &[usize]) -> Step {
        Step { left_ms, after: after.to_vec() }
    }

    #[test]
    fn the_longest_way_is_critical_and_no_more_agents_help_than_there_are_ways() {
        let steps = [step(1, &[]), step(10, &[0]), step(2, &[0]), step(3, &[2]), step(1, &[1, 3])];
        let plan = plan(&steps);
        assert_eq!((plan.critical_path, plan.shortest_ms), (vec![0, 1, 4], 12));
        assert_eq!(plan.by_agents, [(1, 17), (2, 12)]);
    }

    #[test]
    fn nothing_to_do_takes_no_time() {
        assert_eq!(plan(&[]), Plan { critical_path: vec![], shortest_ms: 0, by_agents: vec![] });
    }

    proptest! {
        #[test]
        fn no_number_of_agents_beats_the_critical_path(edges in prop::collection::vec((1..50_u64, prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 1..30)) {
            let steps: Vec<_> = edges.iter().enumerate().map(|(i, (ms, after))| {
                let after: std::collections::BTreeSet<_> = after.iter().filter(|_| i > 0).map(|on| on.index(i.max(1))).collect();
                Step { left_ms: *ms, after: after.into_iter().collect() }
            }).collect();
            let plan = plan(&steps);
            prop_assert_eq!(plan.by_agents[0].1, steps.iter().map(|s| s.left_ms).sum::<u64>());
            prop_assert!(plan.by_agents.iter().all(|(_, takes)| *takes >= plan.shortest_ms));
            prop_assert_eq!(plan.critical_path.iter().map(|i| steps[*i].left_ms).sum::<u64>(), plan.shortest_ms);
        }
    }
}
