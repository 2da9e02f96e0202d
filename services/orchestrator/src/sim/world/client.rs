//! Who submits, cancels, tries again, pauses.

use std::collections::BTreeMap;

use super::super::model::{Op, PROJECTS, RATES, ROLES, Spec};
use super::{Event, FAULTS_UNTIL, Message, REPLICAS, World};
use crate::domain::task::{OnFailure, TaskState};
use crate::store::entity::goal::State;

impl World {
    pub(super) fn client(&mut self) {
        if self.now < FAULTS_UNTIL {
            let pause = self.rng.u64(50..3_000);
            self.after(pause, Event::Client);
        }
        let count = self.model.rows.len();
        let op = match self.rng.u8(0..10) {
            0 if count > 0 => Op::Cancel { task: self.rng.usize(..count) },
            1 if count > 0 => Op::Retry { task: self.rng.usize(..count) },
            2 if !self.model.goals.is_empty() => {
                let goal = self.rng.usize(..self.model.goals.len());
                let goal = *self.model.goals.keys().nth(goal).unwrap();
                Op::Pause { goal, paused: self.rng.bool() }
            }
            _ => {
                self.submissions += 1;
                let specs = (0..self.rng.usize(1..5)).map(|i| self.spec(count + i)).collect();
                Op::Submit { key: self.submissions, specs }
            }
        };
        self.ask(op);
    }

    pub(super) fn ask(&mut self, op: Op) {
        let owned = |world: &Self, task: usize| {
            let row = &world.model.rows[task];
            row.session.map(|_| row.task.attempt)
        };
        let before = if let Op::Cancel { task } = op { owned(self, task).map(|attempt| (task, attempt)) } else { None };
        if self.commit(op.clone()).is_none() && matches!(op, Op::Submit { .. }) {
            self.after(200, Event::Again(op));
        }
        if let Some((task, attempt)) = before {
            self.revoke(task, attempt);
        }
    }

    /// Told to whichever replica has it.
    pub(super) fn revoke(&mut self, task: usize, attempt: i32) {
        for replica in 0..REPLICAS {
            let told: Vec<usize> = self.replicas[replica]
                .sessions
                .values_mut()
                .filter_map(|(stream, _, owned)| owned.remove(&(task, attempt)).then_some(*stream))
                .collect();
            told.into_iter().for_each(|stream| self.tell_worker(stream, Message::Revoke { task, attempt }));
        }
    }

    /// Goals that are paused.
    pub(super) fn resting(&self) -> impl Iterator<Item = usize> {
        self.model.goals.iter().filter(|(_, goal)| goal.paused && goal.state == State::Running).map(|(n, _)| *n)
    }

    /// The one of the project that is not finished; its remainder is the project's number.
    pub(super) fn goal(&self, project: usize) -> usize {
        let finished = |goal: &usize| self.model.goals.get(goal).is_some_and(|goal| goal.state != State::Running);
        (project..).step_by(PROJECTS).find(|goal| !finished(goal)).unwrap()
    }

    pub(super) fn spec(&mut self, n: usize) -> Spec {
        let project = self.rng.usize(..PROJECTS);
        let mut depends_on: BTreeMap<usize, OnFailure> = BTreeMap::new();
        for _ in 0..self.rng.usize(0..3) {
            let policy = [OnFailure::Fail, OnFailure::Skip, OnFailure::Run][self.rng.usize(..3)];
            // Among those before, the newest more often; only of the same project, and of those that can still be done.
            let from = n.saturating_sub(8);
            let fits = |on: &usize| match self.model.rows.get(*on) {
                Some(row) => {
                    let lost = row.task.state.is_terminal() && row.task.state != TaskState::Done;
                    row.spec.project == project && (!lost || policy == OnFailure::Run)
                }
                None => false,
            };
            if let Some(on) = (from..n).filter(fits).nth(self.rng.usize(..4)) {
                depends_on.insert(on, policy);
            }
        }
        // Of a key there is one limit: changing it is tested elsewhere.
        let key = (self.rng.u8(..4) == 0).then(|| self.rng.usize(..2)).map(|key| (key, i32::try_from(key).unwrap() * 2 + 1));
        Spec {
            name: format!("task-{n:05}"),
            project,
            goal: (self.rng.u8(..3) == 0).then(|| self.goal(project)),
            role: self.rng.usize(..ROLES),
            priority: self.rng.i32(0..3),
            key,
            rate: (self.rng.u8(..5) == 0).then(|| self.rng.usize(..RATES)),
            due: (self.rng.u8(..4) == 0).then(|| self.rng.u8(..3)),
            max_attempts: self.rng.i32(1..4),
            depends_on: depends_on.into_iter().collect(),
        }
    }
}
