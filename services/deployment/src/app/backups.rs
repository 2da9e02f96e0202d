//! What an environment's data was before each deployment: made, listed, and brought back by a deployment of its own.

use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use sea_orm::TransactionTrait as _;
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::{DeploymentId, ProjectId};

use super::App;
use super::deployments::{DeployIn, Why, check_environment, urgency};
use super::release::Release;
use super::supervise::uid;
use super::usage::disk;
use crate::domain::State;
use crate::store::backups::{self, Backup};
use crate::store::deployments::{self, Row};
use crate::store::variables::Of;

/// Backups that are kept of an environment.
const KEPT: usize = 5;

#[derive(Debug)]
pub(crate) struct RestoreIn {
    /// Its commit is what serves, or what the backup was made of.
    pub(crate) deploy: DeployIn,
    pub(crate) backup: DeploymentId,
    pub(crate) emergency: bool,
    pub(crate) reason: String,
}

impl App {
    fn backups_dir(&self, project: ProjectId, environment: &str) -> PathBuf {
        self.apps.dir.join("copies").join(format!("{project}-{environment}"))
    }

    /// Where the data is from the moment that it is replaced, and where that of a deployment that keeps it is copied to.
    fn backup_dir(&self, row: &Row) -> PathBuf {
        self.backups_dir(row.project_id, &row.environment).join(row.id.to_string())
    }

    /// Made of what serves, before `row` comes near the data. Once, whoever was cut off.
    pub(super) async fn back_up(&self, row: &Row, serving: &Row) -> Result<()> {
        let release = self.release(serving).await?;
        let Some(data) = &release.manifest.data else { return Ok(()) };
        let to = self.backup_dir(row);
        if !there(&to).await? {
            self.copy(&release.command(&data.copy, uid(row)), &to).await?;
        }
        backups::insert(&self.db, row.id, &serving.commit).await
    }

    /// All but the newest are given up: of those from before versions that served, and of the others, so that many that fail do not take
    /// the last good one along.
    pub(super) async fn forget_backups(&self, row: &Row) -> Result<()> {
        let of = Of { org: row.org_id, project: row.project_id, environment: &row.environment };
        let (served, failed): (Vec<_>, Vec<_>) =
            backups::list(&self.db, of, &self.apps.host).await?.into_iter().partition(|backup| backup.served);
        for old in served.iter().skip(KEPT).chain(failed.iter().skip(KEPT)) {
            remove(&self.backups_dir(row.project_id, &row.environment).join(old.deployment_id.to_string())).await?;
            backups::forget(&self.db, old.deployment_id).await?;
        }
        Ok(())
    }

    /// Those whose files are there, newest first, with what they take.
    pub(crate) async fn backups(&self, who: &Principal, project: ProjectId, environment: &str) -> Result<Vec<(Backup, u64)>> {
        who.may_touch(project)?;
        check_environment(environment)?;
        let of = Of { org: who.org, project, environment };
        let dir = self.backups_dir(project, environment);
        let known = backups::list(&self.db, of, &self.apps.host).await?;
        let sizes = move || {
            let there =
                known.into_iter().map(|backup| (dir.join(backup.deployment_id.to_string()), backup)).filter(|(dir, _)| dir.is_dir());
            there.map(|(dir, backup)| (backup, disk(&dir))).collect()
        };
        tokio::task::spawn_blocking(sizes).await.map_err(Error::internal)
    }

    /// Asks for a deployment that brings the data of a backup. What the data is until then is kept as a backup, too.
    pub(crate) async fn restore(&self, who: &Principal, restore: RestoreIn, now: DateTime<Utc>) -> Result<Row> {
        let RestoreIn { deploy, backup, emergency, reason } = restore;
        let (project, environment) = (deploy.project, deploy.environment.clone());
        who.may_touch(project)?;
        let urgency = urgency(who, emergency, &reason)?;
        let causation = self.verify(who, project, Some(&deploy.project_slug), "").await?;
        if let Some(known) = deployments::by_key(&self.db, who.org, &deploy.idempotency_key).await? {
            if known.restores == Some(backup) && known.project_id == project && known.environment == environment {
                return Ok(known);
            }
            return Err(Error::invalid("idempotency_key", "was used for another deployment"));
        }
        let found = self.backups(who, project, &environment).await?.into_iter().find(|(known, _)| known.deployment_id == backup);
        let (found, _) = found.ok_or_else(|| Error::not_found(format!("backup {backup} of {environment}")))?;
        let serving = deployments::serving(&self.db, project, &environment).await?;
        let commit = serving.map_or(found.commit, |serving| serving.commit);
        let said = format!(" by {}, with the data of {} from before {backup}{urgency}", who.id, found.made_at.format("%F %T"));
        let awaits_approval = self.apps.approval.contains(&environment) && !emergency;
        let why = Why { causation, awaits_approval, said, restores: Some(backup), ..Why::default() };
        self.begin(who, DeployIn { commit, ..deploy }, why, now).await
    }

    /// What the backup that it brings holds is copied beside the environment's data, while that is used.
    pub(super) async fn prepare(&self, row: &Row, release: &Release) -> Result<()> {
        let Some(backup) = row.restores else { return Ok(()) };
        let new = aside(&release.data, row.id, "new");
        if there(&self.backup_dir(row)).await? || there(&new).await? {
            return Ok(());
        }
        let from = self.backups_dir(row.project_id, &row.environment).join(backup.to_string());
        if !there(&from).await? {
            return Err(Error::invalid("backup", format!("{backup} is not kept any more")));
        }
        let half = aside(&release.data, row.id, "half");
        remove(&half).await?;
        copy_tree(&from, &half).await?;
        tokio::fs::rename(&half, &new).await.map_err(Error::internal)
    }

    /// The data that was prepared takes the place of the environment's, which nobody uses; that becomes a backup. Cut off anywhere and called
    /// again, it goes on.
    pub(super) async fn bring_back(&self, row: &Row, release: &Release, served: Option<&Row>) -> Result<()> {
        if row.restores.is_none() {
            return Ok(());
        }
        let (kept, new) = (self.backup_dir(row), aside(&release.data, row.id, "new"));
        titan_lifecycle::fault("deployment.before_restore").await;
        // Whoever stops it waits until this is whole, and puts it back.
        let tx = self.db.begin().await?;
        let wanted = deployments::lock_owned(&tx, row.id, &self.owner).await?
            && matches!(deployments::find(&tx, row.org_id, row.id).await?.state, State::Pending | State::Starting);
        if !wanted {
            return Err(Error::unavailable("it is not to be started any more"));
        }
        if !there(&kept).await? {
            if let Some(parent) = kept.parent() {
                tokio::fs::create_dir_all(parent).await.map_err(Error::internal)?;
            }
            tokio::fs::rename(&release.data, &kept).await.map_err(Error::internal)?;
        }
        titan_lifecycle::fault("deployment.restoring").await;
        if there(&new).await? {
            // In the way may be an empty directory.
            tokio::fs::rename(&new, &release.data).await.map_err(Error::internal)?;
        }
        tx.commit().await?;
        let commit = served.map_or(row.commit.as_str(), |served| served.commit.as_str());
        backups::insert(&self.db, row.id, commit).await
    }

    /// Of those that ended before they served. An error while one of them still runs.
    pub(super) async fn put_all_back(&self, row: &Row) -> Result<()> {
        for ended in deployments::restores_in_vain(&self.db, row).await? {
            if !there(&self.backup_dir(&ended)).await? {
                continue;
            }
            if ended.port.is_some() {
                return Err(Error::unavailable(format!("{} has not given the data back yet", ended.id)));
            }
            self.put_back(&ended).await?;
        }
        Ok(())
    }

    /// Of one that never served: the data is again what it was. Cut off anywhere and called again, it goes on.
    pub(super) async fn put_back(&self, row: &Row) -> Result<()> {
        if row.restores.is_none() || deployments::history(&self.db, row.id).await?.iter().any(|change| change.to_state == State::Running) {
            return Ok(());
        }
        // Two may find at the same time that it is gone.
        let tx = self.db.begin().await?;
        deployments::lock(&tx, row.id).await?;
        let (data, kept) = (self.data_dir(row), self.backup_dir(row));
        let (new, given_up) = (aside(&data, row.id, "new"), aside(&data, row.id, "old"));
        if there(&kept).await? {
            // Whoever runs on it meanwhile has it.
            let serving = deployments::serving(&tx, row.project_id, &row.environment).await?;
            let beside = deployments::under_way(&tx, row.project_id, &row.environment).await?;
            let taken = serving.is_some_and(|serving| serving.held_for != Some(row.id))
                || beside.iter().any(|other| other.id != row.id && other.port.is_some());
            if taken {
                return Ok(());
            }
            if !there(&given_up).await? && there(&data).await? {
                tokio::fs::rename(&data, &given_up).await.map_err(Error::internal)?;
            }
            tokio::fs::rename(&kept, &data).await.map_err(Error::internal)?;
            backups::forget(&tx, row.id).await?;
        }
        for left in [given_up, new, aside(&data, row.id, "half")] {
            remove(&left).await?;
        }
        Ok(tx.commit().await?)
    }
}

async fn there(path: &Path) -> Result<bool> {
    tokio::fs::try_exists(path).await.map_err(Error::internal)
}

/// Beside the data of an environment, on the same file system.
fn aside(data: &Path, id: DeploymentId, what: &str) -> PathBuf {
    data.with_extension(format!("{id}-{what}"))
}

async fn remove(dir: &Path) -> Result<()> {
    match tokio::fs::remove_dir_all(dir).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::internal(error)),
        _ => Ok(()),
    }
}

/// With owners, modes and times.
async fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let output = tokio::process::Command::new("cp").args(["-a", "--"]).args([from, to]).output().await.map_err(Error::internal)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::invalid("backup", format!("it cannot be copied: {}", String::from_utf8_lossy(&output.stderr).trim())))
}
