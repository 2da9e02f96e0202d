//! The orchestrator's replicas: dispatchers, reconcilers, their ends of streams.

use std::collections::{BTreeMap, BTreeSet};

use super::super::model::{Answer, CONCURRENCY, Op, PROJECTS, What, project_id};
use super::{Event, FAULTS_UNTIL, GRACE, LEASE, Message, Stream, Worker, World};
use crate::domain::session::resume;

impl World {
    pub(super) fn claim(&mut self, replica: usize) {
        self.after(50, Event::Claim(replica));
        let sessions = &self.replicas[replica].sessions;
        let running = |owned: &BTreeSet<_>| u32::try_from(owned.len()).unwrap().min(CONCURRENCY);
        let slots: Vec<_> = sessions.iter().map(|(life, (_, epoch, owned))| (*life, *epoch, running(owned))).collect();
        if slots.is_empty() || !self.model.any_ready() {
            return;
        }
        let ahead: BTreeMap<_, _> = self.replicas[replica].shares.ahead().collect();
        let ahead = (0..PROJECTS).filter_map(|p| ahead.get(&project_id(p)).map(|ahead| (p, *ahead))).collect();
        let Some(answer) = self.commit(Op::Claim { slots, ahead }) else {
            // What was claimed is not known: everybody says hello again.
            let streams: Vec<_> = self.replicas[replica].sessions.values().map(|(stream, _, _)| *stream).collect();
            streams.into_iter().for_each(|stream| self.cut(stream));
            return;
        };
        let Answer::Claimed(claimed) = answer else { unreachable!("a claim's answer") };
        for (task, attempt, life) in claimed {
            let project = project_id(self.model.rows[task].spec.project);
            self.replicas[replica].shares.charge(project, 1.0);
            let Some((stream, _, owned)) = self.replicas[replica].sessions.get_mut(&life) else { continue };
            owned.insert((task, attempt));
            let stream = *stream;
            self.tell_worker(stream, Message::Assignment { task, attempt });
        }
    }

    pub(super) fn reconcile(&mut self) {
        let pause = self.rng.u64(300..1_500);
        self.after(pause, Event::Reconcile);
        let due = self.model.due(self.now);
        if !due.is_empty() {
            self.commit(Op::ReleaseDue { due });
        }
        for goal in self.resting().filter(|_| self.now > FAULTS_UNTIL).collect::<Vec<_>>() {
            self.commit(Op::Pause { goal, paused: false });
        }
        for (project, n) in self.model.dry() {
            if self.rng.bool() {
                self.commit(Op::Refill { project, n });
            }
        }
        let ended: Vec<usize> = self.leases.iter().filter(|(_, until)| **until < self.now).map(|(life, _)| *life).collect();
        for life in ended {
            self.leases.remove(&life);
            self.commit(Op::Expire { session: life });
        }
        let expired = |life: usize| self.model.sessions.get(&life).is_some_and(|s| s.expired);
        let orphans = self.model.rows.iter().enumerate();
        let orphans: Vec<_> =
            orphans.filter_map(|(n, row)| row.session.filter(|life| expired(*life)).map(|life| (n, row.task.attempt, life))).collect();
        for (task, attempt, life) in orphans {
            // Whoever had it must have stopped by its own clock, or be standing still.
            for worker in self.workers.iter().filter(|w| w.life == life && !w.down && w.stopped_until <= self.now) {
                let acts = worker.running.contains_key(&(task, attempt)) && worker.lease_until > worker.clock.shows(self.now);
                assert!(!acts, "task {task} attempt {attempt} has a second owner at {}", self.now);
            }
            self.commit(Op::Report { reports: vec![(task, attempt, What::Lost)] });
        }
    }

    pub(super) fn arrives_at_replica(&mut self, stream: usize, message: Message) {
        let Stream { replica, life, replica_end, .. } = self.streams[stream];
        if !replica_end {
            return;
        }
        match (message, life) {
            (Message::Hello { life, running, results, sent }, _) => self.hello(stream, life, &running, results, sent),
            (Message::Beat { sent }, Some((life, epoch))) => {
                let current = self.model.sessions.get(&life).is_some_and(|s| s.epoch == epoch && !s.expired);
                if !current {
                    return self.cut(stream);
                }
                self.leases.insert(life, self.now + LEASE);
                self.tell_worker(stream, Message::BeatAck { sent });
            }
            (Message::Said { task, attempt, what }, Some((life, _))) => {
                let Some(Answer::Accepted(accepted)) = self.commit(Op::Report { reports: vec![(task, attempt, what)] }) else {
                    return self.cut(stream);
                };
                if what == What::Started {
                    if !accepted[0] {
                        self.tell_worker(stream, Message::Revoke { task, attempt });
                    }
                    return;
                }
                if let Some((_, _, owned)) = self.replicas[replica].sessions.get_mut(&life) {
                    owned.remove(&(task, attempt));
                }
                self.tell_worker(stream, Message::Ack { task, attempt });
            }
            _ => {}
        }
    }

    pub(super) fn hello(&mut self, stream: usize, life: usize, running: &[(usize, i32)], results: Vec<(usize, i32, What)>, sent: u64) {
        let epoch = match self.commit(Op::Connect { session: life }) {
            Some(Answer::Epoch(Some(epoch))) => epoch,
            Some(_) => {
                // It has expired: the worker drops everything and begins a new life.
                let worker = self.streams[stream].worker;
                self.cut(stream);
                if self.workers[worker].life == life && !self.workers[worker].down {
                    let Worker { clock, stopped_until, .. } = self.workers[worker];
                    self.workers[worker] = Worker { life: self.new_life(worker), clock, stopped_until, ..Worker::default() };
                    self.after(20, Event::Connect(worker));
                }
                return;
            }
            None => return self.cut(stream),
        };
        self.leases.insert(life, self.now + LEASE);
        let owned: Vec<(usize, i32)> =
            self.model.rows.iter().enumerate().filter_map(|(n, r)| (r.session? == life).then_some((n, r.task.attempt))).collect();
        let by_id = |(n, attempt): &(usize, i32)| (titan_ids::TaskId::from(uuid::Uuid::from_u128(*n as u128)), *attempt);
        let back = |(id, attempt): &(titan_ids::TaskId, i32)| (usize::try_from(id.uuid().as_u128()).unwrap(), *attempt);
        let ids = |attempts: &[(usize, i32)]| attempts.iter().map(by_id).collect::<Vec<_>>();
        let held: Vec<_> = results.iter().map(|(task, attempt, _)| (*task, *attempt)).collect();
        let plan = resume(&ids(&owned), &ids(running), &ids(&held));
        self.streams[stream].life = Some((life, epoch));
        self.tell_worker(stream, Message::Resume { keep: plan.keep.iter().map(back).collect(), sent });
        for (task, attempt, what) in results {
            self.tell_replica(stream, Message::Said { task, attempt, what });
        }
        for (task, attempt) in plan.redeliver.iter().map(back) {
            self.tell_worker(stream, Message::Assignment { task, attempt });
        }
        let replica = self.streams[stream].replica;
        self.replicas[replica].sessions.insert(life, (stream, epoch, owned.into_iter().collect()));
    }

    pub(super) fn closed(&mut self, stream: usize) {
        let Stream { replica, life, replica_end, .. } = self.streams[stream];
        self.streams[stream].replica_end = false;
        let Some((life, epoch)) = life.filter(|_| replica_end) else { return };
        if self.replicas[replica].sessions.get(&life).is_some_and(|(of, _, _)| *of == stream) {
            self.replicas[replica].sessions.remove(&life);
        }
        // One that has connected again since is not disconnected.
        if self.model.sessions.get(&life).is_some_and(|s| s.epoch == epoch) {
            let until = self.now + GRACE;
            self.leases.entry(life).and_modify(|lease| *lease = (*lease).min(until));
        }
    }
}
