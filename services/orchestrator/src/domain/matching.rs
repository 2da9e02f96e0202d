//! Which agent gets which task: a pure function of candidates and free slots. The factors of a choice are
//! stored, so "why this agent" has an answer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use titan_ids::{AgentId, GoalId, OrgId, ProjectId, SessionId, TaskId};

use super::backlog::Queued;
use super::offer::Group;
use super::records::Records;
use super::task::{Command, Task};

/// What an agent must have to be given a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Demands {
    /// With the least proficiency, 0 to 1.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) skills: BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) labels: BTreeSet<String>,
    /// The name of the only one that may take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<String>,
}

/// Tasks that the same agents may take.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) id: i32,
    pub(crate) pool: String,
    pub(crate) role: String,
    pub(crate) demands: Demands,
}

/// What an agent wants of what it could take; empty means everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Subscription {
    /// One of them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) labels: BTreeSet<String>,
    /// This or more urgent.
    pub(crate) priority: i32,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) projects: BTreeSet<ProjectId>,
}

#[derive(Clone, Debug)]
pub(crate) struct Agent {
    pub(crate) id: AgentId,
    /// It is given nothing of any other.
    pub(crate) org: OrgId,
    pub(crate) name: String,
    pub(crate) pool: String,
    pub(crate) role: String,
    /// With its proficiency, 0 to 1.
    pub(crate) skills: BTreeMap<String, f64>,
    pub(crate) subscription: Subscription,
    pub(crate) max_concurrency: u32,
}

impl Agent {
    pub(crate) fn fits(&self, lane: &Lane) -> bool {
        let Demands { skills, labels, agent } = &lane.demands;
        self.role == lane.role
            && self.pool == lane.pool
            && agent.as_ref().is_none_or(|only| *only == self.name)
            && skills.iter().all(|(skill, least)| self.skills.get(skill).is_some_and(|has| has >= least))
            && (self.subscription.labels.is_empty() || !self.subscription.labels.is_disjoint(labels))
    }
}

/// An agent that takes work from a session.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) agent: Arc<Agent>,
    pub(crate) session: SessionId,
    pub(crate) epoch: i64,
    pub(crate) running: u32,
}

/// Whom a task would rather have, if it can be had.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Wishes {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) preferred: Option<String>,
    /// Whoever had it before.
    pub(crate) sticky: bool,
}

/// Whose a task is, for those who are told of it.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) org: OrgId,
    pub(crate) goal: Option<GoalId>,
    pub(crate) title: String,
    pub(crate) traceparent: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) id: TaskId,
    /// As it was read.
    pub(crate) task: Task,
    pub(crate) origin: Origin,
    pub(crate) project: ProjectId,
    pub(crate) project_weight: f64,
    pub(crate) kind: String,
    /// The skills it demands are the lane's.
    pub(crate) lane: i32,
    pub(crate) priority: i32,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) timeout_s: i32,
    pub(crate) wishes: Wishes,
    /// Who had it last.
    pub(crate) last_agent: Option<AgentId>,
    pub(crate) weights: Option<Weights>,
    /// Of the group of slots it was read for.
    pub(crate) group: usize,
}

#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) candidate: Candidate,
    /// The task once it is claimed.
    pub(crate) next: Task,
    pub(crate) slot: Slot,
    pub(crate) factors: Factors,
}

/// How much each factor counts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    pub skill: f64,
    pub workload: f64,
    pub performance: f64,
    pub urgency: f64,
    pub complexity: f64,
    pub preference: f64,
}

impl Default for Weights {
    fn default() -> Self {
        Self { skill: 2.0, workload: 3.0, performance: 2.0, urgency: 1.0, complexity: 1.0, preference: 4.0 }
    }
}

impl Weights {
    pub(crate) fn is_none(&self) -> bool {
        *self == Self { skill: 0.0, workload: 0.0, performance: 0.0, urgency: 0.0, complexity: 0.0, preference: 0.0 }
    }

    pub(crate) fn problem(&self) -> Option<&'static str> {
        let Self { skill, workload, performance, urgency, complexity, preference } = *self;
        let all = [skill, workload, performance, urgency, complexity, preference];
        let bad = all.iter().any(|w| !(0.0..=100.0).contains(w)) || all.iter().sum::<f64>() <= 0.0;
        bad.then_some("each weight must be 0 to 100, and one of them more than 0")
    }
}

/// Why the agent was chosen. Each factor is 0 to 1, higher is better.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Factors {
    pub(crate) agent: String,
    pub(crate) role: String,
    /// The weighted mean of the factors.
    pub(crate) score: f64,
    /// Mean proficiency in what is demanded.
    pub(crate) skill: f64,
    /// Free share of the agent's slots.
    pub(crate) workload: f64,
    /// Share of attempts at this kind of task that ended well, with what is known of other kinds where little is.
    pub(crate) performance: f64,
    /// How fast the agent is at this kind, the more urgent the task the more it counts.
    pub(crate) urgency: f64,
    /// Its proficiency, the more complex the task the more it counts.
    pub(crate) complexity: f64,
    /// 1 for the agent the task would rather have.
    pub(crate) preference: f64,
    /// Agents with a free slot that were compared.
    pub(crate) considered: usize,
    /// The next best one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) instead_of: Option<(String, f64)>,
}

/// Agents compared for a task, beside those it would rather have. Of more, those next in turn: of many that are much alike
/// the best of so many is as good.
const COMPARED: usize = 32;
/// What is due this soon is as urgent as can be.
const SOON_S: f64 = 3_600.0;
const DAY_MIN: f64 = 1_440.0;

/// What choices are made by.
pub(crate) struct Matcher<'a> {
    pub(crate) lanes: &'a HashMap<i32, Arc<Lane>>,
    pub(crate) records: &'a Records,
    pub(crate) weights: Weights,
    pub(crate) now: DateTime<Utc>,
}

impl Matcher<'_> {
    /// Gives each candidate, in their order, to the best free slot of its group.
    pub(crate) fn assign(&self, candidates: Vec<Candidate>, mut slots: Vec<Slot>, groups: &[Group]) -> Vec<Choice> {
        let mut free: Vec<Vec<usize>> = groups.iter().map(|group| group.slots.clone()).collect();
        let mut turns = vec![0; groups.len()];
        let mut choices = Vec::new();
        for candidate in candidates {
            let Ok(next) = candidate.task.transition(Command::Claim, 0.0) else { continue };
            let Some(lane) = self.lanes.get(&candidate.lane) else { continue };
            let of_group = &mut free[candidate.group];
            of_group.retain(|i| slots[*i].is_free());
            let turn = &mut turns[candidate.group];
            let compared = (0..of_group.len().min(COMPARED)).map(|n| of_group[(*turn + n) % of_group.len()]);
            let wished = of_group.iter().copied().filter(|i| candidate.wishes(&slots[*i].agent));
            let compared: BTreeSet<usize> = compared.chain(wished).filter(|i| slots[*i].agent.fits(lane)).collect();
            *turn = if of_group.len() > COMPARED { (*turn + COMPARED) % of_group.len() } else { 0 };
            let Some((best, factors)) = self.best(&candidate, lane, &slots, &compared) else { continue };
            slots[best].running += 1;
            choices.push(Choice { candidate, next: next.task, slot: slots[best].clone(), factors });
        }
        choices
    }

    fn best(&self, candidate: &Candidate, lane: &Lane, slots: &[Slot], compared: &BTreeSet<usize>) -> Option<(usize, Factors)> {
        let speeds: Vec<_> = compared.iter().filter_map(|i| self.records.mean_ms(slots[*i].agent.id, &candidate.kind)).collect();
        let fastest = speeds.into_iter().reduce(f64::min);
        let mut scored: Vec<_> = compared.iter().map(|i| (*i, self.score(candidate, lane, &slots[*i], fastest))).collect();
        scored.sort_by(|(i, a), (j, b)| b.score.total_cmp(&a.score).then_with(|| slots[*i].agent.name.cmp(&slots[*j].agent.name)));
        let considered = scored.len();
        let instead_of = scored.get(1).map(|(_, f)| (f.agent.clone(), f.score));
        let (best, factors) = scored.into_iter().next()?;
        Some((best, Factors { considered, instead_of, ..factors }))
    }

    fn score(&self, candidate: &Candidate, lane: &Lane, slot: &Slot, fastest: Option<f64>) -> Factors {
        let agent = &slot.agent;
        let demanded = lane.demands.skills.keys().filter_map(|skill| agent.skills.get(skill));
        let skill = mean(demanded.copied()).unwrap_or(1.0);
        let speed = match (fastest, self.records.mean_ms(agent.id, &candidate.kind)) {
            (Some(fastest), Some(own)) => fastest.max(1.0) / own.max(1.0),
            _ => 0.5,
        };
        let workload = slot.workload();
        let performance = self.records.performance(agent.id, &candidate.kind);
        let urgency = 1.0 - candidate.urgency(self.now) * (1.0 - speed);
        let complexity = 1.0 - candidate.complexity(lane) * (1.0 - skill);
        let preference = if candidate.wishes(agent) { 1.0 } else { 0.0 };
        let w = candidate.weights.unwrap_or(self.weights);
        let sum = w.skill * skill
            + w.workload * workload
            + w.performance * performance
            + w.urgency * urgency
            + w.complexity * complexity
            + w.preference * preference;
        let score = sum / (w.skill + w.workload + w.performance + w.urgency + w.complexity + w.preference);
        Factors {
            agent: agent.name.clone(),
            role: agent.role.clone(),
            score: rounded(score),
            skill: rounded(skill),
            workload: rounded(workload),
            performance: rounded(performance),
            urgency: rounded(urgency),
            complexity: rounded(complexity),
            preference,
            considered: 0,
            instead_of: None,
        }
    }
}

impl Candidate {
    pub(crate) fn queued(&self) -> Queued {
        let Self { id, ref origin, lane, project, priority, due_at, .. } = *self;
        Queued { id, org: origin.org, lane, project, priority, due_at }
    }

    fn wishes(&self, agent: &Agent) -> bool {
        self.wishes.preferred.as_ref() == Some(&agent.name) || (self.wishes.sticky && self.last_agent == Some(agent.id))
    }

    /// 0 to 1, by priority and by how soon it is due.
    fn urgency(&self, now: DateTime<Utc>) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "seconds")]
        let due = self.due_at.map_or(0.0, |due| SOON_S / ((due - now).num_seconds().max(1) as f64).max(SOON_S));
        due.max(f64::from(self.priority) / 9.0)
    }

    /// 0 to 1, by the skills it demands and the time it may take.
    fn complexity(&self, lane: &Lane) -> f64 {
        let skills = f64::from(u32::try_from(lane.demands.skills.len()).unwrap_or(u32::MAX)) / 4.0;
        let minutes = f64::from(self.timeout_s) / 60.0;
        f64::midpoint(skills.min(1.0), (minutes.max(1.0).ln() / DAY_MIN.ln()).min(1.0))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    (count > 0.0).then(|| sum / count)
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

impl Slot {
    pub(crate) fn is_free(&self) -> bool {
        self.free() > 0
    }
    pub(crate) fn free(&self) -> u32 {
        self.agent.max_concurrency.saturating_sub(self.running)
    }
    fn workload(&self) -> f64 {
        1.0 - f64::from(self.running) / f64::from(self.agent.max_concurrency.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::domain::offer::Offer;
    use crate::domain::records::Tally;
    use crate::domain::task::TaskState;

    fn lane(id: i32, role: &str, demands: Demands) -> Arc<Lane> {
        Arc::new(Lane { id, pool: "default".to_owned(), role: role.to_owned(), demands })
    }
    fn lanes(lanes: &[Arc<Lane>]) -> HashMap<i32, Arc<Lane>> {
        lanes.iter().map(|lane| (lane.id, lane.clone())).collect()
    }
    fn candidate(lane: i32) -> Candidate {
        let task = Task { state: TaskState::Inbox, attempt: 0, failures: 0, losses: 0, rejections: 0, max_attempts: 3 };
        Candidate {
            id: TaskId::generate(),
            task,
            origin: Origin { org: OrgId::DEFAULT, goal: None, title: String::new(), traceparent: String::new() },
            project: ProjectId::generate(),
            project_weight: 1.0,
            kind: "noop".to_owned(),
            lane,
            priority: 0,
            due_at: None,
            timeout_s: 60,
            wishes: Wishes::default(),
            last_agent: None,
            weights: None,
            group: 0,
        }
    }
    fn slot(name: &str, role: &str, running: u32, max_concurrency: u32) -> Slot {
        let agent = Agent {
            id: AgentId::generate(),
            org: OrgId::DEFAULT,
            name: name.to_owned(),
            pool: "default".to_owned(),
            role: role.to_owned(),
            skills: BTreeMap::new(),
            subscription: Subscription::default(),
            max_concurrency,
        };
        Slot { agent: Arc::new(agent), session: SessionId::generate(), epoch: 1, running }
    }
    fn with(slot: &Slot, change: impl FnOnce(&mut Agent)) -> Slot {
        let mut agent = (*slot.agent).clone();
        change(&mut agent);
        Slot { agent: Arc::new(agent), ..slot.clone() }
    }
    fn assign(candidates: Vec<Candidate>, slots: Vec<Slot>, known: &HashMap<i32, Arc<Lane>>, records: &Records) -> Vec<Choice> {
        let groups = groups(&slots, known);
        Matcher { lanes: known, records, weights: Weights::default(), now: DateTime::UNIX_EPOCH }.assign(candidates, slots, &groups)
    }
    fn groups(slots: &[Slot], known: &HashMap<i32, Arc<Lane>>) -> Vec<Group> {
        Offer::new(slots.to_vec(), Arc::new(known.clone()), u32::MAX).groups
    }

    #[test]
    fn the_least_loaded_agent_of_the_role_is_chosen_and_the_reason_kept() {
        let slots = vec![slot("a", "dev", 1, 2), slot("b", "dev", 1, 4), slot("c", "qa", 0, 4)];
        let choices = assign(vec![candidate(1)], slots, &lanes(&[lane(1, "dev", Demands::default())]), &Records::default());
        let factors = &choices[0].factors;
        assert_eq!((factors.agent.as_str(), factors.workload, factors.considered), ("b", 0.75, 2));
        assert_eq!(factors.instead_of.as_ref().unwrap().0, "a");
    }

    #[test]
    fn slots_are_not_overfilled() {
        let known = lanes(&[lane(1, "dev", Demands::default())]);
        let slots = vec![slot("a", "dev", 0, 2), slot("b", "dev", 3, 4)];
        assert_eq!(assign((0..9).map(|_| candidate(1)).collect(), slots, &known, &Records::default()).len(), 3);
    }

    #[test]
    fn who_lacks_a_skill_or_is_not_the_one_named_gets_nothing() {
        let skilled = Demands { skills: BTreeMap::from([("rust".to_owned(), 0.6)]), ..Demands::default() };
        let named = Demands { agent: Some("b".to_owned()), ..Demands::default() };
        let known = lanes(&[lane(1, "dev", skilled), lane(2, "dev", named)]);
        let a = with(&slot("a", "dev", 0, 1), |agent| {
            agent.skills.insert("rust".to_owned(), 0.5);
        });
        let b = with(&slot("b", "dev", 0, 1), |agent| {
            agent.skills.insert("rust".to_owned(), 0.9);
        });
        let groups = groups(&[a.clone(), b.clone()], &known);
        assert_eq!(groups.len(), 1, "a can take nothing");
        assert_eq!((groups[0].lanes.as_slice(), groups[0].slots.as_slice()), ([1, 2].as_slice(), [1].as_slice()));
        assert_eq!(assign(vec![candidate(1), candidate(2)], vec![a, b], &known, &Records::default()).len(), 1);
    }

    #[test]
    fn agents_take_what_they_subscribe_to() {
        let labelled = Demands { labels: BTreeSet::from(["urgent".to_owned()]), ..Demands::default() };
        let known = lanes(&[lane(1, "dev", Demands::default()), lane(2, "dev", labelled)]);
        let all = slot("all", "dev", 0, 1);
        let some = with(&slot("some", "dev", 0, 1), |agent| {
            agent.subscription = Subscription { labels: BTreeSet::from(["urgent".to_owned()]), priority: 5, projects: BTreeSet::new() };
        });
        let groups = groups(&[all, some], &known);
        assert_eq!(groups.iter().map(|g| (g.lanes.clone(), g.priority)).collect::<Vec<_>>(), [(vec![1, 2], 0), (vec![2], 5)]);
    }

    #[test]
    fn who_did_well_at_the_kind_is_chosen_of_those_alike() {
        let (a, b) = (slot("a", "dev", 0, 4), slot("b", "dev", 0, 4));
        let mut records = Records::default();
        records.add(a.agent.id, "noop", Tally { done: 1, failed: 9, faults: 9, busy_ms: 10 });
        records.add(b.agent.id, "noop", Tally { done: 9, failed: 1, faults: 1, busy_ms: 90 });
        let known = lanes(&[lane(1, "dev", Demands::default())]);
        assert_eq!(assign(vec![candidate(1)], vec![a, b], &known, &records)[0].factors.agent, "b");
    }

    #[test]
    fn whom_a_task_would_rather_have_gets_it_when_free() {
        let known = lanes(&[lane(1, "dev", Demands::default())]);
        let (busy, free) = (slot("busy", "dev", 3, 4), slot("free", "dev", 0, 4));
        let wishes = Wishes { preferred: None, sticky: true };
        let sticky = Candidate { wishes, last_agent: Some(busy.agent.id), ..candidate(1) };
        let choices = assign(vec![sticky.clone(), sticky], vec![busy, free], &known, &Records::default());
        assert_eq!(choices.iter().map(|c| c.factors.agent.as_str()).collect::<Vec<_>>(), ["busy", "free"]);
    }

    /// Agents of two roles with a skill or none, some of them busy, and tasks of every lane.
    fn scene() -> impl Strategy<Value = (Vec<Slot>, Vec<Candidate>)> {
        let agents = prop::collection::vec((0..2usize, 0.0..1.0f64, 0..4u32, 1..4u32), 0..8);
        let tasks = prop::collection::vec((1..5i32, 0..10i32), 0..20);
        (agents, tasks).prop_map(|(agents, tasks)| {
            let agent = |(n, (role, skill, running, most)): (usize, (usize, f64, u32, u32))| {
                with(&slot(&format!("agent-{n}"), ["dev", "qa"][role], running, most), |agent| {
                    agent.skills.insert("rust".to_owned(), skill);
                })
            };
            let task = |(lane, priority)| Candidate { priority, ..candidate(lane) };
            (agents.into_iter().enumerate().map(agent).collect(), tasks.into_iter().map(task).collect())
        })
    }

    proptest! {
        #[test]
        fn whatever_is_offered_is_given_to_who_fits_and_has_room((slots, candidates) in scene()) {
            let skilled = Demands { skills: BTreeMap::from([("rust".to_owned(), 0.5)]), ..Demands::default() };
            let known =
                lanes(&[lane(1, "dev", Demands::default()), lane(2, "dev", skilled.clone()), lane(3, "qa", Demands::default()), lane(4, "qa", skilled)]);
            let groups = groups(&slots, &known);
            let group = |lane: i32| groups.iter().position(|group| group.lanes.contains(&lane));
            // As they are read: for the first group that takes them.
            let read: Vec<_> = candidates.into_iter().filter_map(|c| Some(Candidate { group: group(c.lane)?, ..c })).collect();
            let choices = assign(read.clone(), slots.clone(), &known, &Records::default());
            let given: BTreeSet<TaskId> = choices.iter().map(|choice| choice.candidate.id).collect();
            prop_assert_eq!(given.len(), choices.len(), "no task twice");
            let mut left: BTreeMap<&str, u32> = slots.iter().map(|slot| (slot.agent.name.as_str(), slot.free())).collect();
            for choice in &choices {
                let agent = &choice.slot.agent;
                prop_assert!(agent.fits(&known[&choice.candidate.lane]));
                let room = left.get_mut(agent.name.as_str()).unwrap();
                prop_assert!(*room > 0, "{} has no room", agent.name);
                *room -= 1;
                prop_assert!(choice.factors.instead_of.as_ref().is_none_or(|(_, score)| *score <= choice.factors.score));
            }
            // Nobody who fits is left with room while a task of its group waits.
            for candidate in read.iter().filter(|candidate| !given.contains(&candidate.id)) {
                let idle = groups[candidate.group].slots.iter().find(|i| left[slots[**i].agent.name.as_str()] > 0);
                prop_assert!(idle.is_none(), "{:?} could take one of lane {}", idle, candidate.lane);
            }
        }
    }
}
