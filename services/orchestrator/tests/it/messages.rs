//! Agents' mailboxes.

use std::time::{Duration, Instant};

use titan_ids::SessionId;
use titan_proto::orchestrator::message_service_client::MessageServiceClient;
use titan_proto::orchestrator::{
    AcknowledgeMessageRequest, GetMessageRequest, ListDeadMessagesRequest, Message, MessageTo, ReadMailboxRequest, SendMessageRequest,
};
use titan_testkit::eventually;
use tonic::{Code, Status};

use super::Fixture;
use super::worker::{Worker, hello};

fn to(kind: MessageTo, name: &str, subject: &str) -> SendMessageRequest {
    SendMessageRequest { to_kind: kind.into(), to: name.to_owned(), subject: subject.to_owned(), ..Default::default() }
}

async fn send(fixture: &Fixture, message: SendMessageRequest) -> Result<Message, Status> {
    Ok(MessageServiceClient::new(fixture.channel.clone()).send_message(fixture.request(message)).await?.into_inner())
}

async fn read(fixture: &Fixture, agent: &str, wait_ms: u32) -> Vec<Message> {
    let request = ReadMailboxRequest { agent: agent.to_owned(), wait_ms };
    MessageServiceClient::new(fixture.channel.clone()).read_mailbox(fixture.request(request)).await.unwrap().into_inner().messages
}

async fn acknowledge(fixture: &Fixture, agent: &str, id: &str) -> Result<Message, Status> {
    let request = AcknowledgeMessageRequest { id: id.to_owned(), agent: agent.to_owned() };
    Ok(MessageServiceClient::new(fixture.channel.clone()).acknowledge_message(fixture.request(request)).await?.into_inner())
}

/// An agent that was there, and is away now.
async fn agent(fixture: &Fixture, name: &str, department: &str, pool: &str) {
    let mut hello = hello(SessionId::generate(), 1);
    (hello.agents[0].name, hello.agents[0].department, hello.agents[0].pool) = (name.to_owned(), department.to_owned(), pool.to_owned());
    drop(Worker::connect(fixture, hello).await.unwrap());
}

#[tokio::test]
async fn what_a_stale_attempt_says_is_not_delivered() {
    let fixture = Fixture::new().await;
    agent(&fixture, "ann", "engineering", "red").await;
    let mut worker = Worker::new(&fixture, 1).await.beat();
    fixture.submit(vec![super::noop("a", &[])]).await.unwrap();
    let assignment = worker.assignment().await;
    let message = SendMessageRequest { attempt_credential: assignment.credential.clone(), ..to(MessageTo::Agent, "ann", "done soon") };
    let sent = send(&fixture, message.clone()).await.unwrap();
    assert!(worker.end(super::worker::completed(&assignment)).await);
    assert_eq!(send(&fixture, message).await.unwrap_err().code(), Code::Aborted);
    assert_eq!(read(&fixture, "ann", 0).await.len(), 1);
    let get = GetMessageRequest { id: sent.id };
    let found = MessageServiceClient::new(fixture.channel.clone()).get_message(fixture.request(get)).await.unwrap().into_inner();
    assert_eq!((found.subject.as_str(), found.unread_by), ("done soon", vec!["ann".to_owned()]));
    fixture.service.stop().await;
}

#[tokio::test]
async fn mailboxes_hold_what_was_sent_until_it_is_acknowledged() {
    let fixture = Fixture::new().await;
    agent(&fixture, "ann", "engineering", "red").await;
    agent(&fixture, "bob", "engineering", "blue").await;
    agent(&fixture, "cid", "quality", "blue").await;
    let direct = send(&fixture, to(MessageTo::Agent, "ann", "for you")).await.unwrap();
    let department = send(&fixture, to(MessageTo::Department, "engineering", "for engineers")).await.unwrap();
    let urgent = SendMessageRequest { priority: 9, idempotency_key: "k".to_owned(), ..to(MessageTo::Team, "blue", "for blue") };
    let team = send(&fixture, urgent.clone()).await.unwrap();
    assert_eq!(send(&fixture, urgent).await.unwrap().id, team.id, "the key sends it once");
    assert_eq!((direct.recipients, department.recipients, team.recipients), (1, 2, 2));
    let subjects = async |agent: &str| read(&fixture, agent, 0).await.into_iter().map(|m| m.subject).collect::<Vec<_>>();
    assert_eq!(subjects("ann").await, ["for you", "for engineers"]);
    assert_eq!(subjects("bob").await, ["for blue", "for engineers"], "the most urgent first");
    assert_eq!(subjects("cid").await, ["for blue"]);
    assert_eq!(acknowledge(&fixture, "bob", &team.id).await.unwrap().acknowledged, 1);
    assert_eq!(acknowledge(&fixture, "bob", &team.id).await.unwrap().acknowledged, 1, "twice is like once");
    assert_eq!((subjects("bob").await, subjects("cid").await), (vec!["for engineers".to_owned()], vec!["for blue".to_owned()]));
    assert_eq!(acknowledge(&fixture, "ann", &team.id).await.unwrap_err().code(), Code::NotFound);
    // Somebody waits, and is told at once.
    let (got, sent) = tokio::join!(
        async {
            acknowledge(&fixture, "cid", &team.id).await.unwrap();
            (read(&fixture, "cid", 10_000).await, Instant::now())
        },
        async {
            tokio::time::sleep(Duration::from_millis(400)).await;
            send(&fixture, SendMessageRequest { in_reply_to: team.id.clone(), ..to(MessageTo::Agent, "cid", "thanks") }).await.unwrap();
            Instant::now()
        }
    );
    assert_eq!(got.0[0].in_reply_to, team.id);
    assert!(got.1.saturating_duration_since(sent) < Duration::from_millis(900));
    fixture.service.stop().await;
}

#[tokio::test]
async fn what_nobody_reads_is_dead_and_what_nobody_could_read_is_refused() {
    let fixture = Fixture::new().await;
    agent(&fixture, "ann", "engineering", "red").await;
    for (message, code, word) in [
        (to(MessageTo::Agent, "nobody", "hello"), Code::FailedPrecondition, "titan agents"),
        (to(MessageTo::Agent, "ann", ""), Code::InvalidArgument, "subject"),
        (to(MessageTo::Unspecified, "ann", "hello"), Code::InvalidArgument, "to_kind"),
        (SendMessageRequest { body_json: "[1]".to_owned(), ..to(MessageTo::Agent, "ann", "hello") }, Code::InvalidArgument, "body"),
        (SendMessageRequest { priority: 10, ..to(MessageTo::Agent, "ann", "hello") }, Code::InvalidArgument, "priority"),
    ] {
        let refused = send(&fixture, message).await.unwrap_err();
        assert!(refused.code() == code && refused.message().contains(word), "{refused}");
    }
    let short = send(&fixture, SendMessageRequest { ttl_s: 1, ..to(MessageTo::Agent, "ann", "hurry") }).await.unwrap();
    let dead = async || {
        let request = fixture.request(ListDeadMessagesRequest::default());
        MessageServiceClient::new(fixture.channel.clone()).list_dead_messages(request).await.unwrap().into_inner().messages
    };
    eventually("a dead message", async || dead().await.first().map(|m| assert_eq!(m.id, short.id))).await;
    assert!(read(&fixture, "ann", 0).await.is_empty());
    fixture.service.stop().await;
}

#[tokio::test]
async fn what_is_older_than_the_history_goes_and_nothing_else() {
    let fixture = Fixture::new().await;
    let old = Worker::connect(&fixture, hello(SessionId::generate(), 1)).await.unwrap();
    let name = format!("runner@{}", old.session);
    let read_by_it = send(&fixture, to(MessageTo::Agent, &name, "old")).await.unwrap();
    acknowledge(&fixture, &name, &read_by_it.id).await.unwrap();
    fixture.submit(vec![super::noop("a", &[])]).await.unwrap();
    drop(old);
    let young = Worker::new(&fixture, 1).await.beat();
    let kept = format!("runner@{}", young.session);
    send(&fixture, to(MessageTo::Agent, &kept, "young")).await.unwrap();
    let expired = "SELECT count(*) FROM orchestrator.worker_session WHERE state = 'expired'";
    eventually("its end", async || (fixture.database.count(expired).await == 1).then_some(())).await;
    for sql in [
        "UPDATE orchestrator.worker_session SET lease_until = now() - interval '91 days' WHERE state = 'expired'",
        "UPDATE orchestrator.message SET created_at = now() - interval '91 days' WHERE subject = 'old'",
        "UPDATE orchestrator.submission SET created_at = now() - interval '91 days'",
    ] {
        fixture.database.execute(sql).await;
    }
    // At a service's start, and every hour.
    let other = super::start(&fixture.database);
    let left = "SELECT (SELECT count(*) FROM orchestrator.worker_session) * 10000 + (SELECT count(*) FROM orchestrator.agent) * 1000
        + (SELECT count(*) FROM orchestrator.message) * 100 + (SELECT count(*) FROM orchestrator.mailbox) * 10 + (SELECT count(*) FROM orchestrator.submission)";
    eventually("one of each, and no key", async || (fixture.database.count(left).await == 11_110).then_some(())).await;
    assert_eq!(fixture.database.count("SELECT count(*) FROM orchestrator.task").await, 1);
    other.stop().await;
    fixture.service.stop().await;
}
