//! Which task waits for which: the shape of what is submitted, and what follows when a task ends.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use titan_ids::TaskId;

use super::task::{Consequence, End, OnFailure};

/// What is wrong with a submitted graph; `task` is the position of the task in the submission.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GraphError {
    #[error("the key {key:?} is used twice")]
    Duplicate { task: usize, key: String },
    /// The keys along the cycle, the first one again at the end.
    #[error("depends on itself: {}", .path.join(" → "))]
    Cycle { task: usize, path: Vec<String> },
}

/// Where a dependency points: at another task of the submission, or elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Edge<'a> {
    Inside(usize),
    Outside(&'a str),
}

/// Resolves the dependencies of `tasks` (key, keys depended on) and refuses cycles.
pub(crate) fn resolve<'a>(tasks: &[(&'a str, Vec<&'a str>)]) -> Result<Vec<Vec<Edge<'a>>>, GraphError> {
    let mut positions = HashMap::new();
    for (task, (key, _)) in tasks.iter().enumerate() {
        if positions.insert(*key, task).is_some() {
            return Err(GraphError::Duplicate { task, key: (*key).to_owned() });
        }
    }
    let edge = |key: &&'a str| positions.get(key).map_or(Edge::Outside(key), |to| Edge::Inside(*to));
    let edges: Vec<Vec<_>> = tasks.iter().map(|(_, depends_on)| depends_on.iter().map(edge).collect()).collect();
    find_cycle(&edges).map_or(Ok(edges), |cycle| {
        let path = cycle.iter().map(|task| tasks[*task].0.to_owned()).collect();
        Err(GraphError::Cycle { task: cycle[0], path })
    })
}

/// Depth first with an explicit stack: a chain of a thousand tasks must not use the machine's.
fn find_cycle(edges: &[Vec<Edge<'_>>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    for start in 0..edges.len() {
        let mut path = Vec::new();
        if marks[start] == Mark::New {
            path.push((start, 0));
            marks[start] = Mark::OnPath;
        }
        while let Some((task, next)) = path.last_mut() {
            let (task, edge) = (*task, edges[*task].get(*next));
            *next += 1;
            match edge {
                None => {
                    marks[task] = Mark::Done;
                    path.pop();
                }
                Some(Edge::Inside(to)) if marks[*to] == Mark::OnPath => {
                    let from = path.iter().position(|(t, _)| t == to).unwrap_or(0);
                    return Some(path[from..].iter().map(|(t, _)| *t).chain([*to]).collect());
                }
                Some(Edge::Inside(to)) if marks[*to] == Mark::New => {
                    marks[*to] = Mark::OnPath;
                    path.push((*to, 0));
                }
                Some(_) => {}
            }
        }
    }
    None
}

/// What follows for those that wait for tasks that ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Following {
    /// How many things less each waits for.
    pub(crate) counts: BTreeMap<TaskId, i32>,
    /// With the task that was not done.
    pub(crate) cancelled: BTreeMap<TaskId, TaskId>,
    pub(crate) skipped: BTreeMap<TaskId, TaskId>,
    /// Tasks that failed, and whatever waits for them knows what to do then.
    pub(crate) handled: BTreeSet<TaskId>,
}

/// `handled`: those whose failure something was begun after before. `edges`: (task, what it waits for, what it does when that fails).
pub(crate) fn follow(
    ends: &BTreeMap<TaskId, End>,
    handled: &BTreeSet<TaskId>,
    edges: impl Iterator<Item = (TaskId, TaskId, OnFailure)>,
) -> Following {
    let failed = handled.iter().filter(|parent| ends.get(parent) == Some(&End::Failed)).copied();
    let mut following = Following { handled: failed.collect(), ..Following::default() };
    let mut unhandled = BTreeSet::new();
    for (task, parent, on_failure) in edges {
        let Some(end) = ends.get(&parent) else { continue };
        if *end == End::Failed {
            following.handled.insert(parent);
        }
        match on_failure.consequence(*end) {
            Consequence::Counts => *following.counts.entry(task).or_default() += 1,
            Consequence::Skipped => drop(following.skipped.insert(task, parent)),
            Consequence::Cancelled => {
                unhandled.insert(parent);
                following.cancelled.insert(task, parent);
            }
        }
    }
    following.skipped.retain(|task, _| !following.cancelled.contains_key(task));
    following.handled.retain(|parent| !unhandled.contains(parent));
    following
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_handled_when_all_that_waits_for_it_knows_what_to_do() {
        let [a, b, c, d, e] = std::array::from_fn(|_| TaskId::generate());
        let ends = BTreeMap::from([(a, End::Failed), (b, End::Failed), (c, End::Done)]);
        let edges = [(d, a, OnFailure::Run), (d, c, OnFailure::Fail), (e, a, OnFailure::Skip), (e, b, OnFailure::Fail)];
        let following = follow(&ends, &BTreeSet::new(), edges.into_iter());
        assert_eq!(following.counts, BTreeMap::from([(d, 2)]));
        assert_eq!((following.cancelled, following.skipped), (BTreeMap::from([(e, b)]), BTreeMap::new()));
        assert_eq!(following.handled, BTreeSet::from([a]));
    }

    #[test]
    fn edges_point_inside_or_outside() {
        let edges = resolve(&[("a", vec![]), ("b", vec!["a", "task_elsewhere"])]).unwrap();
        assert_eq!(edges[1], [Edge::Inside(0), Edge::Outside("task_elsewhere")]);
    }

    #[test]
    fn a_cycle_is_named() {
        let error = resolve(&[("a", vec![]), ("b", vec!["d"]), ("c", vec!["b"]), ("d", vec!["a", "c"])]).unwrap_err();
        assert_eq!(error.to_string(), "depends on itself: b → d → c → b");
        assert!(matches!(resolve(&[("a", vec!["a"])]), Err(GraphError::Cycle { .. })));
    }

    #[test]
    fn a_long_chain_is_no_cycle() {
        let keys: Vec<String> = (0..50_000).map(|i| i.to_string()).collect();
        let tasks: Vec<_> =
            (0..keys.len()).map(|i| (keys[i].as_str(), keys.get(i + 1).map(String::as_str).into_iter().collect())).collect();
        assert!(resolve(&tasks).is_ok());
    }

    #[test]
    fn a_key_stands_once() {
        assert!(matches!(resolve(&[("a", vec![]), ("a", vec![])]), Err(GraphError::Duplicate { task: 1, .. })));
    }
}
