//! Clients, workers, replicas and the network between them, by a seed.

mod client;
mod faults;
mod replica;
mod worker;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use fastrand::Rng;

use super::model::{Answer, Model, Op, What};
use crate::domain::fairness::Shares;
use crate::store::entity::goal::State;

const REPLICAS: usize = 2;
const WORKERS: usize = 4;
/// Milliseconds, as in the engine's defaults.
const LEASE: u64 = 8_000;
const GRACE: u64 = 5_000;
const BEAT: u64 = 1_000;
/// How fast the clocks of hosts go.
const SKEW: std::ops::RangeInclusive<u64> = 950..=1_050;
const FAULTS_UNTIL: u64 = 60_000;
const END: u64 = 600_000;

#[derive(Clone, Debug)]
enum Message {
    /// From the worker: its life, what it runs, results that were not acknowledged.
    Hello {
        life: usize,
        running: Vec<(usize, i32)>,
        results: Vec<(usize, i32, What)>,
        sent: u64,
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
        sent: u64,
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
    clock: Clock,
    life: usize,
    stream: Option<usize>,
    running: BTreeMap<(usize, i32), ()>,
    results: Vec<(usize, i32, What)>,
    /// By its own clock.
    lease_until: u64,
    down: bool,
    /// Standing still until then: it does and hears nothing.
    stopped_until: u64,
}

/// Of a host: it began elsewhere and goes faster or slower than the world's.
#[derive(Clone, Copy, Debug, Default)]
struct Clock {
    ahead: u64,
    per_mille: u64,
}

impl Clock {
    fn shows(self, now: u64) -> u64 {
        self.ahead + now * self.per_mille / 1_000
    }
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
            world.workers[worker].clock = Clock { ahead: world.rng.u64(..1_000_000), per_mille: world.rng.u64(SKEW) };
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
        for (n, goal) in &self.model.goals {
            assert_ne!(goal.state, State::Running, "goal {n} never ended");
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
}
