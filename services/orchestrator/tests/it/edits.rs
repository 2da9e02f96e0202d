//! What people change about tasks, and tasks they remove.

use titan_identity::Principal;
use titan_ids::{OrgId, UserId};
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::update_task_request::{Labels, Time};
use titan_proto::orchestrator::{ActOnTaskRequest, GetTaskRequest, ListTasksRequest, NewTask, TaskState, UpdateTaskRequest};
use titan_proto::time::to_proto;
use tonic::{Code, Status};

use super::worker::{Worker, completed};
use super::{Fixture, noop};
use titan_proto::orchestrator::Task;

async fn update(fixture: &Fixture, request: UpdateTaskRequest) -> Result<Task, Status> {
    Ok(TaskServiceClient::new(fixture.channel.clone()).update_task(fixture.request(request)).await?.into_inner())
}

async fn delete(fixture: &Fixture, id: &str) -> Result<Task, Status> {
    let request = ActOnTaskRequest { id: id.to_owned(), reason: "tidy".to_owned() };
    Ok(TaskServiceClient::new(fixture.channel.clone()).delete_task(fixture.request(request)).await?.into_inner())
}

#[tokio::test]
async fn a_task_is_changed_against_the_version_that_was_read() {
    let fixture = Fixture::new().await;
    let due = chrono::DateTime::from_timestamp(2_000_000_000, 0).unwrap();
    let later = NewTask { due_at: Some(to_proto(due)), ..noop("later", &[]) };
    let tasks = fixture.submit(vec![later, noop("first", &[])]).await.unwrap();
    let change = UpdateTaskRequest {
        id: tasks[1].id.clone(),
        title: Some("Now 100% first".to_owned()),
        priority: Some(9),
        labels: Some(Labels { labels: vec!["night".to_owned()] }),
        version: tasks[1].version.clone(),
        ..Default::default()
    };
    let changed = update(&fixture, change.clone()).await.unwrap();
    assert_eq!((changed.title.as_str(), changed.priority, &changed.labels[..]), ("Now 100% first", 9, &["night".to_owned()][..]));
    assert_ne!(changed.version, tasks[1].version);
    assert_eq!(update(&fixture, change).await.unwrap_err().code(), Code::FailedPrecondition, "another version by now");
    let changed_back =
        UpdateTaskRequest { id: changed.id.clone(), labels: Some(Labels::default()), version: changed.version, ..Default::default() };
    let changed = update(&fixture, changed_back).await.unwrap();
    assert!(changed.labels.is_empty() && changed.priority == 9);
    let timeless = UpdateTaskRequest {
        id: tasks[0].id.clone(),
        due_at: Some(Time { at: None }),
        version: tasks[0].version.clone(),
        ..Default::default()
    };
    assert_eq!(update(&fixture, timeless).await.unwrap().due_at, None);
    for (bad, field) in [
        (UpdateTaskRequest { priority: Some(10), ..Default::default() }, "priority"),
        (UpdateTaskRequest { title: Some(" ".to_owned()), ..Default::default() }, "title"),
        (
            UpdateTaskRequest { deadline_at: Some(Time { at: Some(to_proto(chrono::DateTime::UNIX_EPOCH)) }), ..Default::default() },
            "deadline_at",
        ),
        (UpdateTaskRequest { labels: Some(Labels { labels: vec![String::new()] }), ..Default::default() }, "labels[0]"),
    ] {
        let refused =
            update(&fixture, UpdateTaskRequest { id: changed.id.clone(), version: changed.version.clone(), ..bad }).await.unwrap_err();
        assert!(refused.code() == Code::InvalidArgument && refused.message().contains(field), "{field}: {refused:?}");
    }
    let stranger = Principal::user(UserId::generate(), OrgId::from(uuid::Uuid::now_v7()));
    let foreign = UpdateTaskRequest { id: changed.id.clone(), version: changed.version.clone(), ..Default::default() };
    let foreign = TaskServiceClient::new(fixture.channel.clone()).update_task(fixture.signer.request(&stranger, foreign).unwrap()).await;
    assert_eq!(foreign.unwrap_err().code(), Code::NotFound);

    // The most urgent goes first, whatever was submitted first.
    let mut worker = Worker::new(&fixture, 1).await;
    let assignment = worker.assignment().await;
    assert_eq!(assignment.title, "Now 100% first");
    assert!(worker.end(completed(&assignment)).await);
    let ended = UpdateTaskRequest { id: changed.id, version: changed.version, ..Default::default() };
    assert_eq!(update(&fixture, ended).await.unwrap_err().code(), Code::FailedPrecondition);
    let mut client = TaskServiceClient::new(fixture.channel.clone());
    let history = client.get_task_history(fixture.request(GetTaskRequest { id: tasks[1].id.clone() })).await.unwrap().into_inner().changes;
    assert!(history[0].actor.starts_with("user_") && history[0].reason.contains("changed"), "{history:?}");
    fixture.service.stop().await;
}

#[tokio::test]
async fn titles_are_searched_and_what_has_ended_is_removed_when_nothing_needs_it() {
    let fixture = Fixture::new().await;
    let titled = |title: &str, key: &str, on: &[&str]| NewTask { title: title.to_owned(), ..noop(key, on) };
    let tasks = fixture
        .submit(vec![titled("Pay 100% of it", "a", &[]), titled("pay half_of it", "b", &["a"]), titled("Rest", "c", &[])])
        .await
        .unwrap();
    let search = async |words: &str| {
        let request = fixture.request(ListTasksRequest { search: words.to_owned(), ..Default::default() });
        let found = TaskServiceClient::new(fixture.channel.clone()).list_tasks(request).await?;
        Ok::<_, Status>(found.into_inner().tasks.into_iter().map(|task| task.title).collect::<Vec<_>>())
    };
    assert_eq!(search("PAY it").await.unwrap(), ["pay half_of it", "Pay 100% of it"]);
    assert_eq!(search("0%").await.unwrap(), ["Pay 100% of it"]);
    assert_eq!(search("f_o").await.unwrap(), ["pay half_of it"]);
    assert_eq!(search("a ".repeat(21).as_str()).await.unwrap_err().code(), Code::InvalidArgument);

    let chain = fixture.submit(vec![noop("tests", &[]), noop("deploys", &["tests"])]).await.unwrap();
    let cancel = ActOnTaskRequest { id: chain[0].id.clone(), reason: String::new() };
    TaskServiceClient::new(fixture.channel.clone()).cancel_task(fixture.request(cancel)).await.unwrap();
    let needed = delete(&fixture, &chain[0].id).await.unwrap_err();
    assert!(needed.message().contains(&chain[1].id), "tried again it would run without its tests: {needed:?}");
    delete(&fixture, &chain[1].id).await.unwrap();
    delete(&fixture, &chain[0].id).await.unwrap();

    assert_eq!(delete(&fixture, &tasks[0].id).await.unwrap_err().code(), Code::FailedPrecondition, "it has not ended");
    let mut worker = Worker::new(&fixture, 1).await;
    let assignment = worker.assignment().await;
    assert_eq!(assignment.task_id, tasks[0].id);
    assert!(worker.end(completed(&assignment)).await);
    let needed = delete(&fixture, &tasks[0].id).await.unwrap_err();
    assert!(needed.code() == Code::FailedPrecondition && needed.message().contains(&tasks[1].id), "{needed:?}");
    for _ in 0..2 {
        let assignment = worker.assignment().await;
        assert!(worker.end(completed(&assignment)).await);
    }
    assert_eq!(fixture.states(&tasks).await, [TaskState::Done; 3]);
    assert_eq!(delete(&fixture, &tasks[0].id).await.unwrap().title, "Pay 100% of it");
    assert_eq!(delete(&fixture, &tasks[0].id).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(search("pay").await.unwrap(), ["pay half_of it"]);
    fixture.service.stop().await;
}
