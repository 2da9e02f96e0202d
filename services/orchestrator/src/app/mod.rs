//! Use cases, one file a noun. Each owns its transaction and takes who asks as an argument.

mod agents;
mod assignments;
mod batch;
mod edits;
mod explanations;
mod externals;
mod goals;
mod interventions;
mod known_projects;
mod lanes;
mod limits;
mod messages;
mod projects;
mod records;
mod reports;
mod schedules;
mod sessions;
mod submissions;
mod task_in;
mod tasks;
mod templates;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sea_orm::DatabaseConnection;
use titan_identity::Signer;
use titan_lifecycle::Tasks;
use titan_service::Frame;
use titan_store::Outbox;
use titan_telemetry::prometheus::{Histogram, HistogramOpts, IntCounterVec, exponential_buckets};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::config::Engine;
use crate::dispatch::Dispatcher;
use crate::domain::fairness::Shares;
use crate::domain::readiness::Ready;
use crate::domain::session::holds;
use crate::group_commit::{self, Pace, Writer};
use crate::store::tasks::TaskRow;

pub(crate) use assignments::Claimed;
pub(crate) use edits::TaskPatch;
pub(crate) use explanations::{Explanation, GoalPlan};
pub(crate) use externals::Polled;
pub(crate) use goals::GoalIn;
pub(crate) use interventions::Bulk;
use known_projects::KnownProjects;
use lanes::Lanes;
pub(crate) use messages::MessageIn;
pub(crate) use projects::{ProjectIn, ProjectPatch};
use records::Tallies;
pub(crate) use reports::{Outcome, Report, What};
pub(crate) use schedules::ScheduleIn;
pub(crate) use sessions::{Hello, Opened};
pub(crate) use submissions::{Submission, SubmissionIn};
pub(crate) use task_in::{RateIn, TaskIn};

/// Written at once. A submission may be a thousand tasks.
const REPORTS: usize = 500;
const SUBMISSIONS: usize = 100;

pub(crate) struct App {
    pub(crate) db: DatabaseConnection,
    pub(crate) outbox: Outbox,
    pub(crate) signer: Signer,
    pub(crate) engine: Engine,
    /// Told with what it tells others.
    pub(crate) replica: Uuid,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) lanes: Lanes,
    pub(crate) known_projects: KnownProjects,
    /// Whose turn it is with those who ask for their work.
    shares: Mutex<Shares>,
    /// Tells those who wait for a task that there may be one.
    pub(crate) ready: Notify,
    /// Tells those who wait for a message that there may be one.
    pub(crate) mail: Notify,
    /// Attempts by how they ended; `stale` counts what the fence refused.
    pub(crate) ended: IntCounterVec,
    /// How long claims took that gave something.
    pub(crate) claims: Histogram,
    reports: Writer<Report, bool>,
    submissions: Writer<Submission, Option<Vec<TaskRow>>>,
    /// When a submission last came with a key that was taken.
    key_repeated: Mutex<Option<Instant>>,
    /// Held while the dispatcher is told which agents are given nothing.
    telling_unfit: tokio::sync::Mutex<()>,
    /// How agents did, as far as it is not written yet.
    unwritten: Mutex<Tallies>,
    tasks: Tasks,
}

impl App {
    /// Starts the writers too.
    pub(crate) fn start(frame: &Frame, engine: Engine, dispatcher: Dispatcher) -> anyhow::Result<Arc<Self>> {
        let options = titan_telemetry::prometheus::Opts::new("titan_task_attempts_ended_total", "Attempts by how they ended.");
        let ended = frame.metrics.register(IntCounterVec::new(options, &["outcome"])?)?;
        let options = HistogramOpts::new("titan_claim_seconds", "Claims of one task or more, from looking for them to the commit.");
        let claims = frame.metrics.register(Histogram::with_opts(options.buckets(exponential_buckets(0.000_5, 1.25, 40)?))?)?;
        let (db, outbox, signer) = (frame.db.clone(), frame.outbox.clone(), frame.signer.clone());
        let (reports, reported) = group_commit::channel(REPORTS, Pace::CALM);
        let (submissions, submitted) = group_commit::channel(SUBMISSIONS, Pace::QUICK);
        let lanes = Lanes::default();
        let app = Arc::new(Self {
            db,
            outbox,
            signer,
            engine,
            replica: Uuid::new_v4(),
            dispatcher,
            lanes,
            known_projects: KnownProjects::default(),
            shares: Mutex::default(),
            ready: Notify::new(),
            mail: Notify::new(),
            ended,
            claims,
            reports,
            submissions,
            key_repeated: Mutex::default(),
            telling_unfit: tokio::sync::Mutex::default(),
            unwritten: Mutex::default(),
            tasks: frame.tasks.clone(),
        });
        let (writer, stop) = (app.clone(), frame.tasks.shutdown().clone());
        let commit = move |batch| {
            let app = writer.clone();
            async move { app.commit_reports(batch).await }
        };
        frame.tasks.spawn_loop("report writer", group_commit::run(reported, commit, stop));
        let (writer, stop) = (app.clone(), frame.tasks.shutdown().clone());
        let commit = move |batch| {
            let app = writer.clone();
            async move { app.commit_submissions(batch).await }
        };
        frame.tasks.spawn_loop("submission writer", group_commit::run(submitted, commit, stop));
        let tallies = app.clone();
        frame.tasks.spawn_loop("tallies", async move { tallies.write_tallies().await });
        Ok(app)
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.engine.lease_ms.into())
    }
    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.engine.grace_ms.into())
    }
    /// As a worker is told it.
    pub(crate) fn worker_lease_ms(&self) -> u32 {
        u32::try_from(holds(self.lease(), self.grace()).as_millis()).unwrap_or(u32::MAX)
    }

    /// Work that shutdown waits for.
    pub(crate) fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(name, work);
    }
    /// Returns when the service is stopping.
    pub(crate) async fn stopping(&self) {
        self.tasks.shutdown().cancelled().await;
    }

    /// After a commit that wrote events or made tasks ready.
    fn committed(&self, ready: Ready) {
        self.outbox.wake();
        self.dispatcher.ready(ready);
    }
}

/// Text a caller gives: trimmed, not empty, at most `most` characters, without control characters.
pub(crate) fn text(field: &str, value: &str, most: usize) -> titan_error::Result<String> {
    let value = value.trim();
    let problem = if value.is_empty() {
        "must not be empty".to_owned()
    } else if value.chars().count() > most {
        format!("must be at most {most} characters, not {}", value.chars().count())
    } else if value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        "must not contain control characters".to_owned()
    } else {
        return Ok(value.to_owned());
    };
    Err(titan_error::Error::invalid(field, problem))
}
