//! Work that comes again and again.

use std::time::Duration;

use titan_proto::orchestrator::schedule_service_client::ScheduleServiceClient;
use titan_proto::orchestrator::scheduled_work::Work;
use titan_proto::orchestrator::{CreateScheduleRequest, GetScheduleRequest, RunScheduleRequest, Schedule, ScheduledWork};
use titan_testkit::eventually;
use tonic::{Code, Status};

use super::{Fixture, noop, start};

fn every_second() -> CreateScheduleRequest {
    CreateScheduleRequest {
        project: "todos".to_owned(),
        name: "beat".to_owned(),
        every_ms: 1_000,
        work: Some(ScheduledWork { work: Some(Work::Task(noop("beat", &[]))) }),
        ..Default::default()
    }
}

async fn create(fixture: &Fixture, request: CreateScheduleRequest) -> Result<Schedule, Status> {
    Ok(ScheduleServiceClient::new(fixture.channel.clone()).create_schedule(fixture.request(request)).await?.into_inner())
}

async fn tasks(fixture: &Fixture) -> i64 {
    fixture.database.count("SELECT count(*) FROM orchestrator.task").await
}

#[tokio::test]
async fn each_time_is_made_once_by_however_many_replicas() {
    let fixture = Fixture::new().await;
    let other = start(&fixture.database);
    let created = create(&fixture, every_second()).await.unwrap();
    assert_eq!(create(&fixture, every_second()).await.unwrap().id, created.id, "said twice, it is meant once");
    let other_content = CreateScheduleRequest { every_ms: 5_000, ..every_second() };
    assert_eq!(create(&fixture, other_content).await.unwrap_err().code(), Code::AlreadyExists);
    eventually("three runs", async || (tasks(&fixture).await >= 3).then_some(())).await;
    let schedule = || GetScheduleRequest { id: created.id.clone() };
    let mut client = ScheduleServiceClient::new(fixture.channel.clone());
    let paused = client.pause_schedule(fixture.request(schedule())).await.unwrap().into_inner();
    assert!(paused.paused && paused.next_at.is_none());
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let (made, now) = (tasks(&fixture).await, client.get_schedule(fixture.request(schedule())).await.unwrap().into_inner());
    assert_eq!(made, now.runs, "as many as there were times");
    let keys = fixture.database.count("SELECT count(DISTINCT idempotency_key) FROM orchestrator.submission").await;
    assert_eq!(keys, made);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(tasks(&fixture).await, made, "nothing while it is paused");
    let by_hand = || RunScheduleRequest { id: created.id.clone(), idempotency_key: "now".to_owned() };
    client.run_schedule(fixture.request(by_hand())).await.unwrap();
    let ran = client.run_schedule(fixture.request(by_hand())).await.unwrap().into_inner();
    assert_eq!((tasks(&fixture).await, ran.runs), (made + 1, made + 1), "the key runs it once");
    assert!(ran.last_made.starts_with("task_"));
    client.delete_schedule(fixture.request(schedule())).await.unwrap();
    assert_eq!(client.get_schedule(fixture.request(schedule())).await.unwrap_err().code(), Code::NotFound);
    other.stop().await;
    fixture.service.stop().await;
}

#[tokio::test]
async fn what_was_missed_is_made_up_for_by_one_run() {
    let fixture = Fixture::new().await;
    let hourly = CreateScheduleRequest {
        cron: "@hourly".to_owned(),
        every_ms: 0,
        time_zone: "Europe/Berlin".to_owned(),
        work: Some(ScheduledWork { work: Some(Work::Goal("Audit it".to_owned())) }),
        ..every_second()
    };
    let created = create(&fixture, hourly).await.unwrap();
    fixture.database.execute("UPDATE orchestrator.schedule SET next_at = next_at - interval '50 hours'").await;
    let goals = async || fixture.database.count("SELECT count(*) FROM orchestrator.goal").await;
    eventually("the run", async || (goals().await == 1).then_some(())).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(goals().await, 1, "fifty times were missed, one run makes up for them");
    let mut client = ScheduleServiceClient::new(fixture.channel.clone());
    let now = client.get_schedule(fixture.request(GetScheduleRequest { id: created.id })).await.unwrap().into_inner();
    assert!(now.next_at.unwrap().seconds > created.created_at.unwrap().seconds && now.last_made.starts_with("goal_"));
    fixture.service.stop().await;
}

#[tokio::test]
async fn bad_schedules_are_refused_by_field() {
    let fixture = Fixture::new().await;
    let task = |task| Some(ScheduledWork { work: Some(Work::Task(task)) });
    for (request, field) in [
        (CreateScheduleRequest { cron: "often".to_owned(), every_ms: 0, ..every_second() }, "cron"),
        (CreateScheduleRequest { every_ms: 5, ..every_second() }, "every_ms"),
        (CreateScheduleRequest { name: String::new(), ..every_second() }, "name"),
        (CreateScheduleRequest { work: None, ..every_second() }, "work"),
        (CreateScheduleRequest { work: task(noop("a", &["b"])), ..every_second() }, "work.task.depends_on"),
        (
            CreateScheduleRequest { work: task(titan_proto::orchestrator::NewTask { priority: 99, ..noop("a", &[]) }), ..every_second() },
            "priority",
        ),
    ] {
        let refused = create(&fixture, request).await.unwrap_err();
        assert!(refused.code() == Code::InvalidArgument && refused.message().contains(field), "{field}: {refused}");
    }
    fixture.service.stop().await;
}

#[tokio::test]
async fn one_that_never_comes_again_stops_no_other() {
    let fixture = Fixture::new().await;
    let once = CreateScheduleRequest { name: "once".to_owned(), cron: "0 0 9 1 1 * 2090".to_owned(), every_ms: 0, ..every_second() };
    let once = create(&fixture, once).await.unwrap();
    // Its only time is now past.
    fixture.database.execute("UPDATE orchestrator.schedule SET next_at = now() - interval '1 second', cron = '0 0 9 1 1 * 2020'").await;
    create(&fixture, every_second()).await.unwrap();
    eventually("both", async || (tasks(&fixture).await >= 2).then_some(())).await;
    let mut client = ScheduleServiceClient::new(fixture.channel.clone());
    let id = || GetScheduleRequest { id: once.id.clone() };
    let ended = client.get_schedule(fixture.request(id())).await.unwrap().into_inner();
    assert!(ended.paused && ended.runs == 1, "{ended:?}");
    assert_eq!(client.resume_schedule(fixture.request(id())).await.unwrap_err().code(), Code::FailedPrecondition);
    fixture.service.stop().await;
}
