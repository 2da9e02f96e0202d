//! Playbooks are data: a task graph for a kind of goal.

use std::collections::BTreeMap;

use anyhow::Context as _;
use include_dir::{Dir, include_dir};
use serde::Deserialize;
use serde_json::Value;
use titan_proto::orchestrator::NewTask;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Playbook {
    pub name: String,
    pub tasks: Vec<PlaybookTask>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaybookTask {
    pub key: String,
    pub kind: String,
    pub role: String,
    /// May name variables: `{{ resource }}`.
    pub title: String,
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// `merge`: takes the project's merge queue.
    #[serde(default)]
    pub exclusive: Option<String>,
    pub timeout_s: u32,
}

/// The kind of task that is there once for each environment.
const DEPLOYS: &str = "deploy";

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/playbooks");

impl Playbook {
    /// # Errors
    /// There is no such playbook, or its file is not one.
    pub fn load(name: &str) -> anyhow::Result<Self> {
        let file = FILES.get_file(format!("{name}.toml")).with_context(|| format!("there is no playbook {name:?}"))?;
        toml::from_str(file.contents_utf8().context("is not UTF-8")?).with_context(|| format!("playbooks/{name}.toml"))
    }

    /// The tasks with their titles filled in; each gets `input`. What deploys does so once for each of the environments, one after the other.
    ///
    /// # Errors
    /// A title names a variable that is not given.
    pub fn tasks(&self, variables: &BTreeMap<&str, String>, input: &Value, environments: &[String]) -> anyhow::Result<Vec<NewTask>> {
        let task = |task: &PlaybookTask, environment: &str, before: Option<String>| {
            let variables =
                variables.iter().map(|(name, value)| (*name, value.clone())).chain([("environment", environment.to_owned())]).collect();
            let mut input = input.clone();
            input["environment"] = environment.into();
            let title = titan_templates::render_line(&task.title, &variables)
                .with_context(|| format!("playbook {}, task {}", self.name, task.key))?;
            anyhow::Ok(NewTask {
                key: if task.kind == DEPLOYS { format!("{}-{environment}", task.key) } else { task.key.clone() },
                kind: task.kind.clone(),
                role: task.role.clone(),
                title,
                priority: 5,
                input_json: input.to_string(),
                depends_on: task.depends_on.iter().cloned().chain(before).collect(),
                max_attempts: 3,
                timeout_s: task.timeout_s,
                concurrency_key: task.exclusive.clone().unwrap_or_default(),
                ..NewTask::default()
            })
        };
        let last = environments.last().context("it is deployed nowhere")?;
        let mut tasks = Vec::new();
        for each in &self.tasks {
            if each.kind == DEPLOYS {
                for (n, environment) in environments.iter().enumerate() {
                    let before = n.checked_sub(1).map(|n| format!("{}-{}", each.key, environments[n]));
                    tasks.push(task(each, environment, before)?);
                }
            } else {
                tasks.push(task(each, last, None)?);
            }
        }
        Ok(tasks)
    }
}
