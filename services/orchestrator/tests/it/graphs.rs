//! What becomes of tasks that depend on one that is not done.

use std::collections::HashMap;

use titan_proto::orchestrator::goal_service_client::GoalServiceClient;
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::{
    ActOnTaskRequest, GetGoalRequest, Goal, GoalState, NewTask, OnFailure, SubmitGoalRequest, SubmitTasksRequest, Task, TaskState,
};
use titan_proto::worker::worker_message::Body as Out;
use titan_testkit::eventually;

use super::worker::{Worker, completed, failed, hello};
use super::{Fixture, noop};

fn on(task: NewTask, policies: &[(&str, OnFailure)]) -> NewTask {
    let on_failure: HashMap<String, i32> = policies.iter().map(|(key, policy)| ((*key).to_owned(), (*policy).into())).collect();
    NewTask { on_failure, ..task }
}

#[tokio::test]
async fn each_dependent_does_what_its_policy_says() {
    use TaskState::{Cancelled, Done, Failed};
    let fixture = Fixture::new().await;
    let tasks = vec![
        noop("a", &[]),
        on(noop("clean up", &["a"]), &[("a", OnFailure::Run)]),
        on(noop("publish", &["a"]), &[("a", OnFailure::Skip)]),
        noop("announce", &["publish"]),
        on(noop("report", &["publish"]), &[("publish", OnFailure::Run)]),
        noop("use", &["a"]),
    ];
    let tasks = fixture.submit(tasks).await.unwrap();
    let mut worker = Worker::new(&fixture, 1).await.beat();
    let first = worker.assignment().await;
    worker.say(Out::Result(failed(&first, true)));
    assert_eq!(worker.work().await, ["clean up", "report"]);
    assert_eq!(fixture.states(&tasks).await, [Failed, Done, Cancelled, Cancelled, Done, Cancelled]);
    let tolerated: Vec<_> = [2, 3, 5].into_iter().map(|i| fixture.task(&tasks[i].id)).collect();
    let tolerated: Vec<_> = futures::future::join_all(tolerated).await.iter().map(|t| t.tolerated).collect();
    assert_eq!(tolerated, [true, true, false], "skipped, skipped, cancelled");
    let refused = fixture.submit(vec![noop("late", &[&tasks[0].id])]).await.unwrap_err();
    assert!(refused.message().contains("depends_on[0]"), "{refused}");
    let late = on(noop("late", &[&tasks[0].id]), &[(&tasks[0].id, OnFailure::Run)]);
    assert_eq!(fixture.submit(vec![late]).await.unwrap()[0].waiting_on, 0);
    fixture.service.stop().await;
}

/// A goal, and the attempt that plans it.
async fn planned(fixture: &Fixture, tasks: Vec<NewTask>) -> (Goal, Vec<Task>) {
    let goal = SubmitGoalRequest { sentence: "Do it".to_owned(), ..Default::default() };
    let goal = GoalServiceClient::new(fixture.channel.clone()).submit_goal(fixture.request(goal)).await.unwrap().into_inner();
    let mut pm = hello(titan_ids::SessionId::generate(), 1);
    pm.agents[0].role = "pm".to_owned();
    let mut pm = Worker::connect(fixture, pm).await.unwrap().beat();
    let plan = pm.assignment().await;
    let request = SubmitTasksRequest {
        project: goal.project_slug.clone(),
        tasks,
        goal_id: goal.id.clone(),
        attempt_credential: plan.credential.clone(),
        ..Default::default()
    };
    let request = fixture.signer.service_request(titan_ids::OrgId::DEFAULT, request).unwrap();
    let tasks = TaskServiceClient::new(fixture.channel.clone()).submit_tasks(request).await.unwrap().into_inner().tasks;
    assert!(pm.end(completed(&plan)).await);
    (goal, tasks)
}

async fn goal(fixture: &Fixture, id: &str) -> Goal {
    let request = fixture.request(GetGoalRequest { id: id.to_owned() });
    GoalServiceClient::new(fixture.channel.clone()).get_goal(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_failure_that_is_handled_fails_no_goal() {
    let fixture = Fixture::new().await;
    let tasks = vec![noop("try", &[]), on(noop("otherwise", &["try"]), &[("try", OnFailure::Run)]), noop("beside", &[])];
    let (submitted, tasks) = planned(&fixture, tasks).await;
    let mut worker = Worker::new(&fixture, 1).await.beat();
    let first = worker.assignment().await;
    assert_eq!(first.title, "try");
    worker.say(Out::Result(failed(&first, true)));
    worker.work().await;
    eventually("the goal", async || (goal(&fixture, &submitted.id).await.state() == GoalState::Done).then_some(())).await;
    assert!(fixture.task(&tasks[0].id).await.tolerated);
    fixture.service.stop().await;
}

#[tokio::test]
async fn nothing_of_a_paused_goal_is_begun() {
    let fixture = Fixture::new().await;
    let keyed = NewTask { concurrency_key: "k".to_owned(), ..noop("keyed", &[]) };
    let (submitted, tasks) = planned(&fixture, vec![noop("a", &[]), noop("b", &["a"]), keyed]).await;
    let mut goals = GoalServiceClient::new(fixture.channel.clone());
    let id = GetGoalRequest { id: submitted.id.clone() };
    assert!(goals.pause_goal(fixture.request(id.clone())).await.unwrap().into_inner().paused);
    assert_eq!(fixture.task(&tasks[0].id).await.held, "paused");
    assert_eq!(fixture.database.count("SELECT taken::bigint FROM orchestrator.task_limit").await, 0, "others may have the key meanwhile");
    let mut worker = Worker::new(&fixture, 5).await.beat();
    assert!(worker.taken().await.is_empty());
    assert!(!goals.resume_goal(fixture.request(id.clone())).await.unwrap().into_inner().paused);
    let mut done = worker.work().await;
    done.sort();
    assert_eq!(done, ["a", "b", "keyed"]);
    eventually("the goal", async || (goal(&fixture, &submitted.id).await.state() == GoalState::Done).then_some(())).await;
    let refused = goals.pause_goal(fixture.request(id)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    fixture.service.stop().await;
}

#[tokio::test]
async fn a_plan_shows_the_critical_path_and_how_many_agents_help() {
    let fixture = Fixture::new().await;
    let tasks = vec![noop("a", &[]), noop("b", &["a"]), noop("c", &["a"]), noop("d", &["b", "c"]), noop("e", &[])];
    let (submitted, _) = planned(&fixture, tasks).await;
    let plan = GoalServiceClient::new(fixture.channel.clone()).plan_goal(fixture.request(GetGoalRequest { id: submitted.id })).await;
    let plan = plan.unwrap().into_inner();
    let critical: Vec<_> = plan.steps.iter().filter(|s| s.critical).map(|s| s.title.as_str()).collect();
    assert_eq!((critical, plan.shortest_ms), (vec!["a", "b", "d"], 180_000), "a minute each, guessed");
    assert!(plan.steps.iter().all(|s| s.guessed));
    assert_eq!(plan.by_agents.iter().map(|a| (a.agents, a.takes_ms)).collect::<Vec<_>>(), [(1, 300_000), (2, 180_000)]);
    fixture.service.stop().await;
}

#[tokio::test]
async fn what_is_tried_again_is_waited_for_again() {
    let fixture = Fixture::new().await;
    let tasks = vec![noop("a", &[]), on(noop("b", &["a"]), &[("a", OnFailure::Run)]), noop("c", &["a"])];
    let (_, tasks) = planned(&fixture, tasks).await;
    let mut worker = Worker::new(&fixture, 5).await.beat();
    let first = worker.assignment().await;
    worker.say(Out::Result(failed(&first, true)));
    eventually("the rest to be cancelled", async || (fixture.task(&tasks[1].id).await.state() == TaskState::Cancelled).then_some(())).await;
    let retry = ActOnTaskRequest { id: tasks[0].id.clone(), reason: String::new() };
    TaskServiceClient::new(fixture.channel.clone()).retry_task(fixture.request(retry)).await.unwrap();
    let again = worker.assignment_after_ack().await;
    assert_eq!(again.title, "a");
    assert!(worker.taken().await.is_empty(), "b and c wait for it");
    worker.say(Out::Result(completed(&again)));
    let mut rest = worker.work().await;
    rest.sort();
    assert_eq!(rest, ["b", "c"]);
    fixture.service.stop().await;
}
