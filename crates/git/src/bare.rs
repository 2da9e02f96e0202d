use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::command::{GitError, git};
use crate::worktree::CommitId;

/// Who serves a push says in the environment which refs it may move, one a line. Pushes from this host,
/// without a server between, are not asked.
const UPDATE_HOOK: &str = r#"#!/bin/sh
[ -n "$REMOTE_USER" ] || exit 0
printf '%s\n' "$TITAN_ALLOWED_REFS" | grep -qxF -- "$1" && exit 0
echo "this attempt may not move $1" >&2
exit 1
"#;

/// A commit that `main` was at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub commit: CommitId,
    /// RFC 3339.
    pub at: String,
    pub author: String,
    pub subject: String,
    /// The task that made it; may be empty.
    pub task: String,
}

/// A repository without a work tree, as it is served.
#[derive(Clone, Debug)]
pub struct BareRepository(PathBuf);

impl BareRepository {
    /// Opens the repository at `path`, making it first if it is not there. Two callers at once end with
    /// one repository: it is made aside and renamed into place.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub async fn open_or_init(path: &Path) -> Result<Self, GitError> {
        if !tokio::fs::try_exists(path.join("HEAD")).await? {
            let parent = path.parent().unwrap_or(Path::new("/"));
            tokio::fs::create_dir_all(parent).await?;
            let aside = tempfile::Builder::new().prefix(".init-").tempdir_in(parent)?;
            let made = aside.path().join("repository");
            git(parent, |_| (), &["init", "--quiet", "--bare", "--initial-branch=main", &made.to_string_lossy()]).await?;
            // What was acknowledged survives a power cut.
            for (key, value) in [("core.fsync", "all"), ("http.receivepack", "true"), ("receive.denyDeletes", "true"), ("gc.auto", "0")] {
                git(&made, |_| (), &["config", key, value]).await?;
            }
            let hook = made.join("hooks/update");
            tokio::fs::write(&hook, UPDATE_HOOK).await?;
            tokio::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).await?;
            match tokio::fs::rename(&made, path).await {
                Err(e) if !tokio::fs::try_exists(path.join("HEAD")).await? => return Err(e.into()),
                _ => {}
            }
        }
        Ok(Self(path.to_owned()))
    }

    /// What `main` was, newest first: each merge that moved it.
    ///
    /// # Errors
    /// `git` could not be run.
    pub async fn versions(&self, most: usize) -> Result<Vec<Version>, GitError> {
        if git(&self.0, |_| (), &["rev-parse", "--verify", "--quiet", "main"]).await.is_err() {
            return Ok(Vec::new());
        }
        // What was merged says what it is about; the merge itself only that it was one.
        let format = "--format=%H%x00%cI%x00%an%x00%(trailers:key=Task,valueonly,separator=%x2C)%x00%P";
        let most = format!("--max-count={most}");
        let text = git(&self.0, |_| (), &["log", "--first-parent", &most, format, "main"]).await?;
        let (mut versions, mut about) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let fields: Vec<&str> = line.split('\0').collect();
            let [commit, at, author, task, parents] = fields[..] else { continue };
            about.push(parents.split(' ').nth(1).unwrap_or(commit));
            versions.push(Version {
                commit: commit.parse()?,
                at: at.to_owned(),
                author: author.to_owned(),
                subject: String::new(),
                task: task.trim().to_owned(),
            });
        }
        let subjects = git(&self.0, |_| (), &[&["log", "--no-walk", "--format=%H %s"], about.as_slice()].concat()).await?;
        let subjects: HashMap<_, _> = subjects.lines().filter_map(|line| line.split_once(' ')).collect();
        for (version, about) in versions.iter_mut().zip(about) {
            version.subject = subjects.get(about).copied().unwrap_or_default().to_owned();
        }
        Ok(versions)
    }

    /// What `to` has that `from` has not, as a patch; none when one of them is not there.
    ///
    /// # Errors
    /// `git` could not be run.
    pub async fn diff(&self, from: &str, to: &str) -> Result<Option<String>, GitError> {
        let mut ids = Vec::new();
        for name in [from, to] {
            match git(&self.0, |_| (), &["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")]).await {
                Ok(id) => ids.push(id),
                Err(GitError::Failed { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        git(&self.0, |_| (), &["diff", "--no-color", "--no-ext-diff", &ids[0], &ids[1]]).await.map(Some)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}
