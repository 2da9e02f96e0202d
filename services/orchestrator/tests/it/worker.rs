use serde_json::json;
use titan_ids::{OrgId, SessionId};
use titan_proto::worker::orchestrator_message::Body as In;
use titan_proto::worker::result::Outcome;
use titan_proto::worker::worker_message::Body as Out;
use titan_proto::worker::worker_service_client::WorkerServiceClient;
use titan_proto::worker::{
    AgentSlot, Assignment, AttemptRef, Completed, Failed, Heartbeat, Hello, OrchestratorMessage, Result as TaskResult, Resume,
    WorkerMessage,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Status, Streaming};

use super::Fixture;

/// A worker played by the test.
pub(crate) struct Worker {
    pub(crate) stream: Streaming<OrchestratorMessage>,
    pub(crate) outgoing: mpsc::UnboundedSender<WorkerMessage>,
    pub(crate) resume: Resume,
    pub(crate) session: String,
}

pub(crate) fn hello(session: SessionId, slots: u32) -> Hello {
    let agent = AgentSlot { name: format!("runner@{session}"), role: "runner".to_owned(), max_concurrency: slots, ..Default::default() };
    Hello { session_id: session.to_string(), worker: "test".to_owned(), protocol: 1, agents: vec![agent], ..Default::default() }
}

impl Worker {
    pub(crate) async fn connect(fixture: &Fixture, hello: Hello) -> Result<Self, Status> {
        let session = hello.session_id.clone();
        let (outgoing, receiver) = mpsc::unbounded_channel();
        outgoing.send(WorkerMessage { body: Some(Out::Hello(hello)) }).unwrap();
        let request = fixture.signer.service_request(OrgId::DEFAULT, UnboundedReceiverStream::new(receiver)).unwrap();
        let mut stream = WorkerServiceClient::new(fixture.channel.clone()).open_session(request).await?.into_inner();
        match stream.message().await?.and_then(|m| m.body) {
            Some(In::Resume(resume)) => Ok(Self { stream, outgoing, resume, session }),
            other => panic!("expected Resume, got {other:?}"),
        }
    }

    pub(crate) async fn new(fixture: &Fixture, slots: u32) -> Self {
        Self::connect(fixture, hello(SessionId::generate(), slots)).await.unwrap()
    }

    /// Says that it lives, until it is dropped.
    pub(crate) fn beat(self) -> Self {
        let outgoing = self.outgoing.downgrade();
        #[expect(clippy::disallowed_methods, reason = "it ends with the test")]
        tokio::spawn(async move {
            for sequence in 1.. {
                tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                let Some(outgoing) = outgoing.upgrade() else { return };
                let _ = outgoing.send(WorkerMessage { body: Some(Out::Heartbeat(Heartbeat { sequence })) }); // its stream ended
            }
        });
        self
    }

    pub(crate) fn say(&self, body: Out) {
        self.outgoing.send(WorkerMessage { body: Some(body) }).unwrap();
    }

    pub(crate) async fn hear(&mut self) -> In {
        let heard = tokio::time::timeout(std::time::Duration::from_secs(20), self.stream.message()).await;
        heard.expect("a message in time").unwrap().unwrap().body.unwrap()
    }

    pub(crate) async fn assignment(&mut self) -> Assignment {
        loop {
            match self.hear().await {
                In::Assignment(assignment) => return assignment,
                In::HeartbeatAck(_) => {}
                other => panic!("expected an assignment, got {other:?}"),
            }
        }
    }

    /// Whether the result was accepted.
    pub(crate) async fn end(&mut self, result: TaskResult) -> bool {
        self.say(Out::Result(result));
        loop {
            if let In::ResultAck(ack) = self.hear().await {
                return ack.accepted;
            }
        }
    }

    /// The acknowledgement and the next assignment come in either order.
    pub(crate) async fn assignment_after_ack(&mut self) -> Assignment {
        loop {
            if let In::Assignment(assignment) = self.hear().await {
                return assignment;
            }
        }
    }
}

pub(crate) fn attempt(assignment: &Assignment) -> Option<AttemptRef> {
    Some(AttemptRef { task_id: assignment.task_id.clone(), attempt: assignment.attempt })
}
pub(crate) fn completed(assignment: &Assignment) -> TaskResult {
    let result_json = json!({ "by": assignment.title }).to_string();
    TaskResult { attempt: attempt(assignment), outcome: Some(Outcome::Completed(Completed { result_json })), usage: None }
}
pub(crate) fn failed(assignment: &Assignment, last: bool) -> TaskResult {
    TaskResult {
        attempt: attempt(assignment),
        outcome: Some(Outcome::Failed(Failed { message: "boom".to_owned(), r#final: last, ..Default::default() })),
        usage: None,
    }
}

impl Worker {
    /// What it is given while nothing else comes for a moment; nothing of it is ended.
    pub(crate) async fn taken(&mut self) -> Vec<Assignment> {
        let mut taken = Vec::new();
        while let Ok(heard) = tokio::time::timeout(std::time::Duration::from_millis(300), self.stream.message()).await {
            let Some(In::Assignment(assignment)) = heard.unwrap().unwrap().body else { continue };
            taken.push(assignment);
        }
        taken
    }

    /// Does everything it is given until nothing more comes for a moment; their titles, in the order in which they came.
    pub(crate) async fn work(&mut self) -> Vec<String> {
        let mut done = Vec::new();
        loop {
            let taken = self.taken().await;
            if taken.is_empty() {
                return done;
            }
            for assignment in taken {
                self.say(Out::Result(completed(&assignment)));
                done.push(assignment.title);
            }
        }
    }
}

pub(crate) fn titles(assignments: &[Assignment]) -> Vec<&str> {
    assignments.iter().map(|a| a.title.as_str()).collect()
}
