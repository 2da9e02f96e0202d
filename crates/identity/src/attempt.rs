use serde::{Deserialize, Serialize};
use titan_ids::{OrgId, ProjectId, TaskId};

/// The claims of an attempt credential: which effects belong to which attempt. Whoever is about to make
/// an effect on its behalf verifies the signature and then asks the orchestrator whether the attempt is
/// still the owner (`TaskService.VerifyAttempt`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub task: TaskId,
    /// The fence.
    pub attempt: i32,
    pub org: OrgId,
    pub project: ProjectId,
    pub effects: Effects,
}

/// What the attempt may change besides its own task branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effects {
    TaskBranch,
    /// Holds the project's merge queue: may move `main` as well.
    Merge,
}

impl Attempt {
    /// The branch the attempt works on.
    #[must_use]
    pub fn git_ref(&self) -> String {
        format!("refs/heads/task/{}", self.task)
    }
}
