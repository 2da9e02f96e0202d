use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::command::{GitError, git};

/// Who serves a push says in the environment which refs it may move, one a line. Pushes from this host,
/// without a server between, are not asked.
const UPDATE_HOOK: &str = r#"#!/bin/sh
[ -n "$REMOTE_USER" ] || exit 0
printf '%s\n' "$TITAN_ALLOWED_REFS" | grep -qxF -- "$1" && exit 0
echo "this attempt may not move $1" >&2
exit 1
"#;

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

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}
