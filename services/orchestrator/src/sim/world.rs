//! Clients, workers, replicas and the network between them, by a seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use fastrand::Rng;

use super::model::{Answer, CONCURRENCY, Model, Op, PROJECTS, RATES, ROLES, Spec, What, project_id};
use crate::domain::fairness::Shares;
use crate::domain::session::resume;
use crate::domain::task::OnFailure;

const REPLICAS: usize = 2;
const WORKERS: usize = 4;
/// Milliseconds, as in the engine's defaults.
const LEASE: u64 = 8_000;
const GRACE: u64 = 5_000;
const BEAT: u64 = 1_000;
const FAULTS_UNTIL: u64 = 60_000;
const END: u64 = 600_000;

#[derive(Clone, Debug)]
enum Message {
    /// From the worker: its life, what it runs, results that were not acknowledged.
    Hello {
        life: usize,
        running: Vec<(usize, i32)>,
        results: Vec<(usize, i32, What)>,
    },
    Beat {
        sent: u64,
    },
    Said {
        task: usize,
        attempt: i32,
        what: What,
    },
    /// From the replica.
    Resume {
        keep: Vec<(usize, i32)>,
    },
    BeatAck {
        sent: u64,
    },
    Assignment {
        task: usize,
        attempt: i32,
    },
    Ack {
        task: usize,
        attempt: i32,
    },
    Revoke {
        task: usize,
        attempt: i32,
    },
}

#[derive(Clone, Debug)]
enum Event {
    Client,
    /// A client whose answer got lost asks again with the same key.
    Again(Op),
    Claim(usize),
    /// Reconcilers: sessions, what is due, limits.
    Reconcile,
    Connect(usize),
    Beat(usize),
    /// The work on an attempt ends, in the life it began in.
    Ends {
        worker: usize,
        life: usize,
        task: usize,
        attempt: i32,
    },
    ToWorker {
        stream: usize,
        message: Message,
    },
    ToReplica {
        stream: usize,
        message: Message,
    },
    /// The replica finds out that the stream is gone.
    Closed {
        stream: usize,
    },
    Fault,
    /// Both ends find out.
    Cut {
        stream: usize,
    },
    Restart(usize),
    Wake(usize),
}

/// A connection; half open when only the replica believes in it.
#[derive(Clone, Debug)]
struct Stream {
    worker: usize,
    replica: usize,
    /// The session that said hello on it.
    life: Option<(usize, i64)>,
    worker_end: bool,
    replica_end: bool,
    since: u64,
    /// When the last message on the way to the worker, and to the replica, arrives: none overtakes another.
    last: [u64; 2],
}

#[derive(Clone, Debug, Default)]
struct Worker {
    life: usize,
    stream: Option<usize>,
    running: BTreeMap<(usize, i32), ()>,
    results: Vec<(usize, i32, What)>,
    /// By its own monotonic clock.
    lease_until: u64,
    down: bool,
    /// Standing still until then: it does and hears nothing.
    stopped_until: u64,
}

/// (task, attempt)
type Owned = BTreeSet<(usize, i32)>;

/// What a replica keeps in memory.
#[derive(Debug, Default)]
struct Replica {
    /// By life: the stream and epoch, and what it owns.
    sessions: BTreeMap<usize, (usize, i64, Owned)>,
    shares: Shares,
}

pub(super) struct World {
    pub(super) model: Model,
    /// Everything that was committed, when, and with its answer.
    pub(super) ops: Vec<(u64, Op, Answer)>,
    rng: Rng,
    now: u64,
    events: BinaryHeap<Reverse<(u64, u64, usize)>>,
    pending: Vec<Option<Event>>,
    streams: Vec<Stream>,
    workers: Vec<Worker>,
    replicas: Vec<Replica>,
    /// By life, on the database's clock; a life whose stream broke has the grace only.
    leases: BTreeMap<usize, u64>,
    lives: usize,
    submissions: u64,
    /// Shows what it does.
    told: bool,
    /// Attempts whose work was done to its end.
    worked: BTreeMap<usize, BTreeSet<i32>>,
}

impl World {
    pub(super) fn new(seed: u64, told: bool) -> Self {
        let mut world = Self {
            model: Model::default(),
            ops: Vec::new(),
            rng: Rng::with_seed(seed),
            now: 0,
            events: BinaryHeap::new(),
            pending: Vec::new(),
            streams: Vec::new(),
            workers: vec![Worker::default(); WORKERS],
            replicas: (0..REPLICAS).map(|_| Replica::default()).collect(),
            leases: BTreeMap::new(),
            lives: 0,
            submissions: 0,
            told,
            worked: BTreeMap::new(),
        };
        for worker in 0..WORKERS {
            world.start(worker);
        }
        for (after, event) in [(10, Event::Client), (500, Event::Reconcile), (3_000, Event::Fault)] {
            world.after(after, event);
        }
        (0..REPLICAS).for_each(|replica| world.after(50, Event::Claim(replica)));
        world
    }

    /// Until nothing is left to do; then everything must have ended.
    pub(super) fn run(&mut self) {
        while let Some(Reverse((at, _, n))) = self.events.pop() {
            self.now = at;
            let Some(event) = self.pending[n].take() else { continue };
            self.happens(event);
            let quiet = self.now > FAULTS_UNTIL && self.model.rows.iter().all(|row| row.task.state.is_terminal());
            if quiet || self.now > END {
                break;
            }
        }
        for row in &self.model.rows {
            assert!(row.task.state.is_terminal(), "it never ended: {row:?}");
        }
        for (key, limit) in &self.model.limits {
            assert_eq!(limit.taken, 0, "{key} is still taken");
        }
        for (n, row) in self.model.rows.iter().enumerate().filter(|(_, row)| row.accepted.is_some()) {
            assert!(row.accepted.is_some_and(|attempt| self.worked[&n].contains(&attempt)), "done by nobody: {row:?}");
        }
    }

    fn after(&mut self, delay: u64, event: Event) {
        let n = self.pending.len();
        self.pending.push(Some(event));
        self.events.push(Reverse((self.now + delay, n as u64, n)));
    }

    /// A transaction; `None` when its commit went through and its answer got lost.
    fn commit(&mut self, op: Op) -> Option<Answer> {
        let answer = self.model.apply(&op, self.now);
        if self.told {
            eprintln!("{:>7} {op:?} → {answer:?}", self.now);
        }
        self.model.check();
        self.ops.push((self.now, op, answer.clone()));
        (self.now > FAULTS_UNTIL || self.rng.u8(..) > 4).then_some(answer)
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Client => self.client(),
            Event::Again(op) => self.ask(op),
            Event::Claim(replica) => self.claim(replica),
            Event::Reconcile => self.reconcile(),
            Event::Connect(worker) => self.connect(worker),
            Event::Beat(worker) => self.beat(worker),
            Event::Ends { worker, life, task, attempt } => self.ends(worker, life, task, attempt),
            Event::ToWorker { stream, message } => self.arrives_at_worker(stream, message),
            Event::ToReplica { stream, message } => self.arrives_at_replica(stream, message),
            Event::Closed { stream } => self.closed(stream),
            Event::Cut { stream } => self.cut(stream),
            Event::Fault => self.fault(),
            Event::Restart(worker) => self.start(worker),
            Event::Wake(worker) => self.check_lease(worker),
        }
    }

    fn client(&mut self) {
        if self.now < FAULTS_UNTIL {
            let pause = self.rng.u64(50..3_000);
            self.after(pause, Event::Client);
        }
        let count = self.model.rows.len();
        let op = match self.rng.u8(0..10) {
            0 if count > 0 => Op::Cancel { task: self.rng.usize(..count) },
            1 if count > 0 => Op::Retry { task: self.rng.usize(..count) },
            _ => {
                self.submissions += 1;
                let specs = (0..self.rng.usize(1..5)).map(|i| self.spec(count + i)).collect();
                Op::Submit { key: self.submissions, specs }
            }
        };
        self.ask(op);
    }

    fn ask(&mut self, op: Op) {
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
    fn revoke(&mut self, task: usize, attempt: i32) {
        for replica in 0..REPLICAS {
            let told: Vec<usize> = self.replicas[replica]
                .sessions
                .values_mut()
                .filter_map(|(stream, _, owned)| owned.remove(&(task, attempt)).then_some(*stream))
                .collect();
            told.into_iter().for_each(|stream| self.tell_worker(stream, Message::Revoke { task, attempt }));
        }
    }

    fn spec(&mut self, n: usize) -> Spec {
        let project = self.rng.usize(..PROJECTS);
        let mut depends_on: BTreeMap<usize, OnFailure> = BTreeMap::new();
        for _ in 0..self.rng.usize(0..3) {
            let policy = [OnFailure::Fail, OnFailure::Skip, OnFailure::Run][self.rng.usize(..3)];
            // Among those before, the newest more often; only of the same project, and of those that can still be done.
            let from = n.saturating_sub(8);
            let fits = |on: &usize| match self.model.rows.get(*on) {
                Some(row) => {
                    let lost = row.task.state.is_terminal() && row.task.state != crate::domain::task::TaskState::Done;
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
            role: self.rng.usize(..ROLES),
            priority: self.rng.i32(0..3),
            key,
            rate: (self.rng.u8(..5) == 0).then(|| self.rng.usize(..RATES)),
            due: (self.rng.u8(..4) == 0).then(|| self.rng.u8(..3)),
            max_attempts: self.rng.i32(1..4),
            depends_on: depends_on.into_iter().collect(),
        }
    }

    fn claim(&mut self, replica: usize) {
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

    fn reconcile(&mut self) {
        let pause = self.rng.u64(300..1_500);
        self.after(pause, Event::Reconcile);
        let due = self.model.due(self.now);
        if !due.is_empty() {
            self.commit(Op::ReleaseDue { due });
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
                let acts = worker.running.contains_key(&(task, attempt)) && worker.lease_until > self.now;
                assert!(!acts, "task {task} attempt {attempt} has a second owner at {}", self.now);
            }
            self.commit(Op::Report { reports: vec![(task, attempt, What::Lost)] });
        }
    }

    fn start(&mut self, worker: usize) {
        self.workers[worker] = Worker { life: self.new_life(worker), ..Worker::default() };
        self.after(20, Event::Connect(worker));
        self.after(BEAT, Event::Beat(worker));
    }

    /// Its remainder is the worker's number, so that each keeps its role.
    fn new_life(&mut self, worker: usize) -> usize {
        self.lives += 1;
        self.lives * WORKERS + worker
    }

    fn connect(&mut self, worker: usize) {
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
        self.tell_replica(stream, Message::Hello { life, running, results });
    }

    fn beat(&mut self, worker: usize) {
        self.after(BEAT, Event::Beat(worker));
        let state = &self.workers[worker];
        if state.down || state.stopped_until > self.now {
            return;
        }
        self.check_lease(worker);
        let ended = self.workers[worker].lease_until <= self.now;
        match self.workers[worker].stream {
            // Whoever does not extend the lease gives no work either; saying hello again sorts it out.
            Some(stream) if ended && self.streams[stream].since + LEASE < self.now => self.cut(stream),
            Some(stream) => self.tell_replica(stream, Message::Beat { sent: self.now }),
            None => self.connect(worker),
        }
    }

    /// A worker whose lease has ended stops what it does.
    fn check_lease(&mut self, worker: usize) {
        let state = &mut self.workers[worker];
        if state.lease_until <= self.now && !state.running.is_empty() {
            state.running.clear();
            // The orchestrator still believes in it: saying hello again sorts it out.
            if let Some(stream) = state.stream {
                self.cut(stream);
            }
        }
    }

    fn ends(&mut self, worker: usize, life: usize, task: usize, attempt: i32) {
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

    fn tell_worker(&mut self, stream: usize, message: Message) {
        let delay = self.on_the_way(stream, 0);
        self.after(delay, Event::ToWorker { stream, message });
    }

    fn tell_replica(&mut self, stream: usize, message: Message) {
        let delay = self.on_the_way(stream, 1);
        self.after(delay, Event::ToReplica { stream, message });
    }

    fn on_the_way(&mut self, stream: usize, direction: usize) -> u64 {
        let last = &mut self.streams[stream].last[direction];
        *last = (*last).max(self.now + self.rng.u64(1..4));
        *last - self.now
    }

    fn arrives_at_worker(&mut self, stream: usize, message: Message) {
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
        let state = &mut self.workers[worker];
        match message {
            Message::Resume { keep } => state.running.retain(|attempt, ()| keep.contains(attempt)),
            Message::BeatAck { sent } => state.lease_until = state.lease_until.max(sent + LEASE.min(GRACE)),
            Message::Assignment { task, attempt } => {
                let known = state.running.contains_key(&(task, attempt)) || state.results.iter().any(|r| (r.0, r.1) == (task, attempt));
                if known {
                    return;
                }
                // One that stood still begins nothing; what is still its own is delivered again after the next hello.
                if state.lease_until <= self.now {
                    return self.cut(stream);
                }
                state.running.insert((task, attempt), ());
                let (life, takes) = (state.life, self.rng.u64(1..4_000));
                self.tell_replica(stream, Message::Said { task, attempt, what: What::Started });
                self.after(takes, Event::Ends { worker, life, task, attempt });
            }
            Message::Ack { task, attempt } => state.results.retain(|r| (r.0, r.1) != (task, attempt)),
            Message::Revoke { task, attempt } => drop(state.running.remove(&(task, attempt))),
            Message::Hello { .. } | Message::Beat { .. } | Message::Said { .. } => unreachable!("what a worker says"),
        }
    }

    fn arrives_at_replica(&mut self, stream: usize, message: Message) {
        let Stream { replica, life, replica_end, .. } = self.streams[stream];
        if !replica_end {
            return;
        }
        match (message, life) {
            (Message::Hello { life, running, results }, _) => self.hello(stream, life, &running, results),
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

    fn hello(&mut self, stream: usize, life: usize, running: &[(usize, i32)], results: Vec<(usize, i32, What)>) {
        let epoch = match self.commit(Op::Connect { session: life }) {
            Some(Answer::Epoch(Some(epoch))) => epoch,
            Some(_) => {
                // It has expired: the worker drops everything and begins a new life.
                let worker = self.streams[stream].worker;
                self.cut(stream);
                if self.workers[worker].life == life && !self.workers[worker].down {
                    let stopped = self.workers[worker].stopped_until;
                    self.workers[worker] = Worker { life: self.new_life(worker), stopped_until: stopped, ..Worker::default() };
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
        self.tell_worker(stream, Message::Resume { keep: plan.keep.iter().map(back).collect() });
        self.tell_worker(stream, Message::BeatAck { sent: self.now.saturating_sub(4) });
        for (task, attempt, what) in results {
            self.tell_replica(stream, Message::Said { task, attempt, what });
        }
        for (task, attempt) in plan.redeliver.iter().map(back) {
            self.tell_worker(stream, Message::Assignment { task, attempt });
        }
        let replica = self.streams[stream].replica;
        self.replicas[replica].sessions.insert(life, (stream, epoch, owned.into_iter().collect()));
    }

    /// Both ends notice at once.
    fn cut(&mut self, stream: usize) {
        let worker = self.streams[stream].worker;
        self.streams[stream].worker_end = false;
        if self.workers[worker].stream == Some(stream) {
            self.workers[worker].stream = None;
            let pause = self.rng.u64(50..1_000);
            self.after(pause, Event::Connect(worker));
        }
        self.closed(stream);
    }

    fn closed(&mut self, stream: usize) {
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

    fn fault(&mut self) {
        if self.now >= FAULTS_UNTIL {
            return;
        }
        let pause = self.rng.u64(200..8_000);
        self.after(pause, Event::Fault);
        let worker = self.rng.usize(..WORKERS);
        let replica = self.rng.usize(..REPLICAS);
        match self.rng.u8(..6) {
            // Killed.
            0 => {
                self.workers[worker].down = true;
                if let Some(stream) = self.workers[worker].stream {
                    let notices = self.rng.u64(1..2_000);
                    self.after(notices, Event::Closed { stream });
                }
                let back = self.rng.u64(500..15_000);
                self.after(back, Event::Restart(worker));
            }
            // Standing still, past its lease now and then.
            1 => {
                let still = self.rng.u64(500..20_000);
                self.workers[worker].stopped_until = self.now + still;
                self.after(still + 1, Event::Wake(worker));
            }
            // The stream breaks, and both know.
            2 => {
                if let Some(stream) = self.workers[worker].stream {
                    self.cut(stream);
                }
            }
            // Half open: one end knows, the other not before long.
            3 => {
                if let Some(stream) = self.workers[worker].stream {
                    self.streams[stream].worker_end = false;
                    self.workers[worker].stream = None;
                    self.after(100, Event::Connect(worker));
                    let notices = self.rng.u64(1_000..20_000);
                    self.after(notices, Event::Closed { stream });
                }
            }
            4 => {
                if let Some(stream) = self.workers[worker].stream {
                    // The worker hears nothing any more, and does not know why.
                    self.closed(stream);
                    let notices = self.rng.u64(1_000..20_000);
                    self.after(notices, Event::Cut { stream });
                }
            }
            // A replica is killed: what it kept in memory is gone, its streams break.
            _ => {
                self.replicas[replica] = Replica::default();
                let streams: Vec<_> =
                    (0..self.streams.len()).filter(|s| self.streams[*s].replica == replica && self.streams[*s].replica_end).collect();
                for stream in streams {
                    self.streams[stream].replica_end = false;
                    self.cut(stream);
                }
            }
        }
    }
}
