use std::collections::BTreeMap;

use serde_json::Value;
use titan_error::{Error, Result};
use titan_ids::{GoalId, OrgId, ProjectId, TaskId};
use titan_proto::worker::Assignment;

use crate::role::Role;

/// One try at one task.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) task: TaskId,
    /// The fence.
    pub(crate) number: i32,
    pub(crate) org: OrgId,
    pub(crate) project: ProjectId,
    pub(crate) project_slug: String,
    pub(crate) goal: Option<GoalId>,
    pub(crate) kind: String,
    pub(crate) role: Role,
    pub(crate) agent: String,
    pub(crate) title: String,
    pub(crate) input: Value,
    /// Results of the tasks it depends on, oldest first.
    pub(crate) dependencies: Vec<Dependency>,
    /// Makes its effects its own.
    pub(crate) credential: String,
    /// Steps it may take beside those of earlier attempts, where the task says so.
    pub(crate) steps: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Dependency {
    pub(crate) kind: String,
    pub(crate) result: Value,
}

impl Attempt {
    pub(crate) fn parse(assignment: Assignment, roles: &BTreeMap<String, Role>) -> Result<Self> {
        let Assignment {
            task_id,
            attempt,
            agent_name,
            kind,
            role,
            title,
            org_id,
            project_id,
            project_slug,
            goal_id,
            input_json,
            dependencies,
            credential,
            deadline_ms: _,
            traceparent: _,
            budget_json,
        } = assignment;
        let role = roles.get(&role).cloned().ok_or_else(|| Error::invalid("role", format!("this worker knows no role {role:?}")))?;
        if !role.kinds.contains(&kind) {
            return Err(Error::invalid("kind", format!("the role {} does not do {kind:?}, only {}", role.name, role.kinds.join(", "))));
        }
        let json = |field: &str, text: &str| serde_json::from_str(text).map_err(|e| Error::invalid(field, format!("is not JSON: {e}")));
        let dependency =
            |d: titan_proto::worker::Dependency| Ok(Dependency { kind: d.kind, result: json("dependencies", &d.result_json)? });
        let budget = if budget_json.is_empty() { Value::Null } else { json("budget", &budget_json)? };
        let bad = |e: titan_ids::ParseIdError| Error::invalid("assignment", e.to_string());
        Ok(Self {
            task: task_id.parse().map_err(bad)?,
            number: attempt,
            org: org_id.parse().map_err(bad)?,
            project: project_id.parse().map_err(bad)?,
            project_slug,
            goal: if goal_id.is_empty() { None } else { Some(goal_id.parse().map_err(bad)?) },
            kind,
            role,
            agent: agent_name,
            title,
            input: json("input", &input_json)?,
            dependencies: dependencies.into_iter().map(dependency).collect::<Result<_>>()?,
            credential,
            steps: budget["steps"].as_u64(),
        })
    }

    /// The newest result of a dependency of that kind.
    pub(crate) fn dependency(&self, kind: &str) -> Result<&Value> {
        let found = self.dependencies.iter().rev().find(|d| d.kind == kind);
        found.map(|d| &d.result).ok_or_else(|| Error::invalid("depends_on", format!("{} needs the result of a {kind} task", self.kind)))
    }

    /// The branch it works on.
    pub(crate) fn branch(&self) -> String {
        format!("task/{}", self.task)
    }

    /// Names an effect of this task: the same over all attempts, so that the effect happens once.
    pub(crate) fn effect_key(&self, seq: usize) -> String {
        format!("{}/{seq}", self.task)
    }
}
