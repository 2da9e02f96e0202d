//! Whose turn it is: each project has a virtual time, which rises by 1/weight with each task it is given. The project with
//! the lowest is next, so a long queue of one delays nobody else. Kept in memory by each replica: what is forgotten at a
//! restart is who was served more before it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use titan_ids::ProjectId;

#[derive(Clone, Debug, Default)]
pub(crate) struct Shares {
    /// The virtual time of the last task given: a project that had nothing to do starts here and saves nothing up.
    clock: f64,
    spent: HashMap<ProjectId, f64>,
}

/// Projects remembered; those behind the clock are like unknown ones.
const REMEMBERED: usize = 10_000;

impl Shares {
    /// Its virtual time.
    pub(crate) fn of(&self, project: ProjectId) -> f64 {
        self.spent.get(&project).map_or(self.clock, |spent| spent.max(self.clock))
    }

    /// Projects ahead of the clock, with by how much.
    pub(crate) fn ahead(&self) -> impl Iterator<Item = (ProjectId, f64)> {
        self.spent.iter().map(|(project, spent)| (*project, spent - self.clock)).filter(|(_, ahead)| *ahead > 0.0)
    }

    /// As another one told.
    #[cfg(test)]
    pub(crate) fn restore(&mut self, project: ProjectId, ahead: f64) {
        self.spent.insert(project, self.clock + ahead);
    }

    /// `tasks` in the order in which they are due, each project's own order kept.
    pub(crate) fn order<T>(&self, tasks: Vec<T>, project: impl Fn(&T) -> (ProjectId, f64)) -> Vec<T> {
        let mut queues: BTreeMap<ProjectId, (f64, f64, VecDeque<T>)> = BTreeMap::new();
        for task in tasks {
            let (id, weight) = project(&task);
            queues.entry(id).or_insert_with(|| (self.of(id), weight, VecDeque::new())).2.push_back(task);
        }
        let mut ordered = Vec::new();
        while let Some(id) = queues.iter().min_by(|(_, a), (_, b)| a.0.total_cmp(&b.0)).map(|(id, _)| *id) {
            let Some((spent, weight, queue)) = queues.get_mut(&id) else { break };
            ordered.extend(queue.pop_front());
            *spent += 1.0 / *weight;
            if queue.is_empty() {
                queues.remove(&id);
            }
        }
        ordered
    }

    /// A task of the project was given to an agent.
    pub(crate) fn charge(&mut self, project: ProjectId, weight: f64) {
        let start = self.of(project);
        self.spent.insert(project, start + 1.0 / weight);
        self.clock = self.clock.max(start);
        if self.spent.len() > REMEMBERED {
            let clock = self.clock;
            self.spent.retain(|_, spent| *spent > clock);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(shares: &mut Shares, tasks: &[(ProjectId, f64)], rounds: usize) -> HashMap<ProjectId, usize> {
        let mut served = HashMap::new();
        for _ in 0..rounds {
            let next = shares.order(tasks.to_vec(), |task| *task)[0];
            shares.charge(next.0, next.1);
            *served.entry(next.0).or_default() += 1;
        }
        served
    }

    #[test]
    fn projects_are_served_by_weight() {
        let (a, b) = (ProjectId::generate(), ProjectId::generate());
        let served = served(&mut Shares::default(), &[(a, 1.0), (b, 3.0)], 400);
        assert_eq!((served[&a], served[&b]), (100, 300));
    }

    #[test]
    fn one_that_comes_late_neither_waits_nor_catches_up() {
        let (a, b) = (ProjectId::generate(), ProjectId::generate());
        let mut shares = Shares::default();
        served(&mut shares, &[(a, 1.0)], 1_000);
        let served = served(&mut shares, &[(a, 1.0), (b, 1.0)], 100);
        assert!(served[&a].abs_diff(served[&b]) <= 1, "{served:?}");
    }

    #[test]
    fn a_projects_own_order_is_kept() {
        let (a, b) = (ProjectId::generate(), ProjectId::generate());
        let ordered = Shares::default().order(vec![(a, 1), (a, 2), (a, 3), (b, 4)], |(project, _)| (*project, 1.0));
        assert_eq!(ordered.iter().filter(|(p, _)| *p == a).map(|(_, n)| *n).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(ordered.iter().position(|(p, _)| *p == b).unwrap() < 2);
    }
}
