use chrono::{DateTime, Utc};
use prost::Message as _;
use titan_error::{Code, Error, Result};
use titan_identity::{Principal, PrincipalId};
use titan_ids::{Schedule, ScheduleId};
use titan_proto::common::PageRequest;
use titan_proto::orchestrator::ScheduledWork;
use titan_proto::orchestrator::scheduled_work::Work;
use titan_store::{Page, PageOf};

use super::submissions::SubmissionIn;
use super::task_in::{TaskIn, check_task};
use super::{App, GoalIn, text};
use crate::domain::schedule::When;
use crate::store::schedules::{self, Run, ScheduleRow};

#[derive(Debug)]
pub(crate) struct ScheduleIn {
    pub(crate) project: String,
    pub(crate) name: String,
    pub(crate) cron: String,
    pub(crate) every_ms: u64,
    pub(crate) time_zone: String,
    pub(crate) work: ScheduledWork,
}

impl App {
    pub(crate) async fn create_schedule(&self, who: &Principal, given: ScheduleIn, now: DateTime<Utc>) -> Result<ScheduleRow> {
        let ScheduleIn { project, name, cron, every_ms, time_zone, work } = given;
        let name = text("name", &name, 100)?;
        let when = When::parse(&cron, every_ms, &time_zone, now).map_err(|(field, problem)| Error::invalid(field, problem))?;
        match work.work.as_ref().ok_or_else(|| Error::invalid("work", "give a goal or a task"))? {
            Work::Goal(sentence) => drop(text("work.goal", sentence, 2_000)?),
            Work::Task(task) => {
                let task = TaskIn::read("work.task.", task.clone())?;
                if !task.depends_on.is_empty() || !task.parent.is_empty() {
                    return Err(Error::invalid("work.task.depends_on", "a scheduled task depends on nothing and is part of nothing"));
                }
                if task.run_after.is_some() || task.due_at.is_some() || task.deadline_at.is_some() {
                    return Err(Error::invalid("work.task.run_after", "a scheduled task has no times of its own"));
                }
                check_task(&task, now)?;
            }
        }
        let project = self.active_project(who, &project).await?;
        let row = ScheduleRow {
            id: ScheduleId::generate(),
            org_id: who.org,
            project_id: project.id,
            project_slug: project.slug,
            name,
            cron,
            every_ms: i64::try_from(every_ms).ok().filter(|ms| *ms > 0),
            time_zone: if time_zone.is_empty() { "UTC".to_owned() } else { time_zone },
            work: work.encode_to_vec(),
            paused: false,
            next_at: when.next(now).ok_or_else(|| Error::invalid("cron", "never comes"))?,
            last_at: None,
            last_made: String::new(),
            runs: 0,
            error: String::new(),
            created_by: who.id.to_string(),
            created_at: now,
        };
        if schedules::insert(&self.db, &row).await? {
            return schedules::find(&self.db, who.org, row.id).await;
        }
        // Said twice, it is meant once.
        let existing = schedules::by_name(&self.db, project.id, &row.name).await?;
        let same = |e: &ScheduleRow| (&e.cron, e.every_ms, &e.time_zone, &e.work) == (&row.cron, row.every_ms, &row.time_zone, &row.work);
        existing.filter(same).ok_or_else(|| {
            Error::new(
                Code::AlreadyExists,
                format!("the project has another schedule called {:?}; delete it or choose another name", row.name),
            )
        })
    }

    pub(crate) async fn schedule(&self, who: &Principal, id: ScheduleId) -> Result<ScheduleRow> {
        let row = schedules::find(&self.db, who.org, id).await?;
        who.may_touch(row.project_id)?;
        Ok(row)
    }

    pub(crate) async fn schedules(&self, who: &Principal, project: &str, page: Option<PageRequest>) -> Result<PageOf<ScheduleRow>> {
        let page = Page::parse::<Schedule>(page)?;
        let project = if project.is_empty() { who.project } else { Some(self.project(who, project).await?.id) };
        Ok(page.of(schedules::list(&self.db, who.org, project, page).await?, |s| s.id.to_string()))
    }

    pub(crate) async fn pause_schedule(&self, who: &Principal, id: ScheduleId, paused: bool, now: DateTime<Utc>) -> Result<ScheduleRow> {
        let row = self.schedule(who, id).await?;
        // What would have run while it was paused was not missed.
        let next = row.next(now);
        if next.is_none() && !paused {
            return Err(Error::precondition(format!("{:?} never comes again", row.cron)));
        }
        schedules::set_paused(&self.db, id, paused, next.unwrap_or(now)).await?;
        self.schedule(who, id).await
    }

    pub(crate) async fn run_schedule(&self, who: &Principal, id: ScheduleId, key: &str, now: DateTime<Utc>) -> Result<ScheduleRow> {
        let row = self.schedule(who, id).await?;
        let key = if key.is_empty() { uuid::Uuid::new_v4().to_string() } else { text("idempotency_key", key, 200)? };
        let made = self.make(who, &row, &format!("schedule/{id}/by-hand/{key}"), now).await?;
        schedules::ran(&self.db, id, &made).await?;
        self.schedule(who, id).await
    }

    pub(crate) async fn delete_schedule(&self, who: &Principal, id: ScheduleId) -> Result<ScheduleRow> {
        let row = self.schedule(who, id).await?;
        schedules::delete(&self.db, id).await?;
        Ok(row)
    }

    /// Makes what is due, each time once: the key of what is made is the time it was due. Missed times are made up for by one.
    pub(crate) async fn run_due_schedules(&self) -> Result<()> {
        for row in schedules::due(&self.db).await? {
            let now = titan_lifecycle::now();
            let at = row.next_at;
            let key = format!("schedule/{}/{}", row.id, at.timestamp_millis());
            let made = match row.principal() {
                Ok(who) => self.make(&who, &row, &key, now).await,
                Err(error) => Err(error),
            };
            let run = match made {
                Ok(made) => Run { made, error: String::new() },
                // It is tried again; the others have their turn meanwhile.
                Err(error) if error.code() == Code::Unavailable => {
                    tracing::warn!(schedule = %row.id, ?error, "a schedule could not be run");
                    continue;
                }
                Err(error) => Run { made: String::new(), error: error.to_string() },
            };
            titan_lifecycle::fault("schedule.before_advance").await;
            schedules::advance(&self.db, row.id, at, row.next(now), &run).await?;
        }
        Ok(())
    }

    async fn make(&self, who: &Principal, row: &ScheduleRow, key: &str, now: DateTime<Utc>) -> Result<String> {
        let work = ScheduledWork::decode(row.work.as_slice()).map_err(Error::internal)?;
        match work.work.ok_or_else(|| Error::internal("a schedule without work"))? {
            Work::Goal(sentence) => {
                let goal = GoalIn {
                    sentence,
                    project: row.project_id.to_string(),
                    idempotency_key: key.to_owned(),
                    plan_only: false,
                    environments: Vec::new(),
                };
                Ok(self.submit_goal(who, goal, now).await?.0.id.to_string())
            }
            Work::Task(task) => {
                let submission = SubmissionIn {
                    project: row.project_id.to_string(),
                    goal: None,
                    idempotency_key: key.to_owned(),
                    attempt_credential: String::new(),
                    tasks: vec![TaskIn::read("work.task.", task)?],
                };
                let tasks = self.submit_tasks(who, submission).await?;
                Ok(tasks.first().map(|task| task.id.to_string()).unwrap_or_default())
            }
        }
    }
}

impl ScheduleRow {
    fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let every = self.every_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
        When::of(&self.cron, every, &self.time_zone, self.created_at).ok()?.next(now)
    }

    /// What it makes is its creator's, in its project only.
    fn principal(&self) -> Result<Principal> {
        let id: PrincipalId = self.created_by.parse().map_err(Error::internal)?;
        Ok(Principal { id, org: self.org_id, project: Some(self.project_id) })
    }
}
