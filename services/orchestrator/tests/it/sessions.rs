//! The worker protocol: claims, fences, sessions that break and come back.

use std::collections::HashMap;

use titan_ids::{OrgId, SessionId};
use titan_proto::orchestrator::agent_service_client::AgentServiceClient;
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::{GetAgentRequest, GetTaskRequest, TaskState, VerifyAttemptRequest};
use titan_proto::worker::orchestrator_message::Body as In;
use titan_proto::worker::result::Outcome;
use titan_proto::worker::worker_message::Body as Out;
use titan_proto::worker::worker_service_client::WorkerServiceClient;
use titan_proto::worker::{AttemptRef, Heartbeat, Hello, Rejected, Result as TaskResult, Started, WorkerMessage};
use titan_testkit::eventually;
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Code;

use super::worker::{Worker, attempt, completed, failed, hello};
use super::{Fixture, noop};

#[tokio::test]
async fn a_task_is_pushed_worked_on_and_done_and_its_history_tells() {
    let fixture = Fixture::new().await;
    let mut worker = Worker::new(&fixture, 1).await;
    let task = fixture.submit(vec![noop("a", &[])]).await.unwrap().remove(0);
    let assignment = worker.assignment().await;
    assert_eq!((&assignment.task_id, assignment.attempt), (&task.id, 1));
    worker.say(Out::Started(Started { attempt: attempt(&assignment) }));
    assert!(worker.end(completed(&assignment)).await);
    assert!(worker.end(completed(&assignment)).await, "the same result again is not stale");
    let done = fixture.task(&task.id).await;
    assert_eq!((done.state(), done.result_json.as_str()), (TaskState::Done, "{\"by\":\"a\"}"));
    assert!(done.choice_json.contains("workload"), "{}", done.choice_json);
    let history =
        TaskServiceClient::new(fixture.channel.clone()).get_task_history(fixture.request(GetTaskRequest { id: task.id })).await.unwrap();
    let states: Vec<_> = history.into_inner().changes.iter().map(|c| c.to()).collect();
    assert_eq!(states, [TaskState::Assigned, TaskState::InProgress, TaskState::Done]);
    fixture.service.stop().await;
}

#[tokio::test]
async fn reports_count_in_the_order_in_which_they_are_sent() {
    const TASKS: u32 = 300;
    let fixture = Fixture::new().await;
    let mut worker = Worker::new(&fixture, TASKS).await;
    fixture.submit((0..TASKS).map(|i| noop(&i.to_string(), &[])).collect()).await.unwrap();
    let mut assignments = Vec::new();
    while assignments.len() < TASKS as usize {
        assignments.push(worker.assignment().await);
    }
    for assignment in &assignments {
        worker.say(Out::Started(Started { attempt: attempt(assignment) }));
        worker.say(Out::Result(completed(assignment)));
    }
    let done = "SELECT count(*) FROM orchestrator.task WHERE state = 'done'";
    eventually("all done", async || (fixture.database.count(done).await == i64::from(TASKS)).then_some(())).await;
    let begun = "SELECT count(*) FROM orchestrator.task_change WHERE from_state = 'in_progress' AND to_state = 'done'";
    assert_eq!(fixture.database.count(begun).await, i64::from(TASKS));
    fixture.service.stop().await;
}

#[tokio::test]
async fn dependents_start_when_the_last_dependency_is_done() {
    let fixture = Fixture::new().await;
    let mut worker = Worker::new(&fixture, 4).await;
    fixture.submit(vec![noop("a", &[]), noop("b", &[]), noop("c", &["a", "b"])]).await.unwrap();
    let (first, second) = (worker.assignment().await, worker.assignment().await);
    assert!(worker.end(completed(&first)).await);
    assert_eq!(fixture.database.count("SELECT count(*) FROM orchestrator.task WHERE state = 'inbox' AND waiting_on = 1").await, 1);
    worker.say(Out::Result(completed(&second)));
    let third = worker.assignment_after_ack().await;
    assert_eq!(third.title, "c");
    assert_eq!(third.dependencies.len(), 2);
    fixture.service.stop().await;
}

#[tokio::test]
async fn a_lost_worker_is_fenced_off() {
    let fixture = Fixture::new().await;
    let mut first = Worker::new(&fixture, 1).await;
    let task = fixture.submit(vec![noop("a", &[])]).await.unwrap().remove(0);
    let stale = first.assignment().await;
    // Its stream breaks and it does not come back within the grace.
    let session = first.resume.epoch;
    assert_eq!(session, 1);
    drop(first);
    let mut second = Worker::new(&fixture, 1).await;
    let beating = second.outgoing.clone();
    let beat = tokio::time::interval(std::time::Duration::from_millis(300));
    let assignment = tokio::select! {
        assignment = second.assignment() => assignment,
        () = keep_alive(beat, beating) => unreachable!(),
    };
    assert_eq!((&assignment.task_id, assignment.attempt), (&task.id, 2));
    // The lost one's result comes late, through whatever session: refused, and recorded.
    assert!(!second.end(completed(&stale)).await);
    let verify = async |credential: &str| {
        let request = fixture.signer.service_request(OrgId::DEFAULT, VerifyAttemptRequest { credential: credential.to_owned() }).unwrap();
        TaskServiceClient::new(fixture.channel.clone()).verify_attempt(request).await
    };
    assert_eq!(verify(&stale.credential).await.unwrap_err().code(), Code::Aborted);
    let verified = verify(&assignment.credential).await.unwrap().into_inner();
    assert_eq!(verified.git_ref, format!("refs/heads/task/{}", task.id));
    assert!(!verified.may_merge);
    assert!(second.end(completed(&assignment)).await);
    assert_eq!(verify(&assignment.credential).await.unwrap_err().code(), Code::Aborted, "it is done");
    assert_eq!(fixture.database.count("SELECT count(*) FROM orchestrator.task_change WHERE reason LIKE 'refused%'").await, 1);
    fixture.service.stop().await;
}

async fn keep_alive(mut beat: tokio::time::Interval, outgoing: mpsc::UnboundedSender<WorkerMessage>) {
    for sequence in 1.. {
        beat.tick().await;
        outgoing.send(WorkerMessage { body: Some(Out::Heartbeat(Heartbeat { sequence })) }).unwrap();
    }
}

#[tokio::test]
async fn a_worker_that_comes_back_in_time_keeps_its_tasks() {
    let fixture = Fixture::new().await;
    let session = SessionId::generate();
    let mut worker = Worker::connect(&fixture, hello(session, 3)).await.unwrap();
    fixture.submit(vec![noop("kept", &[]), noop("lost on the way", &[]), noop("finished", &[])]).await.unwrap();
    let mut by_title = HashMap::new();
    for _ in 0..3 {
        let assignment = worker.assignment().await;
        by_title.insert(assignment.title.clone(), assignment);
    }
    drop(worker);
    let mut again = hello(session, 3);
    again.running = vec![attempt(&by_title["kept"]).unwrap(), AttemptRef { task_id: by_title["finished"].task_id.clone(), attempt: 9 }];
    again.unacknowledged = vec![completed(&by_title["finished"])];
    let mut worker = Worker::connect(&fixture, again).await.unwrap();
    assert_eq!(worker.resume.epoch, 2);
    assert_eq!(worker.resume.keep, [attempt(&by_title["kept"]).unwrap()]);
    let In::ResultAck(ack) = worker.hear().await else { panic!("the result is acknowledged first") };
    assert!(ack.accepted);
    let redelivered = worker.assignment().await;
    assert_eq!((redelivered.title.as_str(), redelivered.attempt), ("lost on the way", 1));
    fixture.service.stop().await;
}

#[tokio::test]
async fn an_expired_session_must_start_anew() {
    let fixture = Fixture::new().await;
    let session = SessionId::generate();
    drop(Worker::connect(&fixture, hello(session, 1)).await.unwrap());
    eventually("the expiry", async || {
        (fixture.database.count("SELECT count(*) FROM orchestrator.worker_session WHERE state = 'expired'").await == 1).then_some(())
    })
    .await;
    let Err(status) = Worker::connect(&fixture, hello(session, 1)).await else { panic!("it was let in") };
    assert_eq!(status.code(), Code::FailedPrecondition);
    fixture.service.stop().await;
}

#[tokio::test]
async fn a_newer_protocol_and_people_are_not_let_in() {
    let fixture = Fixture::new().await;
    let newer = Hello { protocol: 2, ..hello(SessionId::generate(), 1) };
    assert!(
        Worker::connect(&fixture, newer).await.is_err_and(|s| s.code() == Code::FailedPrecondition && s.message().contains("version 1"))
    );
    let (outgoing, receiver) = mpsc::unbounded_channel();
    outgoing.send(WorkerMessage { body: Some(Out::Hello(hello(SessionId::generate(), 1))) }).unwrap();
    let request = fixture.request(UnboundedReceiverStream::new(receiver));
    let status = WorkerServiceClient::new(fixture.channel.clone()).open_session(request).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    fixture.service.stop().await;
}

#[tokio::test]
async fn errors_are_retried_until_the_last_attempt_and_then_stop_what_depends() {
    let fixture = Fixture::new().await;
    let mut worker = Worker::new(&fixture, 2).await;
    let mut task = noop("a", &[]);
    task.max_attempts = 2;
    let tasks = fixture.submit(vec![task, noop("b", &["a"]), noop("c", &["b"])]).await.unwrap();
    let first = worker.assignment().await;
    assert!(worker.end(failed(&first, false)).await);
    let second = worker.assignment().await;
    assert_eq!(second.attempt, 2);
    assert!(worker.end(failed(&second, false)).await);
    assert_eq!(fixture.task(&tasks[0].id).await.state(), TaskState::Failed);
    for task in &tasks[1..] {
        assert_eq!(fixture.task(&task.id).await.state(), TaskState::Cancelled);
    }
    fixture.service.stop().await;
}

#[tokio::test]
async fn a_rejection_makes_a_linked_fix_that_is_waited_for() {
    let fixture = Fixture::new().await;
    let mut worker = Worker::new(&fixture, 1).await;
    let tasks = fixture.submit(vec![noop("work", &[]), noop("verdict", &["work"])]).await.unwrap();
    let work = worker.assignment().await;
    worker.say(Out::Result(completed(&work)));
    for round in 1..=3 {
        let verdict = worker.assignment_after_ack().await;
        assert_eq!((verdict.title.as_str(), verdict.attempt), ("verdict", round));
        let rejected = Rejected { message: "not good".to_owned(), findings_json: "{\"line\": 7}".to_owned() };
        worker.say(Out::Result(TaskResult { attempt: attempt(&verdict), outcome: Some(Outcome::Rejected(rejected)), usage: None }));
        if round == 3 {
            break;
        }
        let fix = worker.assignment_after_ack().await;
        assert_eq!(fix.title, "Fix: work");
        assert!(fix.input_json.contains("\"line\":7"), "{}", fix.input_json);
        assert_eq!(fixture.task(&tasks[1].id).await.state(), TaskState::Blocked);
        worker.say(Out::Result(completed(&fix)));
    }
    eventually("the end", async || (fixture.task(&tasks[1].id).await.state() == TaskState::Failed).then_some(())).await;
    fixture.service.stop().await;
}

#[tokio::test]
async fn of_the_tasks_with_one_key_one_runs() {
    let fixture = Fixture::new().await;
    let mut worker = Worker::new(&fixture, 5).await;
    let keyed = |name: &str| titan_proto::orchestrator::NewTask { concurrency_key: "k".to_owned(), ..noop(name, &[]) };
    fixture.submit(vec![keyed("a"), keyed("b"), noop("free", &[])]).await.unwrap();
    let first = [worker.assignment().await, worker.assignment().await];
    let keyed = first.iter().find(|a| a.title == "a").expect("the older of the two");
    assert!(first.iter().any(|a| a.title == "free"));
    worker.say(Out::Result(completed(keyed)));
    assert_eq!(worker.assignment_after_ack().await.title, "b");
    fixture.service.stop().await;
}

#[tokio::test]
async fn a_task_stored_through_one_replica_is_pushed_by_another() {
    let fixture = Fixture::new().await;
    let other = super::start(&fixture.database);
    let mut far = Fixture { channel: tonic::transport::Channel::from_shared(other.url.clone()).unwrap().connect_lazy(), ..fixture };
    let mut worker = None;
    while worker.is_none() {
        worker = Worker::connect(&far, hello(SessionId::generate(), 1)).await.ok();
    }
    let mut worker = worker.unwrap();
    far.channel = tonic::transport::Channel::from_shared(far.service.url.clone()).unwrap().connect_lazy();
    let started = std::time::Instant::now();
    far.submit(vec![noop("a", &[])]).await.unwrap();
    assert_eq!(worker.assignment().await.title, "a");
    assert!(started.elapsed() < std::time::Duration::from_millis(900), "pushed, not swept: {:?}", started.elapsed());
    other.stop().await;
    far.service.stop().await;
}

#[tokio::test]
async fn a_triggered_agent_hears_of_its_tasks_once_more_through_any_replica() {
    let fixture = Fixture::new().await;
    let other = super::start(&fixture.database);
    let mut worker = Worker::new(&fixture, 1).await;
    let task = fixture.submit(vec![noop("a", &[])]).await.unwrap().remove(0);
    let first = worker.assignment().await;
    let channel = tonic::transport::Channel::from_shared(other.url.clone()).unwrap().connect_lazy();
    let trigger = async |id: &str| {
        let request = GetAgentRequest { id: id.to_owned() };
        eventually("the other replica answers", async || {
            let answer = AgentServiceClient::new(channel.clone()).trigger_agent(fixture.request(request.clone())).await;
            (!answer.as_ref().is_err_and(|status| status.code() == Code::Unavailable)).then_some(answer)
        })
        .await
    };
    trigger(&first.agent_name).await.unwrap();
    let again = worker.assignment().await;
    assert_eq!((&again.task_id, again.attempt), (&task.id, first.attempt));
    assert!(worker.end(completed(&again)).await);
    assert_eq!(trigger("nobody").await.unwrap_err().code(), Code::NotFound);
    drop(worker);
    let offline = eventually("it is gone", async || trigger(&first.agent_name).await.err()).await;
    assert_eq!(offline.code(), Code::FailedPrecondition);
    assert!(offline.message().contains("is not connected"), "{offline}");
    other.stop().await;
    fixture.service.stop().await;
}

#[tokio::test]
async fn what_was_meant_for_a_session_that_is_connected_elsewhere_goes_to_another_one() {
    let fixture = Fixture::new().await;
    let (mut gone, mut here) = (Worker::new(&fixture, 2).await, Worker::new(&fixture, 4).await);
    // As another replica does it, which this one has not heard of.
    let id = gone.session.parse::<SessionId>().unwrap().uuid();
    fixture.database.execute(&format!("UPDATE orchestrator.worker_session SET epoch = epoch + 1 WHERE id = '{id}'")).await;
    let tasks = fixture.submit((0..4).map(|n| noop(&n.to_string(), &[])).collect()).await.unwrap();
    for _ in &tasks {
        let assignment = here.assignment_after_ack().await;
        assert_eq!(assignment.attempt, 1, "nothing was claimed for the other one");
        here.say(Out::Result(completed(&assignment)));
    }
    for task in &tasks {
        eventually("done", async || (fixture.task(&task.id).await.state() == TaskState::Done).then_some(())).await;
    }
    let told = tokio::time::timeout(std::time::Duration::from_secs(10), gone.stream.message()).await.expect("its stream ends");
    assert!(!matches!(told, Ok(Some(_))), "{told:?}");
    fixture.service.stop().await;
}
