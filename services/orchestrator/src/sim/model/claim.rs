//! What a dispatcher takes, by a search of everything that is ready.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use titan_ids::{OrgId, SessionId};

use super::{Model, PROJECTS, agent, lanes, number, project_id, task_id, uuid};
use crate::domain::fairness::Shares;
use crate::domain::matching::{Candidate, Choice, Matcher, Origin, Slot, Weights, Wishes};
use crate::domain::offer::Offer;
use crate::domain::records::Records;

impl Model {
    pub(super) fn claim(&mut self, slots: &[(usize, i64, u32)], ahead: &[(usize, f64)]) -> Vec<(usize, i32, usize)> {
        let slot = |(session, epoch, running): &(usize, i64, u32)| Slot {
            agent: Arc::new(agent(*session)),
            session: SessionId::from(uuid(4, *session)),
            epoch: *epoch,
            running: *running,
        };
        let slots: Vec<Slot> = slots.iter().map(slot).filter(Slot::is_free).collect();
        let mut offer = Offer::new(slots, Arc::new(lanes()), u32::MAX);
        let mut shares = Shares::default();
        for (project, ahead) in ahead {
            shares.restore(project_id(*project), *ahead);
        }
        let choices = loop {
            let choices = self.choices(&offer, &shares, ahead);
            // The compare-and-set: each session at the epoch it was seen with.
            let live = |slot: &Slot| self.sessions.get(&number(slot.session.uuid())).is_some_and(|s| !s.expired && s.epoch == slot.epoch);
            let gone: BTreeSet<SessionId> = choices.iter().filter(|choice| !live(&choice.slot)).map(|choice| choice.slot.session).collect();
            if gone.is_empty() {
                break choices;
            }
            offer = offer.without(&gone, u32::MAX);
        };
        let mut claimed = Vec::new();
        for choice in choices {
            let (n, session) = (number(choice.candidate.id.uuid()), number(choice.slot.session.uuid()));
            let row = &mut self.rows[n];
            assert!(row.ready() && row.task.attempt == choice.candidate.task.attempt);
            (row.task, row.session) = (choice.next, Some(session));
            claimed.push((n, choice.next.attempt, session));
        }
        claimed.sort_unstable();
        claimed
    }

    pub(super) fn choices(&self, offer: &Offer, shares: &Shares, ahead: &[(usize, f64)]) -> Vec<Choice> {
        let behind = |project: usize| ahead.iter().find(|(p, _)| *p == project).map_or(0.0, |(_, ahead)| *ahead);
        let mut read = Vec::new();
        for (n, group) in offer.groups.iter().enumerate() {
            let mut sources: Vec<_> = group.lanes.iter().flat_map(|lane| (0..PROJECTS).map(move |p| (*lane, p))).collect();
            let of = |lane: i32, project: usize| {
                let mut of: Vec<usize> = (0..self.rows.len())
                    .filter(|i| {
                        let row = &self.rows[*i];
                        row.ready() && row.spec.project == project && i32::try_from(row.spec.role).unwrap() + 1 == lane
                    })
                    .collect();
                of.sort_by_key(|i| self.rows[*i].order(*i));
                of
            };
            sources.retain(|(lane, project)| !of(*lane, *project).is_empty());
            sources.sort_by(|a, b| behind(a.1).total_cmp(&behind(b.1)).then(a.1.cmp(&b.1)));
            let part = (group.room as usize).div_ceil(sources.len().max(1));
            read.extend(sources.iter().flat_map(|(lane, project)| of(*lane, *project).into_iter().take(part)).map(|i| (n, i)));
        }
        read.sort_by_key(|(_, i)| self.rows[*i].order(*i));
        let mut seen = BTreeSet::new();
        read.retain(|(_, i)| seen.insert(*i));
        let candidate = |(group, i): (usize, usize)| {
            let row = &self.rows[i];
            Candidate {
                id: task_id(i),
                task: row.task,
                origin: Origin { org: OrgId::DEFAULT, goal: None, title: String::new(), traceparent: String::new() },
                project: project_id(row.spec.project),
                project_weight: 1.0,
                kind: "noop".to_owned(),
                lane: i32::try_from(row.spec.role).unwrap() + 1,
                priority: row.spec.priority,
                due_at: None,
                timeout_s: 300,
                wishes: Wishes::default(),
                last_agent: None,
                weights: None,
                group,
            }
        };
        let candidates = shares.order(read.into_iter().map(candidate).collect(), |c| (c.project, c.project_weight));
        let records = Records::default();
        let matcher = Matcher { lanes: &offer.lanes, records: &records, weights: Weights::default(), now: DateTime::<Utc>::UNIX_EPOCH };
        matcher.assign(candidates, offer.slots.clone(), &offer.groups)
    }
}
