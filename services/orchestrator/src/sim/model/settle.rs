//! What follows from tasks that move: for those that wait for them, for goals, for limits.

use std::collections::{BTreeMap, BTreeSet};

use titan_ids::TaskId;

use super::{Goal, Model, PAUSE_MS, Row, number, task_id};
use crate::domain::graph;
use crate::domain::limits::{self, Held, Limit, Waiting, admit, has_permit};
use crate::domain::task::{Command, End, OnFailure, TaskState, Transition};
use crate::store::entity::goal::State;

/// What one transaction gathers, as `app::batch` does.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) released: BTreeMap<String, i32>,
    pub(super) touched: BTreeSet<String>,
    pub(super) ends: BTreeMap<TaskId, End>,
    pub(super) finishing: BTreeSet<usize>,
}

impl Model {
    pub(super) fn moved(&mut self, n: usize, next: &Transition, now: u64, batch: &mut Batch) {
        let row = &self.rows[n];
        let later = next.retry_after.map_or(row.unreleased, |wait| !wait.is_zero());
        let held = match next.task.state {
            TaskState::Inbox => limits::held(self.is_paused(row.spec.goal), later, row.limit_keys().into_iter()),
            _ => None,
        };
        self.stands(n, next.task.state, held, batch);
        let row = &mut self.rows[n];
        if next.retry_after.is_some() {
            (row.unreleased, row.run_after) = (later, now + PAUSE_MS);
        }
        match next.task.state {
            TaskState::Done => drop(batch.ends.insert(task_id(n), End::Done)),
            TaskState::Failed | TaskState::Cancelled => drop(batch.ends.insert(task_id(n), End::Failed)),
            _ => {}
        }
        if next.task.state != TaskState::InProgress {
            row.session = None;
        }
        if next.task.state.is_terminal() {
            batch.finishing.extend(row.spec.goal);
        }
        (row.task, row.tolerated, row.by_engine) = (next.task, false, false);
    }

    /// As `app::batch::Permits::moved`.
    pub(super) fn stands(&mut self, n: usize, state: TaskState, held: Option<Held>, batch: &mut Batch) {
        let row = &mut self.rows[n];
        let released = has_permit(row.task.state, row.held.as_ref()) && !has_permit(state, held.as_ref());
        if let Some(key) = row.limit_key().filter(|_| released) {
            *batch.released.entry(key).or_default() += 1;
        }
        if let Some(Held::Limit(key)) = &held {
            batch.touched.insert(key.clone());
        }
        row.held = held;
    }

    pub(super) fn settle(&mut self, mut batch: Batch) {
        let reported: BTreeSet<TaskId> = batch.ends.keys().copied().collect();
        while !batch.ends.is_empty() {
            let ends = std::mem::take(&mut batch.ends);
            let waits = |row: &Row| matches!(row.task.state, TaskState::Inbox | TaskState::Blocked);
            let mut edges = Vec::new();
            for (n, row) in self.rows.iter().enumerate().filter(|(_, row)| waits(row)) {
                let uncounted = row.spec.depends_on.iter().filter(|(on, _)| !row.counted.contains(on));
                edges.extend(uncounted.map(|(on, policy)| (task_id(n), task_id(*on), *policy)));
            }
            edges.retain(|(_, on, _)| ends.contains_key(on));
            let handled = self.rows.iter().flat_map(|row| &row.counted).map(|on| task_id(*on)).filter(|on| ends.contains_key(on)).collect();
            for (task, on, _) in edges.iter().filter(|(_, on, policy)| *policy == OnFailure::Run && ends.get(on) != Some(&End::Done)) {
                self.rows[number(task.uuid())].counted.insert(number(on.uuid()));
            }
            let following = graph::follow(&ends, &handled, edges.into_iter());
            for (id, count) in &following.counts {
                let row = &mut self.rows[number(id.uuid())];
                row.waiting_on -= count;
                if row.waiting_on == 0 {
                    batch.touched.extend(match &row.held {
                        Some(Held::Limit(key)) => Some(key.clone()),
                        _ => None,
                    });
                }
            }
            let cancelled = following.cancelled.keys().map(|id| (*id, End::Failed));
            for (id, end) in cancelled.chain(following.skipped.keys().map(|id| (*id, End::Skipped))) {
                self.cancelled_with(number(id.uuid()), end, &mut batch);
            }
            for id in following.handled.iter().filter(|id| reported.contains(id)) {
                self.rows[number(id.uuid())].tolerated = true;
            }
            // What has not begun of the goal of what failed.
            for n in ends.iter().filter(|(id, end)| **end == End::Failed && reported.contains(id)).map(|(id, _)| number(id.uuid())) {
                let goal = self.rows[n].spec.goal.filter(|_| !self.rows[n].tolerated);
                let rest =
                    |row: &Row| goal.is_some() && row.spec.goal == goal && matches!(row.task.state, TaskState::Inbox | TaskState::Blocked);
                for other in (0..self.rows.len()).filter(|i| rest(&self.rows[*i])).collect::<Vec<_>>() {
                    self.cancelled_with(other, End::Failed, &mut batch);
                }
            }
        }
        for goal in std::mem::take(&mut batch.finishing) {
            self.finish(goal);
        }
        self.settle_limits(batch);
    }

    pub(super) fn cancelled_with(&mut self, n: usize, end: End, batch: &mut Batch) {
        let next = self.rows[n].task.transition(Command::Cancel, 0.0).unwrap();
        self.moved(n, &next, 0, batch);
        batch.ends.insert(task_id(n), end);
        (self.rows[n].tolerated, self.rows[n].by_engine) = (end == End::Skipped, true);
    }

    /// The goal is finished when no task of it can run any more.
    pub(super) fn finish(&mut self, goal: usize) {
        let mut of = self.rows.iter().filter(|row| row.spec.goal == Some(goal));
        if of.clone().any(|row| !row.task.state.is_terminal()) {
            return;
        }
        let done = of.all(|row| row.task.state == TaskState::Done || row.tolerated);
        let goal = self.goals.get_mut(&goal).filter(|goal| goal.state == State::Running);
        if let Some(goal) = goal {
            *goal = Goal { state: if done { State::Done } else { State::Failed }, paused: false };
        }
    }

    /// As `app::batch::Permits::settle`.
    pub(super) fn settle_limits(&mut self, batch: Batch) {
        for (key, n) in &batch.released {
            self.limits.get_mut(key).unwrap().taken -= n;
        }
        let mut keys: BTreeSet<String> = batch.touched.into_iter().chain(batch.released.into_keys()).collect();
        let mut waiting = self.waiting(&keys);
        keys.extend(waiting.iter().flat_map(|task| task.keys.clone()));
        while !waiting.is_empty() {
            let mut counters: BTreeMap<String, Limit> =
                self.limits.iter().filter(|(key, _)| keys.contains(*key)).map(|(key, limit)| (key.clone(), limit.clone())).collect();
            let before: BTreeMap<TaskId, String> = waiting.iter().map(|task| (task.id, task.held.clone())).collect();
            let decided = admit(&mut counters, &waiting);
            self.limits.extend(counters);
            let moved = decided.iter().any(|(id, held)| held.as_ref().is_none_or(|held| held.text() != before[id]));
            for (id, held) in decided {
                self.rows[number(id.uuid())].held = held;
            }
            if !moved {
                break;
            }
            waiting = self.waiting(&keys);
            keys.extend(waiting.iter().flat_map(|task| task.keys.clone()));
        }
    }

    pub(super) fn waiting(&self, keys: &BTreeSet<String>) -> Vec<Waiting> {
        let of = |key: &String| {
            let waits = |row: &Row| {
                row.task.state == TaskState::Inbox && row.waiting_on == 0 && row.held.as_ref().is_some_and(|held| held.text() == key)
            };
            let mut waiting: Vec<usize> = (0..self.rows.len()).filter(|n| waits(&self.rows[*n])).collect();
            waiting.sort_by_key(|n| self.rows[*n].order(*n));
            waiting.truncate(self.limits.get(key).map_or(0, |limit| usize::try_from(limit.most).unwrap()));
            waiting.into_iter().map(|n| (n, key.clone())).collect::<Vec<_>>()
        };
        let mut waiting: Vec<(usize, String)> = keys.iter().flat_map(of).collect();
        waiting.sort_by_key(|(n, _)| self.rows[*n].order(*n));
        waiting.into_iter().map(|(n, held)| Waiting { id: task_id(n), held, keys: self.rows[n].limit_keys() }).collect()
    }
}
