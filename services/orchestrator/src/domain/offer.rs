//! What the agents that are connected offer: the slots they have free, by the tasks that could be given to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use titan_ids::{OrgId, ProjectId, SessionId};

use super::matching::{Candidate, Lane, Slot, Subscription};

/// Free slots for which the same tasks are read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    pub(crate) org: OrgId,
    pub(crate) lanes: Vec<i32>,
    pub(crate) projects: Vec<ProjectId>,
    pub(crate) priority: i32,
    pub(crate) slots: Vec<usize>,
    /// Tasks they could take together.
    pub(crate) room: u32,
}

impl Group {
    pub(crate) fn takes(&self, candidate: &Candidate) -> bool {
        let Self { projects, lanes, priority, .. } = self;
        self.org == candidate.origin.org
            && lanes.binary_search(&candidate.lane).is_ok()
            && (projects.is_empty() || projects.contains(&candidate.project))
            && candidate.priority >= *priority
    }
}

/// Slots, and what they could take.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) slots: Vec<Slot>,
    pub(crate) lanes: Arc<HashMap<i32, Arc<Lane>>>,
    /// Agents without a free slot are in none.
    pub(crate) groups: Vec<Group>,
}

impl Offer {
    /// For at most so many tasks a group.
    pub(crate) fn new(slots: Vec<Slot>, lanes: Arc<HashMap<i32, Arc<Lane>>>, most: u32) -> Self {
        let mut groups = group(&slots, &lanes);
        for group in &mut groups {
            group.room = group.room.min(most);
        }
        Self { slots, lanes, groups }
    }

    /// Without what these sessions offer.
    pub(crate) fn without(self, sessions: &BTreeSet<SessionId>, most: u32) -> Self {
        Self::new(self.slots.into_iter().filter(|slot| !sessions.contains(&slot.session)).collect(), self.lanes, most)
    }

    /// As if nothing ran.
    pub(crate) fn emptied(&self) -> Self {
        let slots = self.slots.iter().map(|slot| Slot { running: 0, ..slot.clone() }).collect();
        Self::new(slots, self.lanes.clone(), u32::MAX)
    }

    /// Something of this lane could be given to a free slot.
    pub(crate) fn takes(&self, lane: i32) -> bool {
        self.groups.iter().any(|group| group.lanes.binary_search(&lane).is_ok())
    }

    /// Something of this lane could be given to an agent, had it a free slot.
    pub(crate) fn lacks_room_for(&self, lane: i32) -> bool {
        self.lanes.get(&lane).is_some_and(|lane| self.slots.iter().any(|slot| !slot.is_free() && slot.agent.fits(lane)))
    }
}

/// Groups the free ones of `slots` by what they could take.
fn group(slots: &[Slot], lanes: &HashMap<i32, Arc<Lane>>) -> Vec<Group> {
    // Agents that are alike fit the same lanes; most are.
    let mut alike: HashMap<_, Vec<i32>> = HashMap::new();
    let mut groups: BTreeMap<_, Group> = BTreeMap::new();
    let named: BTreeSet<&String> = lanes.values().filter_map(|lane| lane.demands.agent.as_ref()).collect();
    for (i, slot) in slots.iter().enumerate().filter(|(_, slot)| slot.is_free()) {
        let agent = &slot.agent;
        let named = named.get(&agent.name).copied();
        let skills: Vec<_> = agent.skills.iter().map(|(skill, has)| (skill, has.to_bits())).collect();
        let labels: Vec<_> = agent.subscription.labels.iter().collect();
        let fitting = alike.entry((&agent.pool, &agent.role, skills, labels, named)).or_insert_with(|| {
            let mut fitting: Vec<_> = lanes.values().filter(|lane| agent.fits(lane)).map(|lane| lane.id).collect();
            fitting.sort_unstable();
            fitting
        });
        if fitting.is_empty() {
            continue;
        }
        let Subscription { labels: _, priority, projects } = &agent.subscription;
        let key = (agent.org, fitting.clone(), projects.clone(), *priority);
        let group = groups.entry(key).or_insert_with(|| Group {
            org: agent.org,
            lanes: fitting.clone(),
            projects: projects.iter().copied().collect(),
            priority: *priority,
            slots: Vec::new(),
            room: 0,
        });
        group.slots.push(i);
        group.room = group.room.saturating_add(slot.free());
    }
    groups.into_values().collect()
}
