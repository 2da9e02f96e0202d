//! The checkout an attempt works in: made when first needed, restored to the last recorded commit, and
//! pushed to the task's branch before a step that changed it counts.

use std::path::PathBuf;
use std::str::FromStr as _;

use titan_error::{Error, Result};
use titan_git::{CommitId, MAIN, Remote, WorkTree};

use titan_templates::{PROJECT, Understanding};

use super::{Attempt, Worker};

/// Of a commit whose files are a template's, and nobody else's.
pub(crate) const TEMPLATE: &str = "Template";
/// Of a commit that brings an older version back: the commit whose files are the template's.
pub(crate) const GENERATED: &str = "Generated";

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

    /// What is on `main` now, as TitanForge understands it, checked out; none where there is nothing, or nothing that it made.
    pub(crate) async fn project(&mut self) -> Result<Option<Understanding>> {
        let Some(main) = self.main().await? else { return Ok(None) };
        let Some(tree) = &self.tree else { return Ok(None) };
        tree.reset_to(&main).await?;
        read_project(tree.file(&main, PROJECT).await?)
    }

    /// The commit whose files are those of the template and nobody else's, as far as `version`, a commit of `main`, goes.
    pub(crate) async fn generated(&mut self, version: &CommitId) -> Result<Option<CommitId>> {
        let tree = self.tree().await?;
        // Neither a merge nor what somebody else wrote in there.
        let Some(last) = tree.last_change(version, PROJECT, &[&format!("{TEMPLATE}: "), &format!("{GENERATED}: "), "Task: "]).await? else {
            return Ok(None);
        };
        let of = tree.trailer(&last, GENERATED).await?;
        Ok(Some(if of.is_empty() { last } else { CommitId::from_str(&of)? }))
    }

    /// An earlier version of `main`, by its commit's id or the beginning of that; empty: the one before. The inner error is for people.
    pub(crate) async fn version(&mut self, commit: &str) -> Result<std::result::Result<Version, String>> {
        let Some(main) = self.main().await? else { return Ok(Err("there is no version yet".to_owned())) };
        let Some(tree) = &self.tree else { return Ok(Err("there is no version yet".to_owned())) };
        // What was merged has what it was merged into as its first parent.
        let wanted = if commit.is_empty() { format!("{main}^1") } else { commit.to_owned() };
        let Some(commit) = tree.resolve(&wanted).await? else {
            return Ok(Err(format!(
                "there is no version {}; `titan history` lists them",
                if commit.is_empty() { "before this one" } else { commit }
            )));
        };
        if !tree.is_ancestor(&commit, &main).await? {
            return Ok(Err(format!("{commit} was never on main; `titan history` lists what was")));
        }
        match read_project(tree.file(&commit, PROJECT).await?)? {
            Some(project) => Ok(Ok(Version { commit, project })),
            None => Ok(Err(format!("{commit} is from before projects could be changed"))),
        }
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

/// What a project was.
pub(crate) struct Version {
    pub(crate) commit: CommitId,
    pub(crate) project: Understanding,
}

fn read_project(text: Option<String>) -> Result<Option<Understanding>> {
    let read = |text: String| serde_json::from_str(&text).map_err(|e| Error::invalid(PROJECT, format!("cannot be read: {e}")));
    text.map(read).transpose()
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
