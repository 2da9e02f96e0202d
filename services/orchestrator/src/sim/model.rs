//! The tables in memory: what the SQL of `store/` does, by the same rules.

mod claim;
mod settle;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use titan_ids::{AgentId, ProjectId, TaskId};
use uuid::Uuid;

use self::settle::Batch;
use crate::domain::limits::{self, Bucket, Held, Limit, has_permit};
use crate::domain::matching::{Demands, Lane};
use crate::domain::task::{Backoff, Command, OnFailure, Task, TaskState};
use crate::store::entity::goal::State;

/// A task as it is submitted. Names are unique in a world.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) project: usize,
    /// Of the project, by its place among all of the world.
    pub(super) goal: Option<usize>,
    pub(super) role: usize,
    pub(super) priority: i32,
    /// With how many at once.
    pub(super) key: Option<(usize, i32)>,
    /// So many of [`RATE`] may begin before its bucket is refilled.
    pub(super) rate: Option<usize>,
    /// In hours.
    pub(super) due: Option<u8>,
    pub(super) max_attempts: i32,
    /// By the place of the task among all of the world.
    pub(super) depends_on: Vec<(usize, OnFailure)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Started,
    Completed,
    Failed { last: bool },
    Lost,
}

/// A transaction.
#[derive(Clone, Debug)]
pub(super) enum Op {
    Submit {
        key: u64,
        specs: Vec<Spec>,
    },
    Connect {
        session: usize,
    },
    /// Its lease has passed.
    Expire {
        session: usize,
    },
    /// (session, its epoch, what it runs)
    Claim {
        slots: Vec<(usize, i64, u32)>,
        ahead: Vec<(usize, f64)>,
    },
    Report {
        reports: Vec<(usize, i32, What)>,
    },
    Cancel {
        task: usize,
    },
    Retry {
        task: usize,
    },
    /// Or resumes it.
    Pause {
        goal: usize,
        paused: bool,
    },
    /// Those whose time has come by the world's clock.
    ReleaseDue {
        due: Vec<usize>,
    },
    /// A bucket is full again.
    Refill {
        project: usize,
        n: usize,
    },
}

/// What came of it, for its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// False: it was done before, or is refused.
    Done(bool),
    Epoch(Option<i64>),
    /// (task, attempt, session)
    Claimed(Vec<(usize, i32, usize)>),
    Accepted(Vec<bool>),
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) spec: Spec,
    pub(super) task: Task,
    pub(super) waiting_on: i32,
    pub(super) held: Option<Held>,
    pub(super) run_after: u64,
    /// Its time has not come.
    unreleased: bool,
    pub(super) session: Option<usize>,
    pub(super) tolerated: bool,
    /// The attempt whose result was accepted.
    pub(super) accepted: Option<i32>,
    /// Cancelled because of another one.
    by_engine: bool,
    /// What it waited for that failed, and it runs anyway.
    counted: BTreeSet<usize>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    pub(super) epoch: i64,
    pub(super) expired: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Goal {
    pub(super) state: State,
    pub(super) paused: bool,
}

/// A task as it is compared.
pub(super) type Shown = (String, TaskState, i32, i32, i32, i32, Option<String>, bool);

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) rows: Vec<Row>,
    pub(super) limits: BTreeMap<String, Limit>,
    pub(super) sessions: BTreeMap<usize, Session>,
    pub(super) goals: BTreeMap<usize, Goal>,
    keys: BTreeSet<u64>,
}

pub(super) const ROLES: usize = 2;
pub(super) const PROJECTS: usize = 2;
/// An agent's.
pub(super) const CONCURRENCY: u32 = 3;
/// Long, so that the clock of a replay never releases what the world's has not.
pub(super) const PAUSE: Duration = Duration::from_secs(3_600);
/// The world's own pause.
pub(super) const PAUSE_MS: u64 = 700;

fn uuid(kind: u128, n: usize) -> Uuid {
    Uuid::from_u128(kind << 64 | n as u128)
}
fn task_id(n: usize) -> TaskId {
    uuid(1, n).into()
}
fn number(id: Uuid) -> usize {
    usize::try_from(id.as_u128() & u128::from(u64::MAX)).unwrap()
}
pub(super) fn project_id(n: usize) -> ProjectId {
    uuid(2, n).into()
}
/// Each session hosts one agent, of the role its number says.
pub(super) fn agent(session: usize) -> crate::domain::matching::Agent {
    crate::domain::matching::Agent {
        id: AgentId::from(uuid(3, session)),
        org: titan_ids::OrgId::DEFAULT,
        name: format!("agent-{session:04}"),
        pool: "default".to_owned(),
        role: role(session % ROLES),
        skills: BTreeMap::new(),
        subscription: crate::domain::matching::Subscription::default(),
        max_concurrency: CONCURRENCY,
    }
}
pub(super) fn role(n: usize) -> String {
    format!("role-{n}")
}
pub(super) fn key(project: usize, n: usize) -> String {
    format!("c/{project}/key-{n}")
}

pub(super) fn rate_key(project: usize, n: usize) -> String {
    format!("r/{project}/rate-{n}")
}
/// Buckets of a project.
pub(super) const RATES: usize = 2;
/// Tokens of each. The period is long, so that the clock of a replay refills nothing.
pub(super) const RATE: i32 = 2;
pub(super) const PERIOD_MS: i64 = 30 * 86_400_000;

pub(super) fn backoff() -> Backoff {
    Backoff { base: PAUSE, most: PAUSE, jitter: 0.0 }
}

fn lanes() -> HashMap<i32, Arc<Lane>> {
    let lane = |n: usize| {
        let id = i32::try_from(n).unwrap() + 1;
        (id, Arc::new(Lane { id, pool: "default".to_owned(), role: role(n), demands: Demands::default() }))
    };
    (0..ROLES).map(lane).collect()
}

impl Row {
    fn limit_key(&self) -> Option<String> {
        self.spec.key.map(|(n, _)| key(self.spec.project, n))
    }
    fn limit_keys(&self) -> Vec<String> {
        self.limit_key().into_iter().chain(self.spec.rate.map(|n| rate_key(self.spec.project, n))).collect()
    }
    fn ready(&self) -> bool {
        self.task.state == TaskState::Inbox && self.waiting_on == 0 && self.held.is_none()
    }
    fn order(&self, n: usize) -> (i32, u8, usize) {
        (-self.spec.priority, self.spec.due.unwrap_or(u8::MAX), n)
    }
}

fn lost(rows: &[Row], n: usize) -> bool {
    rows.get(n).is_some_and(|row| matches!(row.task.state, TaskState::Failed | TaskState::Cancelled))
}

impl Model {
    pub(super) fn done(&self) -> usize {
        self.rows.iter().filter(|row| row.task.state == TaskState::Done).count()
    }

    pub(super) fn any_ready(&self) -> bool {
        self.rows.iter().any(Row::ready)
    }

    pub(super) fn shown(&self) -> Vec<Shown> {
        let held = |row: &Row| match &row.held {
            Some(Held::Limit(key)) => Some(key.rsplit('/').next().unwrap().to_owned()),
            other => other.as_ref().map(|held| held.text().to_owned()),
        };
        let shown = |row: &Row| {
            let Task { state, attempt, failures, losses, .. } = row.task;
            let waiting = if state == TaskState::Inbox { row.waiting_on } else { 0 };
            (row.spec.name.clone(), state, attempt, failures, losses, waiting, held(row), row.tolerated)
        };
        self.rows.iter().map(shown).collect()
    }

    pub(super) fn apply(&mut self, op: &Op, now: u64) -> Answer {
        match op {
            Op::Submit { key, specs } => Answer::Done(self.submit(*key, specs)),
            Op::Connect { session } => {
                let session = self.sessions.entry(*session).or_insert(Session { epoch: 0, expired: false });
                session.epoch += i64::from(!session.expired);
                Answer::Epoch((!session.expired).then_some(session.epoch))
            }
            Op::Expire { session } => {
                if let Some(session) = self.sessions.get_mut(session) {
                    session.expired = true;
                }
                Answer::Done(true)
            }
            Op::Claim { slots, ahead } => Answer::Claimed(self.claim(slots, ahead)),
            Op::Report { reports } => Answer::Accepted(self.report(reports, now)),
            Op::Cancel { task } => Answer::Done(self.cancel(*task)),
            Op::Retry { task } => Answer::Done(self.retry(*task)),
            Op::Pause { goal, paused } => Answer::Done(self.pause(*goal, *paused)),
            Op::ReleaseDue { due } => {
                let mut batch = Batch::default();
                for n in due {
                    let row = &mut self.rows[*n];
                    if row.task.state == TaskState::Inbox && row.held == Some(Held::Later) {
                        let first = row.limit_keys().into_iter().next();
                        batch.touched.extend(first.clone());
                        (row.held, row.unreleased) = (first.map(Held::Limit), false);
                    }
                }
                self.settle_limits(batch);
                Answer::Done(true)
            }
            Op::Refill { project, n } => {
                let key = rate_key(*project, *n);
                if let Some(bucket) = self.limits.get_mut(&key).and_then(|limit| limit.bucket.as_mut()) {
                    bucket.tokens = f64::from(RATE);
                }
                self.settle_limits(Batch { touched: BTreeSet::from([key]), ..Batch::default() });
                Answer::Done(true)
            }
        }
    }

    /// Tasks that are due by the world's clock.
    pub(super) fn due(&self, now: u64) -> Vec<usize> {
        let due = |row: &Row| row.task.state == TaskState::Inbox && row.held == Some(Held::Later) && row.run_after <= now;
        (0..self.rows.len()).filter(|n| due(&self.rows[*n])).collect()
    }

    fn submit(&mut self, submission: u64, specs: &[Spec]) -> bool {
        if !self.keys.insert(submission) {
            return false;
        }
        // Each on its own: a submission is of one project.
        for spec in specs {
            let mut batch = Batch::default();
            if let Some(goal) = spec.goal {
                let goal = self.goals.entry(goal).or_insert(Goal { state: State::Running, paused: false });
                assert_eq!(goal.state, State::Running, "nothing is added to a goal that is finished");
            }
            if let Some((n, most)) = spec.key {
                let limit = self.limits.entry(key(spec.project, n)).or_insert(Limit { most, taken: 0, bucket: None });
                limit.most = most;
            }
            if let Some(n) = spec.rate {
                let full = Bucket { period_ms: PERIOD_MS, tokens: f64::from(RATE), refilled_at: DateTime::UNIX_EPOCH };
                self.limits.entry(rate_key(spec.project, n)).or_insert(Limit { most: RATE, taken: 0, bucket: Some(full) });
            }
            let unfinished = spec.depends_on.iter().filter(|(on, policy)| match self.rows.get(*on).map(|row| row.task.state) {
                Some(TaskState::Done) => false,
                Some(TaskState::Failed | TaskState::Cancelled) => *policy != OnFailure::Run,
                _ => true,
            });
            let task = Task { state: TaskState::Inbox, attempt: 0, failures: 0, losses: 0, rejections: 0, max_attempts: spec.max_attempts };
            let mut row = Row {
                waiting_on: i32::try_from(unfinished.count()).unwrap(),
                spec: spec.clone(),
                task,
                held: None,
                run_after: 0,
                unreleased: false,
                session: None,
                tolerated: false,
                accepted: None,
                by_engine: false,
                counted: spec
                    .depends_on
                    .iter()
                    .filter(|(on, policy)| *policy == OnFailure::Run && lost(&self.rows, *on))
                    .map(|d| d.0)
                    .collect(),
            };
            row.held = limits::held(self.is_paused(spec.goal), false, row.limit_keys().into_iter());
            batch.touched.extend(row.limit_keys());
            self.rows.push(row);
            self.settle_limits(batch);
        }
        true
    }

    fn report(&mut self, reports: &[(usize, i32, What)], now: u64) -> Vec<bool> {
        let mut batch = Batch::default();
        let mut accepted = Vec::new();
        for (n, attempt, what) in reports {
            let (row, attempt) = (&self.rows[*n], *attempt);
            let command = match what {
                What::Started => Command::Start { attempt },
                What::Completed => Command::Complete { attempt },
                What::Failed { last } => Command::Fail { attempt, last: *last, backoff: backoff() },
                What::Lost => Command::Lose { attempt },
            };
            let again = match what {
                What::Started => row.task.attempt == attempt && row.task.state == TaskState::InProgress,
                What::Completed => row.task.state == TaskState::Done && row.accepted == Some(attempt),
                _ => false,
            };
            let Ok(next) = row.task.transition(command, 1.0) else {
                accepted.push(again);
                continue;
            };
            if *what == What::Completed {
                assert!(row.accepted.is_none(), "{} was done before", row.spec.name);
                self.rows[*n].accepted = Some(attempt);
            }
            self.moved(*n, &next, now, &mut batch);
            accepted.push(true);
        }
        self.settle(batch);
        accepted
    }

    fn cancel(&mut self, n: usize) -> bool {
        let Ok(next) = self.rows[n].task.transition(Command::Cancel, 0.0) else { return false };
        let mut batch = Batch::default();
        self.moved(n, &next, 0, &mut batch);
        self.settle(batch);
        true
    }

    fn is_paused(&self, goal: Option<usize>) -> bool {
        goal.is_some_and(|goal| self.goals[&goal].paused)
    }

    fn pause(&mut self, goal: usize, paused: bool) -> bool {
        let Some(found) = self.goals.get_mut(&goal).filter(|goal| goal.state == State::Running) else { return false };
        if std::mem::replace(&mut found.paused, paused) == paused {
            return true;
        }
        let mut batch = Batch::default();
        for n in 0..self.rows.len() {
            let row = &self.rows[n];
            if row.spec.goal == Some(goal) && row.task.state == TaskState::Inbox {
                let held = limits::held(paused, row.unreleased, row.limit_keys().into_iter());
                self.stands(n, TaskState::Inbox, held, &mut batch);
            }
        }
        self.settle_limits(batch);
        true
    }

    /// As `app::interventions::revive`.
    fn retry(&mut self, n: usize) -> bool {
        let Ok(next) = self.rows[n].task.transition(Command::Retry, 0.0) else { return false };
        let hopeless = |model: &Self, n: usize, coming: &BTreeSet<usize>| {
            model.rows[n].spec.depends_on.iter().any(|(on, policy)| {
                let lost = matches!(model.rows[*on].task.state, TaskState::Failed | TaskState::Cancelled);
                lost && *policy != OnFailure::Run && !coming.contains(on)
            })
        };
        if hopeless(self, n, &BTreeSet::new()) {
            return false;
        }
        let mut below = BTreeSet::from([n]);
        loop {
            let more = (0..self.rows.len()).filter(|i| self.rows[*i].spec.depends_on.iter().any(|(on, _)| below.contains(on)));
            let more: BTreeSet<usize> = more.chain(below.iter().copied()).collect();
            if more.len() == below.len() {
                break;
            }
            below = more;
        }
        let goal = self.rows[n].spec.goal;
        below.extend((0..self.rows.len()).filter(|i| goal.is_some() && self.rows[*i].spec.goal == goal));
        below.retain(|i| *i == n || (self.rows[*i].task.state == TaskState::Cancelled && self.rows[*i].by_engine));
        loop {
            let coming = below.clone();
            below.retain(|i| *i == n || !hopeless(self, *i, &coming));
            if below.len() == coming.len() {
                break;
            }
        }
        let mut batch = Batch::default();
        for i in below.iter().filter(|i| **i != n) {
            let next = self.rows[*i].task.transition(Command::Retry, 0.0).unwrap();
            self.moved(*i, &next, 0, &mut batch);
        }
        self.moved(n, &next, 0, &mut batch);
        for i in &below {
            let anyway = |(on, policy): &&(usize, OnFailure)| *policy == OnFailure::Run && lost(&self.rows, *on);
            let depends_on = &self.rows[*i].spec.depends_on;
            let counted: BTreeSet<usize> = depends_on.iter().filter(anyway).map(|(on, _)| *on).collect();
            let waits = |(on, _): &&(usize, OnFailure)| self.rows[*on].task.state != TaskState::Done && !counted.contains(on);
            self.rows[*i].waiting_on = i32::try_from(depends_on.iter().filter(waits).count()).unwrap();
            self.rows[*i].counted = counted;
        }
        for goal in below.iter().filter_map(|i| self.rows[*i].spec.goal) {
            self.goals.entry(goal).and_modify(|goal| goal.state = State::Running);
        }
        self.settle(batch);
        true
    }

    /// Buckets that are empty while something waits for them.
    pub(super) fn dry(&self) -> Vec<(usize, usize)> {
        let waits = |key: &str| self.rows.iter().any(|row| row.held.as_ref().is_some_and(|held| held.text() == key));
        let all = (0..PROJECTS).flat_map(|project| (0..RATES).map(move |n| (project, n)));
        all.filter(|(project, n)| waits(&rate_key(*project, *n))).collect()
    }

    /// What must hold after every transaction.
    pub(super) fn check(&self) {
        for row in &self.rows {
            assert_eq!(row.task.state.is_owned(), row.session.is_some(), "one owner while it is owned: {row:?}");
            assert!(row.waiting_on >= 0, "{row:?}");
            if let Some(goal) = row.spec.goal.map(|goal| self.goals[&goal]) {
                let rests = row.held == Some(Held::Paused);
                let open = !row.task.state.is_terminal();
                assert!(goal.paused || !rests, "its goal is not paused: {row:?}");
                assert!(!goal.paused || row.task.state != TaskState::Inbox || rests, "its goal is paused: {row:?}");
                assert!(goal.state != State::Failed || !open, "its goal has failed: {row:?}");
            }
            let begun = row.task.state.is_owned() || row.task.state == TaskState::Done;
            for (on, policy) in row.spec.depends_on.iter().filter(|_| begun) {
                let state = self.rows[*on].task.state;
                // One that is tried again later does not call back what ran anyway.
                assert!(state == TaskState::Done || *policy == OnFailure::Run, "{} began before {}: {state:?}", row.spec.name, on);
            }
        }
        for (key, limit) in &self.limits {
            if let Some(bucket) = limit.bucket {
                assert!((0.0..=f64::from(RATE)).contains(&bucket.tokens), "{key} is overdrawn: {bucket:?}");
                continue;
            }
            let holds = |row: &&Row| row.limit_key().as_ref() == Some(key) && has_permit(row.task.state, row.held.as_ref());
            let holding = i32::try_from(self.rows.iter().filter(holds).count()).unwrap();
            assert_eq!(limit.taken, holding, "a permit of {key} leaked");
            assert!(holding <= limit.most, "{key} is exceeded");
        }
    }
}
