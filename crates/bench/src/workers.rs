//! Workers of the benchmark's own: they speak the worker protocol, do nothing, and tell when an assignment arrives.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context as _, bail};
use titan_ids::{OrgId, SessionId};
use titan_proto::worker::orchestrator_message::Body as In;
use titan_proto::worker::result::Outcome;
use titan_proto::worker::worker_message::Body as Out;
use titan_proto::worker::worker_service_client::WorkerServiceClient;
use titan_proto::worker::{
    AgentSlot, Assignment, AttemptRef, Completed, Heartbeat, Hello, OrchestratorMessage, Result as TaskResult, Started, WorkerMessage,
};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;

use crate::load::Client;

const PROTOCOL: u32 = 1;
const BEAT: Duration = Duration::from_secs(1);

/// A connected pod.
pub(crate) struct Worker {
    incoming: Streaming<OrchestratorMessage>,
    outgoing: mpsc::UnboundedSender<WorkerMessage>,
}

impl Worker {
    /// With so many agents of one role.
    pub(crate) async fn connect(
        client: &Client,
        replica: usize,
        name: &str,
        role: &str,
        agents: usize,
        slots: u32,
    ) -> anyhow::Result<Self> {
        let agent =
            |n: usize| AgentSlot { name: format!("{name}-{n}"), role: role.to_owned(), max_concurrency: slots, ..Default::default() };
        let hello = Hello {
            session_id: SessionId::generate().to_string(),
            worker: name.to_owned(),
            protocol: PROTOCOL,
            agents: (0..agents).map(agent).collect(),
            ..Default::default()
        };
        let (outgoing, receiver) = mpsc::unbounded_channel();
        outgoing.send(WorkerMessage { body: Some(Out::Hello(hello)) })?;
        let request = client.signer.service_request(OrgId::DEFAULT, UnboundedReceiverStream::new(receiver))?;
        let mut incoming = WorkerServiceClient::new(client.channel(replica)).open_session(request).await?.into_inner();
        let first = incoming.message().await?.and_then(|message| message.body);
        let Some(In::Resume(_)) = first else { bail!("{name} was not answered with Resume: {first:?}") };
        Ok(Self { incoming, outgoing })
    }

    /// Completes whatever arrives, so long after it did, for as long as the stream lives.
    pub(crate) async fn serve(mut self, hold: Duration, arrived: impl Fn(&Assignment)) -> anyhow::Result<()> {
        let (mut beat, mut sequence) = (tokio::time::interval(BEAT), 0);
        let mut held: VecDeque<(Instant, Option<AttemptRef>)> = VecDeque::new();
        loop {
            let ends = held.front().map(|(ends, _)| *ends);
            tokio::select! {
                message = self.incoming.message() => {
                    let message = message?.context("the orchestrator closed the stream")?;
                    let Some(In::Assignment(assignment)) = message.body else { continue };
                    arrived(&assignment);
                    let attempt = Some(AttemptRef { task_id: assignment.task_id, attempt: assignment.attempt });
                    self.say(Out::Started(Started { attempt: attempt.clone() }))?;
                    held.push_back((Instant::now() + hold, attempt));
                }
                () = tokio::time::sleep_until(ends.unwrap_or_else(Instant::now)), if ends.is_some() => {
                    while let Some((_, attempt)) = held.pop_front_if(|(ends, _)| *ends <= Instant::now()) {
                        let outcome = Some(Outcome::Completed(Completed { result_json: "{}".to_owned() }));
                        self.say(Out::Result(TaskResult { attempt, outcome, usage: None }))?;
                    }
                }
                _ = beat.tick() => {
                    sequence += 1;
                    self.say(Out::Heartbeat(Heartbeat { sequence }))?;
                }
            }
        }
    }

    fn say(&self, body: Out) -> anyhow::Result<()> {
        Ok(self.outgoing.send(WorkerMessage { body: Some(body) })?)
    }
}
