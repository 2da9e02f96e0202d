//! The orchestrator as its callers see it: its own `run()`, real PostgreSQL, gRPC.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

mod budgets;
mod edits;
mod externals;
mod graphs;
mod interventions;
mod limits;
mod messages;
mod schedules;
mod sessions;
mod submissions;
mod templates;
mod worker;

use titan_identity::{Principal, Signer};
use titan_ids::{OrgId, UserId};
use titan_orchestrator::{Config, MIGRATIONS};
use titan_proto::orchestrator::project_service_client::ProjectServiceClient;
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::{CreateProjectRequest, GetTaskRequest, NewTask, SubmitTasksRequest, Task, TaskState};
use titan_testkit::{KEY, TestDatabase, TestService, accepting_bus};
use tonic::transport::Channel;
use tonic::{Request, Status};

/// One orchestrator with a database of its own and a project to work in.
struct Fixture {
    database: TestDatabase,
    service: TestService,
    channel: Channel,
    signer: Signer,
    who: Principal,
}

const ENGINE: &str = "[engine]\nlease_ms = 1500\ngrace_ms = 400\n";

impl Fixture {
    async fn new() -> Self {
        titan_testkit::install_tls();
        let database = TestDatabase::new(&[("orchestrator", &MIGRATIONS)]).await;
        let service = start(&database);
        let channel = Channel::from_shared(service.url.clone()).unwrap().connect_lazy();
        let who = Principal::user(UserId::generate(), OrgId::DEFAULT);
        let fixture = Self { database, service, channel, signer: Signer::new("gateway", KEY), who };
        let project = CreateProjectRequest { name: "Todos".to_owned(), ..Default::default() };
        let request = fixture.request(project);
        titan_testkit::eventually("the orchestrator", async || {
            let request = fixture.request(request.get_ref().clone());
            ProjectServiceClient::new(fixture.channel.clone()).create_project(request).await.ok()
        })
        .await;
        // When it begins to listen it closes the streams that are there, for it does not know what was told before.
        fixture.service.ready().await;
        fixture
    }

    fn request<T>(&self, message: T) -> Request<T> {
        self.signer.request(&self.who, message).unwrap()
    }

    async fn submit(&self, tasks: Vec<NewTask>) -> Result<Vec<Task>, Status> {
        let request = SubmitTasksRequest { project: "todos".to_owned(), tasks, ..Default::default() };
        Ok(TaskServiceClient::new(self.channel.clone()).submit_tasks(self.request(request)).await?.into_inner().tasks)
    }

    async fn states(&self, tasks: &[Task]) -> Vec<TaskState> {
        futures::future::join_all(tasks.iter().map(|task| self.task(&task.id))).await.iter().map(Task::state).collect()
    }

    async fn task(&self, id: &str) -> Task {
        let request = self.request(GetTaskRequest { id: id.to_owned() });
        TaskServiceClient::new(self.channel.clone()).get_task(request).await.unwrap().into_inner()
    }
}

fn start(database: &TestDatabase) -> TestService {
    let settings = titan_testkit::settings(database, "orchestrator") + ENGINE;
    TestService::start::<Config, _>(&settings, accepting_bus(), titan_orchestrator::run)
}

fn noop(key: &str, depends_on: &[&str]) -> NewTask {
    NewTask {
        key: key.to_owned(),
        kind: "noop".to_owned(),
        role: "runner".to_owned(),
        title: key.to_owned(),
        depends_on: depends_on.iter().map(|d| (*d).to_owned()).collect(),
        ..Default::default()
    }
}
