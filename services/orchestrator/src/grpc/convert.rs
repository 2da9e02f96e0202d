//! Rows to messages. Destructured without `..`, so that a new field is decided on here.

use titan_error::{Error, Result};
use titan_proto::orchestrator as proto;
use titan_proto::time::to_proto;

use crate::domain::task::TaskState;
use crate::store::agents::AgentRow;
use crate::store::entity::{goal, project};
use crate::store::goals::GoalOf;
use crate::store::tasks::{ChangeRow, TaskRow};

pub(super) fn project(row: project::Model) -> proto::Project {
    let project::Model { id, org_id, slug, name, description, status, owner, idempotency_key: _, version, created_at, updated_at } = row;
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
        created_at: Some(to_proto(created_at)),
        finished_at: finished_at.map(to_proto),
    }
}

pub(super) fn task(row: TaskRow) -> proto::Task {
    let TaskRow {
        id,
        project_id,
        goal_id,
        kind,
        role,
        title,
        state,
        priority,
        attempt,
        max_attempts,
        waiting_on,
        agent_id,
        agent_name,
        input,
        result,
        error,
        choice,
        depends_on,
        created_at,
        started_at,
        finished_at,
    } = row;
    proto::Task {
        id: id.to_string(),
        project_id: project_id.to_string(),
        goal_id: goal_id.map(|g| g.to_string()).unwrap_or_default(),
        kind,
        role,
        title,
        state: task_state(state).into(),
        priority,
        attempt,
        max_attempts,
        waiting_on,
        agent_id: agent_id.map(|a| a.to_string()).unwrap_or_default(),
        agent_name: agent_name.unwrap_or_default(),
        input_json: input.to_string(),
        result_json: result.map(|r| r.to_string()).unwrap_or_default(),
        error,
        choice_json: choice.map(|c| c.to_string()).unwrap_or_default(),
        depends_on: depends_on.into_iter().map(|d| titan_ids::TaskId::from(d).to_string()).collect(),
        created_at: Some(to_proto(created_at)),
        started_at: started_at.map(to_proto),
        finished_at: finished_at.map(to_proto),
    }
}

pub(super) fn change(row: ChangeRow) -> proto::TaskChange {
    let ChangeRow { at, from_state, to_state, attempt, actor, reason } = row;
    let (from, to) = (task_state(from_state).into(), task_state(to_state).into());
    proto::TaskChange { at: Some(to_proto(at)), from, to, attempt, actor, reason }
}

pub(super) fn agent(row: AgentRow) -> proto::Agent {
    let AgentRow { id, name, role, department, skills, max_concurrency, alive, running, last_seen_at } = row;
    let status = match (alive, running) {
        (false, _) => proto::AgentStatus::Offline,
        (true, 0) => proto::AgentStatus::Idle,
        (true, _) => proto::AgentStatus::Active,
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
