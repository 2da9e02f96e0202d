//! What the dispatcher knows: sessions with their slots, what is ready, whose turn it is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use titan_error::{Error, Result};
use titan_ids::{AgentId, SessionId, TaskId};
use titan_proto::worker::orchestrator_message::Body;
use titan_proto::worker::{AttemptRef, DrainAck, HeartbeatAck, OrchestratorMessage, Revoke};

use super::{Command, Connected, Found, Outgoing};
use crate::app::{App, Claimed};
use crate::domain::backlog::Backlog;
use crate::domain::fairness::Shares;
use crate::domain::matching::{Agent, Slot};
use crate::domain::offer::Offer;
use crate::domain::records::Records;
use crate::domain::session::AttemptKey;
use crate::domain::task::TaskState;
use crate::group_commit::Pace;

/// Finds what a lost word missed. A search that takes long is made less often.
const SWEEP: Duration = Duration::from_secs(1);
const SEARCHING_MOST: u32 = 20;
/// A search that costs nothing to speak of.
const QUICK: Duration = Duration::from_millis(20);
/// With so few left of what is known, it is time to search for more.
const FEW_QUEUED: usize = 1_000;
const QUEUED_AT_ONCE: usize = 1_000;
/// One that has not ended by then is given up.
const SEARCH_WITHIN: Duration = Duration::from_secs(60);
const SEARCH_EVERY_MOST: Duration = Duration::from_secs(10);
/// After an error.
const AGAIN: Duration = Duration::from_millis(200);
/// Until what another transaction has is looked at again.
const ELSEWHERE: Duration = Duration::from_millis(5);

struct Session {
    epoch: i64,
    agents: Vec<Arc<Agent>>,
    outgoing: Outgoing,
    /// Which agent has each attempt.
    owned: HashMap<AttemptKey, AgentId>,
    /// How many each agent has.
    running: HashMap<AgentId, u32>,
    draining: bool,
}

impl Session {
    fn own(&mut self, attempt: AttemptKey, agent: AgentId) {
        if self.owned.insert(attempt, agent).is_none() {
            *self.running.entry(agent).or_default() += 1;
        }
    }
    /// False when it did not own it.
    fn disown(&mut self, attempt: &AttemptKey) -> bool {
        let Some(agent) = self.owned.remove(attempt) else { return false };
        if let Some(running) = self.running.get_mut(&agent) {
            *running = running.saturating_sub(1);
        }
        true
    }
}

pub(super) struct State {
    sessions: HashMap<SessionId, Session>,
    beats: HashMap<SessionId, (i64, u64)>,
    shares: Shares,
    records: Records,
    unfit: HashSet<AgentId>,
    /// What is known to be ready and was not looked at yet, with its lane.
    ready: Vec<(TaskId, i32)>,
    /// There may be more that is not known.
    search: bool,
    /// Since when it is being read.
    searching: Option<Instant>,
    searched: Instant,
    search_took: Duration,
    /// When to look again at the earliest.
    pub(super) rested: Instant,
    /// What queues may be looked at.
    again: bool,
    /// What waits for a slot, as far as it is known.
    backlog: Backlog,
    /// There is more than that.
    overflow: bool,
    /// There may be something for an agent that had no free slot.
    unseen: bool,
    /// Agents to be woken.
    pub(super) triggered: Vec<AgentId>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            sessions: HashMap::new(),
            beats: HashMap::new(),
            shares: Shares::default(),
            records: Records::default(),
            unfit: HashSet::new(),
            ready: Vec::new(),
            search: true,
            searching: None,
            searched: Instant::now(),
            search_took: Duration::ZERO,
            rested: Instant::now(),
            again: false,
            backlog: Backlog::default(),
            overflow: false,
            unseen: false,
            triggered: Vec::new(),
        }
    }
}

impl State {
    pub(super) fn has_work(&self) -> bool {
        (self.search && !self.is_searching()) || self.again || !self.ready.is_empty()
    }

    fn forget(&mut self, session: SessionId) {
        if let Some(gone) = self.sessions.remove(&session) {
            gone.agents.iter().for_each(|agent| self.records.forget(agent.id));
        }
        // What it could take may be nobody's here.
        self.backlog = Backlog::default();
        self.search = true;
    }

    /// A slot is free: for what queues there may be room now.
    fn freed(&mut self) {
        self.again |= !self.backlog.is_empty();
        self.search |= (self.unseen || self.overflow) && self.may_search();
    }

    fn is_searching(&self) -> bool {
        self.searching.is_some_and(|since| since.elapsed() < SEARCH_WITHIN)
    }

    /// At once when it is known that there is more; else not while there is enough to do, and one that takes long less often.
    fn may_search(&self) -> bool {
        let pause = match self.search_took {
            _ if self.backlog.len() >= FEW_QUEUED => SEARCH_EVERY_MOST,
            _ if self.overflow => Duration::ZERO,
            took if took < QUICK => Duration::ZERO,
            took => (took * SEARCHING_MOST).min(SEARCH_EVERY_MOST),
        };
        self.searched.elapsed() >= pause
    }

    pub(super) fn apply(&mut self, command: Command) {
        match command {
            Command::Ready(ready) => {
                self.ready.extend(ready.tasks);
                self.overflow |= ready.others;
                self.search |= ready.others && self.may_search();
            }
            Command::Search => self.search = true,
            Command::Found(found) => self.found(found),
            Command::Sweep => {
                self.search |= self.may_search() && self.searched.elapsed() >= SWEEP;
            }
            Command::Resync => {
                self.sessions.clear();
                self.backlog = Backlog::default();
            }
            Command::Opened(connected) => self.open(connected),
            Command::Closed { session, epoch } => {
                if self.sessions.get(&session).is_some_and(|s| s.epoch == epoch) {
                    self.forget(session);
                }
            }
            Command::Draining { session } => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.draining = true;
                    session.say(Body::DrainAck(DrainAck {}));
                }
            }
            Command::Heartbeat { session, epoch, sequence } => {
                self.beats.insert(session, (epoch, sequence));
            }
            Command::Ended { session, attempt } => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.disown(&attempt);
                }
                self.freed();
            }
            Command::Revoke { task, attempt } => {
                for session in self.sessions.values_mut().filter_map(|s| s.disown(&(task, attempt)).then_some(s)) {
                    let attempt = Some(AttemptRef { task_id: task.to_string(), attempt });
                    session.say(Body::Revoke(Revoke { attempt, reason: "the attempt is not the owner any more".to_owned() }));
                }
                self.freed();
            }
            Command::Recorded(records) => {
                for ((agent, kind), tally) in records {
                    self.records.add(agent, &kind, tally);
                }
            }
            Command::Trigger(agent) => {
                self.triggered.push(agent);
                self.search = true;
            }
            Command::Unfit(unfit) => {
                self.unfit = unfit;
                self.search = true;
            }
        }
    }

    fn open(&mut self, connected: Connected) {
        let Connected { session, epoch, agents, records, outgoing, owned } = connected;
        agents.iter().for_each(|agent| self.records.forget(agent.id));
        for (agent, kind, tally) in records {
            self.records.add(agent, &kind, tally);
        }
        let agents = agents.into_iter().map(Arc::new).collect();
        let mut opened = Session { epoch, agents, outgoing, owned: HashMap::new(), running: HashMap::new(), draining: false };
        owned.into_iter().for_each(|(attempt, agent)| opened.own(attempt, agent));
        self.sessions.insert(session, opened);
        self.search = true;
    }

    /// The acknowledgement follows the write: a worker never believes in a lease the table does not hold.
    pub(super) async fn beat(&mut self, app: &App) {
        if self.beats.is_empty() {
            return;
        }
        let beats: Vec<_> = self.beats.iter().map(|(session, (epoch, _))| (*session, *epoch)).collect();
        match app.heartbeat(&beats).await {
            Ok(extended) => {
                let (extended, mut gone): (HashSet<_>, _) = (extended.into_iter().collect(), Vec::new());
                for (session, (epoch, sequence)) in self.beats.drain() {
                    let Some(known) = self.sessions.get(&session).filter(|s| s.epoch == epoch) else { continue };
                    if extended.contains(&session) {
                        known.say(Body::HeartbeatAck(HeartbeatAck { sequence }));
                    } else {
                        // Expired, or connected elsewhere since: closing the stream makes the worker ask.
                        gone.push(session);
                    }
                }
                gone.into_iter().for_each(|session| self.forget(session));
            }
            Err(error) => tracing::warn!(?error, "leases could not be extended"),
        }
    }

    /// Delivers once more what the agent was given and has not begun; a worker that has it knows.
    pub(super) async fn trigger(&self, app: &App, agent: AgentId) {
        for session in self.sessions.values() {
            let has: Vec<AttemptKey> = session.owned.iter().filter(|(_, of)| **of == agent).map(|(attempt, _)| *attempt).collect();
            if has.is_empty() {
                continue;
            }
            match app.redeliver(&has, &[TaskState::Assigned]).await {
                Ok(assignments) => assignments.into_iter().for_each(|assignment| session.say(Body::Assignment(assignment))),
                Err(error) => tracing::warn!(?error, %agent, "what the agent has could not be read"),
            }
        }
    }

    /// Takes what was told of: returns it, each with its lane, when it can be looked at by itself, and else queues it.
    async fn queue(&mut self, app: &App, offer: &Offer) -> Result<HashMap<TaskId, i32>> {
        let lanes: HashSet<i32> = self.ready.iter().map(|(_, lane)| *lane).collect();
        let served: HashSet<i32> = lanes.into_iter().filter(|lane| offer.takes(*lane) || offer.lacks_room_for(*lane)).collect();
        self.ready.retain(|(_, lane)| served.contains(lane));
        let room: usize = offer.slots.iter().map(|slot| slot.free() as usize).sum();
        let at_once = self.backlog.is_empty() && !self.overflow;
        if at_once && self.ready.len() <= room && self.ready.iter().all(|(_, lane)| offer.takes(*lane)) {
            let batch = self.ready.len().min(app.engine.claim_batch as usize);
            return Ok(self.ready.drain(..batch).collect());
        }
        let ids: Vec<TaskId> = self.ready.iter().map(|(id, _)| *id).collect();
        for ids in ids.chunks(QUEUED_AT_ONCE) {
            for task in app.queued(ids).await? {
                self.overflow |= !self.backlog.add(&task);
            }
        }
        self.ready.clear();
        Ok(HashMap::new())
    }

    /// Reads what nobody told of, or what there was no room for. Past what was ready since the last vacuum that takes a while, and
    /// what is told of meanwhile does not wait for it.
    fn refill(&mut self, app: &Arc<App>, offer: &Offer) {
        if std::mem::take(&mut self.overflow) {
            // What others took long ago is in it too.
            self.backlog = Backlog::default();
        }
        (self.searching, self.unseen) = (Some(Instant::now()), false);
        let (searching, offer, shares) = (app.clone(), offer.clone(), self.shares.clone());
        app.spawn("search", async move {
            let began = Instant::now();
            let found = searching.search(&offer, &shares).await;
            searching.dispatcher.found(Found { found, took: began.elapsed() });
        });
    }

    fn found(&mut self, Found { found, took }: Found) {
        (self.searching, self.searched, self.search_took) = (None, Instant::now(), took);
        match found {
            Ok((tasks, more)) => {
                self.overflow |= more;
                for task in &tasks {
                    self.overflow |= !self.backlog.add(task);
                }
                self.again |= !tasks.is_empty();
            }
            Err(error) => self.again_after(&error),
        }
    }

    fn again_after(&mut self, error: &Error) {
        tracing::warn!(?error, "no tasks could be claimed");
        (self.search, self.rested) = (true, Instant::now() + AGAIN);
    }

    fn slots(&self) -> Vec<Slot> {
        let live = self.sessions.iter().filter(|(_, session)| !session.draining);
        let slots = live.flat_map(|(id, session)| {
            session.agents.iter().filter(|agent| !self.unfit.contains(&agent.id)).map(|agent| Slot {
                agent: agent.clone(),
                session: *id,
                epoch: session.epoch,
                running: session.running.get(&agent.id).copied().unwrap_or(0),
            })
        });
        slots.collect()
    }

    /// One batch. What was told of is looked at by itself, as long as there is room for all of it and nothing waits before it; else it
    /// queues, and the queue is looked at in the order in which it is due.
    pub(super) async fn claim(&mut self, app: &Arc<App>) {
        let offer = app.offer(self.slots());
        let known = match self.queue(app, &offer).await {
            Ok(known) => known,
            Err(error) => return self.again_after(&error),
        };
        if !self.is_searching() && std::mem::take(&mut self.search) {
            self.refill(app, &offer);
        }
        self.again = false;
        let looked: Vec<TaskId> = if known.is_empty() { self.backlog.pick(&offer, &self.shares) } else { known.keys().copied().collect() };
        if looked.is_empty() {
            return;
        }
        let began = Instant::now();
        let claimed = match app.claim(Some(&looked), offer, &self.shares, &self.records, titan_lifecycle::now()).await {
            Ok(claimed) => claimed,
            Err(error) => return self.again_after(&error),
        };
        let Claimed { tasks: claimed, left, unseen, elsewhere, gone } = claimed;
        if !claimed.is_empty() {
            app.claims.observe(began.elapsed().as_secs_f64());
        }
        // Connected elsewhere since, or nowhere: closing the stream makes the worker ask.
        gone.into_iter().for_each(|session| self.forget(session));
        self.rested = Instant::now() + Pace::QUICK.rest(claimed.len(), began.elapsed());
        self.unseen |= unseen;
        let elsewhere: HashSet<TaskId> = elsewhere.into_iter().collect();
        // What is neither ours nor in other hands is done with.
        looked.iter().filter(|id| !elsewhere.contains(id)).for_each(|id| self.backlog.remove(*id));
        for task in &left {
            self.overflow |= !self.backlog.add(task);
        }
        if !elsewhere.is_empty() {
            // Whoever has them takes them, or lets go of them soon.
            self.ready.extend(known.into_iter().filter(|(id, _)| elsewhere.contains(id)));
            self.rested = self.rested.max(Instant::now() + ELSEWHERE);
        }
        self.again = !self.backlog.is_empty() && left.len() < looked.len();
        for (choice, assignment) in claimed {
            self.shares.charge(choice.candidate.project, choice.candidate.project_weight);
            if let Some(session) = self.sessions.get_mut(&choice.slot.session) {
                session.own((choice.candidate.id, choice.next.attempt), choice.slot.agent.id);
                session.say(Body::Assignment(assignment));
            }
        }
    }
}

impl Session {
    /// Into the stream. When it is closed already, the worker gets it after it has connected again.
    fn say(&self, body: Body) {
        let _ = self.outgoing.send(OrchestratorMessage { body: Some(body) });
    }
}
