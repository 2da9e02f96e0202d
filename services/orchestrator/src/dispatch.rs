//! The owner of everything a replica keeps in memory: the sessions connected to it and their free slots.
//! It claims tasks for them and coalesces their heartbeats. All of it can be rebuilt from the tables.

mod state;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use titan_ids::{AgentId, SessionId, TaskId};
use titan_proto::worker::OrchestratorMessage;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::backlog::Queued;
use crate::domain::matching::Agent;
use crate::domain::readiness::Ready;
use crate::domain::records::Tally;
use crate::domain::session::AttemptKey;
use state::State;

pub(crate) type Outgoing = mpsc::UnboundedSender<OrchestratorMessage>;
pub(crate) type WeakOutgoing = mpsc::WeakUnboundedSender<OrchestratorMessage>;

/// A session as the dispatcher knows it.
pub(crate) struct Connected {
    pub(crate) session: SessionId,
    pub(crate) epoch: i64,
    pub(crate) agents: Vec<Agent>,
    pub(crate) records: Vec<(AgentId, String, Tally)>,
    pub(crate) outgoing: Outgoing,
    /// Attempts it owns, and which agent has each.
    pub(crate) owned: Vec<(AttemptKey, AgentId)>,
}

/// What a search came to: some of what is ready, and whether there may be more.
struct Found {
    found: titan_error::Result<(Vec<Queued>, bool)>,
    took: Duration,
}

enum Command {
    Ready(Ready),
    /// There may be something that nobody told of.
    Search,
    /// There is something ready, told of or not.
    Sweep,
    Found(Found),
    /// What was claimed is not known: the commit's answer was lost. Every worker says hello again.
    Resync,
    Opened(Connected),
    Closed {
        session: SessionId,
        epoch: i64,
    },
    Draining {
        session: SessionId,
    },
    Heartbeat {
        session: SessionId,
        epoch: i64,
        sequence: u64,
    },
    Ended {
        session: SessionId,
        attempt: AttemptKey,
    },
    Revoke {
        task: TaskId,
        attempt: i32,
    },
    Recorded(BTreeMap<(AgentId, String), Tally>),
    Trigger(AgentId),
    /// All that are given nothing.
    Unfit(HashSet<AgentId>),
}

/// The handle of the owner task. Commands are small and their senders are bounded by what a stream or a
/// transaction can produce, so the channel is not.
#[derive(Clone)]
pub(crate) struct Dispatcher(mpsc::UnboundedSender<Command>);

pub(crate) struct Commands(mpsc::UnboundedReceiver<Command>);

pub(crate) fn channel() -> (Dispatcher, Commands) {
    let (send, receive) = mpsc::unbounded_channel();
    (Dispatcher(send), Commands(receive))
}

impl Dispatcher {
    // A send fails only when the owner has stopped, and then nothing is dispatched any more.
    fn send(&self, command: Command) {
        let _ = self.0.send(command);
    }
    pub(crate) fn ready(&self, ready: Ready) {
        if !ready.is_nothing() {
            self.send(Command::Ready(ready));
        }
    }
    pub(crate) fn search(&self) {
        self.send(Command::Search);
    }
    pub(crate) fn sweep(&self) {
        self.send(Command::Sweep);
    }
    fn found(&self, found: Found) {
        self.send(Command::Found(found));
    }
    pub(crate) fn resync(&self) {
        self.send(Command::Resync);
    }
    pub(crate) fn opened(&self, connected: Connected) {
        self.send(Command::Opened(connected));
    }
    pub(crate) fn closed(&self, session: SessionId, epoch: i64) {
        self.send(Command::Closed { session, epoch });
    }
    /// No more work for this session.
    pub(crate) fn draining(&self, session: SessionId) {
        self.send(Command::Draining { session });
    }
    pub(crate) fn heartbeat(&self, session: SessionId, epoch: i64, sequence: u64) {
        self.send(Command::Heartbeat { session, epoch, sequence });
    }
    pub(crate) fn ended(&self, session: SessionId, attempt: AttemptKey) {
        self.send(Command::Ended { session, attempt });
    }
    pub(crate) fn revoke(&self, task: TaskId, attempt: i32) {
        self.send(Command::Revoke { task, attempt });
    }
    pub(crate) fn recorded(&self, records: BTreeMap<(AgentId, String), Tally>) {
        if !records.is_empty() {
            self.send(Command::Recorded(records));
        }
    }
    pub(crate) fn trigger(&self, agent: AgentId) {
        self.send(Command::Trigger(agent));
    }
    pub(crate) fn unfit(&self, agents: HashSet<AgentId>) {
        self.send(Command::Unfit(agents));
    }
}

/// One write a second extends the leases of all sessions.
const BEAT: Duration = Duration::from_secs(1);

pub(crate) async fn run(app: Arc<App>, commands: Commands, shutdown: CancellationToken) {
    let Commands(mut commands) = commands;
    let mut state = State::default();
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        // In this order: however much there is to claim, no lease ends because nobody heard its heartbeat.
        tokio::select! {
            biased;
            () = shutdown.cancelled() => return,
            _ = beat.tick() => state.beat(&app).await,
            command = commands.recv() => {
                let Some(command) = command else { return };
                state.apply(command);
            }
            () = tokio::time::sleep_until(state.rested.into()), if state.has_work() => {}
        }
        while let Ok(command) = commands.try_recv() {
            state.apply(command);
        }
        for agent in std::mem::take(&mut state.triggered) {
            state.trigger(&app, agent).await;
        }
        if state.has_work() && Instant::now() >= state.rested {
            state.claim(&app).await;
        }
    }
}
