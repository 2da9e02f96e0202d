//! What people do to tasks: cancel them, try them again.

use std::time::{Duration, Instant};

use titan_identity::Principal;
use titan_ids::{OrgId, UserId};
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::{ActOnTaskRequest, GetTaskRequest, Task, TaskState};
use titan_proto::worker::Started;
use titan_proto::worker::orchestrator_message::Body as In;
use titan_proto::worker::worker_message::Body as Out;
use tonic::{Code, Status};

use super::worker::{Worker, attempt, completed, failed};
use super::{Fixture, noop};

async fn cancel(fixture: &Fixture, id: &str) -> Result<Task, Status> {
    let request = fixture.request(ActOnTaskRequest { id: id.to_owned(), reason: "not needed".to_owned() });
    Ok(TaskServiceClient::new(fixture.channel.clone()).cancel_task(request).await?.into_inner())
}

async fn retry(fixture: &Fixture, id: &str) -> Result<Task, Status> {
    let request = fixture.request(ActOnTaskRequest { id: id.to_owned(), reason: String::new() });
    Ok(TaskServiceClient::new(fixture.channel.clone()).retry_task(request).await?.into_inner())
}

async fn states(fixture: &Fixture, tasks: &[Task]) -> Vec<TaskState> {
    let mut states = Vec::new();
    for task in tasks {
        states.push(fixture.task(&task.id).await.state());
    }
    states
}

#[tokio::test]
async fn cancelling_ends_a_task_and_what_cannot_happen_without_it() {
    use TaskState::{Cancelled, Done, Inbox};
    let fixture = Fixture::new().await;
    let tasks = fixture.submit(vec![noop("a", &[]), noop("b", &["a"]), noop("c", &["b"]), noop("other", &[])]).await.unwrap();
    let cancelled = cancel(&fixture, &tasks[0].id).await.unwrap();
    assert_eq!(cancelled.state(), Cancelled);
    assert_eq!(states(&fixture, &tasks).await, [Cancelled, Cancelled, Cancelled, Inbox]);
    assert_eq!(cancel(&fixture, &tasks[0].id).await.unwrap().state(), Cancelled, "again changes nothing");
    let mut client = TaskServiceClient::new(fixture.channel.clone());
    let history = client.get_task_history(fixture.request(GetTaskRequest { id: tasks[0].id.clone() })).await.unwrap().into_inner().changes;
    assert!(history.len() == 1 && history[0].reason.contains("not needed") && history[0].actor.starts_with("user_"), "{history:?}");

    let mut worker = Worker::new(&fixture, 1).await;
    let assignment = worker.assignment().await;
    assert!(worker.end(completed(&assignment)).await);
    assert_eq!(states(&fixture, &tasks).await, [Cancelled, Cancelled, Cancelled, Done]);
    assert_eq!(cancel(&fixture, &tasks[3].id).await.unwrap_err().code(), Code::FailedPrecondition);
    let stranger = Principal::user(UserId::generate(), OrgId::from(uuid::Uuid::now_v7()));
    let request = ActOnTaskRequest { id: tasks[3].id.clone(), reason: String::new() };
    let foreign = client.cancel_task(fixture.signer.request(&stranger, request).unwrap()).await.unwrap_err();
    assert_eq!(foreign.code(), Code::NotFound);
    fixture.service.stop().await;
}

#[tokio::test]
async fn whoever_works_on_what_is_cancelled_is_told_at_once_and_its_result_is_refused() {
    let fixture = Fixture::new().await;
    let mut worker = Worker::new(&fixture, 1).await;
    let tasks = fixture.submit(vec![noop("a", &[]), noop("b", &[])]).await.unwrap();
    let assignment = worker.assignment().await;
    worker.say(Out::Started(Started { attempt: attempt(&assignment) }));
    // Through another replica than the one that has the worker.
    let other = super::start(&fixture.database);
    let far = Fixture { channel: tonic::transport::Channel::from_shared(other.url.clone()).unwrap().connect_lazy(), ..fixture };
    titan_testkit::eventually("the other replica", async || {
        let request = far.request(GetTaskRequest { id: tasks[0].id.clone() });
        TaskServiceClient::new(far.channel.clone()).get_task(request).await.ok()
    })
    .await;
    let started = Instant::now();
    cancel(&far, &assignment.task_id).await.unwrap();
    match worker.hear().await {
        In::Revoke(revoke) => assert_eq!(revoke.attempt, attempt(&assignment)),
        other => panic!("expected Revoke, got {other:?}"),
    }
    // Its slot is free again.
    let next = worker.assignment().await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(next.title, "b");
    assert!(!worker.end(completed(&assignment)).await, "too late");
    assert!(worker.end(completed(&next)).await);
    assert_eq!(states(&far, &tasks).await, [TaskState::Cancelled, TaskState::Done]);
    other.stop().await;
    far.service.stop().await;
}

#[tokio::test]
async fn what_failed_is_tried_again_with_what_was_cancelled_because_of_it() {
    use TaskState::{Cancelled, Done, Failed, Inbox};
    let fixture = Fixture::new().await;
    let mut worker = Worker::new(&fixture, 2).await;
    let tasks = fixture.submit(vec![noop("a", &[]), noop("b", &[]), noop("c", &["a", "b"]), noop("d", &["c"])]).await.unwrap();
    let (first, second) = (worker.assignment().await, worker.assignment().await);
    let (a, b) = if first.title == "a" { (first, second) } else { (second, first) };
    assert!(worker.end(failed(&a, true)).await);
    assert_eq!(states(&fixture, &tasks).await[2..], [Cancelled, Cancelled]);
    // Done while what waits for it is cancelled: it must not be waited for later.
    assert!(worker.end(completed(&b)).await);
    assert_eq!(states(&fixture, &tasks).await, [Failed, Done, Cancelled, Cancelled]);
    assert_eq!(retry(&fixture, &tasks[1].id).await.unwrap_err().code(), Code::FailedPrecondition, "it is done");

    assert_eq!(retry(&fixture, &tasks[0].id).await.unwrap().state(), Inbox);
    for title in ["a", "c", "d"] {
        let assignment = worker.assignment_after_ack().await;
        assert_eq!(assignment.title, title);
        worker.say(Out::Result(completed(&assignment)));
    }
    titan_testkit::eventually("all done", async || (states(&fixture, &tasks).await == [Done; 4]).then_some(())).await;
    fixture.service.stop().await;
}

#[tokio::test]
async fn nothing_is_revived_that_something_else_stands_in_the_way_of() {
    use TaskState::{Cancelled, Failed, Inbox};
    let fixture = Fixture::new().await;
    let mut worker = Worker::new(&fixture, 2).await;
    let tasks = fixture.submit(vec![noop("a", &[]), noop("b", &[]), noop("c", &["a", "b"]), noop("d", &["c"])]).await.unwrap();
    for assignment in [worker.assignment().await, worker.assignment().await] {
        assert!(worker.end(failed(&assignment, true)).await);
    }
    assert_eq!(states(&fixture, &tasks).await, [Failed, Failed, Cancelled, Cancelled]);
    let refused = retry(&fixture, &tasks[3].id).await.unwrap_err();
    assert!(refused.code() == Code::FailedPrecondition && refused.message().contains(&tasks[2].id), "{refused}");
    drop(worker);
    retry(&fixture, &tasks[0].id).await.unwrap();
    assert_eq!(states(&fixture, &tasks).await[1..], [Failed, Cancelled, Cancelled]);
    retry(&fixture, &tasks[1].id).await.unwrap();
    assert_eq!(states(&fixture, &tasks).await[1..], [Inbox, Inbox, Inbox]);
    fixture.service.stop().await;
}
