//! The checkout an attempt works in: made when first needed, restored to the last recorded commit, and
//! pushed to the task's branch before a step that changed it counts.

use std::path::PathBuf;
use std::str::FromStr as _;

use titan_error::Result;
use titan_git::{CommitId, MAIN, Remote, WorkTree};

use super::{Attempt, Worker};

pub(crate) struct Workspace {
    dir: PathBuf,
    remote: Remote,
    branch: String,
    author: String,
    tree: Option<WorkTree>,
    /// The commit the last recorded step left.
    recorded: Option<String>,
}

impl Workspace {
    pub(crate) fn new(worker: &Worker, attempt: &Attempt, recorded: Option<String>) -> Self {
        let url = format!("{}/git/{}.git", worker.gateway, attempt.project);
        Self {
            dir: worker.workspaces.join(format!("{}-{}", attempt.task, attempt.number)),
            remote: Remote { url, credential: attempt.credential.clone() },
            branch: attempt.branch(),
            author: attempt.agent.clone(),
            tree: None,
            recorded,
        }
    }

    /// The tree as the last recorded step left it; an empty project has no commit yet.
    pub(crate) async fn tree(&mut self) -> Result<&WorkTree> {
        let tree = match self.tree.take() {
            Some(tree) => tree,
            None => {
                let tree = WorkTree::clone(&self.remote, &self.dir).await?;
                if let Some(commit) = &self.recorded {
                    tree.reset_to(&CommitId::from_str(commit)?).await?;
                } else if let Some(main) = tree.remote_branch("main").await? {
                    tree.reset_to(&main).await?;
                }
                tree
            }
        };
        Ok(self.tree.insert(tree))
    }

    /// After a failure half-way: what is on disk is not trusted any more.
    pub(crate) fn forget(&mut self) {
        self.tree = None;
    }

    /// What is on `main`, as the server has it now.
    pub(crate) async fn main(&mut self) -> Result<Option<CommitId>> {
        self.tree().await?;
        let Some(tree) = &self.tree else { return Ok(None) };
        tree.fetch(&self.remote).await?;
        Ok(tree.remote_branch("main").await?)
    }

    /// Commits everything and pushes it to the task's branch.
    pub(crate) async fn save(&mut self, message: &str) -> Result<CommitId> {
        let (author, message) = (self.author.clone(), message.to_owned());
        let commit = self.tree().await?.commit_all(&author, &message).await?;
        self.push(&commit).await?;
        Ok(commit)
    }

    /// Pushes `commit` to the task's branch, over whatever an unrecorded step left there.
    pub(crate) async fn push(&mut self, commit: &CommitId) -> Result<()> {
        let branch = self.branch.clone();
        self.tree().await?;
        if let Some(tree) = &self.tree {
            let there = tree.remote_branch(&branch).await?;
            if there.as_ref() != Some(commit) {
                tree.push(&self.remote, commit, &format!("refs/heads/{branch}"), there.as_ref()).await?;
                tree.fetch(&self.remote).await?;
            }
        }
        self.recorded = Some(commit.to_string());
        Ok(())
    }

    /// Moves `main` to `commit` if it still is at `base`. False when somebody else moved it first.
    pub(crate) async fn integrate(&mut self, commit: &CommitId, base: Option<&CommitId>) -> Result<bool> {
        let main = self.main().await?;
        let Some(tree) = &self.tree else { return Ok(false) };
        // Moved already, by the try whose answer was lost.
        if let Some(main) = &main
            && tree.is_ancestor(commit, main).await?
        {
            return Ok(true);
        }
        match tree.push(&self.remote, commit, MAIN, base).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_stale() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn author(&self) -> &str {
        &self.author
    }
}

/// The disk is given back, also when the attempt is stopped half-way; what counts was pushed.
impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.dir)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, dir = %self.dir.display(), "a workspace could not be removed");
        }
    }
}
