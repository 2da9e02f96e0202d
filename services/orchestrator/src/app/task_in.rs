//! A task as somebody asks for it: what it may say, and what is wrong with it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use titan_error::{Error, FieldError, Result};
use titan_ids::TaskId;

use super::text;
use crate::domain::budget::Budget;
use crate::domain::graph::{self, Edge, GraphError};
use crate::domain::matching::{Demands, Wishes};
use crate::domain::task::OnFailure;
use crate::store::limits::Stated;
use crate::store::submissions::{ATTEMPTS, DEFAULT_POOL, Dependency, NewTask, TIMEOUT_S};
use crate::store::transitions::RetryPolicy;

const TASKS_MOST: usize = 1_000;
const PAYLOAD_MOST: usize = 64 << 10;
pub(super) const NAME_MOST: usize = 100;
pub(super) const TITLE_MOST: usize = 300;
const KEY_OF_LIMIT_MOST: usize = 200;
/// Of each kind of demand.
const DEMANDS_MOST: usize = 20;
pub(super) const LABELS_MOST: usize = DEMANDS_MOST;
const RATES_MOST: usize = 5;
const DAY_S: u32 = 86_400;
const DAY_MS: u64 = 86_400_000;

#[derive(Debug)]
pub(crate) struct TaskIn {
    pub(crate) key: String,
    pub(crate) kind: String,
    pub(crate) role: String,
    pub(crate) title: String,
    pub(crate) priority: i32,
    pub(crate) input_json: String,
    pub(crate) depends_on: Vec<String>,
    pub(crate) max_attempts: i32,
    pub(crate) timeout_s: u32,
    pub(crate) run_after: Option<DateTime<Utc>>,
    pub(crate) due_at: Option<DateTime<Utc>>,
    pub(crate) deadline_at: Option<DateTime<Utc>>,
    pub(crate) concurrency_key: String,
    /// 0: one.
    pub(crate) concurrency_limit: u32,
    pub(crate) rate_limits: Vec<RateIn>,
    pub(crate) pool: String,
    pub(crate) demands: Demands,
    pub(crate) wishes: Wishes,
    pub(crate) retry: Option<RetryPolicy>,
    pub(crate) budget: Budget,
    pub(crate) parent: String,
    /// By entry of `depends_on`.
    pub(crate) on_failure: HashMap<String, OnFailure>,
}

#[derive(Debug)]
pub(crate) struct RateIn {
    pub(crate) key: String,
    pub(crate) limit: u32,
    pub(crate) period_ms: u64,
}

/// Checks what needs no database, and gives each task its id; edges inside the submission are set.
pub(super) fn validate(given: &[TaskIn], now: DateTime<Utc>) -> Result<Vec<NewTask>> {
    if given.is_empty() || given.len() > TASKS_MOST {
        return Err(Error::invalid("tasks", format!("must be 1 to {TASKS_MOST} tasks, not {}", given.len())));
    }
    let mut problems: Vec<FieldError> = Vec::new();
    let mut new: Vec<NewTask> = Vec::with_capacity(given.len());
    for (i, task) in given.iter().enumerate() {
        match validate_one(i, task, now) {
            Ok(task) => new.push(task),
            Err(error) => problems.extend_from_slice(error.fields()),
        }
    }
    if !problems.is_empty() {
        problems.truncate(50);
        return Err(Error::invalid_fields(problems));
    }
    let keys: Vec<_> = given.iter().map(|t| (t.key.as_str(), t.depends_on.iter().map(String::as_str).collect())).collect();
    let edges = graph::resolve(&keys).map_err(|error| match &error {
        GraphError::Duplicate { task, .. } => Error::invalid(format!("tasks[{task}].key"), error.to_string()),
        GraphError::Cycle { task, .. } => Error::invalid(format!("tasks[{task}].depends_on"), error.to_string()),
    })?;
    for (i, edges) in edges.iter().enumerate() {
        for (j, edge) in edges.iter().enumerate() {
            let on = match edge {
                Edge::Inside(to) => new[*to].id,
                Edge::Outside(id) => parse_outside(i, j, id)?.uuid(),
            };
            let on_failure = given[i].on_failure.get(&given[i].depends_on[j]).copied().unwrap_or(OnFailure::Fail);
            if !new[i].depends_on.iter().any(|d| d.on == on) {
                new[i].depends_on.push(Dependency { on, on_failure, counted: false });
            }
        }
        if let Some(stray) = given[i].on_failure.keys().find(|key| !given[i].depends_on.contains(key)) {
            return Err(Error::invalid(format!("tasks[{i}].on_failure"), format!("{stray:?} is not in depends_on")));
        }
        let parent = given.iter().position(|other| !given[i].parent.is_empty() && other.key == given[i].parent);
        new[i].parent_id = match parent {
            Some(parent) if parent == i => return Err(Error::invalid(format!("tasks[{i}].parent"), "must be another task")),
            Some(parent) => Some(new[parent].id),
            None if new[i].parent_id.is_none() && !given[i].parent.is_empty() => {
                let problem = format!("{:?} is neither a key of this submission nor a task id", given[i].parent);
                return Err(Error::invalid(format!("tasks[{i}].parent"), problem));
            }
            None => new[i].parent_id,
        };
        new[i].waiting_on = i32::try_from(new[i].depends_on.len()).unwrap_or(i32::MAX);
    }
    Ok(new)
}

fn parse_outside(i: usize, j: usize, id: &str) -> Result<TaskId> {
    let field = format!("tasks[{i}].depends_on[{j}]");
    id.parse().map_err(|_| Error::invalid(field, format!("{id:?} is neither a key of this submission nor a task id")))
}

fn validate_one(i: usize, task: &TaskIn, now: DateTime<Utc>) -> Result<NewTask> {
    let field = |name: &str| format!("tasks[{i}].{name}");
    let input: Value = match task.input_json.as_str() {
        "" => Value::Object(serde_json::Map::new()),
        json if json.len() > PAYLOAD_MOST => {
            return Err(Error::invalid(field("input"), "must be at most 64 KiB; the REST API takes more, and puts it into the blob store"));
        }
        json => serde_json::from_str(json).map_err(|e| Error::invalid(field("input"), format!("is not JSON: {e}")))?,
    };
    let check = |ok: bool, name: &str, message: &str| if ok { Ok(()) } else { Err(Error::invalid(field(name), message)) };
    check(input.is_object(), "input", "must be a JSON object")?;
    check((0..=9).contains(&task.priority), "priority", "must be 0 to 9")?;
    check((0..=20).contains(&task.max_attempts), "max_attempts", "must be 1 to 20, or 0 for 3")?;
    check(task.timeout_s <= DAY_S, "timeout_s", "must be at most 86400 (a day)")?;
    check(task.depends_on.len() <= TASKS_MOST, "depends_on", "names too many tasks")?;
    check(!task.input_json.contains("\\u0000"), "input", "must not contain NUL characters")?;
    check(task.deadline_at.is_none_or(|at| at > now), "deadline_at", "has passed")?;
    check(task.deadline_at.is_none_or(|at| task.run_after.is_none_or(|after| at > after)), "deadline_at", "must be later than run_after")?;
    check_demands(&field, &task.demands)?;
    let name = |name: &str, value: &str| if value.is_empty() { Ok(None) } else { text(&field(name), value, NAME_MOST).map(Some) };
    name("preferred_agent", task.wishes.preferred.as_deref().unwrap_or_default())?;
    if let Some(retry) = &task.retry {
        check(retry.base_ms.is_none_or(|ms| (1..=DAY_MS).contains(&ms)), "retry.base_ms", "must be 1 to 86400000 (a day)")?;
        check(retry.most_ms.is_none_or(|ms| (1..=DAY_MS).contains(&ms)), "retry.most_ms", "must be 1 to 86400000 (a day)")?;
        check(retry.jitter.is_none_or(|share| (0.0..=1.0).contains(&share)), "retry.jitter", "must be 0 to 1")?;
        check(retry.final_errors.len() <= 20, "retry.final_errors", "must be at most 20")?;
        retry.final_errors.iter().try_for_each(|code| text(&field("retry.final_errors"), code, NAME_MOST).map(drop))?;
    }
    text(&field("key"), &task.key, NAME_MOST)?;
    let timeout_s = if task.timeout_s == 0 { TIMEOUT_S } else { i32::try_from(task.timeout_s).unwrap_or(i32::MAX) };
    let (concurrency_key, rate_keys, limits) = validate_limits(&field, task)?;
    // The key of another task of this submission, which is found later, or an id.
    let parent_id = task.parent.parse::<TaskId>().ok().map(|id| id.uuid());
    Ok(NewTask {
        pool: name("pool", &task.pool)?.unwrap_or_else(|| DEFAULT_POOL.to_owned()),
        demands: task.demands.clone(),
        priority: task.priority,
        max_attempts: if task.max_attempts == 0 { ATTEMPTS } else { task.max_attempts },
        timeout_s,
        run_after: task.run_after,
        due_at: task.due_at,
        deadline_at: task.deadline_at,
        concurrency_key,
        rate_keys,
        limits,
        wishes: Some(task.wishes.clone()).filter(|wishes| *wishes != Wishes::default()),
        retry: task.retry.clone(),
        budget: task.budget.is_limited().then(|| json!(task.budget)),
        parent_id,
        ..NewTask::plain(
            &text(&field("kind"), &task.kind, NAME_MOST)?,
            &text(&field("role"), &task.role, NAME_MOST)?,
            text(&field("title"), &task.title, TITLE_MOST)?,
            input,
        )
    })
}

/// What is wrong with a task that is submitted later.
pub(super) fn check_task(task: &TaskIn, now: DateTime<Utc>) -> Result<()> {
    validate(std::slice::from_ref(task), now).map(drop)
}

fn check_demands(field: &impl Fn(&str) -> String, demands: &Demands) -> Result<()> {
    let Demands { skills, labels, agent } = demands;
    for (name, count) in [("skills", skills.len()), ("labels", labels.len())] {
        if count > DEMANDS_MOST {
            return Err(Error::invalid(field(name), format!("must be at most {DEMANDS_MOST}, not {count}")));
        }
    }
    for (skill, least) in skills {
        text(&field("skills"), skill, NAME_MOST)?;
        if !(0.0..=1.0).contains(least) {
            return Err(Error::invalid(field(&format!("skills.{skill}")), "must be 0 to 1"));
        }
    }
    labels.iter().try_for_each(|label| text(&field("labels"), label, NAME_MOST).map(drop))?;
    agent.as_ref().map_or(Ok(()), |name| text(&field("only_agent"), name, NAME_MOST).map(drop))
}

/// The keys as given; they are made the project's own later.
fn validate_limits(field: &impl Fn(&str) -> String, task: &TaskIn) -> Result<(Option<String>, Vec<String>, Vec<Stated>)> {
    let most = |name: &str, value: u32| match i32::try_from(value) {
        Ok(value) if (1..=1_000_000).contains(&value) => Ok(value),
        _ => Err(Error::invalid(field(name), "must be 1 to 1000000")),
    };
    let mut limits = Vec::new();
    let mut concurrency_key = None;
    if !task.concurrency_key.is_empty() {
        let key = text(&field("concurrency_key"), &task.concurrency_key, KEY_OF_LIMIT_MOST)?;
        let most = most("concurrency_limit", task.concurrency_limit.max(1))?;
        limits.push(Stated { key: key.clone(), most, period_ms: None });
        concurrency_key = Some(key);
    } else if task.concurrency_limit > 0 {
        return Err(Error::invalid(field("concurrency_limit"), "needs a concurrency_key"));
    }
    if task.rate_limits.len() > RATES_MOST {
        return Err(Error::invalid(field("rate_limits"), format!("must be at most {RATES_MOST}")));
    }
    let mut rate_keys = Vec::new();
    for (j, rate) in task.rate_limits.iter().enumerate() {
        let of = |name: &str| format!("rate_limits[{j}].{name}");
        let key = text(&field(&of("key")), &rate.key, KEY_OF_LIMIT_MOST)?;
        let period = i64::try_from(rate.period_ms).ok().filter(|ms| (100..=30 * 86_400_000).contains(ms));
        let period = period.ok_or_else(|| Error::invalid(field(&of("period_ms")), "must be 100 to 2592000000 (30 days)"))?;
        if rate_keys.contains(&key) {
            return Err(Error::invalid(field(&of("key")), "stands twice"));
        }
        limits.push(Stated { key: key.clone(), most: most(&of("limit"), rate.limit)?, period_ms: Some(period) });
        rate_keys.push(key);
    }
    Ok((concurrency_key, rate_keys, limits))
}
