//! Why a task is where it is, and how long a goal takes.

use std::collections::HashMap;

use serde_json::Value;
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::{GoalId, TaskId};

use super::App;
use crate::domain::limits::Held;
use crate::domain::matching::{Demands, Lane};
use crate::domain::plan::{Plan, Step, plan};
use crate::domain::task::TaskState;
use crate::store::agents::Condition;
use crate::store::tasks::TaskRow;
use crate::store::{agents, limits, plans, tasks};

/// Why a task is where it is.
#[derive(Debug)]
pub(crate) struct Explanation {
    pub(crate) task: TaskRow,
    /// A sentence each, the most important first.
    pub(crate) because: Vec<String>,
    /// Agents of its role, and what stands in the way of giving it to them; empty: nothing.
    pub(crate) agents: Vec<(String, String)>,
}

/// How long what is left of a goal takes.
#[derive(Debug)]
pub(crate) struct GoalPlan {
    /// In an order in which each comes after what it waits for.
    pub(crate) tasks: Vec<plans::Planned>,
    pub(crate) plan: Plan,
    /// Of each task.
    pub(crate) left_ms: Vec<u64>,
}

/// Of a kind nobody has done yet, in milliseconds.
const UNKNOWN_MS: u64 = 60_000;
const AGENTS_SHOWN: u64 = 50;

impl App {
    pub(crate) async fn explain(&self, who: &Principal, id: TaskId) -> Result<Explanation> {
        let task = self.task(who, id).await?;
        let demands: Demands = serde_json::from_value(task.demands.clone()).map_err(Error::internal)?;
        let lane = Lane { id: 0, pool: task.pool.clone(), role: task.role.clone(), demands };
        let mut because = Vec::new();
        let mut found = Vec::new();
        match task.state {
            TaskState::Inbox | TaskState::Blocked if task.waiting_on > 0 => {
                for (on, title, state) in tasks::unfinished_dependencies(&self.db, id).await? {
                    because.push(format!("it waits for {on} ({title}), which is {state}"));
                }
            }
            TaskState::Inbox => match task.held.as_deref().map(Held::parse) {
                Some(Held::Paused) => because.push("its goal is paused; `titan goal resume` lets it go on".to_owned()),
                Some(Held::Later) => {
                    let at = task.run_after.map(|at| at.to_rfc3339()).unwrap_or_default();
                    because.push(format!("it does not begin before {at}"));
                }
                Some(Held::Limit(key)) => because.push(self.explain_limit(&key).await?),
                None => {
                    found = self.explain_agents(who, &lane, &task).await?;
                    because.push(match found.iter().filter(|(_, lacks)| lacks.is_empty()).count() {
                        0 => "it is ready, and no agent that may take it is there; `agents` says what each lacks".to_owned(),
                        n => format!("it is ready and waits for its turn with one of {n} agents"),
                    });
                }
            },
            TaskState::Assigned | TaskState::InProgress => {
                because.push(format!("{} has it, attempt {}", task.agent_name.as_deref().unwrap_or("an agent"), task.attempt));
            }
            _ => {}
        }
        if let Some(last) = tasks::history(&self.db, id).await?.last() {
            because.push(format!("last change: {} at {}", last.reason, last.at.to_rfc3339()));
        }
        because.extend(task.choice.as_ref().map(explain_choice));
        Ok(Explanation { task, because, agents: found })
    }

    async fn explain_limit(&self, key: &str) -> Result<String> {
        let keys = [key.to_owned()].into();
        let found = limits::read(&self.db, &keys).await?.remove(key);
        let given = key.splitn(3, '/').nth(2).unwrap_or(key);
        Ok(match found {
            Some(limit) if limit.bucket.is_some() => format!("it waits for the rate limit {given:?}: {} in each period", limit.most),
            Some(limit) => {
                format!("it waits for the concurrency key {given:?}: {} of {} are ready or running", limit.taken, limit.most)
            }
            None => format!("it waits for the limit {given:?}"),
        })
    }

    async fn explain_agents(&self, who: &Principal, lane: &Lane, task: &TaskRow) -> Result<Vec<(String, String)>> {
        let mut explained = Vec::new();
        for agent in agents::of_role(&self.db, who.org, &lane.role, AGENTS_SHOWN).await? {
            let mut lacks = agent.lacks(lane, task.project_id, task.priority);
            match agent.condition {
                _ if !agent.alive => lacks.insert(0, "it is offline".to_owned()),
                Condition::Draining => lacks.push(format!("it is draining: {}", agent.condition_reason)),
                Condition::Quarantined => lacks.push(format!("it is quarantined: {}", agent.condition_reason)),
                Condition::Fit if agent.running >= i64::from(agent.max_concurrency) => lacks.push("it has as much as it takes".to_owned()),
                Condition::Fit => {}
            }
            explained.push((agent.name, lacks.join("; ")));
        }
        Ok(explained)
    }

    /// How long what is left of the goal takes, by how long such tasks took before.
    pub(crate) async fn plan_goal(&self, who: &Principal, id: GoalId) -> Result<GoalPlan> {
        self.goal(who, id).await?;
        let tasks = in_order(plans::unfinished(&self.db, id).await?);
        let positions: HashMap<TaskId, usize> = tasks.iter().enumerate().map(|(i, task)| (task.id, i)).collect();
        let step = |task: &plans::Planned| Step {
            left_ms: task.left_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(UNKNOWN_MS),
            after: task.after().filter_map(|on| positions.get(&on).copied()).collect(),
        };
        let steps: Vec<_> = tasks.iter().map(step).collect();
        let plan = plan(&steps);
        let left_ms = steps.iter().map(|step| step.left_ms).collect();
        Ok(GoalPlan { tasks, plan, left_ms })
    }
}

/// Each after what it waits for.
fn in_order(tasks: Vec<plans::Planned>) -> Vec<plans::Planned> {
    let mut placed: std::collections::HashSet<TaskId> = std::collections::HashSet::new();
    let all: std::collections::HashSet<TaskId> = tasks.iter().map(|task| task.id).collect();
    let (mut ordered, mut left) = (Vec::with_capacity(tasks.len()), tasks);
    while !left.is_empty() {
        let (ready, waiting): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|t| t.after().all(|on| placed.contains(&on) || !all.contains(&on)));
        if ready.is_empty() {
            // No cycle can be stored.
            ordered.extend(waiting);
            break;
        }
        placed.extend(ready.iter().map(|task| task.id));
        ordered.extend(ready);
        left = waiting;
    }
    ordered
}

fn explain_choice(choice: &Value) -> String {
    let factors = ["skill", "workload", "performance", "urgency", "complexity", "preference"];
    let factors: Vec<_> = factors.iter().filter_map(|name| choice[name].as_f64().map(|value| format!("{name} {value}"))).collect();
    let instead = match (choice["instead_of"][0].as_str(), choice["instead_of"][1].as_f64()) {
        (Some(name), Some(score)) => format!(", before {name} with {score}"),
        _ => String::new(),
    };
    let (agent, score, considered) = (choice["agent"].as_str().unwrap_or_default(), &choice["score"], &choice["considered"]);
    format!("{agent} was chosen of {considered} with a score of {score}{instead}: {}", factors.join(", "))
}
