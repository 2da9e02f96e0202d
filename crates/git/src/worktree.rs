use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::command::{GitError, git};

/// Where a work tree comes from and goes to.
#[derive(Clone)]
pub struct Remote {
    /// `http://…/git/<project>.git`
    pub url: String,
    /// Sent as `Authorization: Bearer …`.
    pub credential: String,
}

/// A checkout of one project that one attempt works in.
#[derive(Debug)]
pub struct WorkTree(PathBuf);

/// A full commit id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

#[derive(Debug, PartialEq, Eq)]
pub enum Merge {
    Done(CommitId),
    /// The paths both sides changed.
    Conflict(Vec<String>),
}

impl Remote {
    fn authorise(&self, command: &mut Command) {
        command.envs([
            ("GIT_CONFIG_COUNT", "1"),
            ("GIT_CONFIG_KEY_0", "http.extraHeader"),
            ("GIT_CONFIG_VALUE_0", &format!("Authorization: Bearer {}", self.credential)),
        ]);
    }
}

fn local(_: &mut Command) {}

impl WorkTree {
    /// Clones into `dir`, which is emptied first: whatever an earlier attempt left there is not trusted.
    ///
    /// # Errors
    /// The remote does not answer or refuses the credential.
    pub async fn clone(remote: &Remote, dir: &Path) -> Result<Self, GitError> {
        if tokio::fs::try_exists(dir).await? {
            tokio::fs::remove_dir_all(dir).await?;
        }
        tokio::fs::create_dir_all(dir).await?;
        let tree = Self(dir.to_owned());
        tree.git(&["init", "--quiet", "--initial-branch=main"]).await?;
        tree.git(&["remote", "add", "origin", &remote.url]).await?;
        tree.fetch(remote).await?;
        Ok(tree)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    async fn git(&self, args: &[&str]) -> Result<String, GitError> {
        git(&self.0, local, args).await
    }

    /// # Errors
    /// The remote does not answer or refuses the credential.
    pub async fn fetch(&self, remote: &Remote) -> Result<(), GitError> {
        git(&self.0, |c| remote.authorise(c), &["fetch", "--quiet", "--prune", "origin"]).await.map(drop)
    }

    /// The commit a remote branch is at, as of the last fetch; none when there is no such branch.
    ///
    /// # Errors
    /// `git` could not be run.
    pub async fn remote_branch(&self, branch: &str) -> Result<Option<CommitId>, GitError> {
        match self.git(&["rev-parse", "--verify", "--quiet", &format!("refs/remotes/origin/{branch}^{{commit}}")]).await {
            Ok(id) => id.parse().map(Some),
            Err(GitError::Failed { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Makes the tree be exactly `commit`: nothing changed, nothing extra.
    ///
    /// # Errors
    /// The commit is not there.
    pub async fn reset_to(&self, commit: &CommitId) -> Result<(), GitError> {
        self.git(&["checkout", "--quiet", "--force", "--detach", &commit.0]).await?;
        self.git(&["clean", "--quiet", "-ffdx"]).await.map(drop)
    }

    /// Makes the files be those of `commit`; `HEAD` stays where it is.
    ///
    /// # Errors
    /// The commit is not there.
    pub async fn take_files(&self, commit: &CommitId) -> Result<(), GitError> {
        self.git(&["read-tree", "--reset", "-u", &commit.0]).await.map(drop)
    }

    /// The commit that is meant by a name of git's, such as the beginning of its id; none when there is no such one, or several.
    ///
    /// # Errors
    /// `git` could not be run.
    pub async fn resolve(&self, name: &str) -> Result<Option<CommitId>, GitError> {
        match self.git(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{name}^{{commit}}")]).await {
            Ok(id) => id.parse().map(Some),
            Err(GitError::Failed { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// A text file of `commit`; none when there is no such file.
    ///
    /// # Errors
    /// `git` could not be run.
    pub async fn file(&self, commit: &CommitId, path: &str) -> Result<Option<String>, GitError> {
        match self.git(&["show", &format!("{}:{path}", commit.0)]).await {
            Ok(text) => Ok(Some(text)),
            Err(GitError::Failed { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The last commit up to `commit` that changed a file and is no merge, and whose message has a line that begins with one of `saying`.
    ///
    /// # Errors
    /// `git` could not be run.
    pub async fn last_change(&self, commit: &CommitId, path: &str, saying: &[&str]) -> Result<Option<CommitId>, GitError> {
        let saying: Vec<String> = saying.iter().map(|line| format!("--grep=^{line}")).collect();
        let said = saying.iter().map(String::as_str);
        let arguments: Vec<&str> =
            ["log", "-1", "--no-merges", "--format=%H"].into_iter().chain(said).chain([commit.0.as_str(), "--", path]).collect();
        let id = self.git(&arguments).await?;
        if id.is_empty() { Ok(None) } else { id.parse().map(Some) }
    }

    /// What the message of a commit says of `key` in its last lines; empty when it says nothing.
    ///
    /// # Errors
    /// The commit is not there.
    pub async fn trailer(&self, commit: &CommitId, key: &str) -> Result<String, GitError> {
        let format = format!("--format=%(trailers:key={key},valueonly,separator=%x2C)");
        Ok(self.git(&["log", "-1", &format, &commit.0]).await?.trim().to_owned())
    }

    /// The files that differ.
    ///
    /// # Errors
    /// One of the commits is not there.
    pub async fn changed_files(&self, from: &CommitId, to: &CommitId) -> Result<Vec<String>, GitError> {
        let text = self.git(&["diff", "--name-only", "--no-renames", "-z", &from.0, &to.0]).await?;
        Ok(text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    /// Records everything in the tree; the same commit again when nothing changed since `HEAD`.
    ///
    /// # Errors
    /// The disk is full, or `git` could not be run.
    pub async fn commit_all(&self, author: &str, message: &str) -> Result<CommitId, GitError> {
        self.git(&["add", "--all"]).await?;
        let unchanged = self.git(&["diff", "--cached", "--quiet", "HEAD"]).await.is_ok();
        if !unchanged {
            git(&self.0, |c| sign(c, author), &["commit", "--quiet", "--no-verify", "-m", message]).await?;
        }
        self.head().await
    }

    /// # Errors
    /// There is no commit yet.
    pub async fn head(&self) -> Result<CommitId, GitError> {
        self.git(&["rev-parse", "HEAD"]).await?.parse()
    }

    /// Merges `theirs` into `ours`, leaving the merged tree checked out.
    ///
    /// # Errors
    /// One of the commits is not there.
    pub async fn merge(&self, ours: &CommitId, theirs: &CommitId, author: &str, message: &str) -> Result<Merge, GitError> {
        self.reset_to(ours).await?;
        match git(&self.0, |c| sign(c, author), &["merge", "--quiet", "--no-ff", "--no-verify", "-m", message, &theirs.0]).await {
            Ok(_) => Ok(Merge::Done(self.head().await?)),
            Err(error) => {
                let conflicts = self.git(&["diff", "--name-only", "--diff-filter=U"]).await?;
                self.reset_to(ours).await?;
                if conflicts.is_empty() { Err(error) } else { Ok(Merge::Conflict(conflicts.lines().map(str::to_owned).collect())) }
            }
        }
    }

    /// # Errors
    /// One of the commits is not there.
    pub async fn is_ancestor(&self, older: &CommitId, newer: &CommitId) -> Result<bool, GitError> {
        match self.git(&["merge-base", "--is-ancestor", &older.0, &newer.0]).await {
            Ok(_) => Ok(true),
            Err(GitError::Failed { stderr, .. }) if stderr.is_empty() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Moves `reference` on the remote to `commit`, if it still is where `expected` says (none: not there
    /// yet). [`GitError::is_stale`] when it is not.
    ///
    /// # Errors
    /// As said, or the remote does not answer or refuses the credential.
    pub async fn push(&self, remote: &Remote, commit: &CommitId, reference: &str, expected: Option<&CommitId>) -> Result<(), GitError> {
        let lease = format!("--force-with-lease={reference}:{}", expected.map_or("", |c| c.0.as_str()));
        let spec = format!("{}:{reference}", commit.0);
        git(&self.0, |c| remote.authorise(c), &["push", "--quiet", &lease, "origin", &spec]).await.map(drop)
    }

    /// Names the content of a commit: the same for two commits with the same files.
    ///
    /// # Errors
    /// The commit is not there.
    pub async fn tree_id(&self, commit: &CommitId) -> Result<String, GitError> {
        self.git(&["rev-parse", &format!("{}^{{tree}}", commit.0)]).await
    }
}

fn sign(command: &mut Command, author: &str) {
    command.envs([
        ("GIT_AUTHOR_NAME", author),
        ("GIT_AUTHOR_EMAIL", "agents@titanforge.invalid"),
        ("GIT_COMMITTER_NAME", author),
        ("GIT_COMMITTER_EMAIL", "agents@titanforge.invalid"),
    ]);
}

impl CommitId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommitId {
    type Err = GitError;
    fn from_str(s: &str) -> Result<Self, GitError> {
        let valid = s.len() == 40 && s.bytes().all(|b| b.is_ascii_hexdigit());
        if valid {
            Ok(Self(s.to_owned()))
        } else {
            Err(GitError::Output { verb: "rev-parse".to_owned(), output: s.chars().take(80).collect() })
        }
    }
}

impl TryFrom<String> for CommitId {
    type Error = GitError;
    fn try_from(s: String) -> Result<Self, GitError> {
        s.parse()
    }
}

impl From<CommitId> for String {
    fn from(commit: CommitId) -> Self {
        commit.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BareRepository, MAIN};

    async fn remote(dir: &Path) -> Remote {
        let bare = BareRepository::open_or_init(&dir.join("a.git")).await.unwrap();
        Remote { url: bare.path().display().to_string(), credential: String::new() }
    }

    async fn commit(tree: &WorkTree, file: &str, text: &str) -> CommitId {
        std::fs::write(tree.path().join(file), text).unwrap();
        tree.git(&["add", "--all"]).await.unwrap();
        git(tree.path(), |c| sign(c, "test"), &["commit", "--quiet", "-m", file]).await.unwrap();
        tree.head().await.unwrap()
    }

    #[tokio::test]
    async fn a_ref_moves_only_from_where_it_was_expected() {
        let dir = tempfile::tempdir().unwrap();
        let remote = remote(dir.path()).await;
        let tree = WorkTree::clone(&remote, &dir.path().join("tree")).await.unwrap();
        let first = commit(&tree, "a", "1").await;
        tree.push(&remote, &first, MAIN, None).await.unwrap();
        let second = commit(&tree, "a", "2").await;
        assert!(tree.push(&remote, &second, MAIN, None).await.unwrap_err().is_stale());
        tree.push(&remote, &second, MAIN, Some(&first)).await.unwrap();
        tree.fetch(&remote).await.unwrap();
        assert_eq!(tree.remote_branch("main").await.unwrap(), Some(second.clone()));
        assert!(tree.is_ancestor(&first, &second).await.unwrap());
        assert!(!tree.is_ancestor(&second, &first).await.unwrap());
    }

    #[tokio::test]
    async fn a_conflict_names_the_files_and_leaves_the_tree_clean() {
        let dir = tempfile::tempdir().unwrap();
        let remote = remote(dir.path()).await;
        let tree = WorkTree::clone(&remote, &dir.path().join("tree")).await.unwrap();
        let base = commit(&tree, "a", "base").await;
        let ours = commit(&tree, "a", "ours").await;
        tree.reset_to(&base).await.unwrap();
        let theirs = commit(&tree, "a", "theirs").await;
        assert_eq!(tree.merge(&ours, &theirs, "qa", "merge").await.unwrap(), Merge::Conflict(vec!["a".to_owned()]));
        assert_eq!(std::fs::read_to_string(tree.path().join("a")).unwrap(), "ours");
    }

    /// Two changes that merge without a conflict leave a file that neither of them wrote, beside what others did.
    #[tokio::test]
    async fn the_last_change_is_no_merge_and_says_what_it_must() {
        let dir = tempfile::tempdir().unwrap();
        let remote = remote(dir.path()).await;
        let tree = WorkTree::clone(&remote, &dir.path().join("tree")).await.unwrap();
        let lines = |change: &dyn Fn(&mut Vec<String>)| {
            let mut lines: Vec<String> = (0..20).map(|n| n.to_string()).collect();
            change(&mut lines);
            lines.join("\n")
        };
        let write = async |from: Option<&CommitId>, text: String, message: &str| {
            if let Some(from) = from {
                tree.reset_to(from).await.unwrap();
            }
            std::fs::write(tree.path().join("project.json"), text).unwrap();
            tree.commit_all("dev", message).await.unwrap()
        };
        std::fs::write(tree.path().join("other"), "0").unwrap();
        let first = commit(&tree, "other", "0").await;
        let base = write(Some(&first), lines(&|_| ()), "Build it\n\nTemplate: rest-api").await;
        let top = write(Some(&base), lines(&|lines| lines[1] = "top".to_owned()), "Change it\n\nTemplate: rest-api").await;
        let end = write(Some(&base), lines(&|lines| lines[18] = "end".to_owned()), "Change it\n\nTemplate: rest-api").await;
        let strange = write(Some(&top), lines(&|lines| lines[9] = "by hand".to_owned()), "Others were here").await;
        let Merge::Done(merged) = tree.merge(&strange, &end, "qa", "Merge it\n\nTask: a").await.unwrap() else { panic!("a conflict") };
        let found = tree.last_change(&merged, "project.json", &["Template: "]).await.unwrap().unwrap();
        assert!([&top, &end].contains(&&found), "{found} is neither the merge nor the stranger's");
        assert_eq!(tree.trailer(&found, "Template").await.unwrap(), "rest-api");
        assert_eq!(tree.last_change(&merged, "nothing", &["Template: "]).await.unwrap(), None);
        assert_eq!(tree.changed_files(&base, &first).await.unwrap(), ["project.json"]);
    }
}
