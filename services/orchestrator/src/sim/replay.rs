//! What a world committed, committed again on PostgreSQL by the engine itself: the answers and the tasks must be the same
//! after every transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectionTrait as _;
use serde_json::json;
use titan_identity::Principal;
use titan_ids::{GoalId, OrgId, SessionId, TaskId, UserId};
use titan_store::sql;
use titan_testkit::{KEY, TestDatabase, accepting_bus, settings};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::model::{self, Answer, CONCURRENCY, Model, Op, PROJECTS, Shown, Spec, What};
use super::number;
use super::world::World;
use crate::app::{App, Hello, Outcome, ProjectIn, RateIn, Report, SubmissionIn, TaskIn, What as Said};
use crate::domain::backlog::Backlog;
use crate::domain::budget::Budget;
use crate::domain::fairness::Shares;
use crate::domain::matching::{Agent, Demands, Slot, Subscription, Wishes};
use crate::domain::records::Records;
use crate::store::agents::Hosted;
use crate::store::entity::goal;
use crate::store::goals;
use crate::store::transitions::RetryPolicy;

/// Seeds of one run, and transactions of each.
const SEEDS: u64 = 200;
const OPS: usize = 60;

struct Replay<'a> {
    app: &'a App,
    who: &'a Principal,
    seed: u64,
    tasks: Vec<TaskId>,
    goals: BTreeMap<usize, GoalId>,
    sessions: BTreeMap<usize, (SessionId, Arc<Agent>)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_does_what_the_model_does() {
    titan_testkit::install_tls();
    let database = TestDatabase::new(&[("orchestrator", &crate::MIGRATIONS)]).await;
    let stop = CancellationToken::new();
    let text = settings(&database, "orchestrator") + "[engine]\nquarantine_after = 1000000\n";
    let config: crate::Config = titan_settings::load_text(&text).unwrap();
    let frame = titan_service::ServiceSettings::frame(&config);
    let admin = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let frame = titan_service::Frame::start("orchestrator", frame, &crate::MIGRATIONS, accepting_bus(), admin, stop.clone()).await.unwrap();
    assert_eq!(config.identity.signing_key.reveal(), KEY);
    let (dispatcher, _commands) = crate::dispatch::channel();
    let app = App::start(&frame, config.engine, dispatcher).unwrap();
    let who = Principal::user(UserId::generate(), OrgId::DEFAULT);
    let seeds = match number("SIM_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("SIM_REPLAYS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let mut world = World::new(seed, false);
        world.run();
        let mut replay = Replay { app: &app, who: &who, seed, tasks: Vec::new(), goals: BTreeMap::new(), sessions: BTreeMap::new() };
        replay.run(&world.ops).await;
    }
    stop.cancel();
    frame.stop().await;
}

impl Replay<'_> {
    async fn run(&mut self, ops: &[(u64, Op, Answer)]) {
        for n in 0..PROJECTS {
            let name = self.project(n);
            let project = ProjectIn { slug: name.clone(), name, description: String::new(), idempotency_key: String::new() };
            self.app.create_project(self.who, project, titan_lifecycle::now()).await.unwrap();
        }
        let mut model = Model::default();
        for (n, (at, op, answer)) in ops.iter().take(OPS).enumerate() {
            assert_eq!(model.apply(op, *at), *answer, "the model is a function of what was done");
            let real = self.apply(op).await;
            let where_ = format!("seed {}, transaction {n}: {op:?}", self.seed);
            if !matches!(op, Op::Cancel { .. } | Op::Retry { .. }) {
                assert_eq!(real, *answer, "{where_}");
            }
            assert_eq!(self.shown().await, model.shown(), "{where_}");
            assert_eq!(self.goals_shown().await, model.goals, "{where_}");
        }
    }

    fn project(&self, n: usize) -> String {
        format!("seed-{}-{n}", self.seed)
    }

    fn role(&self, n: usize) -> String {
        format!("{}-{}", model::role(n), self.seed)
    }

    async fn apply(&mut self, op: &Op) -> Answer {
        let now = titan_lifecycle::now();
        match op {
            Op::Submit { key, specs } => self.submit(*key, specs).await,
            Op::Connect { session } => self.connect(*session).await,
            Op::Expire { session } => {
                let expire = "UPDATE worker_session SET state = 'expired' WHERE id = $1";
                if let Some((id, _)) = self.sessions.get(session) {
                    self.app.db.execute_raw(sql(expire, [(*id).into()])).await.unwrap();
                }
                Answer::Done(true)
            }
            Op::Claim { slots, ahead } => self.claim(slots, ahead).await,
            Op::Report { reports } => {
                let report = |(task, attempt, what): &(usize, i32, What)| {
                    let what = match what {
                        What::Started => Said::Started,
                        What::Completed => Said::Ended(Outcome::Completed { result: json!({}) }),
                        What::Failed { last } => {
                            Said::Ended(Outcome::Failed { message: "no".to_owned(), code: String::new(), last: *last })
                        }
                        What::Lost => Said::Ended(Outcome::Lost { reason: "gone".to_owned() }),
                    };
                    Arc::new(Report { task: self.tasks[*task], attempt: *attempt, usage: None, what })
                };
                let accepted = self.app.commit_reports(reports.iter().map(report).collect()).await.unwrap();
                Answer::Accepted(accepted.into_iter().map(Result::unwrap).collect())
            }
            Op::Cancel { task } => Answer::Done(self.app.cancel_task(self.who, self.tasks[*task], "", now).await.is_ok()),
            Op::Retry { task } => Answer::Done(self.app.retry_task(self.who, self.tasks[*task], "", now).await.is_ok()),
            Op::Pause { goal, paused } => Answer::Done(self.app.pause_goal(self.who, self.goals[goal], *paused).await.is_ok()),
            Op::ReleaseDue { due } => {
                let ids: Vec<Uuid> = due.iter().map(|n| self.tasks[*n].uuid()).collect();
                let pass = "UPDATE task SET run_after = now() - interval '1 millisecond' WHERE id = ANY($1)";
                self.app.db.execute_raw(sql(pass, [ids.into()])).await.unwrap();
                self.app.release_due().await.unwrap();
                Answer::Done(true)
            }
            Op::Refill { project, n } => {
                self.refill(*project, *n).await;
                Answer::Done(true)
            }
        }
    }

    async fn refill(&self, project: usize, n: usize) {
        let project = self.app.project(self.who, &self.project(project)).await.unwrap().id;
        let fill = "UPDATE task_limit SET tokens = most, refilled_at = now() WHERE key = $1";
        self.app.db.execute_raw(sql(fill, [format!("r/{project}/rate-{n}").into()])).await.unwrap();
        self.app.release_due().await.unwrap();
    }

    /// It is there from its first task on.
    async fn goal(&mut self, n: usize, project: usize) -> GoalId {
        if let Some(goal) = self.goals.get(&n) {
            return *goal;
        }
        let goal = goal::Model {
            id: GoalId::generate(),
            org_id: OrgId::DEFAULT,
            project_id: self.app.project(self.who, &self.project(project)).await.unwrap().id,
            sentence: format!("goal {n}"),
            state: goal::State::Running,
            result: None,
            error: String::new(),
            created_by: self.who.id.to_string(),
            idempotency_key: None,
            traceparent: String::new(),
            paused: false,
            created_at: titan_lifecycle::now(),
            finished_at: None,
        };
        assert!(goals::insert(&self.app.db, &goal).await.unwrap());
        self.goals.insert(n, goal.id);
        goal.id
    }

    async fn submit(&mut self, key: u64, specs: &[Spec]) -> Answer {
        // Of one project at a time, as the engine takes them; the key makes each once.
        let rate = |n: usize| RateIn {
            key: format!("rate-{n}"),
            limit: u32::try_from(model::RATE).unwrap(),
            period_ms: u64::try_from(model::PERIOD_MS).unwrap(),
        };
        let mut fresh = true;
        for (n, spec) in specs.iter().enumerate() {
            let depends_on: Vec<String> = spec.depends_on.iter().map(|(on, _)| self.tasks[*on].to_string()).collect();
            let policies = depends_on.iter().cloned().zip(spec.depends_on.iter().map(|(_, policy)| *policy));
            let policy = Some(Duration::as_millis(&model::PAUSE)).and_then(|ms| u64::try_from(ms).ok());
            let task = TaskIn {
                key: spec.name.clone(),
                kind: "noop".to_owned(),
                role: self.role(spec.role),
                title: spec.name.clone(),
                priority: spec.priority,
                input_json: String::new(),
                on_failure: policies.collect(),
                depends_on,
                max_attempts: spec.max_attempts,
                timeout_s: 0,
                run_after: None,
                due_at: spec.due.map(|hours| titan_lifecycle::now() + chrono::Duration::hours(1_000 + i64::from(hours))),
                deadline_at: None,
                concurrency_key: spec.key.map(|(key, _)| format!("key-{key}")).unwrap_or_default(),
                concurrency_limit: spec.key.map(|(_, most)| u32::try_from(most).unwrap()).unwrap_or_default(),
                rate_limits: spec.rate.map(rate).into_iter().collect(),
                pool: String::new(),
                demands: Demands::default(),
                wishes: Wishes::default(),
                retry: Some(RetryPolicy { base_ms: policy, most_ms: policy, jitter: Some(0.0), final_errors: Vec::new() }),
                budget: Budget::default(),
                parent: String::new(),
            };
            let goal = match spec.goal {
                Some(n) => Some(self.goal(n, spec.project).await),
                None => None,
            };
            let submission = SubmissionIn {
                project: self.project(spec.project),
                goal,
                idempotency_key: format!("{}/{key}/{n}", self.seed),
                attempt_credential: String::new(),
                tasks: vec![task],
            };
            let stored = self.app.store_tasks(self.who, submission).await.unwrap();
            fresh = !self.tasks.contains(&stored[0].id);
            if fresh {
                self.tasks.push(stored[0].id);
            }
        }
        Answer::Done(fresh)
    }

    async fn connect(&mut self, n: usize) -> Answer {
        let session = self.sessions.get(&n).map_or_else(SessionId::generate, |(id, _)| *id);
        let like = model::agent(n);
        let agent = Hosted {
            name: format!("{}-{}", self.seed, like.name),
            role: self.role(n % model::ROLES),
            department: String::new(),
            pool: like.pool,
            skills: Vec::new(),
            proficiency: BTreeMap::new(),
            subscription: Subscription::default(),
            max_concurrency: CONCURRENCY,
        };
        let hello = Hello { session, worker: "test".to_owned(), agents: vec![agent], running: Vec::new(), unacknowledged: Vec::new() };
        let service = Principal::service("agent-worker", OrgId::DEFAULT);
        let opened = self.app.open_session(&service, &hello).await.ok();
        if let Some(opened) = &opened {
            self.sessions.insert(n, (session, Arc::new(opened.agents[0].clone())));
        }
        Answer::Epoch(opened.map(|opened| opened.epoch))
    }

    async fn claim(&self, slots: &[(usize, i64, u32)], ahead: &[(usize, f64)]) -> Answer {
        let slot = |(n, epoch, running): &(usize, i64, u32)| {
            let (session, agent) = &self.sessions[n];
            Slot { agent: agent.clone(), session: *session, epoch: *epoch, running: *running }
        };
        let slots: Vec<Slot> = slots.iter().map(slot).filter(Slot::is_free).collect();
        let mut shares = Shares::default();
        for (n, ahead) in ahead {
            let project = self.app.project(self.who, &self.project(*n)).await.unwrap();
            shares.restore(project.id, *ahead);
        }
        // As the dispatcher does it: what is ready is read, put in its order, and looked at by its ids.
        let (offer, mut backlog) = (self.app.offer(slots), Backlog::default());
        for task in self.app.search(&offer, &shares).await.unwrap().0 {
            backlog.add(&task);
        }
        let these = backlog.pick(&offer, &shares);
        let claimed = self.app.claim(Some(&these), offer, &shares, &Records::default(), titan_lifecycle::now()).await.unwrap();
        let number = |choice: &crate::domain::matching::Choice| {
            let task = self.tasks.iter().position(|id| *id == choice.candidate.id).unwrap();
            let session = self.sessions.iter().find(|(_, (id, _))| *id == choice.slot.session).map(|(n, _)| *n).unwrap();
            (task, choice.next.attempt, session)
        };
        let mut claimed: Vec<_> = claimed.tasks.iter().map(|(choice, _)| number(choice)).collect();
        claimed.sort_unstable();
        Answer::Claimed(claimed)
    }

    async fn goals_shown(&self) -> BTreeMap<usize, model::Goal> {
        let mut shown = BTreeMap::new();
        for (n, id) in &self.goals {
            let (goal, _) = goals::find(&self.app.db, OrgId::DEFAULT, *id).await.unwrap();
            shown.insert(*n, model::Goal { state: goal.state, paused: goal.paused });
        }
        shown
    }

    async fn shown(&self) -> Vec<Shown> {
        use sea_orm::FromQueryResult as _;
        let ids: Vec<Uuid> = self.tasks.iter().map(|id| id.uuid()).collect();
        let select = "SELECT p.title, t.state, t.attempt, t.failures, t.losses, t.rejections, t.max_attempts,
                CASE WHEN t.state = 'inbox' THEN t.waiting_on ELSE 0 END AS waiting_on, regexp_replace(t.held, '.*/', '') AS held, t.tolerated
            FROM task t JOIN task_payload p ON p.task_id = t.id WHERE t.id = ANY($1) ORDER BY p.title";
        let rows = self.app.db.query_all_raw(sql(select, [ids.into()])).await.unwrap();
        let shown = |row: &sea_orm::QueryResult| {
            let task = crate::domain::task::Task::from_query_result(row, "").unwrap();
            let text = |column: &str| row.try_get::<Option<String>>("", column).unwrap();
            let waiting_on = row.try_get("", "waiting_on").unwrap();
            let tolerated = row.try_get("", "tolerated").unwrap();
            (text("title").unwrap(), task.state, task.attempt, task.failures, task.losses, waiting_on, text("held"), tolerated)
        };
        rows.iter().map(shown).collect()
    }
}
