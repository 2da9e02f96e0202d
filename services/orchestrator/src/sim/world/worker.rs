//! Workers, on clocks of their own.

use std::time::Duration;

use super::super::model::What;
use super::{BEAT, Event, GRACE, LEASE, Message, REPLICAS, Stream, WORKERS, Worker, World};
use crate::domain::session::holds;

impl World {
    pub(super) fn start(&mut self, worker: usize) {
        self.workers[worker] = Worker { life: self.new_life(worker), clock: self.workers[worker].clock, ..Worker::default() };
        self.after(20, Event::Connect(worker));
        self.after(BEAT, Event::Beat(worker));
    }

    /// Its remainder is the worker's number, so that each keeps its role.
    pub(super) fn new_life(&mut self, worker: usize) -> usize {
        self.lives += 1;
        self.lives * WORKERS + worker
    }

    pub(super) fn connect(&mut self, worker: usize) {
        let state = &self.workers[worker];
        if state.down || state.stream.is_some() {
            return;
        }
        if state.stopped_until > self.now {
            let wait = state.stopped_until - self.now;
            return self.after(wait, Event::Connect(worker));
        }
        self.check_lease(worker);
        let stream = self.streams.len();
        let replica = self.rng.usize(..REPLICAS);
        self.streams.push(Stream { worker, replica, life: None, worker_end: true, replica_end: true, since: self.now, last: [0; 2] });
        let state = &mut self.workers[worker];
        state.stream = Some(stream);
        let (life, running, results) = (state.life, state.running.keys().copied().collect(), state.results.clone());
        let sent = state.clock.shows(self.now);
        self.tell_replica(stream, Message::Hello { life, running, results, sent });
    }

    pub(super) fn beat(&mut self, worker: usize) {
        self.after(BEAT, Event::Beat(worker));
        let state = &self.workers[worker];
        if state.down || state.stopped_until > self.now {
            return;
        }
        self.check_lease(worker);
        let shows = self.workers[worker].clock.shows(self.now);
        let ended = self.workers[worker].lease_until <= shows;
        match self.workers[worker].stream {
            // Whoever does not extend the lease gives no work either; saying hello again sorts it out.
            Some(stream) if ended && self.streams[stream].since + LEASE < self.now => self.cut(stream),
            Some(stream) => self.tell_replica(stream, Message::Beat { sent: shows }),
            None => self.connect(worker),
        }
    }

    /// A worker whose lease has ended stops what it does.
    pub(super) fn check_lease(&mut self, worker: usize) {
        let state = &mut self.workers[worker];
        if state.lease_until <= state.clock.shows(self.now) && !state.running.is_empty() {
            state.running.clear();
            // The orchestrator still believes in it: saying hello again sorts it out.
            if let Some(stream) = state.stream {
                self.cut(stream);
            }
        }
    }

    pub(super) fn ends(&mut self, worker: usize, life: usize, task: usize, attempt: i32) {
        let state = &self.workers[worker];
        if state.down || state.life != life {
            return;
        }
        if state.stopped_until > self.now {
            let wait = state.stopped_until - self.now + 1;
            return self.after(wait, Event::Ends { worker, life, task, attempt });
        }
        self.check_lease(worker);
        if self.workers[worker].running.remove(&(task, attempt)).is_none() {
            return;
        }
        let what = match self.rng.u8(..10) {
            0 => What::Failed { last: self.rng.bool() },
            _ => What::Completed,
        };
        if what == What::Completed {
            self.worked.entry(task).or_default().insert(attempt);
        }
        self.workers[worker].results.push((task, attempt, what));
        if let Some(stream) = self.workers[worker].stream {
            self.tell_replica(stream, Message::Said { task, attempt, what });
            if self.rng.u8(..20) == 0 {
                self.tell_replica(stream, Message::Said { task, attempt, what });
            }
        }
    }

    pub(super) fn arrives_at_worker(&mut self, stream: usize, message: Message) {
        let Stream { worker, worker_end, .. } = self.streams[stream];
        let state = &self.workers[worker];
        if !worker_end || state.stream != Some(stream) || state.down {
            return;
        }
        if state.stopped_until > self.now {
            let wait = state.stopped_until - self.now + 1;
            self.streams[stream].last[0] = self.streams[stream].last[0].max(self.now + wait);
            return self.after(wait, Event::ToWorker { stream, message });
        }
        self.check_lease(worker);
        let hold = holds(Duration::from_millis(LEASE), Duration::from_millis(GRACE)).as_millis();
        let hold = u64::try_from(hold).unwrap();
        let state = &mut self.workers[worker];
        match message {
            Message::Resume { keep, sent } => {
                state.running.retain(|attempt, ()| keep.contains(attempt));
                state.lease_until = state.lease_until.max(sent + hold);
            }
            Message::BeatAck { sent } => state.lease_until = state.lease_until.max(sent + hold),
            Message::Assignment { task, attempt } => {
                let known = state.running.contains_key(&(task, attempt)) || state.results.iter().any(|r| (r.0, r.1) == (task, attempt));
                if known {
                    return;
                }
                // One that stood still begins nothing; what is still its own is delivered again after the next hello.
                if state.lease_until <= state.clock.shows(self.now) {
                    return self.cut(stream);
                }
                state.running.insert((task, attempt), ());
                // Some of it takes longer than a lease.
                let longest = if self.rng.u8(..4) == 0 { 3 * LEASE } else { LEASE / 2 };
                let (life, takes) = (state.life, self.rng.u64(1..longest));
                self.tell_replica(stream, Message::Said { task, attempt, what: What::Started });
                self.after(takes, Event::Ends { worker, life, task, attempt });
            }
            Message::Ack { task, attempt } => state.results.retain(|r| (r.0, r.1) != (task, attempt)),
            Message::Revoke { task, attempt } => drop(state.running.remove(&(task, attempt))),
            Message::Hello { .. } | Message::Beat { .. } | Message::Said { .. } => unreachable!("what a worker says"),
        }
    }
}
