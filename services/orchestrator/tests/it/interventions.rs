//! What people do to tasks: cancel them, try them again.

use std::time::{Duration, Instant};

use titan_identity::Principal;
use titan_ids::{OrgId, UserId};
use titan_proto::orchestrator::act_on_tasks_request::Action;
use titan_proto::orchestrator::agent_service_client::AgentServiceClient;
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::{
    ActOnTaskRequest, ActOnTasksRequest, AgentStatus, GetAgentRequest, GetTaskRequest, HandOffTaskRequest, ListTasksRequest, NewTask,
    RetryPolicy, RetryTasks, SetAgentConditionRequest, Task, TaskFilter, TaskState,
};
use titan_proto::worker::orchestrator_message::Body as In;
use titan_proto::worker::result::Outcome;
use titan_proto::worker::worker_message::Body as Out;
use titan_proto::worker::{Failed, Result as TaskResult, Started};
use titan_testkit::eventually;
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

#[tokio::test]
async fn cancelling_ends_a_task_and_what_cannot_happen_without_it() {
    use TaskState::{Cancelled, Done, Inbox};
    let fixture = Fixture::new().await;
    let tasks = fixture.submit(vec![noop("a", &[]), noop("b", &["a"]), noop("c", &["b"]), noop("other", &[])]).await.unwrap();
    let cancelled = cancel(&fixture, &tasks[0].id).await.unwrap();
    assert_eq!(cancelled.state(), Cancelled);
    assert_eq!(fixture.states(&tasks).await, [Cancelled, Cancelled, Cancelled, Inbox]);
    assert_eq!(cancel(&fixture, &tasks[0].id).await.unwrap().state(), Cancelled, "again changes nothing");
    let mut client = TaskServiceClient::new(fixture.channel.clone());
    let history = client.get_task_history(fixture.request(GetTaskRequest { id: tasks[0].id.clone() })).await.unwrap().into_inner().changes;
    assert!(history.len() == 1 && history[0].reason.contains("not needed") && history[0].actor.starts_with("user_"), "{history:?}");

    let mut worker = Worker::new(&fixture, 1).await;
    let assignment = worker.assignment().await;
    assert!(worker.end(completed(&assignment)).await);
    assert_eq!(fixture.states(&tasks).await, [Cancelled, Cancelled, Cancelled, Done]);
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
    assert_eq!(far.states(&tasks).await, [TaskState::Cancelled, TaskState::Done]);
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
    assert_eq!(fixture.states(&tasks).await[2..], [Cancelled, Cancelled]);
    // Done while what waits for it is cancelled: it must not be waited for later.
    assert!(worker.end(completed(&b)).await);
    assert_eq!(fixture.states(&tasks).await, [Failed, Done, Cancelled, Cancelled]);
    assert_eq!(retry(&fixture, &tasks[1].id).await.unwrap_err().code(), Code::FailedPrecondition, "it is done");

    assert_eq!(retry(&fixture, &tasks[0].id).await.unwrap().state(), Inbox);
    for title in ["a", "c", "d"] {
        let assignment = worker.assignment_after_ack().await;
        assert_eq!(assignment.title, title);
        worker.say(Out::Result(completed(&assignment)));
    }
    titan_testkit::eventually("all done", async || (fixture.states(&tasks).await == [Done; 4]).then_some(())).await;
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
    assert_eq!(fixture.states(&tasks).await, [Failed, Failed, Cancelled, Cancelled]);
    let refused = retry(&fixture, &tasks[3].id).await.unwrap_err();
    assert!(refused.code() == Code::FailedPrecondition && refused.message().contains(&tasks[2].id), "{refused}");
    drop(worker);
    retry(&fixture, &tasks[0].id).await.unwrap();
    assert_eq!(fixture.states(&tasks).await[1..], [Failed, Cancelled, Cancelled]);
    retry(&fixture, &tasks[1].id).await.unwrap();
    assert_eq!(fixture.states(&tasks).await[1..], [Inbox, Inbox, Inbox]);
    fixture.service.stop().await;
}

#[tokio::test]
async fn subtasks_are_cancelled_with_their_parent_and_running_ones_are_told() {
    use TaskState::{Cancelled, Inbox};
    let fixture = Fixture::new().await;
    let part = |key: &str, parent: &str| NewTask { parent_id: parent.to_owned(), ..noop(key, &[]) };
    let tasks = vec![part("part of a part", "part"), noop("whole", &[]), part("part", "whole"), noop("other", &[])];
    let tasks = fixture.submit(tasks).await.unwrap();
    let mut worker = Worker::new(&fixture, 1).await.beat();
    let running = worker.assignment().await;
    assert_eq!(running.title, "part of a part");
    let asked = Instant::now();
    cancel(&fixture, &tasks[1].id).await.unwrap();
    loop {
        if let In::Revoke(revoke) = worker.hear().await {
            assert_eq!(revoke.attempt, attempt(&running));
            break;
        }
    }
    assert!(asked.elapsed() < Duration::from_secs(2));
    let after = fixture.states(&tasks).await;
    assert_eq!(&after[..3], [Cancelled, Cancelled, Cancelled]);
    assert_ne!(after[3], Cancelled);
    assert!(!worker.end(completed(&running)).await, "what it still reports is refused");
    let given = async || (fixture.states(&tasks[3..]).await != [Inbox]).then_some(());
    eventually("the slot to be given to the next one", given).await;
    assert!(asked.elapsed() < Duration::from_secs(4));
    fixture.service.stop().await;
}

#[tokio::test]
async fn a_task_is_handed_to_another_agent_at_once() {
    let fixture = Fixture::new().await;
    let tasks = fixture.submit(vec![noop("a", &[])]).await.unwrap();
    let mut first = Worker::new(&fixture, 1).await.beat();
    let theirs = first.assignment().await;
    let mut second = Worker::new(&fixture, 1).await.beat();
    let agents = fixture.database.count("SELECT count(*) FROM orchestrator.agent").await;
    assert_eq!(agents, 2);
    let to = format!("runner@{}", second.session);
    let mut client = TaskServiceClient::new(fixture.channel.clone());
    let hand_off = |to: &str| HandOffTaskRequest { id: tasks[0].id.clone(), to: to.to_owned(), reason: "you know it".to_owned() };
    let nobody = client.hand_off_task(fixture.request(hand_off("nobody"))).await.unwrap_err();
    assert!(nobody.code() == Code::InvalidArgument && nobody.message().contains("titan agents"), "{nobody}");
    client.hand_off_task(fixture.request(hand_off(&to))).await.unwrap();
    let ours = second.assignment().await;
    assert_eq!((ours.task_id.as_str(), ours.attempt), (theirs.task_id.as_str(), theirs.attempt + 1));
    assert!(!first.end(completed(&theirs)).await, "it is not the owner any more");
    assert!(second.end(completed(&ours)).await);
    let history = client.get_task_history(fixture.request(GetTaskRequest { id: tasks[0].id.clone() })).await.unwrap().into_inner().changes;
    assert!(history.iter().any(|c| c.reason.contains(&format!("handed to {to}")) && c.actor.starts_with("user_")), "{history:?}");
    assert_eq!(fixture.database.count("SELECT (failures + losses)::bigint FROM orchestrator.task").await, 0, "nothing is held against it");
    fixture.service.stop().await;
}

#[tokio::test]
async fn dead_letters_are_listed_replayed_at_a_rate_and_discarded() {
    let fixture = Fixture::new().await;
    let tasks = (0..6).map(|i| NewTask { max_attempts: 1, labels: vec!["bad".to_owned()], ..noop(&i.to_string(), &[]) }).collect();
    let tasks = fixture.submit(tasks).await.unwrap();
    let mut worker = Worker::new(&fixture, 10).await.beat();
    for assignment in worker.taken().await {
        worker.say(Out::Result(failed(&assignment, false)));
    }
    let mut client = TaskServiceClient::new(fixture.channel.clone());
    let dead = async || {
        let request = ListTasksRequest { project: "todos".to_owned(), label: "bad".to_owned(), dead: true, ..Default::default() };
        TaskServiceClient::new(fixture.channel.clone()).list_tasks(fixture.request(request)).await.unwrap().into_inner().tasks.len()
    };
    eventually("dead letters", async || (dead().await == 6).then_some(())).await;
    let act = |action: Action, ids: Vec<String>| ActOnTasksRequest {
        filter: Some(TaskFilter { project: "todos".to_owned(), dead: true, ids, ..Default::default() }),
        action: Some(action),
        reason: String::new(),
        after: String::new(),
    };
    let discarded = client.act_on_tasks(fixture.request(act(Action::Discard(()), vec![tasks[0].id.clone()]))).await.unwrap().into_inner();
    assert_eq!((discarded.changed, dead().await), (vec![tasks[0].id.clone()], 5));
    let started = Instant::now();
    let replay = act(Action::Retry(RetryTasks { per_second: 4.0, already: 0 }), Vec::new());
    assert_eq!(client.act_on_tasks(fixture.request(replay)).await.unwrap().into_inner().changed.len(), 5);
    let mut done = 0;
    while done < 5 {
        done += worker.work().await.len();
    }
    assert!(started.elapsed() > Duration::from_millis(900), "one each quarter of a second: {:?}", started.elapsed());
    eventually("none is left", async || (dead().await == 0).then_some(())).await;
    let all = ActOnTasksRequest { filter: None, action: Some(Action::Cancel(())), reason: String::new(), after: String::new() };
    let refused = client.act_on_tasks(fixture.request(all)).await.unwrap_err();
    assert!(refused.message().contains("filter"), "{refused}");
    fixture.service.stop().await;
}

#[tokio::test]
async fn many_are_cancelled_or_given_another_priority_by_a_filter() {
    let fixture = Fixture::new().await;
    let labelled =
        |i: usize| NewTask { labels: vec![if i.is_multiple_of(2) { "even" } else { "odd" }.to_owned()], ..noop(&i.to_string(), &[]) };
    fixture.submit((0..500).map(labelled).collect()).await.unwrap();
    let act = |label: &str, action: Action| ActOnTasksRequest {
        filter: Some(TaskFilter { project: "todos".to_owned(), label: label.to_owned(), ..Default::default() }),
        action: Some(action),
        reason: "spring cleaning".to_owned(),
        after: String::new(),
    };
    let mut client = TaskServiceClient::new(fixture.channel.clone());
    let cancelled = client.act_on_tasks(fixture.request(act("even", Action::Cancel(())))).await.unwrap().into_inner();
    assert_eq!((cancelled.changed.len(), cancelled.refused.len(), cancelled.more), (250, 0, false));
    let raised = client.act_on_tasks(fixture.request(act("odd", Action::Priority(8)))).await.unwrap().into_inner();
    assert_eq!(raised.changed.len(), 250);
    let count = "SELECT count(*) FROM orchestrator.task WHERE state = 'inbox' AND priority = 8";
    assert_eq!(fixture.database.count(count).await, 250);
    // Again changes nothing; what was changed is told of in the history, with who did it.
    let again = client.act_on_tasks(fixture.request(act("odd", Action::Priority(8)))).await.unwrap().into_inner();
    assert!(again.changed.is_empty() && !again.more, "{} of them", again.changed.len());
    let told = "SELECT count(*) FROM orchestrator.task_change WHERE actor LIKE 'user_%' AND reason LIKE '%priority%spring cleaning%'";
    assert_eq!(fixture.database.count(told).await, 250);
    fixture.service.stop().await;
}

#[tokio::test]
async fn what_cannot_be_tried_again_is_not_asked_for_again_and_again() {
    let fixture = Fixture::new().await;
    let first = fixture.submit(vec![NewTask { max_attempts: 1, ..noop("first", &[]) }]).await.unwrap();
    let mut worker = Worker::new(&fixture, 1).await.beat();
    let waiting = |i: usize| NewTask { depends_on: vec![first[0].id.clone()], ..noop(&i.to_string(), &[]) };
    fixture.submit((0..700).map(waiting).collect()).await.unwrap();
    let assignment = worker.assignment().await;
    assert!(worker.end(failed(&assignment, true)).await);
    let retry = |after: String| ActOnTasksRequest {
        filter: Some(TaskFilter {
            project: "todos".to_owned(),
            state: titan_proto::orchestrator::TaskState::Cancelled.into(),
            ..Default::default()
        }),
        action: Some(Action::Retry(RetryTasks { per_second: 0.0, already: 0 })),
        reason: String::new(),
        after,
    };
    let mut client = TaskServiceClient::new(fixture.channel.clone());
    let once = client.act_on_tasks(fixture.request(retry(String::new()))).await.unwrap().into_inner();
    assert!(once.more && once.changed.is_empty(), "{once:?}");
    let rest = client.act_on_tasks(fixture.request(retry(once.next.clone()))).await.unwrap().into_inner();
    assert_eq!((once.refused.len() + rest.refused.len(), rest.more), (700, false));
    fixture.service.stop().await;
}

#[tokio::test]
async fn an_agent_is_drained_and_returned_and_one_that_only_fails_is_quarantined() {
    let fixture = Fixture::new().await;
    let mut worker = Worker::new(&fixture, 1).await.beat();
    let name = format!("runner@{}", worker.session);
    let mut agents = AgentServiceClient::new(fixture.channel.clone());
    let set = SetAgentConditionRequest { agent: name.clone(), reason: "new disk".to_owned() };
    let drained = agents.drain_agent(fixture.request(set.clone())).await.unwrap().into_inner();
    assert_eq!((drained.status(), drained.condition_reason.as_str()), (AgentStatus::Draining, "new disk"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    let tasks = fixture.submit(vec![NewTask { max_attempts: 20, retry: Some(quick()), ..noop("a", &[]) }]).await.unwrap();
    assert!(worker.taken().await.is_empty());
    let why = TaskServiceClient::new(fixture.channel.clone());
    let why = async || {
        let request = fixture.request(GetTaskRequest { id: tasks[0].id.clone() });
        why.clone().explain_task(request).await.unwrap().into_inner()
    };
    let explained = why().await;
    assert!(explained.because[0].contains("no agent that may take it is there"), "{:?}", explained.because);
    assert!(explained.agents[0].name == name && explained.agents[0].lacks.contains("draining: new disk"), "{:?}", explained.agents);
    agents.return_agent(fixture.request(set)).await.unwrap();
    for _ in 0..10 {
        let assignment = worker.assignment_after_ack().await;
        worker.say(Out::Result(failed(&assignment, false)));
    }
    let get = GetAgentRequest { id: name.clone() };
    let status =
        async || AgentServiceClient::new(fixture.channel.clone()).get_agent(fixture.request(get.clone())).await.unwrap().into_inner();
    eventually("quarantine", async || (status().await.status() == AgentStatus::Quarantined).then_some(())).await;
    assert_eq!(status().await.condition_reason, "10 attempts in a row failed");
    assert!(worker.taken().await.is_empty(), "nothing more is given to it");
    // Another agent gets it, and the task tells why.
    let mut other = Worker::new(&fixture, 1).await.beat();
    other.assignment().await;
    let explained = why().await;
    assert!(explained.because.iter().any(|b| b.contains("was chosen of 1 with a score of")), "{:?}", explained.because);
    fixture.service.stop().await;
}

fn quick() -> RetryPolicy {
    RetryPolicy { base_ms: Some(1), most_ms: Some(1), jitter: Some(0.0), final_errors: Vec::new() }
}

#[tokio::test]
async fn a_retry_policy_says_which_errors_are_final() {
    let fixture = Fixture::new().await;
    let retry = Some(RetryPolicy { final_errors: vec!["quota".to_owned()], ..quick() });
    let tasks = fixture.submit(vec![NewTask { retry, ..noop("a", &[]) }]).await.unwrap();
    let mut worker = Worker::new(&fixture, 1).await.beat();
    let first = worker.assignment().await;
    worker.say(Out::Result(failed(&first, false)));
    let second = worker.assignment_after_ack().await;
    let quota = Failed { message: "no more".to_owned(), code: "quota".to_owned(), r#final: false };
    worker.say(Out::Result(TaskResult { attempt: attempt(&second), outcome: Some(Outcome::Failed(quota)), usage: None }));
    eventually("the end", async || (fixture.task(&tasks[0].id).await.state() == TaskState::Failed).then_some(())).await;
    fixture.service.stop().await;
}

#[tokio::test]
async fn what_a_draining_agent_has_not_begun_is_given_to_another_one() {
    let fixture = Fixture::new().await;
    let tasks = fixture.submit(vec![noop("begun", &[]), noop("not begun", &[])]).await.unwrap();
    let mut first = Worker::new(&fixture, 2).await.beat();
    let (begun, idle) = (first.assignment().await, first.assignment().await);
    first.say(Out::Started(Started { attempt: attempt(&begun) }));
    eventually("the first one to begin", async || (fixture.task(&tasks[0].id).await.state() == TaskState::InProgress).then_some(())).await;
    let mut second = Worker::new(&fixture, 2).await.beat();
    let drain = SetAgentConditionRequest { agent: format!("runner@{}", first.session), reason: "leaving".to_owned() };
    AgentServiceClient::new(fixture.channel.clone()).drain_agent(fixture.request(drain)).await.unwrap();
    let moved = second.assignment().await;
    assert_eq!((&moved.task_id, moved.attempt), (&idle.task_id, idle.attempt + 1));
    assert!(!first.end(completed(&idle)).await);
    assert!(first.end(completed(&begun)).await, "what it began it ends");
    assert!(second.end(completed(&moved)).await);
    assert_eq!(fixture.database.count("SELECT sum(failures + losses)::bigint FROM orchestrator.task").await, 0);
    fixture.service.stop().await;
}
