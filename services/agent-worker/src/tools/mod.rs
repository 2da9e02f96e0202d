//! What an agent can do. A decider emits actions; each is one tool with its arguments, recorded as it is.

pub(crate) mod change_project;
pub(crate) mod deploy;
pub(crate) mod integrate;
pub(crate) mod measure;
pub(crate) mod merge;
pub(crate) mod plan_tasks;
pub(crate) mod rehearse;
pub(crate) mod run_tests;
pub(crate) mod scan;
pub(crate) mod understand;
pub(crate) mod write_template;

use std::path::PathBuf;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use titan_error::{Error, Result};
use titan_manifest::Manifest;
use titan_templates::Understanding;

use crate::runs::{Attempt, Worker, Workspace};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tool", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Action {
    Wait {
        ms: u64,
    },
    Understand {
        sentence: String,
    },
    PlanTasks {
        playbook: String,
        /// Where it is deployed at last.
        environment: String,
        /// And before that, in this order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        before: Vec<String>,
        understanding: Box<Understanding>,
        /// The sentence, where it changes what is there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<String>,
    },
    /// What is on `main` becomes what the sentence asks for.
    ChangeProject {
        sentence: String,
    },
    /// The new version on a copy of the environment's data.
    Rehearse {
        environment: String,
        commit: String,
    },
    WriteTemplate {
        understanding: Box<Understanding>,
    },
    RunTests {},
    Scan {},
    Measure {},
    /// Of `commit` with what is on `main` now.
    Merge {
        commit: String,
    },
    /// Moves `main` from `base` to `commit`.
    Integrate {
        commit: String,
        base: Option<String>,
    },
    Deploy {
        environment: String,
        commit: String,
    },
    AwaitHealthy {
        deployment: String,
    },
    AwaitWatched {
        deployment: String,
    },
}

/// A finished step.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) action: Action,
    pub(crate) outcome: Value,
    /// Of the workspace, when the step changed it.
    pub(crate) commit: Option<String>,
}

impl Done {
    pub(crate) fn outcome<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.outcome.clone()).map_err(Error::internal)
    }
}

/// What was checked, and where all of it can be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Evidence {
    pub(crate) name: String,
    pub(crate) passed: bool,
    pub(crate) summary: String,
    /// Of the whole output, in the blob store.
    pub(crate) digest: String,
}

impl Action {
    pub(crate) fn tool(&self) -> &'static str {
        match self {
            Self::Wait { .. } => "wait",
            Self::Understand { .. } => "understand",
            Self::PlanTasks { .. } => "plan_tasks",
            Self::ChangeProject { .. } => "change_project",
            Self::Rehearse { .. } => "rehearse",
            Self::WriteTemplate { .. } => "write_template",
            Self::RunTests {} => "run_tests",
            Self::Scan {} => "scan",
            Self::Measure {} => "measure",
            Self::Merge { .. } => "merge",
            Self::Integrate { .. } => "integrate",
            Self::Deploy { .. } => "deploy",
            Self::AwaitHealthy { .. } => "await_healthy",
            Self::AwaitWatched { .. } => "await_watched",
        }
    }

    /// For people, while it runs.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Wait { ms } => format!("waiting {ms} ms"),
            Self::Understand { .. } => "reading the goal".to_owned(),
            Self::PlanTasks { playbook, .. } => format!("planning by the playbook {playbook}"),
            Self::WriteTemplate { understanding } => format!("writing the code from the template {}", understanding.template),
            Self::ChangeProject { .. } => "changing the code".to_owned(),
            Self::Rehearse { environment, .. } => format!("rehearsing on a copy of {environment}'s data"),
            Self::RunTests {} => "running the tests in the sandbox".to_owned(),
            Self::Scan {} => "scanning for secrets and dangerous calls".to_owned(),
            Self::Measure {} => "measuring how the app answers".to_owned(),
            Self::Merge { .. } => "merging with main".to_owned(),
            Self::Integrate { .. } => "moving main to the merged commit".to_owned(),
            Self::Deploy { environment, .. } => format!("deploying to {environment}"),
            Self::AwaitHealthy { .. } => "waiting until the app is healthy".to_owned(),
            Self::AwaitWatched { .. } => "waiting for the first probe".to_owned(),
        }
    }

    /// Does it. The second value is the commit of the workspace, for actions that change it.
    pub(crate) async fn run(
        &self,
        worker: &Worker,
        attempt: &Attempt,
        seq: usize,
        workspace: &mut Workspace,
    ) -> Result<(Value, Option<String>)> {
        let pure = |outcome: Result<Value>| outcome.map(|outcome| (outcome, None));
        match self {
            Self::Wait { ms } => {
                tokio::time::sleep(Duration::from_millis(*ms)).await;
                Ok((json!({}), None))
            }
            Self::Understand { sentence } => pure(understand::run(worker, attempt, workspace, sentence).await),
            Self::PlanTasks { playbook, environment, before, understanding, change } => {
                let plan = plan_tasks::Plan { playbook, environment, before, understanding, change: change.as_deref() };
                pure(plan_tasks::run(worker, attempt, seq, &plan).await)
            }
            Self::ChangeProject { sentence } => change_project::run(worker, attempt, workspace, sentence).await,
            Self::Rehearse { environment, commit } => pure(rehearse::run(worker, attempt, environment, commit).await),
            Self::WriteTemplate { understanding } => write_template::write(worker, attempt, workspace, understanding).await,
            Self::RunTests {} => pure(run_tests::run(worker, workspace).await),
            Self::Scan {} => pure(scan::run(worker, workspace).await),
            Self::Measure {} => pure(measure::run(worker, workspace).await),
            Self::Merge { commit } => merge::run(attempt, workspace, commit).await,
            Self::Integrate { commit, base } => pure(integrate::run(workspace, commit, base.as_deref()).await),
            Self::Deploy { environment, commit } => pure(deploy::start(worker, attempt, seq, environment, commit).await),
            Self::AwaitHealthy { deployment } => pure(deploy::await_healthy(worker, attempt, deployment).await),
            Self::AwaitWatched { deployment } => pure(deploy::await_watched(worker, attempt, deployment).await),
        }
    }
}

/// The project in a workspace, with the packages that it pins: fetched before its code runs, for there it has no network.
struct Project {
    dir: PathBuf,
    manifest: Manifest,
    packages: Option<PathBuf>,
}

impl Project {
    async fn of(worker: &Worker, workspace: &mut Workspace) -> Result<Self> {
        let dir = workspace.tree().await?.path().to_owned();
        let manifest = Manifest::read(&dir).map_err(|e| Error::invalid(titan_manifest::FILE, e.to_string()))?;
        let pinned = manifest.requirements(&dir).map_err(|e| Error::invalid("packages.requirements", e.to_string()))?;
        let packages = match &pinned {
            Some(pinned) => Some(worker.packages.get(pinned).await?),
            None => None,
        };
        Ok(Self { dir, manifest, packages })
    }
}

fn outcome<T: Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(Error::internal)
}
