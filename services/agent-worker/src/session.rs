//! The worker's end of the stream. It owns what is running and what is not acknowledged, so that any
//! orchestrator replica can take the session over.

use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use titan_error::{Code, Error};
use titan_ids::{OrgId, SessionId};
use titan_lifecycle::{Backoff, Check, Tasks};
use titan_proto::worker::orchestrator_message::Body as In;
use titan_proto::worker::worker_message::Body as Out;
use titan_proto::worker::worker_service_client::WorkerServiceClient;
use titan_proto::worker::{
    AgentSlot, Assignment, AttemptRef, Drain, Heartbeat, Hello, OrchestratorMessage, Result as TaskResult, Subscription, WorkerMessage,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;
use tracing::Instrument as _;

use crate::config::Config;
use crate::role::roles;
use crate::runs::{Report, Worker};

const PROTOCOL: u32 = 1;
const BEAT: Duration = Duration::from_secs(1);
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// What runs at shutdown gets this long to end and be acknowledged.
const DRAIN: Duration = Duration::from_secs(12);

/// At least so many of them within a lease.
const BEATS: u32 = 3;

/// Attempts that ended, remembered.
const ENDED_MOST: usize = 100;

type Key = (String, i32);

/// Connects, works, and connects again, until shutdown has drained what was running.
pub(crate) async fn run(worker: Arc<Worker>, config: Config, tasks: Tasks, connected: Check) -> anyhow::Result<()> {
    let peers = titan_service::Peers::new("peers.orchestrator", &config.peers.orchestrator)?;
    let (reports, mut received) = mpsc::unbounded_channel();
    let mut session = Session::new(worker, slots(&config)?, config.agents.worker.clone(), tasks.clone(), reports);
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    for turn in 0.. {
        if session.drained() {
            break;
        }
        let client = WorkerServiceClient::new(peers.one(turn)).max_decoding_message_size(titan_proto::ASSIGNMENT_MOST);
        match session.open(client).await {
            Ok((stream, outgoing)) => {
                connected.set(true);
                backoff.reset();
                let error = session.serve(stream, outgoing, &mut received).await;
                connected.set(false);
                session.expecting = false;
                // An installation that stops as a whole closes it first.
                if let (Err(error), None) = (error, session.drain_until) {
                    tracing::warn!(%error, "the stream to the orchestrator broke");
                }
            }
            Err(error) if error.code() == Code::FailedPrecondition => {
                tracing::warn!(%error, "starting a new session");
                session.renew();
            }
            Err(error) => tracing::warn!(%error, "the orchestrator cannot be reached"),
        }
        // The lease runs out on this host's clock even while nobody answers.
        session.wait(backoff.next_delay(), &mut received).await;
    }
    session.cancel_all("the worker stops");
    Ok(())
}

fn slots(config: &Config) -> anyhow::Result<Vec<AgentSlot>> {
    let known = roles()?;
    let hosted = config.agents.roles.iter().filter_map(|(name, slots)| known.get(name).map(|role| (role, *slots)));
    let slot = |(role, max_concurrency): (&crate::role::Role, u32)| AgentSlot {
        name: format!("{}@{}", role.name, config.agents.worker),
        role: role.name.clone(),
        department: role.department.clone(),
        skills: role.skills.clone(),
        max_concurrency,
        pool: config.agents.pool.clone(),
        proficiency: role.skills.iter().filter_map(|s| Some((s.clone(), *config.agents.proficiency.get(s)?))).collect(),
        subscription: Some(Subscription {
            labels: config.agents.subscription.labels.clone(),
            priority: config.agents.subscription.priority,
            projects: config.agents.subscription.projects.clone(),
        }),
    };
    Ok(hosted.map(slot).collect())
}

struct Session {
    id: SessionId,
    name: String,
    agents: Vec<AgentSlot>,
    worker: Arc<Worker>,
    tasks: Tasks,
    reports: mpsc::UnboundedSender<Report>,
    running: HashMap<Key, CancellationToken>,
    /// Results whose commit was not acknowledged yet, oldest first.
    unacknowledged: VecDeque<TaskResult>,
    /// What was acknowledged last: an assignment that was on its way meanwhile is not begun again.
    ended: VecDeque<Key>,
    /// When the lease ends, counted from the sending of the heartbeat that was acknowledged.
    lease_until: Instant,
    lease: Duration,
    sent: VecDeque<(u64, Instant)>,
    sequence: u64,
    drain_until: Option<Instant>,
    /// The stream is up, and the orchestrator may still send work on it.
    expecting: bool,
}

type Outgoing = mpsc::UnboundedSender<WorkerMessage>;

/// Never, while there is nothing that it ends.
async fn lease_ends(at: Instant, running: &HashMap<Key, CancellationToken>) {
    if running.is_empty() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep_until(at.into()).await;
}

impl Session {
    fn new(worker: Arc<Worker>, agents: Vec<AgentSlot>, name: String, tasks: Tasks, reports: mpsc::UnboundedSender<Report>) -> Self {
        Self {
            id: SessionId::generate(),
            name,
            agents,
            worker,
            tasks,
            reports,
            running: HashMap::new(),
            unacknowledged: VecDeque::new(),
            ended: VecDeque::new(),
            lease_until: Instant::now(),
            lease: Duration::ZERO,
            sent: VecDeque::new(),
            sequence: 0,
            drain_until: None,
            expecting: false,
        }
    }

    /// The session expired: its tasks belong to others by now.
    fn renew(&mut self) {
        self.cancel_all("the session expired");
        self.unacknowledged.clear();
        self.id = SessionId::generate();
    }

    fn drained(&self) -> bool {
        let idle = self.running.is_empty() && self.unacknowledged.is_empty() && !self.expecting;
        self.tasks.shutdown().is_cancelled() && (idle || self.drain_until.is_some_and(|until| Instant::now() >= until))
    }

    async fn open(
        &mut self,
        mut client: WorkerServiceClient<tonic::transport::Channel>,
    ) -> Result<(Streaming<OrchestratorMessage>, Outgoing), Error> {
        let hello = Hello {
            session_id: self.id.to_string(),
            worker: self.name.clone(),
            protocol: PROTOCOL,
            features: vec!["revoke".to_owned()],
            agents: self.agents.clone(),
            running: self.running.keys().map(|(task_id, attempt)| AttemptRef { task_id: task_id.clone(), attempt: *attempt }).collect(),
            unacknowledged: self.unacknowledged.iter().cloned().collect(),
        };
        let (outgoing, receiver) = mpsc::unbounded_channel();
        let _ = outgoing.send(WorkerMessage { body: Some(Out::Hello(hello)) }); // the receiver is in this scope
        let request = self.worker.signer().service_request(OrgId::DEFAULT, UnboundedReceiverStream::new(receiver))?;
        let sent_at = Instant::now();
        let mut opening = pin!(tokio::time::timeout(OPEN_WITHIN, async {
            let mut stream = client.open_session(request).await?.into_inner();
            let first = stream.message().await?;
            Ok::<_, tonic::Status>((stream, first))
        }));
        let opened = tokio::select! {
            opened = &mut opening => opened,
            // What was said to be running is not any more.
            () = lease_ends(self.lease_until, &self.running) => {
                self.check_lease();
                return Err(Error::unavailable("the lease ended before the orchestrator answered"));
            }
        };
        let (stream, first) = opened.map_err(|_| Error::unavailable("the orchestrator did not answer in time"))??;
        let Some(OrchestratorMessage { body: Some(In::Resume(resume)) }) = first else {
            return Err(Error::unavailable("the orchestrator did not say Resume"));
        };
        self.lease = Duration::from_millis(resume.lease_ms.into());
        self.lease_until = sent_at + self.lease;
        self.sent.clear();
        let keep: HashSet<Key> = resume.keep.into_iter().map(|a| (a.task_id, a.attempt)).collect();
        let dropped: Vec<Key> = self.running.keys().filter(|key| !keep.contains(*key)).cloned().collect();
        for key in dropped {
            self.cancel(&key, "it was given to somebody else");
        }
        tracing::info!(session = %self.id, epoch = resume.epoch, kept = keep.len(), "connected to the orchestrator");
        Ok((stream, outgoing))
    }

    /// Until the stream breaks or everything is drained.
    async fn serve(
        &mut self,
        mut stream: Streaming<OrchestratorMessage>,
        outgoing: Outgoing,
        reports: &mut mpsc::UnboundedReceiver<Report>,
    ) -> Result<(), tonic::Status> {
        let mut beat = tokio::time::interval(BEAT.min(self.lease / BEATS));
        let say =
            |body: Out| outgoing.send(WorkerMessage { body: Some(body) }).map_err(|_| tonic::Status::unavailable("the stream is closed"));
        let shutdown = self.tasks.shutdown().clone();
        self.expecting = true;
        if self.drain_until.is_some() {
            say(Out::Drain(Drain {}))?;
        }
        loop {
            tokio::select! {
                message = stream.message() => match message? {
                    // One that stood still hears of what is not its own any more: it begins nothing, and says hello again.
                    Some(OrchestratorMessage { body: Some(In::Assignment(_)) }) if !self.check_lease() => {
                        return Err(tonic::Status::unavailable("the lease ended"));
                    }
                    Some(OrchestratorMessage { body }) => self.heard(body),
                    None => return Err(tonic::Status::unavailable("the orchestrator closed the stream")),
                },
                Some(report) = reports.recv() => {
                    if let Some(body) = self.report(report) {
                        say(body)?;
                    }
                }
                _ = beat.tick() => {
                    // Also when idle: whoever does not extend the lease does not give work either. Saying hello again sorts it out.
                    if !self.check_lease() {
                        return Err(tonic::Status::unavailable("the lease ended"));
                    }
                    self.sequence += 1;
                    self.sent.push_back((self.sequence, Instant::now()));
                    say(Out::Heartbeat(Heartbeat { sequence: self.sequence }))?;
                }
                () = lease_ends(self.lease_until, &self.running) => {
                    self.check_lease();
                    return Err(tonic::Status::unavailable("the lease ended"));
                }
                () = shutdown.cancelled(), if self.drain_until.is_none() => {
                    self.drain_until = Some(Instant::now() + DRAIN);
                    say(Out::Drain(Drain {}))?;
                }
            }
            if self.drained() {
                return Ok(());
            }
        }
    }

    /// Between two streams: reports are kept, the lease runs.
    async fn wait(&mut self, pause: Duration, reports: &mut mpsc::UnboundedReceiver<Report>) {
        if self.tasks.shutdown().is_cancelled() && self.drain_until.is_none() {
            self.drain_until = Some(Instant::now() + DRAIN);
        }
        let pause = tokio::time::sleep(pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => break,
                () = lease_ends(self.lease_until, &self.running) => {
                    self.check_lease();
                }
                Some(report) = reports.recv() => {
                    self.report(report);
                }
            }
        }
        self.check_lease();
    }

    fn heard(&mut self, body: Option<In>) {
        match body {
            Some(In::Assignment(assignment)) => self.begin(assignment),
            Some(In::HeartbeatAck(ack)) => {
                while let Some((sequence, at)) = self.sent.front().copied().filter(|(sequence, _)| *sequence <= ack.sequence) {
                    if sequence == ack.sequence {
                        self.lease_until = at + self.lease;
                    }
                    self.sent.pop_front();
                }
            }
            Some(In::ResultAck(ack)) => {
                if !ack.accepted {
                    tracing::warn!(attempt = ?ack.attempt, "a result was refused: the attempt was stale");
                }
                if let Some(AttemptRef { task_id, attempt }) = ack.attempt.clone() {
                    self.ended.truncate(ENDED_MOST - 1);
                    self.ended.push_front((task_id, attempt));
                }
                // They come in the order the results were sent.
                if self.unacknowledged.front().is_some_and(|first| first.attempt == ack.attempt) {
                    self.unacknowledged.pop_front();
                } else {
                    self.unacknowledged.retain(|r| r.attempt != ack.attempt);
                }
            }
            Some(In::Revoke(revoke)) => {
                if let Some(attempt) = revoke.attempt {
                    self.cancel(&(attempt.task_id, attempt.attempt), &revoke.reason);
                }
            }
            Some(In::DrainAck(_)) => self.expecting = false,
            Some(In::Resume(_)) | None => {}
        }
    }

    fn begin(&mut self, assignment: Assignment) {
        let key = (assignment.task_id.clone(), assignment.attempt);
        let attempt = Some(AttemptRef { task_id: key.0.clone(), attempt: key.1 });
        if self.running.contains_key(&key) || self.unacknowledged.iter().any(|r| r.attempt == attempt) || self.ended.contains(&key) {
            return; // delivered twice
        }
        let token = CancellationToken::new();
        self.running.insert(key.clone(), token.clone());
        let (worker, reports) = (self.worker.clone(), self.reports.clone());
        let span = tracing::info_span!("attempt", task.id = key.0, attempt = key.1, kind = assignment.kind, agent = assignment.agent_name);
        let span = titan_telemetry::child_of(span, Some(&assignment.traceparent));
        let work = async move {
            let _ = reports.send(Report::Started { task: key.0.clone(), attempt: key.1 });
            if let Some(result) = token.run_until_cancelled(worker.work(assignment, &reports)).await {
                let _ = reports.send(Report::Ended(result)); // the session ends with the process
            }
        };
        self.tasks.spawn("attempt", work.instrument(span));
    }

    /// What the orchestrator is to be told of it; nothing when the attempt is not ours any more.
    fn report(&mut self, report: Report) -> Option<Out> {
        match report {
            Report::Started { task, attempt } => Some(Out::Started(titan_proto::worker::Started { attempt: self.ours(&(task, attempt))? })),
            Report::Progress { task, attempt, message, usage } => {
                let (attempt, usage) = (self.ours(&(task, attempt))?, Some(usage));
                Some(Out::Progress(titan_proto::worker::Progress { attempt, message, usage }))
            }
            Report::Ended(result) => {
                let attempt = result.attempt.clone()?;
                self.running.remove(&(attempt.task_id, attempt.attempt))?;
                self.unacknowledged.push_back(result.clone());
                Some(Out::Result(result))
            }
        }
    }

    fn ours(&self, key: &Key) -> Option<Option<AttemptRef>> {
        self.running.contains_key(key).then(|| Some(AttemptRef { task_id: key.0.clone(), attempt: key.1 }))
    }

    /// False when the lease has ended. Effects stop before it ends for the orchestrator: it counts from the
    /// commit, this from the sending before it.
    fn check_lease(&mut self) -> bool {
        let held = Instant::now() < self.lease_until;
        if !held {
            self.cancel_all("the lease ended");
        }
        held
    }

    fn cancel_all(&mut self, reason: &str) {
        let keys: Vec<Key> = self.running.keys().cloned().collect();
        for key in keys {
            self.cancel(&key, reason);
        }
    }

    fn cancel(&mut self, key: &Key, reason: &str) {
        if let Some(token) = self.running.remove(key) {
            tracing::warn!(task.id = key.0, attempt = key.1, reason, "the attempt is stopped");
            token.cancel();
        }
    }
}
