//! The files of a deployment: a checkout of its commit, a directory for its data, a log.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use titan_error::{Error, Result};
use titan_git::{CommitId, Remote, WorkTree};
use titan_manifest::{Manifest, ManifestError};

use super::App;
use crate::store::deployments::Row;

/// A log larger than this is put aside.
const LOG_BYTES: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Release {
    pub(super) dir: PathBuf,
    /// Kept from release to release of one environment.
    pub(super) data: PathBuf,
    pub(super) log: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) packages: Option<PathBuf>,
}

impl App {
    pub(super) fn release_dir(&self, row: &Row) -> PathBuf {
        self.apps.dir.join("releases").join(row.id.to_string())
    }

    pub(super) fn data_dir(&self, row: &Row) -> PathBuf {
        self.apps.dir.join("data").join(format!("{}-{}", row.project_id, row.environment))
    }

    pub(super) fn log_file(&self, row: &Row) -> PathBuf {
        self.apps.dir.join("logs").join(format!("{}.log", row.id))
    }

    /// The checkout, made if it is not there; whole or not at all.
    pub(super) async fn release(&self, row: &Row) -> Result<Release> {
        let dir = self.release_dir(row);
        let broken = |what: &'static str| move |e: std::io::Error| Error::unavailable(format!("{what} cannot be made: {e}")).with_source(e);
        if !tokio::fs::try_exists(&dir).await.map_err(broken("the release"))? {
            let aside = dir.with_extension("new");
            let url = format!("{}/git/{}.git", self.gateway, row.project_id);
            let remote = Remote { url, credential: self.signer.sign_service(row.org_id)? };
            let tree = WorkTree::clone(&remote, &aside).await?;
            tree.reset_to(&CommitId::from_str(&row.commit)?).await?;
            tokio::fs::rename(&aside, &dir).await.map_err(broken("the release"))?;
        }
        let data = self.data_dir(row);
        tokio::fs::create_dir_all(&data).await.map_err(broken("the data directory"))?;
        let log = self.log_file(row);
        if let Some(parent) = log.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(broken("the log directory"))?;
        }
        let (manifest, packages) = self.manifest(&dir).await?;
        Ok(Release { dir, data, log, manifest, packages })
    }

    /// What an app prints is added at the end of the file, wherever that is; what it prints between the copy and the cut is lost.
    pub(super) async fn rotate(&self, log: &Path) -> Result<()> {
        if tokio::fs::metadata(log).await.is_ok_and(|file| file.len() > LOG_BYTES) {
            tokio::fs::copy(log, log.with_extension("log.1")).await.map_err(Error::internal)?;
            let file = tokio::fs::OpenOptions::new().write(true).open(log).await.map_err(Error::internal)?;
            file.set_len(0).await.map_err(Error::internal)?;
        }
        Ok(())
    }

    /// What a checkout says of itself, with the packages it pins.
    pub(super) async fn manifest(&self, dir: &Path) -> Result<(Manifest, Option<PathBuf>)> {
        let invalid = |e: ManifestError| Error::invalid(titan_manifest::FILE, e.to_string());
        let manifest = Manifest::read(dir).map_err(invalid)?;
        let packages = match manifest.requirements(dir).map_err(invalid)? {
            Some(pinned) => Some(self.packages.get(&pinned).await?),
            None => None,
        };
        Ok((manifest, packages))
    }
}
