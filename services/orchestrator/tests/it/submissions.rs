use titan_error::Error;
use titan_identity::Principal;
use titan_ids::{OrgId, TaskId, UserId};
use titan_proto::common::PageRequest;
use titan_proto::orchestrator::goal_service_client::GoalServiceClient;
use titan_proto::orchestrator::project_service_client::ProjectServiceClient;
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::{
    GetProjectRequest, GetTaskRequest, ListTasksRequest, NewTask, SubmitGoalRequest, SubmitTasksRequest, UpdateProjectRequest,
};
use tonic::{Code, Status};

use super::{Fixture, noop};

/// Refused for the field named, and nothing was stored.
async fn refused(fixture: &Fixture, tasks: Vec<NewTask>, field: &str, part: &str) {
    let status = fixture.submit(tasks).await.expect_err(field);
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    let error = Error::from(status);
    let found = error.fields().iter().find(|f| f.field == field);
    assert!(found.is_some_and(|f| f.message.contains(part)), "{:?}", error.fields());
    assert_eq!(fixture.database.count("SELECT count(*) FROM orchestrator.task").await, 0);
}

#[tokio::test]
async fn bad_graphs_are_refused_by_field_and_leave_nothing() {
    let fixture = Fixture::new().await;
    let with = |change: &dyn Fn(&mut NewTask)| {
        let mut task = noop("a", &[]);
        change(&mut task);
        vec![noop("ok", &[]), task]
    };
    refused(&fixture, vec![], "tasks", "1 to 1000").await;
    refused(&fixture, vec![noop("a", &["b"]), noop("b", &["a"])], "tasks[0].depends_on", "a → b → a").await;
    refused(&fixture, vec![noop("a", &[]), noop("a", &[])], "tasks[1].key", "twice").await;
    refused(&fixture, vec![noop("a", &["nobody"])], "tasks[0].depends_on[0]", "neither").await;
    let unknown = TaskId::generate().to_string();
    refused(&fixture, vec![noop("a", &[&unknown])], "tasks[0].depends_on[0]", "not a task of this project").await;
    refused(&fixture, with(&|t| t.kind.clear()), "tasks[1].kind", "empty").await;
    refused(&fixture, with(&|t| t.priority = 10), "tasks[1].priority", "0 to 9").await;
    refused(&fixture, with(&|t| t.input_json = "[1]".to_owned()), "tasks[1].input", "object").await;
    refused(&fixture, with(&|t| t.input_json = "{".to_owned()), "tasks[1].input", "not JSON").await;
    refused(&fixture, with(&|t| t.input_json = format!("{{\"a\": \"{}\"}}", "x".repeat(70_000))), "tasks[1].input", "64 KiB").await;
    refused(&fixture, with(&|t| t.title = "a\u{0}b".to_owned()), "tasks[1].title", "control").await;
    fixture.service.stop().await;
}

#[tokio::test]
async fn the_same_key_gives_the_same_tasks() {
    let fixture = Fixture::new().await;
    let request = || SubmitTasksRequest {
        project: "todos".to_owned(),
        tasks: vec![noop("a", &[]), noop("b", &["a"])],
        idempotency_key: "k".to_owned(),
        ..Default::default()
    };
    let submit = async || {
        let answer = TaskServiceClient::new(fixture.channel.clone()).submit_tasks(fixture.request(request())).await.unwrap();
        answer.into_inner().tasks.into_iter().map(|t| t.id).collect::<Vec<_>>()
    };
    let (first, second, third) = tokio::join!(submit(), submit(), submit());
    assert_eq!((&first, &first), (&second, &third));
    assert_eq!(submit().await, first);
    assert_eq!(fixture.database.count("SELECT count(*) FROM orchestrator.task").await, 2);
    fixture.service.stop().await;
}

#[tokio::test]
async fn other_organisations_rows_do_not_exist() {
    let fixture = Fixture::new().await;
    let task = fixture.submit(vec![noop("a", &[])]).await.unwrap().remove(0);
    let stranger = Principal::user(UserId::generate(), OrgId::generate());
    let tasks = || TaskServiceClient::new(fixture.channel.clone());
    let request = fixture.signer.request(&stranger, GetTaskRequest { id: task.id.clone() }).unwrap();
    assert_eq!(tasks().get_task(request).await.unwrap_err().code(), Code::NotFound);
    let request = fixture
        .signer
        .request(&stranger, SubmitTasksRequest { project: "todos".to_owned(), tasks: vec![noop("a", &[])], ..Default::default() })
        .unwrap();
    assert_eq!(tasks().submit_tasks(request).await.unwrap_err().code(), Code::NotFound);
    let request = fixture.signer.request(&stranger, ListTasksRequest::default()).unwrap();
    assert!(tasks().list_tasks(request).await.unwrap().into_inner().tasks.is_empty());
    let unsigned = tonic::Request::new(GetTaskRequest { id: task.id });
    assert_eq!(tasks().get_task(unsigned).await.unwrap_err().code(), Code::Unauthenticated);
    fixture.service.stop().await;
}

#[tokio::test]
async fn pages_cover_everything_once() {
    let fixture = Fixture::new().await;
    fixture.submit((0..23).map(|i| noop(&i.to_string(), &[])).collect()).await.unwrap();
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let request = ListTasksRequest { page: Some(PageRequest { limit: 10, after }), ..Default::default() };
        let page = TaskServiceClient::new(fixture.channel.clone()).list_tasks(fixture.request(request)).await.unwrap().into_inner();
        seen.extend(page.tasks.into_iter().map(|t| t.id));
        after = page.page.unwrap().next;
        if after.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), 23);
    assert!(seen.is_sorted_by(|a, b| a > b), "newest first, none twice");
    let bad = ListTasksRequest { page: Some(PageRequest { limit: 201, after: String::new() }), ..Default::default() };
    assert_eq!(
        TaskServiceClient::new(fixture.channel.clone()).list_tasks(fixture.request(bad)).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    fixture.service.stop().await;
}

#[tokio::test]
async fn a_change_against_an_old_version_is_refused() {
    let fixture = Fixture::new().await;
    let projects = || ProjectServiceClient::new(fixture.channel.clone());
    let rename = |name: &str, version| UpdateProjectRequest {
        project: "todos".to_owned(),
        name: Some(name.to_owned()),
        version,
        ..Default::default()
    };
    let updated = projects().update_project(fixture.request(rename("One", 1))).await.unwrap().into_inner();
    assert_eq!((updated.name.as_str(), updated.version), ("One", 2));
    assert_eq!(projects().update_project(fixture.request(rename("Two", 1))).await.unwrap_err().code(), Code::FailedPrecondition);
    let archived =
        projects().delete_project(fixture.request(GetProjectRequest { project: "todos".to_owned() })).await.unwrap().into_inner();
    assert_eq!(archived.version, 3);
    assert_eq!(fixture.submit(vec![noop("a", &[])]).await.unwrap_err().code(), Code::FailedPrecondition);
    fixture.service.stop().await;
}

#[tokio::test]
async fn goals_are_checked_and_keyed() {
    let fixture = Fixture::new().await;
    let submit = async |sentence: &str, key: &str| -> Result<_, Status> {
        let request = SubmitGoalRequest { sentence: sentence.to_owned(), idempotency_key: key.to_owned(), ..Default::default() };
        Ok(GoalServiceClient::new(fixture.channel.clone()).submit_goal(fixture.request(request)).await?.into_inner())
    };
    for bad in ["", "  \n ", "a\u{0}b", &"x".repeat(2_001)] {
        let error = Error::from(submit(bad, "").await.unwrap_err());
        assert_eq!(error.fields()[0].field, "sentence");
    }
    let sql = "Robert'); DROP TABLE orchestrator.goal;-- 🚀";
    let (first, again) = (submit(sql, "k").await.unwrap(), submit(sql, "k").await.unwrap());
    assert_eq!((first.id, first.sentence.as_str()), (again.id, sql));
    assert_eq!(submit("another", "k").await.unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(fixture.database.count("SELECT count(*) FROM orchestrator.goal").await, 1);
    assert_eq!(fixture.database.count("SELECT count(*) FROM orchestrator.task WHERE kind = 'plan-goal'").await, 1);
    fixture.service.stop().await;
}
