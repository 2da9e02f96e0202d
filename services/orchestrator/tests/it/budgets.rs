//! What attempts use comes off what their task may use.

use serde_json::{Value, json};
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::{ActOnTaskRequest, Budget, NewTask, Task, TaskState};
use titan_proto::worker::orchestrator_message::Body as In;
use titan_proto::worker::worker_message::Body as Out;
use titan_proto::worker::{Assignment, Progress, Result as TaskResult, Usage};
use titan_testkit::eventually;

use super::worker::{Worker, attempt, completed, failed};
use super::{Fixture, noop};

async fn submit(fixture: &Fixture, budget: Budget) -> Task {
    let tasks = fixture.submit(vec![NewTask { budget: Some(budget), ..noop("a", &[]) }]).await.unwrap();
    tasks.into_iter().next().unwrap()
}

fn tokens(tokens: u64) -> Option<Usage> {
    Some(Usage { tokens, ..Usage::default() })
}

fn used(assignment: &Assignment, usage: Option<Usage>) -> Out {
    Out::Progress(Progress { attempt: attempt(assignment), message: "thinking".to_owned(), usage })
}

fn left(assignment: &Assignment) -> Value {
    serde_json::from_str(&assignment.budget_json).unwrap()
}

#[tokio::test]
async fn who_uses_more_than_the_budget_is_stopped_and_the_task_fails() {
    let fixture = Fixture::new().await;
    let task = submit(&fixture, Budget { tokens: 1_000, usd_micros: 50_000, steps: 0 }).await;
    let mut worker = Worker::new(&fixture, 1).await.beat();
    let first = worker.assignment().await;
    assert_eq!(left(&first), json!({ "tokens": 1_000, "usd_micros": 50_000 }));
    // The same said twice counts once, and less than before changes nothing.
    for tokens_used in [600, 600, 10] {
        worker.say(used(&first, tokens(tokens_used)));
    }
    let spent = async || fixture.task(&task.id).await.spent;
    eventually("the first report", async || (spent().await == tokens(600)).then_some(())).await;
    worker.say(used(&first, Some(Usage { usd_micros: 50_001, tokens: 700, steps: 0 })));
    loop {
        if let In::Revoke(revoke) = worker.hear().await {
            assert_eq!(revoke.attempt, attempt(&first));
            break;
        }
    }
    let ended = fixture.task(&task.id).await;
    assert_eq!(
        (ended.state(), ended.error.as_str()),
        (TaskState::Failed, "its budget is exceeded: 50001 millionths of a dollar used of 50000")
    );
    assert_eq!(ended.spent, Some(Usage { usd_micros: 50_001, tokens: 700, steps: 0 }));
    assert!(!worker.end(completed(&first)).await, "what it still reports is refused");
    // By hand it has another life, and the whole budget again.
    let retry = ActOnTaskRequest { id: task.id.clone(), reason: "worth it".to_owned() };
    TaskServiceClient::new(fixture.channel.clone()).retry_task(fixture.request(retry)).await.unwrap();
    let again = worker.assignment_after_ack().await;
    assert_eq!(left(&again), json!({ "tokens": 1_000, "usd_micros": 50_000 }));
    assert!(worker.end(TaskResult { usage: tokens(2_000), ..completed(&again) }).await, "what is done is paid for");
    let done = fixture.task(&task.id).await;
    assert_eq!((done.state(), done.spent), (TaskState::Done, tokens(2_000)));
    fixture.service.stop().await;
}

#[tokio::test]
async fn an_attempt_is_given_what_earlier_ones_left_and_none_when_that_is_nothing() {
    let fixture = Fixture::new().await;
    let task = submit(&fixture, Budget { tokens: 1_000, ..Budget::default() }).await;
    let mut worker = Worker::new(&fixture, 1).await.beat();
    let first = worker.assignment().await;
    worker.say(Out::Result(TaskResult { usage: tokens(400), ..failed(&first, false) }));
    let second = worker.assignment_after_ack().await;
    assert_eq!(left(&second), json!({ "tokens": 600 }));
    assert_eq!(fixture.task(&task.id).await.spent, tokens(400));
    worker.say(Out::Result(TaskResult { usage: tokens(600), ..failed(&second, false) }));
    eventually("the end", async || (fixture.task(&task.id).await.state() == TaskState::Failed).then_some(())).await;
    let ended = fixture.task(&task.id).await;
    assert_eq!((ended.attempt, ended.spent, ended.error.as_str()), (2, tokens(1_000), "boom"));
    fixture.service.stop().await;
}
