use chrono::{DateTime, SubsecRound as _, Utc};
use titan_error::Error;
use titan_identity::{Effects, Principal};
use titan_lifecycle::now;
use titan_proto::orchestrator::act_on_tasks_request::Action as RequestedAction;
use titan_proto::orchestrator::task_service_server::TaskService;
use titan_proto::orchestrator::{
    ActOnTaskRequest, ActOnTasksRequest, ActOnTasksResponse, ExplainTaskResponse, ExplainedAgent, GetTaskHistoryResponse, GetTaskRequest,
    HandOffTaskRequest, ListTasksRequest, ListTasksResponse, NewTask, RateLimit, RefusedTask, RetryPolicy, RetryTasks, SubmitTasksRequest,
    SubmitTasksResponse, Task, TaskFilter, UpdateTaskRequest, VerifyAttemptRequest, VerifyAttemptResponse, update_task_request,
};
use titan_proto::time::{Timestamp, from_proto};
use tonic::{Request, Response, Status};

use super::{Api, convert, id, optional_id};
use crate::app::{Bulk, Explanation, RateIn, SubmissionIn, TaskIn, TaskPatch};
use crate::domain::budget::Budget;
use crate::domain::matching::{Demands, Wishes};
use crate::domain::task::Action;
use crate::store::tasks::Filter;
use crate::store::transitions;

#[tonic::async_trait]
impl TaskService for Api {
    async fn submit_tasks(&self, request: Request<SubmitTasksRequest>) -> Result<Response<SubmitTasksResponse>, Status> {
        let who = Principal::of(&request)?;
        let SubmitTasksRequest { project, tasks, idempotency_key, goal_id, attempt_credential } = request.into_inner();
        let goal = optional_id("goal_id", &goal_id)?;
        let tasks = tasks
            .into_iter()
            .enumerate()
            .map(|(i, task)| TaskIn::read(&format!("tasks[{i}]."), task))
            .collect::<titan_error::Result<_>>()?;
        let submission = SubmissionIn { project, goal, idempotency_key, attempt_credential, tasks };
        let tasks = self.app.submit_tasks(&who, submission).await?;
        Ok(Response::new(SubmitTasksResponse { tasks: tasks.into_iter().map(convert::task).collect() }))
    }

    async fn get_task(&self, request: Request<GetTaskRequest>) -> Result<Response<Task>, Status> {
        let who = Principal::of(&request)?;
        let task = self.app.task(&who, id("id", &request.get_ref().id)?).await?;
        Ok(Response::new(convert::task(task)))
    }

    async fn list_tasks(&self, request: Request<ListTasksRequest>) -> Result<Response<ListTasksResponse>, Status> {
        let who = Principal::of(&request)?;
        let ListTasksRequest { page, project, goal_id, state, label, parent_id, dead, search } = request.into_inner();
        let search: Vec<String> = search.split_whitespace().map(str::to_owned).collect();
        if search.len() > WORDS_MOST || search.iter().any(|word| word.contains('\0')) {
            return Err(Error::invalid("search", format!("must be at most {WORDS_MOST} words, without NUL characters")).into());
        }
        let filter = Filter { dead, search, ..filter_of(&goal_id, state, label, &parent_id)? };
        let (tasks, page) = self.app.tasks(&who, &project, filter, page).await?.convert(convert::task);
        Ok(Response::new(ListTasksResponse { tasks, page }))
    }

    async fn get_task_history(&self, request: Request<GetTaskRequest>) -> Result<Response<GetTaskHistoryResponse>, Status> {
        let who = Principal::of(&request)?;
        let changes = self.app.history(&who, id("id", &request.get_ref().id)?).await?;
        Ok(Response::new(GetTaskHistoryResponse { changes: changes.into_iter().map(convert::change).collect() }))
    }

    async fn cancel_task(&self, request: Request<ActOnTaskRequest>) -> Result<Response<Task>, Status> {
        let who = Principal::of(&request)?;
        let ActOnTaskRequest { id: task, reason } = request.into_inner();
        Ok(Response::new(convert::task(self.app.cancel_task(&who, id("id", &task)?, &reason, now()).await?)))
    }

    async fn retry_task(&self, request: Request<ActOnTaskRequest>) -> Result<Response<Task>, Status> {
        let who = Principal::of(&request)?;
        let ActOnTaskRequest { id: task, reason } = request.into_inner();
        Ok(Response::new(convert::task(self.app.retry_task(&who, id("id", &task)?, &reason, now()).await?)))
    }

    async fn update_task(&self, request: Request<UpdateTaskRequest>) -> Result<Response<Task>, Status> {
        let who = Principal::of(&request)?;
        let UpdateTaskRequest { id: task, title, priority, labels, due_at, deadline_at, version, reason } = request.into_inner();
        let time = |field: &str, given: Option<update_task_request::Time>| given.map(|time| read_time(field, time.at)).transpose();
        let patch = TaskPatch {
            title,
            priority,
            labels: labels.map(|given| given.labels),
            due_at: time("due_at", due_at)?,
            deadline_at: time("deadline_at", deadline_at)?,
            version,
            reason,
        };
        Ok(Response::new(convert::task(self.app.update_task(&who, id("id", &task)?, patch, now()).await?)))
    }

    async fn delete_task(&self, request: Request<ActOnTaskRequest>) -> Result<Response<Task>, Status> {
        let who = Principal::of(&request)?;
        let ActOnTaskRequest { id: task, reason } = request.into_inner();
        Ok(Response::new(convert::task(self.app.delete_task(&who, id("id", &task)?, &reason, now()).await?)))
    }

    async fn act_on_tasks(&self, request: Request<ActOnTasksRequest>) -> Result<Response<ActOnTasksResponse>, Status> {
        let who = Principal::of(&request)?;
        let ActOnTasksRequest { filter, action, reason, after } = request.into_inner();
        let TaskFilter { project, goal_id, state, label, parent_id, ids, dead } = filter.unwrap_or_default();
        if ids.len() > IDS_MOST {
            return Err(Error::invalid("filter.ids", format!("must be at most {IDS_MOST}")).into());
        }
        let ids = ids.iter().map(|text| Ok(id::<titan_ids::Task>("filter.ids", text)?.uuid())).collect::<titan_error::Result<_>>()?;
        let filter = Filter { dead, ids, after: optional_id("after", &after)?, ..filter_of(&goal_id, state, label, &parent_id)? };
        let action = match action.ok_or_else(|| Error::invalid("action", "is missing"))? {
            RequestedAction::Cancel(()) => Action::Cancel,
            RequestedAction::Retry(RetryTasks { per_second, already }) => Action::Retry { per_second, already },
            RequestedAction::Discard(()) => Action::Discard,
            RequestedAction::Priority(priority) => Action::Prioritise(priority),
        };
        let Bulk { changed, refused, more, last } = self.app.act_on_tasks(&who, &project, filter, action, &reason, now()).await?;
        let next = last.map(|id| id.to_string()).unwrap_or_default();
        let changed = changed.iter().map(ToString::to_string).collect();
        let refused = refused.into_iter().map(|(id, reason)| RefusedTask { id: id.to_string(), reason }).collect();
        Ok(Response::new(ActOnTasksResponse { changed, refused, more, next }))
    }

    async fn hand_off_task(&self, request: Request<HandOffTaskRequest>) -> Result<Response<Task>, Status> {
        let who = Principal::of(&request)?;
        let HandOffTaskRequest { id: task, to, reason } = request.into_inner();
        Ok(Response::new(convert::task(self.app.hand_off(&who, id("id", &task)?, &to, &reason, now()).await?)))
    }

    async fn explain_task(&self, request: Request<GetTaskRequest>) -> Result<Response<ExplainTaskResponse>, Status> {
        let who = Principal::of(&request)?;
        let Explanation { task, because, agents } = self.app.explain(&who, id("id", &request.get_ref().id)?).await?;
        let agents = agents.into_iter().map(|(name, lacks)| ExplainedAgent { name, lacks }).collect();
        Ok(Response::new(ExplainTaskResponse { task: Some(convert::task(task)), because, agents }))
    }

    async fn verify_attempt(&self, request: Request<VerifyAttemptRequest>) -> Result<Response<VerifyAttemptResponse>, Status> {
        let who = Principal::of(&request)?;
        let (attempt, project) = self.app.verify_attempt(&who, &request.get_ref().credential).await?;
        Ok(Response::new(VerifyAttemptResponse {
            git_ref: attempt.git_ref(),
            task_id: attempt.task.to_string(),
            attempt: attempt.attempt,
            project_id: project.id.to_string(),
            project_slug: project.slug,
            may_merge: attempt.effects == Effects::Merge,
            org_id: attempt.org.to_string(),
        }))
    }
}

const IDS_MOST: usize = 1_000;
const WORDS_MOST: usize = 20;

fn filter_of(goal: &str, state: i32, label: String, parent: &str) -> titan_error::Result<Filter> {
    Ok(Filter {
        goal: optional_id("goal_id", goal)?,
        state: convert::state_filter(state)?,
        label: Some(label).filter(|label| !label.is_empty()),
        parent: optional_id("parent_id", parent)?,
        ..Filter::default()
    })
}

fn read_time(field: &str, given: Option<Timestamp>) -> titan_error::Result<Option<DateTime<Utc>>> {
    // As exactly as it is stored.
    let exactly = |at: DateTime<Utc>| at.trunc_subsecs(6);
    given.map(|at| from_proto(&at).map(exactly).ok_or_else(|| Error::invalid(field, "is not a time"))).transpose()
}

impl TaskIn {
    /// `place` stands before the names of fields in what is said about them.
    pub(crate) fn read(place: &str, task: NewTask) -> titan_error::Result<Self> {
        let policy = |(on, policy): (&String, &i32)| Ok((on.clone(), convert::on_failure(&format!("{place}on_failure"), *policy)?));
        let on_failure = task.on_failure.iter().map(policy).collect::<titan_error::Result<_>>()?;
        let at = |field: &str, given| read_time(&format!("{place}{field}"), given);
        let rate = |RateLimit { key, limit, period_ms }| RateIn { key, limit, period_ms };
        let named = |name: String| Some(name).filter(|name| !name.is_empty());
        let given = task.budget.unwrap_or_default();
        let [tokens, usd_micros, steps] = [given.tokens, given.usd_micros, given.steps].map(|most| Some(most).filter(|most| *most > 0));
        Ok(Self {
            key: task.key,
            kind: task.kind,
            role: task.role,
            title: task.title,
            priority: task.priority,
            input_json: task.input_json,
            depends_on: task.depends_on,
            max_attempts: task.max_attempts,
            timeout_s: task.timeout_s,
            run_after: at("run_after", task.run_after)?,
            due_at: at("due_at", task.due_at)?,
            deadline_at: at("deadline_at", task.deadline_at)?,
            concurrency_key: task.concurrency_key,
            concurrency_limit: task.concurrency_limit,
            rate_limits: task.rate_limits.into_iter().map(rate).collect(),
            pool: task.pool,
            demands: Demands {
                skills: task.skills.into_iter().collect(),
                labels: task.labels.into_iter().collect(),
                agent: named(task.only_agent),
            },
            wishes: Wishes { preferred: named(task.preferred_agent), sticky: task.sticky },
            retry: task.retry.map(|RetryPolicy { base_ms, most_ms, jitter, final_errors }| transitions::RetryPolicy {
                base_ms,
                most_ms,
                jitter,
                final_errors,
            }),
            budget: Budget { tokens, usd_micros, steps },
            parent: task.parent_id,
            on_failure,
        })
    }
}
