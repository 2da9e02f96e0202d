//! Agents that ask for their work.

use std::time::{Duration, Instant};

use titan_proto::orchestrator::agent_service_client::AgentServiceClient;
use titan_proto::orchestrator::report_attempt_request::What;
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::{
    ActOnTaskRequest, Agent, AgentStatus, GetAgentRequest, HeartbeatAgentRequest, PollTaskRequest, PollTaskResponse, RegisterAgentRequest,
    ReportAttemptRequest, TaskState,
};
use titan_proto::worker::{Assignment, AttemptRef, Completed, Subscription};
use tonic::{Code, Status};

use super::worker::{Worker, attempt};
use super::{Fixture, noop, start};

async fn register(fixture: &Fixture, name: &str) -> Result<Agent, Status> {
    let request = RegisterAgentRequest { name: name.to_owned(), role: "runner".to_owned(), max_concurrency: 2, ..Default::default() };
    Ok(AgentServiceClient::new(fixture.channel.clone()).register_agent(fixture.request(request)).await?.into_inner())
}

async fn poll(fixture: &Fixture, agent: &str, wait_ms: u32, running: Vec<AttemptRef>) -> Result<PollTaskResponse, Status> {
    let request = PollTaskRequest { agent: agent.to_owned(), wait_ms, running };
    Ok(AgentServiceClient::new(fixture.channel.clone()).poll_task(fixture.request(request)).await?.into_inner())
}

async fn complete(fixture: &Fixture, agent: &str, assignment: &Assignment) -> bool {
    let what = Some(What::Completed(Completed { result_json: "{}".to_owned() }));
    let request = ReportAttemptRequest { agent: agent.to_owned(), attempt: attempt(assignment), what, usage: None };
    AgentServiceClient::new(fixture.channel.clone()).report_attempt(fixture.request(request)).await.unwrap().into_inner().accepted
}

#[tokio::test]
async fn an_agent_that_asks_is_given_work_at_once_and_nothing_twice() {
    let fixture = Fixture::new().await;
    let registered = register(&fixture, "shell").await.unwrap();
    assert_eq!((registered.status(), registered.max_concurrency), (AgentStatus::Idle, 2));
    let none = poll(&fixture, "shell", 0, vec![]).await.unwrap();
    assert!(none.assignment.is_none() && none.retry_after_ms > 0 && none.reason.contains("nothing is ready for a runner"), "{none:?}");
    let (polled, submitted) = tokio::join!(poll(&fixture, "shell", 10_000, vec![]), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        fixture.submit(vec![noop("a", &[])]).await.unwrap();
        Instant::now()
    });
    let first = polled.unwrap().assignment.unwrap();
    assert!(submitted.elapsed() < Duration::from_millis(900), "pushed, not swept: {:?}", submitted.elapsed());
    assert_eq!(fixture.task(&first.task_id).await.state(), TaskState::InProgress);
    // Its answer got lost: the same attempt comes again, from any replica.
    let other = start(&fixture.database);
    let far = Fixture { channel: tonic::transport::Channel::from_shared(other.url.clone()).unwrap().connect_lazy(), ..fixture };
    let mut again = poll(&far, "shell", 0, vec![]).await;
    while again.as_ref().is_err_and(|e| e.code() == Code::Unavailable) {
        again = poll(&far, "shell", 0, vec![]).await;
    }
    assert_eq!(attempt(&again.unwrap().assignment.unwrap()), attempt(&first));
    far.submit(vec![noop("b", &[]), noop("c", &[])]).await.unwrap();
    let running = vec![attempt(&first).unwrap()];
    let second = poll(&far, "shell", 0, running.clone()).await.unwrap().assignment.unwrap();
    let both = vec![attempt(&first).unwrap(), attempt(&second).unwrap()];
    let full = poll(&far, "shell", 0, both.clone()).await.unwrap();
    assert!(full.assignment.is_none() && full.reason.contains("as many tasks as it takes"), "{full:?}");
    // Cancelled: the next heartbeat tells, and its result is refused.
    let cancel = ActOnTaskRequest { id: second.task_id.clone(), reason: String::new() };
    TaskServiceClient::new(far.channel.clone()).cancel_task(far.request(cancel)).await.unwrap();
    let beat = HeartbeatAgentRequest { agent: "shell".to_owned(), running: both };
    let kept = AgentServiceClient::new(far.channel.clone()).heartbeat_agent(far.request(beat)).await.unwrap().into_inner();
    assert_eq!((kept.keep, kept.wake), (running, false));
    assert!(!complete(&far, "shell", &second).await);
    assert!(complete(&far, "shell", &first).await);
    assert!(complete(&far, "shell", &first).await, "the same again");
    other.stop().await;
    far.service.stop().await;
}

#[tokio::test]
async fn an_agent_that_registers_again_gives_back_what_it_had() {
    let fixture = Fixture::new().await;
    register(&fixture, "shell").await.unwrap();
    fixture.submit(vec![noop("a", &[])]).await.unwrap();
    let first = poll(&fixture, "shell", 1_000, vec![]).await.unwrap().assignment.unwrap();
    register(&fixture, "shell").await.unwrap();
    assert!(!complete(&fixture, "shell", &first).await, "an earlier life's");
    let again = poll(&fixture, "shell", 2_000, vec![]).await.unwrap().assignment.unwrap();
    assert_eq!((&again.task_id, again.attempt), (&first.task_id, first.attempt + 1));
    assert!(complete(&fixture, "shell", &again).await);
    fixture.service.stop().await;
}

#[tokio::test]
async fn a_workers_agents_are_its_own() {
    let fixture = Fixture::new().await;
    let worker = Worker::new(&fixture, 1).await.beat();
    let name = format!("runner@{}", worker.session);
    assert_eq!(register(&fixture, &name).await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(poll(&fixture, &name, 0, vec![]).await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(poll(&fixture, "nobody", 0, vec![]).await.unwrap_err().code(), Code::NotFound);
    register(&fixture, "shell").await.unwrap();
    fixture.submit(vec![noop("a", &[])]).await.unwrap();
    let mut worker = worker;
    let theirs = worker.assignment().await;
    assert!(!complete(&fixture, "shell", &theirs).await, "what another one has is not its own to end");
    assert_eq!(fixture.task(&theirs.task_id).await.state(), TaskState::Assigned);
    // One that says nothing is gone, and told to register again.
    fixture
        .database
        .execute("UPDATE orchestrator.worker_session SET lease_until = now() - interval '1 second' WHERE worker = 'external'")
        .await;
    let expired = "SELECT count(*) FROM orchestrator.worker_session WHERE worker = 'external' AND state = 'expired'";
    titan_testkit::eventually("the end of its lease", async || (fixture.database.count(expired).await == 1).then_some(())).await;
    assert!(poll(&fixture, "shell", 0, vec![]).await.unwrap_err().message().contains("register it again"));
    fixture.service.stop().await;
}

#[tokio::test]
async fn two_polls_at_once_take_what_there_is_room_for() {
    let fixture = Fixture::new().await;
    for round in 0..5 {
        let name = format!("shell-{round}");
        register(&fixture, &name).await.unwrap();
        fixture.submit((0..6).map(|i| noop(&format!("{round}/{i}"), &[])).collect()).await.unwrap();
        let polls = (0..6).map(|_| poll(&fixture, &name, 0, vec![]));
        futures::future::join_all(polls).await;
        let owned = "SELECT count(*) FROM orchestrator.task WHERE state IN ('assigned', 'in_progress')";
        // One that looks later is given again what the first was given.
        assert!((1..=2).contains(&fixture.database.count(owned).await), "it takes two at once");
        // It leaves: what it has is somebody else's at once.
        let leave = GetAgentRequest { id: name };
        let left = AgentServiceClient::new(fixture.channel.clone()).remove_agent(fixture.request(leave)).await.unwrap().into_inner();
        assert_eq!((left.status(), fixture.database.count(owned).await), (AgentStatus::Offline, 0));
    }
    fixture.service.stop().await;
}

#[tokio::test]
async fn an_agent_that_cannot_be_is_refused_by_the_name_of_the_field() {
    let fixture = Fixture::new().await;
    let given = || RegisterAgentRequest { name: "shell".to_owned(), role: "runner".to_owned(), ..Default::default() };
    let subscription = |priority: i32, label: &str| Some(Subscription { priority, labels: vec![label.to_owned()], projects: vec![] });
    for (field, agent) in [
        ("department", RegisterAgentRequest { department: "\0".to_owned(), ..given() }),
        ("skills", RegisterAgentRequest { skills: [("\0".to_owned(), 1.0)].into(), ..given() }),
        ("subscription.priority", RegisterAgentRequest { subscription: subscription(i32::MIN, "a"), ..given() }),
        ("subscription.labels", RegisterAgentRequest { subscription: subscription(0, "\0"), ..given() }),
    ] {
        let refused = AgentServiceClient::new(fixture.channel.clone()).register_agent(fixture.request(agent)).await.unwrap_err();
        assert!(refused.code() == Code::InvalidArgument && refused.message().contains(field), "{field}: {refused}");
    }
    fixture.service.stop().await;
}

#[tokio::test]
async fn an_agent_is_given_nothing_of_another_organisation() {
    let fixture = Fixture::new().await;
    fixture.submit(vec![noop("ours", &[])]).await.unwrap();
    let org = titan_ids::OrgId::from(uuid::Uuid::now_v7());
    fixture.database.execute(&format!("INSERT INTO orchestrator.organisation (id, name) VALUES ('{}', 'other')", org.uuid())).await;
    let stranger = titan_identity::Principal::user(titan_ids::UserId::generate(), org);
    let spy = RegisterAgentRequest { name: "spy".to_owned(), role: "runner".to_owned(), ..Default::default() };
    let mut client = AgentServiceClient::new(fixture.channel.clone());
    client.register_agent(fixture.signer.request(&stranger, spy).unwrap()).await.unwrap();
    let ask = PollTaskRequest { agent: "spy".to_owned(), wait_ms: 300, running: vec![] };
    let polled = client.poll_task(fixture.signer.request(&stranger, ask).unwrap()).await.unwrap().into_inner();
    assert!(polled.assignment.is_none(), "{polled:?}");
    register(&fixture, "ours").await.unwrap();
    assert!(poll(&fixture, "ours", 1_000, vec![]).await.unwrap().assignment.is_some(), "it was there to be had");
    fixture.service.stop().await;
}
