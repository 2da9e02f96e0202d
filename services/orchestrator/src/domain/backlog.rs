//! What is known to be ready and has had no slot yet, in the order in which it is due. A copy of what the tables say, never asked
//! for the truth: whoever takes something of it looks at the row.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use titan_ids::{OrgId, ProjectId, TaskId};

use super::fairness::Shares;
use super::offer::{Group, Offer};

/// A task with what decides on its turn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Queued {
    pub(crate) id: TaskId,
    pub(crate) org: OrgId,
    pub(crate) lane: i32,
    pub(crate) project: ProjectId,
    pub(crate) priority: i32,
    pub(crate) due_at: Option<DateTime<Utc>>,
}

/// The most urgent first, then what is due first, then the oldest.
type Place = (i32, DateTime<Utc>, TaskId);

#[derive(Debug)]
struct Queue {
    org: OrgId,
    tasks: BTreeSet<Place>,
}

#[derive(Debug, Default)]
pub(crate) struct Backlog {
    lanes: BTreeMap<i32, BTreeMap<ProjectId, Queue>>,
    places: HashMap<TaskId, (i32, ProjectId, Place)>,
}

/// Kept in memory; more is left in the tables.
const KEPT_MOST: usize = 50_000;
/// Projects read for a group of slots at once: those whose turn it is.
pub(crate) const PROJECTS: usize = 32;

impl Backlog {
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// False when there is no room for it.
    pub(crate) fn add(&mut self, task: &Queued) -> bool {
        let Queued { id, org, lane, project, priority, due_at } = *task;
        self.remove(id);
        if self.places.len() >= KEPT_MOST {
            return false;
        }
        let place = (-priority, due_at.unwrap_or(DateTime::<Utc>::MAX_UTC), id);
        let queues = self.lanes.entry(lane).or_default();
        queues.entry(project).or_insert_with(|| Queue { org, tasks: BTreeSet::new() }).tasks.insert(place);
        self.places.insert(id, (lane, project, place));
        true
    }

    pub(crate) fn remove(&mut self, id: TaskId) {
        let Some((lane, project, place)) = self.places.remove(&id) else { return };
        let Some(queues) = self.lanes.get_mut(&lane) else { return };
        if let Some(queue) = queues.get_mut(&project) {
            queue.tasks.remove(&place);
            if queue.tasks.is_empty() {
                queues.remove(&project);
            }
        }
        if queues.is_empty() {
            self.lanes.remove(&lane);
        }
    }

    /// What each group of slots is to look at: of its lanes, from the projects whose turn it is. There may be room left when one of
    /// them has less than its part.
    pub(crate) fn pick(&self, offer: &Offer, shares: &Shares) -> Vec<TaskId> {
        let mut picked = HashSet::new();
        for group in &offer.groups {
            picked.extend(self.pick_for(group, shares));
        }
        picked.into_iter().collect()
    }

    fn pick_for(&self, group: &Group, shares: &Shares) -> Vec<TaskId> {
        let urgent = |queue: &Queue| queue.tasks.first().is_some_and(|(priority, ..)| *priority <= -group.priority);
        let fits = |project: &ProjectId, queue: &Queue| {
            queue.org == group.org && (group.projects.is_empty() || group.projects.contains(project)) && urgent(queue)
        };
        let queues = group.lanes.iter().filter_map(|lane| self.lanes.get(lane)).flatten();
        let mut pairs: Vec<(&ProjectId, &Queue)> = queues.filter(|(project, queue)| fits(project, queue)).collect();
        let mut projects: Vec<ProjectId> = pairs.iter().map(|(project, _)| **project).collect::<BTreeSet<_>>().into_iter().collect();
        if projects.len() > PROJECTS {
            projects.sort_by(|a, b| shares.of(*a).total_cmp(&shares.of(*b)).then(a.cmp(b)));
            projects.truncate(PROJECTS);
            projects.sort_unstable();
            pairs.retain(|(project, _)| projects.binary_search(project).is_ok());
        }
        let part = (group.room as usize).div_ceil(pairs.len().max(1));
        let of = |queue: &Queue| {
            let urgent = queue.tasks.iter().take_while(|(priority, ..)| *priority <= -group.priority);
            urgent.take(part).map(|(.., id)| *id).collect::<Vec<_>>()
        };
        pairs.into_iter().flat_map(|(_, queue)| of(queue)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn task(lane: i32, project: ProjectId, priority: i32) -> Queued {
        Queued { id: TaskId::generate(), org: OrgId::DEFAULT, lane, project, priority, due_at: None }
    }
    fn offer(lanes: &[i32], priority: i32, room: u32) -> Offer {
        let group = Group { org: OrgId::DEFAULT, lanes: lanes.to_vec(), projects: Vec::new(), priority, slots: Vec::new(), room };
        Offer { slots: Vec::new(), lanes: Arc::default(), groups: vec![group] }
    }
    fn filled(tasks: &[Queued]) -> Backlog {
        let mut backlog = Backlog::default();
        assert!(tasks.iter().all(|task| backlog.add(task)));
        backlog
    }

    #[test]
    fn the_most_urgent_and_oldest_of_each_project_are_picked() {
        let (one, other) = (ProjectId::generate(), ProjectId::generate());
        let tasks = [task(1, one, 0), task(1, one, 5), task(1, one, 0), task(1, other, 0), task(2, one, 9)];
        let backlog = filled(&tasks);
        let picked: BTreeSet<_> = backlog.pick(&offer(&[1], 0, 4), &Shares::default()).into_iter().collect();
        assert_eq!(picked, [tasks[0].id, tasks[1].id, tasks[3].id].into(), "two of each; lane 2 is nobody's");
        let picked = backlog.pick(&offer(&[1, 2], 5, 10), &Shares::default());
        assert_eq!(picked.len(), 2, "this urgent or more");
    }

    #[test]
    fn what_is_taken_is_gone_and_what_comes_again_is_there_once() {
        let project = ProjectId::generate();
        let tasks = [task(1, project, 0), task(1, project, 0)];
        let mut backlog = filled(&tasks);
        assert!(backlog.add(&Queued { priority: 7, ..tasks[1] }));
        assert_eq!((backlog.len(), backlog.pick(&offer(&[1], 0, 1), &Shares::default())), (2, vec![tasks[1].id]));
        tasks.iter().for_each(|task| backlog.remove(task.id));
        assert!(backlog.is_empty() && backlog.lanes.is_empty());
    }

    #[test]
    fn those_whose_turn_it_is_go_first_when_there_are_many() {
        let mut shares = Shares::default();
        let projects: Vec<ProjectId> = (0..=PROJECTS).map(|_| ProjectId::generate()).collect();
        shares.charge(projects[3], 1.0);
        let backlog = filled(&projects.iter().map(|project| task(1, *project, 0)).collect::<Vec<_>>());
        let picked = backlog.pick(&offer(&[1], 0, 100), &shares);
        let served = backlog.places[&backlog.lanes[&1][&projects[3]].tasks.first().unwrap().2].2.2;
        assert!(picked.len() == PROJECTS && !picked.contains(&served));
    }
}
