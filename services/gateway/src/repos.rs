//! Where the projects' repositories are. Today a directory that the gateway's replicas share; a remote at
//! GitHub or GitLab will be another one.

use std::path::{Path, PathBuf};

use titan_error::Result;
use titan_git::BareRepository;
use titan_ids::ProjectId;

#[derive(Clone, Debug)]
pub(crate) struct RepoStore {
    dir: PathBuf,
}

impl RepoStore {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The project's repository, made when it is first asked for.
    pub(crate) async fn open(&self, project: ProjectId) -> Result<BareRepository> {
        Ok(BareRepository::open_or_init(&self.dir.join(format!("{project}.git"))).await?)
    }
}
