use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("git could not be run: {0}")]
    Spawn(#[from] std::io::Error),
    /// `git` ended with an error; the text is what it said.
    #[error("git {verb}: {stderr}")]
    Failed { verb: String, stderr: String },
    #[error("git {verb} printed {output:?}, which is not a commit id")]
    Output { verb: String, output: String },
}

impl GitError {
    /// The remote moved on since: somebody else's push came first.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::Failed { stderr, .. } if stderr.contains("stale info") || stderr.contains("[rejected]") || stderr.contains("failed to lock"))
    }

    /// The server refused the credential: the attempt is no longer the owner.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Failed { stderr, .. } if stderr.contains("Authentication failed") || stderr.contains("error: 401")
            || stderr.contains("error: 403") || stderr.contains("error: 409") || stderr.contains("could not read Username"))
    }
}

impl From<GitError> for titan_error::Error {
    #[track_caller]
    fn from(error: GitError) -> Self {
        if error.is_refused() {
            return Self::aborted("the git server refused the credential: the attempt is not the owner any more").with_source(error);
        }
        // The server being away looks the same as any other failure of git; trying again costs little.
        Self::unavailable(error.to_string()).with_source(error)
    }
}

/// `git` with nothing of the host's or the user's configuration.
#[must_use]
pub fn clean_git() -> Command {
    let mut command = Command::new("git");
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    command.env_clear().env("PATH", path).envs([
        ("HOME", "/nonexistent"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("LC_ALL", "C.UTF-8"),
    ]);
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs `git` in `dir` and gives what it printed, trimmed.
pub(crate) async fn git<S: AsRef<OsStr>>(dir: &Path, configure: impl FnOnce(&mut Command), args: &[S]) -> Result<String, GitError> {
    let mut command = clean_git();
    command.current_dir(dir).args(args);
    configure(&mut command);
    let output = command.output().await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let verb = args.iter().map(|a| a.as_ref().to_string_lossy()).find(|a| !a.starts_with('-')).unwrap_or_default().into_owned();
    Err(GitError::Failed { verb, stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
