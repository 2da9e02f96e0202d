//! The data of an environment as a whole: handed from one version to the next, copied before, and rehearsed with.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use sea_orm::TransactionTrait as _;
use titan_error::{Code, Error, Result};
use titan_git::{CommitId, Remote, WorkTree};
use titan_identity::Principal;
use titan_ids::ProjectId;
use titan_manifest::Data;

use super::App;
use super::deployments::check;
use super::proxies::Patience;
use super::release::Release;
use super::supervise::uid;
use crate::domain::State;
use crate::provider::process;
use crate::proxy::HELD_MOST;
use crate::store::deployments::{self, Row};

/// Of one command on the data.
pub(super) const WITHIN: Duration = Duration::from_secs(120);
const MESSAGE_MOST: usize = 2_000;
/// A copy that is being made, beside the data it is made of.
const ASIDE: &str = ".copy-";
const REHEARSAL: &str = "rehearsal-";
const STALE: Duration = Duration::from_secs(3_600);
/// What an app may need besides, to end and to start, while requests wait.
const STARTS: Duration = Duration::from_secs(10);

/// A command on data, in a sandbox as the app's own.
pub(super) struct Command<'a> {
    release: &'a Path,
    packages: Option<&'a Path>,
    data: &'a Path,
    command: &'a [String],
    uid: u32,
}

impl Release {
    pub(super) fn command<'a>(&'a self, command: &'a [String], uid: u32) -> Command<'a> {
        Command { release: &self.dir, packages: self.packages.as_deref(), data: &self.data, command, uid }
    }
}

impl App {
    /// What serves, where it has data of another shape than this release, or this one brings other data: they cannot run on it at the same
    /// time. An error while it is not this one's turn.
    pub(super) async fn data_of(&self, row: &Row, version: Option<&Data>) -> Result<Option<Row>> {
        let serving = deployments::serving(&self.db, row.project_id, &row.environment).await?;
        if serving.as_ref().and_then(Row::holder).is_some_and(|holder| holder != row.id) {
            return Err(Error::unavailable("another one takes the data over"));
        }
        // Of two, one of which brings other data, the earlier one goes first, also where nothing serves.
        let beside = deployments::under_way(&self.db, row.project_id, &row.environment).await?;
        let in_the_way = |other: &&Row| {
            (other.id < row.id && other.restores.is_some()) || (row.restores.is_some() && other.id != row.id && other.port.is_some())
        };
        if let Some(other) = beside.iter().find(in_the_way) {
            return Err(Error::unavailable(format!("{} has not ended yet, and one of them brings other data", other.id)));
        }
        self.put_all_back(row).await?;
        if row.restores.is_some() {
            return Ok(serving.filter(|serving| serving.id < row.id));
        }
        let Some(data) = version else { return Ok(None) };
        // What served before may still be answering.
        for ending in deployments::ending(&self.db, row.project_id, &row.environment).await? {
            if self.release(&ending).await?.manifest.data.is_some_and(|before| before.version != data.version) {
                return Err(Error::unavailable(format!("{} has the data until it has ended", ending.id)));
            }
        }
        let Some(serving) = serving.filter(|serving| serving.id < row.id) else { return Ok(None) };
        let before = self.release(&serving).await?.manifest.data;
        Ok(before.is_some_and(|before| before.version != data.version).then_some(serving))
    }

    /// Takes the data over: requests wait, what serves ends what it is answering and then itself, and its data is copied. Cut off and
    /// called again, it goes on.
    pub(super) async fn take_over(&self, row: &Row, serving: &Row) -> Result<()> {
        let tx = self.db.begin().await?;
        // Somebody may have stopped it while it was rehearsed.
        let wanted = deployments::lock_owned(&tx, row.id, &self.owner).await?
            && matches!(deployments::find(&tx, row.org_id, row.id).await?.state, State::Pending | State::Starting);
        if !wanted {
            return Err(Error::unavailable("it is not to be started any more"));
        }
        // Locked: whoever starts after this sees that it is held, and who has started is seen here.
        deployments::serving(&tx, row.project_id, &row.environment).await?;
        let mut beside = deployments::under_way(&tx, row.project_id, &row.environment).await?;
        beside.retain(|other| other.state == State::Starting && other.id != row.id);
        if let Some(later) = beside.iter().find(|other| other.id > row.id) {
            return Err(Error::unavailable(format!("{} was asked for later, and has not ended yet", later.id)));
        }
        if !deployments::hold(&tx, serving, row.id).await? {
            return Err(Error::unavailable("what served does not serve any more, or another one takes its data over"));
        }
        tx.commit().await?;
        for other in beside {
            self.fail(&other, &format!("{} takes the data over", row.id)).await?;
            if let Some(port) = other.port {
                self.idle(row.org_id, port, Patience::Short).await?;
            }
            self.end(&other).await?;
        }
        titan_lifecycle::fault("deployment.held").await;
        if let Some(port) = serving.port {
            self.idle(row.org_id, port, Patience::Short).await?;
        }
        // As it is now: it may have been started again meanwhile.
        self.end(&deployments::find(&self.db, serving.org_id, serving.id).await?).await?;
        titan_lifecycle::fault("deployment.before_copy").await;
        // What is brought from a backup takes the place of the data, which is kept.
        if row.restores.is_none() { self.back_up(row, serving).await } else { Ok(()) }
    }

    /// Its process, also one that nobody has written down yet.
    async fn end(&self, row: &Row) -> Result<()> {
        self.hooks.end(row.id);
        let written = row.process().filter(|process| process.alive());
        if let Some(process) = written.or_else(|| row.port.and_then(|_| process::find(&row.id.to_string()))) {
            process.stop().await;
        }
        Ok(())
    }

    /// Brings a copy of the data to a version, and says what came of it. The inner error says why the data cannot go along.
    pub(crate) async fn rehearse(
        &self,
        who: &Principal,
        project: ProjectId,
        environment: &str,
        commit: &str,
        credential: &str,
    ) -> Result<std::result::Result<String, String>> {
        who.may_touch(project)?;
        check(environment, commit)?;
        self.verify(who, project, None, credential).await?;
        let serving = deployments::serving(&self.db, project, environment).await?;
        let Some(serving) = serving.filter(|serving| serving.org_id == who.org) else {
            return Ok(Ok("there is no data yet".to_owned()));
        };
        Ok(self.rehearsed(&serving, commit).await?.1)
    }

    /// Whether what goes back can have the data of what serves: known before any request waits.
    pub(super) async fn may_go_back(&self, row: &Row, version: Option<&Data>) -> Result<()> {
        let Some(serving) = deployments::serving(&self.db, row.project_id, &row.environment).await? else { return Ok(()) };
        let Some(before) = self.release(&serving).await?.manifest.data else { return Ok(()) };
        let same = version.is_some_and(|version| version.version == before.version);
        if same || serving.held_for == Some(row.id) {
            return Ok(());
        }
        titan_lifecycle::fault("deployment.before_rehearsal").await;
        match self.rehearsed(&serving, &row.commit).await?.1 {
            Ok(_) => Ok(()),
            Err(why) => Err(Error::invalid("data", format!("cannot go back: {why}"))),
        }
    }

    /// Whether a version has data of another shape than what serves, and what came of bringing a copy of that to it.
    pub(super) async fn rehearsed(&self, serving: &Row, commit: &str) -> Result<(bool, std::result::Result<String, String>)> {
        let before = self.release(serving).await?;
        forget_stale(&self.apps.dir, REHEARSAL).await?;
        let dir = tempfile::Builder::new().prefix(REHEARSAL).tempdir_in(&self.apps.dir).map_err(Error::internal)?;
        // The app's own user is to see through it.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).map_err(Error::internal)?;
        let (copy, release) = (dir.path().join("data"), dir.path().join("release"));
        let url = format!("{}/git/{}.git", self.gateway, serving.project_id);
        let remote = Remote { url, credential: self.signer.sign_service(serving.org_id)? };
        let tree = WorkTree::clone(&remote, &release).await?;
        tree.reset_to(&CommitId::from_str(commit)?).await?;
        let (after, packages) = match self.manifest(&release).await {
            Err(error) if error.code() == Code::InvalidArgument => return Ok((false, Err(error.message().to_owned()))),
            read => read?,
        };
        let Some(data) = &before.manifest.data else {
            return Ok((false, Ok("what serves does not say how its data is copied: nothing was rehearsed".to_owned())));
        };
        let Some(after) = after.data else {
            return Ok((true, Err("that version does not say how it takes the data over".to_owned())));
        };
        let begun = Instant::now();
        self.copy(&before.command(&data.copy, uid(serving)), &copy).await?;
        let migrate = Command { release: &release, packages: packages.as_deref(), data: &copy, command: &after.migrate, uid: uid(serving) };
        let (changes, brought) = (after.version != data.version, self.on_data(&migrate, &[], WITHIN).await?);
        let took = begun.elapsed();
        if changes && brought.is_ok() && took > HELD_MOST - STARTS {
            let (took, most) = (took.as_secs(), HELD_MOST.as_secs());
            let remedy = "stop the app, so that no request waits, and deploy the version then";
            return Ok((changes, Err(format!("taking the data over takes {took} s, and requests wait {most} s at the most: {remedy}"))));
        }
        Ok((changes, brought))
    }

    /// Whole or not at all.
    pub(super) async fn copy(&self, command: &Command<'_>, to: &Path) -> Result<()> {
        forget_stale(command.data, ASIDE).await?;
        let name = format!("{ASIDE}{}", uuid::Uuid::new_v4());
        let aside = command.data.join(&name);
        // Whoever gives up waiting leaves nothing in the app's data.
        let _gone = Gone(aside.clone());
        let copied = self.on_data(command, &[("COPY_DIR".to_owned(), format!("/data/{name}"))], WITHIN).await;
        match copied {
            // It is the app's own command that made it: a link would lead out of here.
            Ok(Ok(_)) if !tokio::fs::symlink_metadata(&aside).await.is_ok_and(|made| made.is_dir()) => {
                Err(Error::invalid("data.copy", "made no directory at COPY_DIR"))
            }
            Ok(Ok(_)) => match to.parent() {
                Some(parent) => tokio::fs::create_dir_all(parent).await.and(tokio::fs::rename(&aside, to).await).map_err(Error::internal),
                None => Ok(()),
            },
            // Once more it would be the same, and requests wait.
            Ok(Err(why)) => Err(Error::invalid("data.copy", format!("the data could not be copied: {why}"))),
            Err(error) => Err(error),
        }
    }

    /// Runs it to its end; what it printed, or why it failed.
    pub(super) async fn on_data(
        &self,
        command: &Command<'_>,
        more: &[(String, String)],
        within: Duration,
    ) -> Result<std::result::Result<String, String>> {
        let log = tempfile::NamedTempFile::new_in(&self.apps.dir).map_err(Error::internal)?;
        let environment = [&[("DATA_DIR".to_owned(), "/data".to_owned())], more].concat();
        let app = titan_sandbox::App {
            release: command.release,
            data: command.data,
            packages: command.packages,
            log: log.path(),
            command: command.command,
            environment: &environment,
            limits: self.limits(),
            attached: true,
            uid: command.uid,
        };
        let started = self.sandbox.app(&app).map_err(Error::internal)?;
        let mut child = tokio::process::Command::from(started).kill_on_drop(true).spawn().map_err(Error::internal)?;
        let ended = tokio::time::timeout(within, child.wait()).await;
        let text = tokio::fs::read_to_string(log.path()).await.unwrap_or_default();
        let message: String = text.trim().chars().take(MESSAGE_MOST).collect();
        match ended {
            Ok(status) => Ok(if status.map_err(Error::internal)?.success() { Ok(message) } else { Err(message) }),
            Err(_) => Ok(Err(format!("it took longer than {} s", within.as_secs()))),
        }
    }
}

/// Removed when it is done with, if it is there still.
struct Gone(PathBuf);

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0); // it may have been moved
    }
}

/// What was left by who was killed in the middle: nothing takes so long.
async fn forget_stale(dir: &Path, prefix: &str) -> Result<()> {
    let mut entries = tokio::fs::read_dir(dir).await.map_err(Error::internal)?;
    while let Some(entry) = entries.next_entry().await.map_err(Error::internal)? {
        let begun = entry.metadata().await.and_then(|metadata| metadata.modified());
        let stale = begun.is_ok_and(|begun| begun.elapsed().is_ok_and(|age| age > STALE));
        if stale && entry.file_name().to_string_lossy().starts_with(prefix) {
            tokio::fs::remove_dir_all(entry.path()).await.map_err(Error::internal)?;
        }
    }
    Ok(())
}
