//! The worker stream: one a pod, the worker speaks first.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::FuturesOrdered;
use futures::{FutureExt as _, StreamExt as _, TryFutureExt as _};
use serde_json::Value;
use titan_error::{Code, Error, Result};
use titan_identity::Principal;
use titan_ids::{SessionId, TaskId};
use titan_proto::worker::orchestrator_message::Body as Out;
use titan_proto::worker::result::Outcome as ProtoOutcome;
use titan_proto::worker::worker_message::Body as In;
use titan_proto::worker::worker_service_server::WorkerService;
use titan_proto::worker::{self as proto, AttemptRef, OrchestratorMessage, ResultAck, Resume, WorkerMessage};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Api, id};
use crate::app::{Hello, Opened, Outcome, Report, What, text};
use crate::dispatch::{Connected, Outgoing, WeakOutgoing};
use crate::domain::budget::Usage;
use crate::domain::matching::Subscription;
use crate::domain::session::AttemptKey;
use crate::domain::task::TaskState;
use crate::group_commit::Written;
use crate::store::agents::Hosted;
use crate::store::submissions::DEFAULT_POOL;

/// The version of the worker protocol spoken here.
const PROTOCOL: u32 = 1;
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Characters of a name.
const NAME_MOST: usize = 100;
const RESULT_MOST: usize = 64 << 10;
/// Of one worker, on their way to the writer; it is not read from meanwhile.
const REPORTS_MOST: usize = 1_000;

type OutStream = futures::stream::BoxStream<'static, Result<OrchestratorMessage, Status>>;

#[tonic::async_trait]
impl WorkerService for Api {
    type OpenSessionStream = OutStream;

    async fn open_session(&self, request: Request<Streaming<WorkerMessage>>) -> Result<Response<OutStream>, Status> {
        let who = Principal::of(&request)?;
        let mut incoming = request.into_inner();
        let hello = tokio::time::timeout(HELLO_WITHIN, incoming.message()).await;
        let hello = match hello.map_err(|_| Error::invalid("hello", "did not come in time"))?? {
            Some(WorkerMessage { body: Some(In::Hello(hello)) }) => hello,
            _ => return Err(Error::invalid("hello", "must be the first message").into()),
        };
        let results = hello.unacknowledged.clone();
        let hello = parse_hello(hello)?;
        let (outgoing, receiver) = mpsc::unbounded_channel();
        let session = hello.session;
        let opened = self.app.open_session(&who, &hello).await?;
        let epoch = opened.epoch;
        // The dispatcher alone keeps the stream open: when it forgets the session, the worker says hello again.
        let weak = outgoing.downgrade();
        self.resume(opened, session, results, outgoing).await?;
        let api = self.clone();
        let reading = async move {
            if let Err(error) = api.read(session, epoch, incoming, &weak).await {
                tracing::info!(%session, %error, "a worker's stream ended");
            }
            api.app.dispatcher.closed(session, epoch);
            if let Err(error) = api.app.close_session(session, epoch).await {
                tracing::warn!(%session, ?error, "the session stays connected until its lease ends");
            }
        };
        // The reader lives as long as the stream it answers: both end with the connection.
        let (done, ended) = tokio::sync::oneshot::channel::<()>();
        self.app.spawn("worker stream", async move {
            reading.await;
            drop(done);
        });
        let messages = UnboundedReceiverStream::new(receiver).map(Ok);
        let until_ended = messages.take_until(ended);
        Ok(Response::new(until_ended.boxed()))
    }
}

impl Api {
    /// Settles what the worker still holds, tells it what it keeps, and delivers again what it lost.
    async fn resume(&self, opened: Opened, session: SessionId, results: Vec<proto::Result>, outgoing: Outgoing) -> Result<()> {
        let Opened { epoch, agents, records, owned, keep, redeliver } = opened;
        let keep_refs = keep.iter().map(attempt_ref).collect();
        let resume = Resume { epoch, lease_ms: self.app.worker_lease_ms(), keep: keep_refs };
        say(&outgoing, Out::Resume(resume));
        let mut settled = FuturesOrdered::new();
        for result in results {
            let report = ended(result)?;
            let (task, attempt) = (report.task, report.attempt);
            let written = self.app.hand_in(report).await?;
            settled.push_back(self.ended(session, (task, attempt), written, outgoing.clone()));
        }
        while let Some(ended) = settled.next().await {
            ended?;
        }
        for assignment in self.app.redeliver(&redeliver, &TaskState::OWNED).await? {
            say(&outgoing, Out::Assignment(assignment));
        }
        // What was settled just now is owned no more.
        let owned: Vec<_> = owned.into_iter().filter(|(attempt, _)| keep.contains(attempt) || redeliver.contains(attempt)).collect();
        let attempts: Vec<_> = owned.iter().map(|(attempt, _)| *attempt).collect();
        self.app.dispatcher.opened(Connected { session, epoch, agents, records, outgoing, owned });
        for (task, attempt) in self.app.ended_meanwhile(session, &attempts).await? {
            self.app.dispatcher.revoke(task, attempt);
        }
        Ok(())
    }

    /// Until the worker leaves, the connection breaks or the service stops. An error closes the stream; the worker
    /// connects again and says once more what was not acknowledged. What it reports is on its way to the writer while
    /// the next messages are read.
    async fn read(&self, session: SessionId, epoch: i64, mut incoming: Streaming<WorkerMessage>, weak: &WeakOutgoing) -> Result<()> {
        let mut reports = FuturesOrdered::new();
        loop {
            let message = tokio::select! {
                message = incoming.message(), if reports.len() < REPORTS_MOST => message?,
                Some(reported) = reports.next() => {
                    let () = reported?;
                    continue;
                }
                () = self.app.stopping() => break,
            };
            let Some(WorkerMessage { body }) = message else { break };
            let Some(outgoing) = weak.upgrade() else { return Ok(()) };
            match body {
                Some(In::Heartbeat(beat)) => self.app.dispatcher.heartbeat(session, epoch, beat.sequence),
                Some(In::Drain(proto::Drain {})) => self.app.dispatcher.draining(session),
                Some(In::Hello(_)) => return Err(Error::invalid("hello", "comes once a stream")),
                Some(In::Started(started)) => {
                    let (task, attempt) = attempt_key(started.attempt)?;
                    let written = self.app.hand_in(Report { task, attempt, usage: None, what: What::Started }).await?;
                    reports.push_back(self.begun(task, attempt, written).boxed());
                }
                Some(In::Progress(progress)) => {
                    let (task, attempt) = attempt_key(progress.attempt)?;
                    let (usage, what) = (progress.usage.map(usage), What::Progressed(clean(&progress.message)));
                    let written = self.app.hand_in(Report { task, attempt, usage, what }).await?;
                    reports.push_back(written.outcome().map_ok(drop).boxed());
                }
                Some(In::Result(result)) => {
                    let report = ended(result)?;
                    let (task, attempt) = (report.task, report.attempt);
                    let written = self.app.hand_in(report).await?;
                    reports.push_back(self.ended(session, (task, attempt), written, outgoing).boxed());
                }
                // A newer worker says something this build does not know; it must not depend on it.
                None => {}
            }
        }
        while let Some(reported) = reports.next().await {
            reported?;
        }
        Ok(())
    }

    async fn begun(&self, task: TaskId, attempt: i32, written: Written<bool>) -> Result<()> {
        if !written.outcome().await? {
            self.app.dispatcher.revoke(task, attempt);
        }
        Ok(())
    }

    /// Acknowledges a result once it is committed or refused.
    async fn ended(&self, session: SessionId, key: AttemptKey, written: Written<bool>, outgoing: Outgoing) -> Result<()> {
        let (task, attempt) = key;
        let accepted = match written.outcome().await {
            // A result that cannot be stored must end its attempt, not the stream with everything else on it.
            Err(error) if error.code() != Code::Unavailable => {
                tracing::warn!(?error, task.id = %task, attempt, "a result could not be stored");
                let message = format!("the result could not be stored: {error}");
                let ended = self.app.finish(task, attempt, Outcome::Failed { message, code: "result".to_owned(), last: true }).await;
                ended.or_else(|error| if error.code() == Code::Unavailable { Err(error) } else { Ok(false) })?
            }
            accepted => accepted?,
        };
        titan_lifecycle::fault("result.after_commit_before_ack").await;
        say(&outgoing, Out::ResultAck(ResultAck { attempt: Some(attempt_ref(&key)), accepted }));
        self.app.dispatcher.ended(session, key);
        Ok(())
    }
}

/// Into the stream; when it is closed, the worker asks again after connecting.
fn say(outgoing: &Outgoing, body: Out) {
    let _ = outgoing.send(OrchestratorMessage { body: Some(body) });
}

pub(super) fn attempt_ref((task, attempt): &AttemptKey) -> AttemptRef {
    AttemptRef { task_id: task.to_string(), attempt: *attempt }
}

pub(super) fn attempt_key(attempt: Option<AttemptRef>) -> Result<AttemptKey> {
    let AttemptRef { task_id, attempt } = attempt.ok_or_else(|| Error::invalid("attempt", "is missing"))?;
    Ok((id("attempt.task_id", &task_id)?, attempt))
}

fn ended(result: proto::Result) -> Result<Report> {
    let (task, attempt) = attempt_key(result.attempt)?;
    Ok(Report { task, attempt, usage: result.usage.map(usage), what: What::Ended(outcome(result.outcome)) })
}

pub(super) fn usage(proto::Usage { tokens, usd_micros, steps }: proto::Usage) -> Usage {
    Usage { tokens, usd_micros, steps }
}

/// What cannot be stored is a failure of the attempt, not of the stream: it must end somehow.
pub(super) fn outcome(outcome: Option<ProtoOutcome>) -> Outcome {
    let object = |json: &str| match serde_json::from_str::<Value>(json) {
        _ if json.len() > RESULT_MOST => Err("is larger than 64 KiB"),
        // PostgreSQL's texts cannot hold it.
        Ok(_) if json.contains("\\u0000") => Err("contains a NUL character"),
        Ok(value) if value.is_object() => Ok(value),
        _ => Err("is not a JSON object"),
    };
    let broken = |why: &str| Outcome::Failed { message: format!("the worker's result {why}"), code: "result".to_owned(), last: true };
    match outcome {
        Some(ProtoOutcome::Completed(completed)) => match object(&completed.result_json) {
            Ok(result) => Outcome::Completed { result },
            Err(why) => broken(why),
        },
        Some(ProtoOutcome::Rejected(rejected)) => match object(&rejected.findings_json) {
            Ok(findings) => Outcome::Rejected { message: clean(&rejected.message), findings },
            Err(why) => broken(why),
        },
        Some(ProtoOutcome::Failed(proto::Failed { message, r#final: last, code })) => {
            Outcome::Failed { message: clean(&message), code: clean(&code), last }
        }
        None => broken("is empty"),
    }
}

pub(super) fn clean(message: &str) -> String {
    message.replace('\0', "\u{2400}")
}

fn parse_hello(hello: proto::Hello) -> Result<Hello> {
    let proto::Hello { session_id, worker, protocol, features: _, agents, running, unacknowledged } = hello;
    if protocol != PROTOCOL {
        let message = format!("this orchestrator speaks version {PROTOCOL} of the worker protocol, not {protocol}; upgrade it first");
        return Err(Error::precondition(message));
    }
    Ok(Hello {
        session: id("hello.session_id", &session_id)?,
        worker,
        agents: agents.into_iter().enumerate().map(|(i, slot)| hosted(&format!("hello.agents[{i}]."), slot)).collect::<Result<_>>()?,
        running: running.into_iter().map(|a| attempt_key(Some(a))).collect::<Result<_>>()?,
        unacknowledged: unacknowledged.into_iter().map(|r| attempt_key(r.attempt)).collect::<Result<_>>()?,
    })
}

/// `field`: where it stands in what was sent.
pub(super) fn hosted(field: &str, slot: proto::AgentSlot) -> Result<Hosted> {
    let proto::AgentSlot { name, role, department, skills, max_concurrency, pool, mut proficiency, subscription } = slot;
    if proficiency.values().any(|level| !(0.0..=1.0).contains(level)) {
        return Err(Error::invalid(format!("{field}proficiency"), "must be 0 to 1"));
    }
    for skill in &skills {
        proficiency.entry(skill.clone()).or_insert(1.0);
    }
    let proto::Subscription { labels, priority, projects } = subscription.unwrap_or_default();
    let projects = projects.iter().map(|project| id(&format!("{field}subscription.projects"), project));
    let plain = |name: &str, given: &str| text(&format!("{field}{name}"), given, NAME_MOST);
    for (name, given) in proficiency.keys().map(|skill| ("skills", skill)).chain(labels.iter().map(|label| ("subscription.labels", label)))
    {
        plain(name, given)?;
    }
    if !(0..=9).contains(&priority) {
        return Err(Error::invalid(format!("{field}subscription.priority"), "must be 0 to 9"));
    }
    Ok(Hosted {
        name: plain("name", &name)?,
        role: plain("role", &role)?,
        department: if department.is_empty() { department } else { plain("department", &department)? },
        pool: if pool.is_empty() { DEFAULT_POOL.to_owned() } else { plain("pool", &pool)? },
        skills: proficiency.keys().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        proficiency: proficiency.into_iter().collect(),
        subscription: Subscription { labels: labels.into_iter().collect(), priority, projects: projects.collect::<Result<_>>()? },
        max_concurrency,
    })
}
