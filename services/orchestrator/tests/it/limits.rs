//! Concurrency keys, rates, times, and whose turn it is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use titan_proto::orchestrator::project_service_client::ProjectServiceClient;
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::{
    CreateProjectRequest, HandOffTaskRequest, NewTask, RateLimit, SubmitTasksRequest, TaskState, UpdateProjectRequest,
};
use titan_proto::time::to_proto;
use titan_proto::worker::Hello;
use titan_proto::worker::worker_message::Body as Out;
use titan_testkit::eventually;

use super::worker::{Worker, completed, failed, hello, titles};
use super::{Fixture, noop};

fn keyed(name: &str, limit: u32) -> NewTask {
    NewTask { concurrency_key: "k".to_owned(), concurrency_limit: limit, ..noop(name, &[]) }
}

async fn taken(fixture: &Fixture) -> i64 {
    fixture.database.count("SELECT taken::bigint FROM orchestrator.task_limit").await
}

/// Beside limits of another kind.
async fn taken_of(fixture: &Fixture, kind: &str) -> i64 {
    fixture.database.count(&format!("SELECT taken::bigint FROM orchestrator.task_limit WHERE starts_with(key, '{kind}/')")).await
}

#[tokio::test]
async fn as_many_run_as_the_key_allows_and_every_end_lets_the_next_one_in() {
    let fixture = Fixture::new().await;
    let mut worker = Worker::new(&fixture, 20).await.beat();
    let tasks: Vec<_> = (0..7).map(|i| keyed(&i.to_string(), 3)).collect();
    let tasks = fixture.submit(tasks).await.unwrap();
    assert_eq!(fixture.task(&tasks[6].id).await.held, "concurrency: k");
    let first = worker.taken().await;
    assert_eq!(titles(&first), ["0", "1", "2"]);
    // However an attempt ends, its permit is given back: done, failed for good, failed for now.
    worker.say(Out::Result(completed(&first[0])));
    worker.say(Out::Result(failed(&first[1], true)));
    worker.say(Out::Result(failed(&first[2], false)));
    let second = worker.taken().await;
    assert_eq!(second.len(), 3, "{:?}", titles(&second));
    for assignment in second {
        worker.say(Out::Result(completed(&assignment)));
    }
    worker.work().await;
    eventually("all ended", async || {
        (fixture.database.count("SELECT count(*) FROM orchestrator.task WHERE state IN ('done', 'failed')").await == 7).then_some(())
    })
    .await;
    assert_eq!(taken(&fixture).await, 0, "no permit leaked");
    fixture.service.stop().await;
}

#[tokio::test]
async fn a_cancelled_task_and_a_worker_that_is_gone_give_their_permits_back() {
    let fixture = Fixture::new().await;
    let tasks = fixture.submit(vec![keyed("a", 1), keyed("b", 1), keyed("c", 1)]).await.unwrap();
    let cancel = titan_proto::orchestrator::ActOnTaskRequest { id: tasks[0].id.clone(), reason: String::new() };
    TaskServiceClient::new(fixture.channel.clone()).cancel_task(fixture.request(cancel)).await.unwrap();
    let mut gone = Worker::new(&fixture, 5).await;
    assert_eq!(titles(&gone.taken().await), ["b"]);
    drop(gone);
    let mut worker = Worker::new(&fixture, 5).await.beat();
    eventually("what the lost one had", async || {
        (fixture.database.count("SELECT count(*) FROM orchestrator.task WHERE losses = 1").await == 1).then_some(())
    })
    .await;
    assert_eq!(worker.work().await.len(), 2);
    eventually("no permit leaked", async || (taken(&fixture).await == 0).then_some(())).await;
    fixture.service.stop().await;
}

#[tokio::test]
async fn what_is_handed_off_before_it_began_is_not_counted_again() {
    let fixture = Fixture::new().await;
    let rate = RateLimit { key: "daily".to_owned(), limit: 1, period_ms: 86_400_000 };
    let task = fixture.submit(vec![NewTask { rate_limits: vec![rate], ..keyed("a", 1) }]).await.unwrap().remove(0);
    let mut first = Worker::new(&fixture, 1).await.beat();
    assert_eq!(first.assignment().await.attempt, 1);
    let mut second = Worker::new(&fixture, 1).await.beat();
    let to = format!("runner@{}", second.session);
    let hand_off = HandOffTaskRequest { id: task.id, to, ..Default::default() };
    TaskServiceClient::new(fixture.channel.clone()).hand_off_task(fixture.request(hand_off)).await.unwrap();
    let again = second.assignment().await;
    assert_eq!((again.attempt, taken_of(&fixture, "c").await), (2, 1));
    assert!(second.end(completed(&again)).await);
    assert_eq!(taken_of(&fixture, "c").await, 0);
    fixture.service.stop().await;
}

#[tokio::test]
async fn no_more_begin_in_a_period_than_the_rate_allows() {
    let fixture = Fixture::new().await;
    let mut worker = Worker::new(&fixture, 50).await.beat();
    let rate = RateLimit { key: "api".to_owned(), limit: 4, period_ms: 2_000 };
    let limited = |i: i32| NewTask { rate_limits: vec![rate.clone()], ..noop(&i.to_string(), &[]) };
    let started = Instant::now();
    let tasks = fixture.submit((0..10).map(limited).collect()).await.unwrap();
    assert_eq!(fixture.task(&tasks[9].id).await.held, "rate: api");
    assert_eq!(worker.taken().await.len(), 4, "the bucket was full");
    let mut begun = 4;
    while begun < 10 {
        begun += worker.taken().await.len();
        let allowed = 4.0 + started.elapsed().as_secs_f64() * 2.0 + 1.0;
        assert!(f64::from(u32::try_from(begun).unwrap()) <= allowed, "{begun} within {:?}", started.elapsed());
    }
    assert!(started.elapsed() > Duration::from_millis(2_500), "{:?}", started.elapsed());
    fixture.service.stop().await;
}

#[tokio::test]
async fn a_task_waits_for_its_time_and_fails_at_its_deadline() {
    let fixture = Fixture::new().await;
    let at = |ms: i64| Some(to_proto(titan_lifecycle::now() + chrono::Duration::milliseconds(ms)));
    let later = NewTask { run_after: at(1_000), ..noop("later", &[]) };
    let expiring = NewTask { deadline_at: at(600), pool: "nobody's".to_owned(), ..noop("expiring", &[]) };
    let started = Instant::now();
    let tasks = fixture.submit(vec![later, expiring, noop("after it", &["expiring"])]).await.unwrap();
    assert_eq!(fixture.task(&tasks[0].id).await.held, "later");
    let mut worker = Worker::new(&fixture, 5).await.beat();
    assert_eq!(worker.assignment().await.title, "later");
    assert!(started.elapsed() > Duration::from_millis(900) && started.elapsed() < Duration::from_millis(2_500), "{:?}", started.elapsed());
    eventually("the deadline", async || (fixture.task(&tasks[1].id).await.state() == TaskState::Failed).then_some(())).await;
    let failed = fixture.task(&tasks[1].id).await;
    assert_eq!(failed.error, "its deadline passed");
    assert_eq!(fixture.task(&tasks[2].id).await.state(), TaskState::Cancelled);
    fixture.service.stop().await;
}

#[tokio::test]
async fn a_long_queue_of_one_project_delays_no_other_and_weights_share() {
    let fixture = Fixture::new().await;
    let mut projects = ProjectServiceClient::new(fixture.channel.clone());
    let project = CreateProjectRequest { name: "Small".to_owned(), ..Default::default() };
    projects.create_project(fixture.request(project)).await.unwrap();
    fixture.submit((0..400).map(|i| noop(&format!("big {i}"), &[])).collect()).await.unwrap();
    let small = |count: usize| SubmitTasksRequest {
        project: "small".to_owned(),
        tasks: (0..count).map(|i| noop(&format!("small {i}"), &[])).collect(),
        ..Default::default()
    };
    let submit = async |count| {
        TaskServiceClient::new(fixture.channel.clone()).submit_tasks(fixture.request(small(count))).await.unwrap();
    };
    submit(5).await;
    let share = async |worker: &mut Worker, count: usize| {
        let mut by_project: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..count {
            let assignment = worker.assignment_after_ack().await;
            worker.say(Out::Result(completed(&assignment)));
            *by_project.entry(assignment.project_slug).or_default() += 1;
        }
        by_project
    };
    let mut worker = Worker::new(&fixture, 1).await.beat();
    let first = share(&mut worker, 12).await;
    assert_eq!(first["small"], 5, "what came after 400 others is done among the first: {first:?}");
    let update = UpdateProjectRequest { project: "small".to_owned(), weight: Some(3.0), version: 1, ..Default::default() };
    projects.update_project(fixture.request(update)).await.unwrap();
    submit(200).await;
    let second = share(&mut worker, 80).await;
    assert!(second["small"].abs_diff(60) <= 3, "three of four: {second:?}");
    fixture.service.stop().await;
}

#[tokio::test]
async fn what_is_more_urgent_or_due_earlier_goes_first() {
    let fixture = Fixture::new().await;
    let due = |hours: i64| Some(to_proto(titan_lifecycle::now() + chrono::Duration::hours(hours)));
    let tasks = vec![
        noop("plain", &[]),
        NewTask { due_at: due(5), ..noop("due later", &[]) },
        NewTask { due_at: due(1), ..noop("due soon", &[]) },
        NewTask { priority: 9, ..noop("urgent", &[]) },
    ];
    fixture.submit(tasks).await.unwrap();
    let mut worker = Worker::new(&fixture, 1).await.beat();
    assert_eq!(worker.work().await, ["urgent", "due soon", "due later", "plain"]);
    fixture.service.stop().await;
}

#[tokio::test]
async fn agents_are_given_what_they_can_and_what_they_subscribe_to() {
    let fixture = Fixture::new().await;
    let skilled = |name: &str, least: f64| NewTask { skills: [("rust".to_owned(), least)].into(), ..noop(name, &[]) };
    let tasks = vec![
        skilled("easy", 0.3),
        skilled("hard", 0.9),
        NewTask { pool: "gpu".to_owned(), ..noop("elsewhere", &[]) },
        NewTask { labels: vec!["billing".to_owned()], priority: 5, ..noop("labelled", &[]) },
        NewTask { labels: vec!["billing".to_owned()], ..noop("labelled, not urgent", &[]) },
    ];
    fixture.submit(tasks).await.unwrap();
    let with = |change: &dyn Fn(&mut titan_proto::worker::AgentSlot)| {
        let mut hello: Hello = hello(titan_ids::SessionId::generate(), 9);
        change(&mut hello.agents[0]);
        hello
    };
    let subscribed = with(&|agent| {
        let subscription = titan_proto::worker::Subscription { labels: vec!["billing".to_owned()], priority: 3, ..Default::default() };
        agent.subscription = Some(subscription);
    });
    let mut subscribed = Worker::connect(&fixture, subscribed).await.unwrap().beat();
    assert_eq!(subscribed.work().await, ["labelled"]);
    let novice = with(&|agent| agent.proficiency = [("rust".to_owned(), 0.5)].into());
    let mut novice = Worker::connect(&fixture, novice).await.unwrap().beat();
    assert_eq!(novice.work().await, ["easy", "labelled, not urgent"]);
    let mut gpu = Worker::connect(&fixture, with(&|agent| agent.pool = "gpu".to_owned())).await.unwrap().beat();
    assert_eq!(gpu.work().await, ["elsewhere"]);
    let expert = with(&|agent| agent.skills = vec!["rust".to_owned()]);
    let mut expert = Worker::connect(&fixture, expert).await.unwrap().beat();
    assert_eq!(expert.work().await, ["hard"]);
    fixture.service.stop().await;
}

#[tokio::test]
async fn who_waits_for_a_second_limit_is_in_nobodys_way() {
    let fixture = Fixture::new().await;
    // Empty for a day after the first.
    let rate = vec![RateLimit { key: "daily".to_owned(), limit: 1, period_ms: 86_400_000 }];
    let both = |i: usize| NewTask { rate_limits: rate.clone(), priority: 5, ..keyed(&format!("both {i}"), 2) };
    fixture.submit((0..8).map(both).chain([keyed("only the key", 2)]).collect()).await.unwrap();
    let mut worker = Worker::new(&fixture, 9).await.beat();
    assert_eq!(worker.work().await, ["both 0", "only the key"]);
    assert_eq!(fixture.database.count("SELECT taken::bigint FROM orchestrator.task_limit WHERE period_ms IS NULL").await, 0);
    fixture.service.stop().await;
}

#[tokio::test]
async fn the_merge_queue_is_no_users_key() {
    let fixture = Fixture::new().await;
    for key in ["merge", " merge", "merge\t"] {
        let task = NewTask { concurrency_key: key.to_owned(), ..noop("a", &[]) };
        let refused = fixture.submit(vec![task]).await.unwrap_err();
        assert!(refused.message().contains("merge queue"), "{key:?}: {refused}");
    }
    let tiny = titan_proto::orchestrator::ActOnTasksRequest {
        filter: Some(titan_proto::orchestrator::TaskFilter { project: "todos".to_owned(), ..Default::default() }),
        action: Some(titan_proto::orchestrator::act_on_tasks_request::Action::Retry(titan_proto::orchestrator::RetryTasks {
            per_second: 1e-300,
            already: 0,
        })),
        reason: String::new(),
        after: String::new(),
    };
    let refused = TaskServiceClient::new(fixture.channel.clone()).act_on_tasks(fixture.request(tiny)).await.unwrap_err();
    assert!(refused.message().contains("per_second"), "{refused}");
    fixture.service.stop().await;
}

#[tokio::test]
async fn what_becomes_ready_is_given_at_once_to_whoever_has_room() {
    let fixture = Fixture::new().await;
    // A lane that only one of the two agents takes: they are looked at apart.
    let rust = NewTask { skills: [("rust".to_owned(), 0.5)].into(), ..noop("rust", &[]) };
    let mut narrow = Worker::new(&fixture, 1).await.beat();
    let mut expert = hello(titan_ids::SessionId::generate(), 10);
    expert.agents[0].skills = vec!["rust".to_owned()];
    let mut wide = Worker::connect(&fixture, expert).await.unwrap().beat();
    fixture.submit(vec![rust]).await.unwrap();
    assert_eq!(wide.work().await, ["rust"]);
    let began = Instant::now();
    for round in 0..10 {
        fixture.submit((0..5).map(|i| noop(&format!("{round}/{i}"), &[])).collect()).await.unwrap();
        let mut given = 0;
        while given < 5 {
            let (worker, heard) = tokio::select! {
                heard = narrow.hear() => (&narrow, heard),
                heard = wide.hear() => (&wide, heard),
            };
            if let titan_proto::worker::orchestrator_message::Body::Assignment(assignment) = heard {
                worker.say(Out::Result(completed(&assignment)));
                given += 1;
            }
        }
    }
    // What is overlooked is found by a sweep, a second later.
    assert!(began.elapsed() < Duration::from_secs(4), "ten rounds took {:?}", began.elapsed());
    fixture.service.stop().await;
}
