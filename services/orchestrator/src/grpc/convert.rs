//! Rows to messages. Destructured without `..`, so that a new field is decided on here.

use prost::Message as _;
use titan_error::{Error, Result};
use titan_proto::orchestrator as proto;
use titan_proto::time::to_proto;

use crate::app::GoalPlan;
use crate::domain::budget::{Spent, Usage};
use crate::domain::limits::Held;
use crate::domain::matching::{Demands, Weights};
use crate::domain::plan::Plan;
use crate::domain::task::{OnFailure, TaskState};
use crate::store::agents::{AgentRow, Condition};
use crate::store::entity::{goal, project};
use crate::store::goals::GoalOf;
use crate::store::messages::MessageRow;
use crate::store::plans::Planned;
use crate::store::projects::weights;
use crate::store::schedules::ScheduleRow;
use crate::store::tasks::{ChangeRow, TaskRow};
use crate::store::transitions::parsed;

pub(super) fn project(row: project::Model) -> proto::Project {
    let project::Model {
        id,
        org_id,
        slug,
        name,
        description,
        status,
        owner,
        idempotency_key: _,
        version,
        weight,
        matching,
        created_at,
        updated_at,
    } = row;
    let matching = weights(matching).map(|Weights { skill, workload, performance, urgency, complexity, preference }| {
        proto::MatchingWeights { skill, workload, performance, urgency, complexity, preference }
    });
    let status = match status {
        project::Status::Active => proto::ProjectStatus::Active,
        project::Status::Archived => proto::ProjectStatus::Archived,
    };
    proto::Project {
        id: id.to_string(),
        org_id: org_id.to_string(),
        slug,
        name,
        description,
        status: status.into(),
        owner,
        version,
        weight,
        matching,
        created_at: Some(to_proto(created_at)),
        updated_at: Some(to_proto(updated_at)),
    }
}

pub(super) fn goal((row, project): GoalOf) -> proto::Goal {
    let goal::Model {
        id,
        org_id: _,
        project_id,
        sentence,
        state,
        result,
        error,
        created_by: _,
        idempotency_key: _,
        traceparent: _,
        paused,
        created_at,
        finished_at,
    } = row;
    let state = match state {
        goal::State::Running => proto::GoalState::Running,
        goal::State::Done => proto::GoalState::Done,
        goal::State::Failed => proto::GoalState::Failed,
    };
    proto::Goal {
        id: id.to_string(),
        project_id: project_id.to_string(),
        project_slug: project.map(|p| p.slug).unwrap_or_default(),
        sentence,
        state: state.into(),
        result_json: result.map(|r| r.to_string()).unwrap_or_default(),
        error,
        paused,
        created_at: Some(to_proto(created_at)),
        finished_at: finished_at.map(to_proto),
    }
}

pub(super) fn task(row: TaskRow) -> proto::Task {
    let version = row.version();
    let Demands { skills, labels, agent: _ } = serde_json::from_value(row.demands).unwrap_or_default();
    proto::Task {
        id: row.id.to_string(),
        project_id: row.project_id.to_string(),
        goal_id: row.goal_id.map(|g| g.to_string()).unwrap_or_default(),
        parent_id: row.parent_id.map(|p| p.to_string()).unwrap_or_default(),
        kind: row.kind,
        pool: row.pool,
        role: row.role,
        skills: skills.into_iter().collect(),
        labels: labels.into_iter().collect(),
        title: row.title,
        state: task_state(row.state).into(),
        held: row.held.filter(|_| row.state == TaskState::Inbox && row.waiting_on == 0).map(|held| held_by(&held)).unwrap_or_default(),
        tolerated: row.tolerated,
        priority: row.priority,
        attempt: row.attempt,
        max_attempts: row.max_attempts,
        waiting_on: row.waiting_on,
        agent_id: row.agent_id.map(|a| a.to_string()).unwrap_or_default(),
        agent_name: row.agent_name.unwrap_or_default(),
        concurrency_key: row.concurrency_key.as_deref().map(given_key).unwrap_or_default(),
        budget_json: row.budget.map(|b| b.to_string()).unwrap_or_default(),
        spent: row.spent.map(|spent| {
            let Usage { tokens, usd_micros, steps } = parsed::<Spent>(Some(&spent)).total();
            titan_proto::worker::Usage { tokens, usd_micros, steps }
        }),
        input_json: row.input.to_string(),
        result_json: row.result.map(|r| r.to_string()).unwrap_or_default(),
        error: row.error,
        choice_json: row.choice.map(|c| c.to_string()).unwrap_or_default(),
        depends_on: row.depends_on.into_iter().map(|d| titan_ids::TaskId::from(d).to_string()).collect(),
        created_by: row.created_by,
        created_at: Some(to_proto(row.created_at)),
        run_after: row.run_after.map(to_proto),
        due_at: row.due_at.map(to_proto),
        deadline_at: row.deadline_at.map(to_proto),
        started_at: row.started_at.map(to_proto),
        finished_at: row.finished_at.map(to_proto),
        version,
    }
}

/// A limit's key without the project before it.
fn given_key(key: &str) -> String {
    key.splitn(3, '/').nth(2).unwrap_or(key).to_owned()
}

pub(super) fn held_by(held: &str) -> String {
    match Held::parse(held) {
        Held::Limit(key) if key.starts_with("r/") => format!("rate: {}", given_key(&key)),
        Held::Limit(key) => format!("concurrency: {}", given_key(&key)),
        other => other.text().to_owned(),
    }
}

pub(super) fn on_failure(field: &str, policy: i32) -> Result<OnFailure> {
    Ok(match proto::OnFailure::try_from(policy).map_err(|_| Error::invalid(field, "must be fail, skip or run"))? {
        proto::OnFailure::Skip => OnFailure::Skip,
        proto::OnFailure::Run => OnFailure::Run,
        proto::OnFailure::Fail | proto::OnFailure::Unspecified => OnFailure::Fail,
    })
}

pub(super) fn change(row: ChangeRow) -> proto::TaskChange {
    let ChangeRow { at, from_state, to_state, attempt, actor, reason, choice } = row;
    let (from, to) = (task_state(from_state).into(), task_state(to_state).into());
    let choice_json = choice.map(|choice| choice.to_string()).unwrap_or_default();
    proto::TaskChange { at: Some(to_proto(at)), from, to, attempt, actor, reason, choice_json }
}

pub(super) fn agent(row: AgentRow) -> proto::Agent {
    let AgentRow {
        id,
        name,
        role,
        department,
        pool,
        skills,
        proficiency,
        subscription: _,
        condition,
        condition_reason,
        max_concurrency,
        alive,
        running,
        last_seen_at,
    } = row;
    let status = match (alive, condition, running) {
        (false, _, _) => proto::AgentStatus::Offline,
        (true, Condition::Draining, _) => proto::AgentStatus::Draining,
        (true, Condition::Quarantined, _) => proto::AgentStatus::Quarantined,
        (true, Condition::Fit, 0) => proto::AgentStatus::Idle,
        (true, Condition::Fit, _) => proto::AgentStatus::Active,
    };
    proto::Agent {
        id: id.to_string(),
        name,
        role,
        department,
        skills,
        max_concurrency,
        status: status.into(),
        running: i32::try_from(running).unwrap_or(i32::MAX),
        last_seen_at: Some(to_proto(last_seen_at)),
        pool,
        proficiency: serde_json::from_value(proficiency).unwrap_or_default(),
        condition_reason,
    }
}

fn task_state(state: TaskState) -> proto::TaskState {
    match state {
        TaskState::Inbox => proto::TaskState::Inbox,
        TaskState::Assigned => proto::TaskState::Assigned,
        TaskState::InProgress => proto::TaskState::InProgress,
        TaskState::Review => proto::TaskState::Review,
        TaskState::Done => proto::TaskState::Done,
        TaskState::Blocked => proto::TaskState::Blocked,
        TaskState::Failed => proto::TaskState::Failed,
        TaskState::Cancelled => proto::TaskState::Cancelled,
    }
}

pub(super) fn plan(found: GoalPlan) -> proto::GoalPlan {
    let GoalPlan { tasks, plan: Plan { critical_path, shortest_ms, by_agents }, left_ms } = found;
    let step = |(i, task): (usize, Planned)| proto::goal_plan::Step {
        task_id: task.id.to_string(),
        state: task_state(task.state).into(),
        left_ms: left_ms[i],
        guessed: task.left_ms.is_none(),
        critical: critical_path.contains(&i),
        title: task.title,
        kind: task.kind,
    };
    let agents = |(agents, takes_ms)| proto::goal_plan::Agents { agents: u32::try_from(agents).unwrap_or(u32::MAX), takes_ms };
    proto::GoalPlan {
        steps: tasks.into_iter().enumerate().map(step).collect(),
        shortest_ms,
        by_agents: by_agents.into_iter().map(agents).collect(),
    }
}

pub(super) fn message(row: MessageRow) -> proto::Message {
    let to_kind = match row.to_kind.as_str() {
        "department" => proto::MessageTo::Department,
        "team" => proto::MessageTo::Team,
        _ => proto::MessageTo::Agent,
    };
    proto::Message {
        id: row.id.to_string(),
        from: row.sender,
        to_kind: to_kind.into(),
        to: row.recipient,
        priority: row.priority,
        subject: row.subject,
        body_json: row.body.to_string(),
        in_reply_to: row.in_reply_to.map(|id| id.to_string()).unwrap_or_default(),
        created_at: Some(to_proto(row.created_at)),
        expires_at: Some(to_proto(row.expires_at)),
        recipients: row.recipients,
        acknowledged: i32::try_from(row.acknowledged).unwrap_or(i32::MAX),
        unread_by: row.unread_by,
    }
}

pub(super) fn schedule(row: ScheduleRow) -> Result<proto::Schedule> {
    Ok(proto::Schedule {
        id: row.id.to_string(),
        project_id: row.project_id.to_string(),
        project_slug: row.project_slug,
        name: row.name,
        cron: row.cron,
        every_ms: row.every_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
        time_zone: row.time_zone,
        work: Some(proto::ScheduledWork::decode(row.work.as_slice()).map_err(Error::internal)?),
        paused: row.paused,
        next_at: (!row.paused).then(|| to_proto(row.next_at)),
        last_at: row.last_at.map(to_proto),
        last_made: row.last_made,
        runs: row.runs,
        error: row.error,
        created_by: row.created_by,
        created_at: Some(to_proto(row.created_at)),
    })
}

/// Unspecified means any.
pub(super) fn state_filter(value: i32) -> Result<Option<TaskState>> {
    let state = proto::TaskState::try_from(value).map_err(|_| Error::invalid("state", "is not a task state"))?;
    Ok(match state {
        proto::TaskState::Unspecified => None,
        proto::TaskState::Inbox => Some(TaskState::Inbox),
        proto::TaskState::Assigned => Some(TaskState::Assigned),
        proto::TaskState::InProgress => Some(TaskState::InProgress),
        proto::TaskState::Review => Some(TaskState::Review),
        proto::TaskState::Done => Some(TaskState::Done),
        proto::TaskState::Blocked => Some(TaskState::Blocked),
        proto::TaskState::Failed => Some(TaskState::Failed),
        proto::TaskState::Cancelled => Some(TaskState::Cancelled),
    })
}
