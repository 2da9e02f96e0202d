//! What the supervisor does with one deployment, step by step; every step can be cut off and done again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use sea_orm::{DatabaseTransaction, TransactionTrait as _};
use titan_error::{Code, Error, Result};
use titan_ids::{DeploymentId, TaskId};
use titan_lifecycle::now;
use titan_proto::events::event::Body;
use titan_proto::events::{DeploymentFailed, DeploymentStopped, DeploymentSucceeded};
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_proto::orchestrator::{GetTaskRequest, TaskState};
use titan_sandbox::Limits;
use titan_store::outbox;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use super::App;
use super::deployments::about;
use super::proxies::Patience;
use crate::domain::rollout::worse;
use crate::domain::{Held, Seen, State, Step, Trial, pause, step};
use crate::provider::process::{self, Process};
use crate::store::deployments::{self, Row};

/// Several passes.
const LEASE: Duration = Duration::from_secs(15);
/// Of answers in a row that say that a version that is tried out is not well.
const MISSES_MOST: u32 = 3;
/// User ids of apps: one for each project's environment, for the data belongs to it from release to release.
const FIRST_UID: u32 = 300_000;
const UIDS: u32 = 500_000;
/// Of an app's data files.
const FILE_BYTES: u64 = 16 << 30;
const LOG_LINES: usize = 20;
const NO_BACKUP: &str = "there is no backup from before it";
/// What is on its way to a version that serves no longer may take so long.
const DRAIN_MOST: TimeDelta = TimeDelta::seconds(60);
/// Of one whose files or packages cannot be had.
const TRIES_FOR: Duration = Duration::from_secs(300);

/// What is being done, with one deployment at a time.
#[derive(Default)]
pub(crate) struct Steps(HashMap<(DeploymentId, Doing), JoinHandle<()>>);

/// A hook does not keep an app from being seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Doing {
    Advance,
    ServedHook,
}

impl Steps {
    #[expect(clippy::disallowed_methods, reason = "the supervisor waits for them")]
    fn begin(&mut self, id: (DeploymentId, Doing), step: impl Future<Output = ()> + Send + 'static) {
        self.0.retain(|_, step| !step.is_finished());
        self.0.entry(id).or_insert_with(|| tokio::spawn(step));
    }

    /// Until each has ended.
    pub(crate) async fn end(self) {
        for step in self.0.into_values() {
            if let Err(error) = step.await {
                tracing::error!(%error, "a step did not end well");
            }
        }
    }
}

impl App {
    /// One pass over everything this replica supervises, but for what `steps` are about; true while something is on its way. One that takes
    /// long holds nobody else up.
    pub(crate) async fn supervise(self: &Arc<Self>, steps: &mut Steps) -> Result<bool> {
        let others = deployments::others(&self.db, &self.apps.host, &self.owner).await?;
        // Who was killed holds nobody up.
        let gone = others.into_iter().filter(|owner| self.process_of(owner).is_some_and(|process| !process.alive())).collect();
        let rows = deployments::lease(&self.db, &self.apps.host, &self.owner, gone, LEASE).await?;
        let quiet = |row: &Row| (row.state == State::Running && !row.hook_due) || row.awaits_approval || row.observed_for_s.is_some();
        let busy = !rows.iter().all(quiet);
        for row in rows {
            let (app, id) = (self.clone(), row.id);
            if row.state == State::Running && row.hook_due {
                let (app, row) = (self.clone(), row.clone());
                steps.begin((id, Doing::ServedHook), async move {
                    if let Err(error) = app.run_served_hook(&row).await {
                        tracing::warn!(?error, deployment.id = %row.id, "the hook of what serves is run again");
                    }
                });
            }
            let span = titan_telemetry::child_of(tracing::info_span!("supervise", deployment.id = %id), Some(&row.traceparent));
            let advance = async move {
                if let Err(error) = app.advance(&row).await {
                    tracing::warn!(?error, deployment.id = %row.id, "a deployment did not advance");
                }
            };
            steps.begin((id, Doing::Advance), advance.instrument(span));
        }
        Ok(busy)
    }

    /// Lets go of everything, so that another replica takes it over at once. Apps go on.
    pub(crate) async fn give_back(&self) -> Result<()> {
        deployments::give_back(&self.db, &self.owner).await
    }

    /// The process that holds a lease, where it is one that this one could see.
    fn process_of(&self, owner: &str) -> Option<Process> {
        let place = |owner: &str| owner.split('/').nth(1).map(str::to_owned);
        (place(owner).is_some() && place(owner) == place(&self.owner)).then(|| owner.split('/').next()?.parse().ok())?
    }

    async fn advance(&self, row: &Row) -> Result<()> {
        let process = self.adopt(row).await?;
        let held = match row.held_for {
            None => Held::No,
            Some(_) if row.holder_gone => Held::Back,
            Some(_) => Held::Away,
        };
        let looked_at = row.state == State::Starting || held == Held::Back;
        let mut healthy = looked_at && process.is_some() && self.healthy(row).await;
        if row.observed_for_s.is_some() && process.is_some() {
            // One answer that is late says nothing of a version that people use.
            healthy = self.misses.count(row.id, healthy) < MISSES_MOST;
        }
        let too_late = row.starting_for_s.is_some_and(|s| s > f64::from(self.apps.healthy_within_s));
        let (trial, why_worse) = self.trial(row).await?;
        let (alive, unapproved) = (process.is_some(), row.awaits_approval);
        let hung = alive && row.state == State::Running && held == Held::No && self.hung(row).await;
        let seen = Seen { state: row.state, alive, healthy, starts: row.starts, too_late, due: row.due, held, trial, unapproved, hung };
        let next = step(seen);
        if matches!(next, Step::Start | Step::TryOut | Step::Serve) && row.state != State::Running && !self.still_wanted(row, next).await? {
            return Ok(());
        }
        if matches!(next, Step::TryOut | Step::Serve) && row.observed_for_s.is_none() && !self.verified(row).await? {
            return Ok(());
        }
        match next {
            Step::Wait => {
                let ended = process.is_none() && !matches!(row.state, State::Pending | State::Starting | State::Running);
                if ended { self.clean_up(row).await } else { Ok(()) }
            }
            Step::Start => match self.start(row).await {
                // The project cannot be started as it is, or not here; anything else may pass, and so may all of it for an app that ran.
                Err(error) if row.state != State::Running && matches!(error.code(), Code::InvalidArgument | Code::ResourceExhausted) => {
                    self.fail(row, error.message()).await
                }
                Err(error) if row.state == State::Pending && self.misses.tried_for(row.id) > TRIES_FOR => {
                    self.fail(row, &format!("it could not be started for {} s: {}", TRIES_FOR.as_secs(), error.message())).await
                }
                result => result,
            },
            Step::TryOut => self.try_out(row).await,
            Step::Serve => self.serve(row).await,
            Step::Fail => {
                let why = match why_worse {
                    Some(why) => format!("it did worse than the version before it, which goes on: {why}"),
                    None => self.why_unwell(row, too_late).await?,
                };
                self.fail(row, &why).await
            }
            Step::Kill => {
                self.hooks.end(row.id);
                // What came to it while it served is answered.
                if let Some(port) = row.port {
                    let over = row.finished_at.is_some_and(|at| now() - at > DRAIN_MOST);
                    self.idle(row.org_id, port, if over { Patience::Short } else { Patience::Long }).await?;
                }
                titan_lifecycle::fault("deployment.before_kill").await;
                if let Some(process) = process {
                    process.stop().await;
                }
                self.clean_up(row).await
            }
            Step::Release => {
                let (Some(holder), tx) = (row.held_for, self.db.begin().await?) else { return Ok(()) };
                if !deployments::release(&tx, row.id, holder).await? {
                    return Ok(()); // still another one takes it over
                }
                deployments::record(&tx, row.id, State::Running, "it has its data again, and goes on", now()).await?;
                tx.commit().await?;
                self.reroute(row.org_id).await;
                Ok(())
            }
            Step::Restart => {
                let why = format!("it did not answer for {} s: it is ended, and started again", self.silent_most().as_secs());
                deployments::record(&self.db, row.id, State::Running, &why, now()).await?;
                self.misses.forget(row.id);
                if let Some(process) = process {
                    process.stop().await;
                }
                Ok(())
            }
        }
    }

    /// A task that was cancelled or has failed wants nothing any more; its deployment ends before requests come to it.
    async fn still_wanted(&self, row: &Row, next: Step) -> Result<bool> {
        if row.causation.parse::<TaskId>().is_err() {
            return Ok(true);
        }
        let request = self.signer.service_request(row.org_id, GetTaskRequest { id: row.causation.clone() })?;
        let task = match TaskServiceClient::new(self.orchestrator.clone()).get_task(request).await.map_err(Error::from) {
            Err(error) if error.code() == Code::NotFound => return Ok(true),
            // What has the data keeps nobody waiting.
            Err(_) if next != Step::Start => return Ok(true),
            answer => answer?.into_inner(),
        };
        let (TaskState::Cancelled | TaskState::Failed) = task.state() else { return Ok(true) };
        let reason = format!("its task is {}", if task.state() == TaskState::Cancelled { "cancelled" } else { "failed" });
        self.stop_as(row, &[State::Pending, State::Starting], &reason, now()).await?;
        Ok(false)
    }

    /// How far it is with being tried out, and why it does worse when it does.
    async fn trial(&self, row: &Row) -> Result<(Trial, Option<String>)> {
        if row.state != State::Starting || row.rollout.observe_s == 0 {
            return Ok((Trial::No, None));
        }
        let Some(rival) = deployments::rival(&self.db, row.project_id, &row.environment).await? else {
            // There is nothing to be compared with, or no longer.
            return Ok((if row.observed_for_s.is_some() { Trial::Passed } else { Trial::No }, None));
        };
        if rival.held_for == Some(row.id) || rival.id > row.id {
            return Ok((Trial::No, None));
        }
        // Another one takes the data over, or a newer one is tried out, and has the requests.
        if rival.held_for.is_some() || rival.tried_out.is_some_and(|newest| newest > row.id) {
            return Ok((Trial::UnderWay, None));
        }
        let Some(observed_for_s) = row.observed_for_s else { return Ok((Trial::ToCome, None)) };
        let Some((counted_for, [before, new])) = self.traffic(row.org_id, [rival.id, row.id]).await? else {
            return Ok((Trial::UnderWay, None));
        };
        if observed_for_s > counted_for.as_secs_f64() {
            // What was counted went with the proxy that had it: it is tried out anew.
            self.try_out(row).await?;
            return Ok((Trial::UnderWay, None));
        }
        let worse = worse(before, new);
        let trial = match &worse {
            Some(_) => Trial::Worse,
            None if observed_for_s >= f64::from(row.rollout.observe_s) => Trial::Passed,
            None => Trial::UnderWay,
        };
        Ok((trial, worse))
    }

    async fn why_unwell(&self, row: &Row, too_late: bool) -> Result<String> {
        let log = self.tail(row, LOG_LINES).await?.join("\n");
        let why = if row.observed_for_s.is_some() {
            "it was not well any more while it was tried out; the version before it goes on".to_owned()
        } else if too_late {
            format!("it was not healthy within {} s", self.apps.healthy_within_s)
        } else {
            "it ended on its own before it was healthy".to_owned()
        };
        Ok(format!("{why}; its last output:\n{log}"))
    }

    async fn try_out(&self, row: &Row) -> Result<()> {
        let tx = self.db.begin().await?;
        if deployments::try_out(&tx, row.id, &self.owner).await? {
            let reason = format!("healthy; tried out with {} % of the requests for {} s", row.rollout.share, row.rollout.observe_s);
            deployments::record(&tx, row.id, State::Starting, &reason, now()).await?;
        }
        tx.commit().await?;
        self.reroute(row.org_id).await;
        Ok(())
    }

    /// The app's process, if it lives: the one written down, or one that was started just before a crash.
    async fn adopt(&self, row: &Row) -> Result<Option<Process>> {
        if let Some(known) = row.process() {
            return Ok(Some(known).filter(|p| p.alive()));
        }
        if row.port.is_none() {
            return Ok(None);
        }
        let found = process::find(&row.id.to_string());
        if let Some(process) = found {
            tracing::info!(pid = process.pid, "adopted a process that nobody had written down");
            deployments::started(&self.db, row.id, &self.owner, process).await?;
        }
        Ok(found)
    }

    /// A backup before anything else runs on the data, of what ran on it last. Where that cannot be copied, this may be the remedy: it is
    /// said, and nothing more.
    async fn keep_data(&self, row: &Row) -> Result<()> {
        if row.state != State::Pending || row.restores.is_some() {
            return Ok(());
        }
        let Some(last) = deployments::last(&self.db, row).await? else { return Ok(()) };
        let said = deployments::history(&self.db, row.id).await?;
        if said.iter().any(|change| change.reason.starts_with(NO_BACKUP)) {
            return Ok(());
        }
        let made = self.back_up(row, &last).await;
        if last.state != State::Running {
            // It was fetched once more for its command alone.
            let _ = tokio::fs::remove_dir_all(self.release_dir(&last)).await;
        }
        match made {
            Err(error) if error.code() == Code::InvalidArgument => {
                let said = format!("{NO_BACKUP}: {}", error.message());
                deployments::record(&self.db, row.id, State::Pending, &said, now()).await
            }
            made => made,
        }
    }

    /// The process is gone: its port and its files are given back. Data and log stay.
    async fn clean_up(&self, row: &Row) -> Result<()> {
        self.put_back(row).await?;
        deployments::forget_process(&self.db, row.id, &self.owner).await?;
        self.misses.forget(row.id);
        match tokio::fs::remove_dir_all(self.release_dir(row)).await {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::internal(e)),
            _ => Ok(()),
        }
    }

    async fn start(&self, row: &Row) -> Result<()> {
        if row.state != State::Running
            && let Some(later) = deployments::rival(&self.db, row.project_id, &row.environment).await?.filter(|rival| rival.id > row.id)
        {
            // On the data of a later one it must not run.
            let tx = self.db.begin().await?;
            if !deployments::lock_owned(&tx, row.id, &self.owner).await? {
                return Ok(());
            }
            overtaken(&tx, row, later.id).await?;
            tx.commit().await?;
            self.outbox.wake();
            return if row.port.is_none() { self.clean_up(row).await } else { Ok(()) };
        }
        let port = self.free_port(row).await?;
        let release = self.release(row).await?;
        if row.state != State::Running {
            let serving = self.data_of(row, release.manifest.data.as_ref()).await?;
            // Whoever deploys a new version has rehearsed it.
            if !row.back_from.is_empty() {
                self.may_go_back(row, release.manifest.data.as_ref()).await?;
            }
            self.prepare(row, &release).await?;
            match &serving {
                Some(serving) => self.take_over(row, serving).await?,
                None => self.keep_data(row).await?,
            }
            self.bring_back(row, &release, serving.as_ref()).await?;
        } else if let Some(holder) = row.held_for {
            self.put_back(&deployments::find(&self.db, row.org_id, holder).await?).await?;
        }
        let tx = self.db.begin().await?;
        // Locked, so that whoever takes the data over sees this one start, or this one sees that it is held.
        let serving = deployments::serving(&tx, row.project_id, &row.environment).await?;
        if serving.as_ref().and_then(Row::holder).is_some_and(|holder| holder != row.id) {
            return Err(Error::unavailable("another one takes the data over"));
        }
        let begun = deployments::starting(&tx, row.id, &self.owner, i32::from(port), pause(row.restarts)).await?;
        tx.commit().await?;
        if !begun {
            // Stopped meanwhile, or somebody else's by now.
            let ended = deployments::find(&self.db, row.org_id, row.id).await?.state == State::Stopped;
            return if ended { self.clean_up(row).await } else { Ok(()) };
        }
        if row.state == State::Pending {
            deployments::record(&self.db, row.id, State::Starting, &format!("starting on port {port}"), now()).await?;
        }
        // Of the process before it nothing more is to be thought.
        self.misses.forget(row.id);
        self.rotate(&release.log).await?;
        titan_lifecycle::fault("deployment.before_spawn").await;
        let ours = [("PORT", port.to_string()), ("HOST", "127.0.0.1".to_owned()), ("DATA_DIR", "/data".to_owned())];
        let environment = self.environment(row, &release, &ours).await?;
        let app = titan_sandbox::App {
            release: &release.dir,
            data: &release.data,
            packages: release.packages.as_deref(),
            log: &release.log,
            command: &release.manifest.app.command,
            environment: &environment,
            limits: self.limits(),
            attached: false,
            uid: uid(row),
        };
        let command = self.sandbox.app(&app).map_err(Error::internal)?;
        let mut child = tokio::process::Command::from(command).spawn().map_err(Error::internal)?;
        titan_lifecycle::fault("deployment.after_spawn").await;
        let process = child.id().and_then(|pid| Process::of(i32::try_from(pid).ok()?));
        let shutdown = self.tasks.shutdown().clone();
        self.tasks.spawn("app", async move {
            // Only to bury it: whether it lives is read from the process table, as for apps started before us.
            let _ = shutdown.run_until_cancelled(child.wait()).await;
        });
        match process {
            Some(process) => {
                if !deployments::started(&self.db, row.id, &self.owner, process).await? {
                    process.stop().await;
                }
                Ok(())
            }
            None => Ok(()), // ended at once; the next pass sees that
        }
    }

    /// Of an app and of what is done with its data.
    pub(super) fn limits(&self) -> Limits {
        let (memory_bytes, processes) = (self.apps.memory_mib << 20, self.apps.processes);
        Limits { memory_bytes, processes, file_bytes: FILE_BYTES, ..Limits::default() }
    }

    /// The port it had, if it is still free, or another one of the range.
    async fn free_port(&self, row: &Row) -> Result<u16> {
        let taken = deployments::ports(&self.db, &self.apps.host).await?;
        let own = row.port.and_then(|p| u16::try_from(p).ok());
        // A start that failed may have failed because of its port.
        let again = own.filter(|_| row.state == State::Running);
        let others = (self.apps.first_port..=self.apps.last_port).filter(|port| !taken.contains(&i32::from(*port)));
        let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
        again
            .into_iter()
            .chain(others)
            .find(free)
            .ok_or_else(|| Error::new(Code::ResourceExhausted, "every port of apps.first_port to apps.last_port is taken"))
    }

    /// Traffic moves to it: the one before it is replaced in the same transaction.
    async fn serve(&self, row: &Row) -> Result<()> {
        let manifest = self.release(row).await?.manifest;
        let health = manifest.app.health;
        titan_lifecycle::fault("deployment.before_serve").await;
        let tx = self.db.begin().await?;
        if !deployments::lock_owned(&tx, row.id, &self.owner).await? {
            return Ok(());
        }
        let now = now();
        let mut events = Vec::new();
        if let Some(before) = deployments::serving(&tx, row.project_id, &row.environment).await? {
            if before.id > row.id {
                overtaken(&tx, row, before.id).await?;
                return Ok(tx.commit().await?);
            }
            let reason = format!("replaced by {}", row.id);
            deployments::set_state(&tx, before.id, &[State::Running], State::Replaced, "", now).await?;
            deployments::record(&tx, before.id, State::Replaced, &reason, now).await?;
            let body = DeploymentStopped { environment: row.environment.clone(), reason };
            events.push(outbox::event(about(&before, 3), Body::DeploymentStopped(body), now));
        }
        if !deployments::set_state(&tx, row.id, &[State::Starting], State::Running, "", now).await? {
            return Ok(()); // stopped meanwhile
        }
        deployments::record(&tx, row.id, State::Running, "healthy", now).await?;
        if !manifest.hooks.served.is_empty() {
            deployments::hook_due(&tx, row.id).await?;
        }
        let health_url = self.health_url(row, &health);
        let body = DeploymentSucceeded { environment: row.environment.clone(), commit: row.commit.clone(), url: self.url(row), health_url };
        events.push(outbox::event(about(row, 2), Body::DeploymentSucceeded(body), now));
        outbox::append(&tx, &events).await?;
        tx.commit().await?;
        titan_lifecycle::fault("deployment.serves").await;
        self.outbox.wake();
        self.reroute(row.org_id).await;
        self.forget_backups(row).await
    }

    pub(super) async fn fail(&self, row: &Row, error: &str) -> Result<()> {
        let tx = self.db.begin().await?;
        if !deployments::lock_owned(&tx, row.id, &self.owner).await? {
            return Ok(());
        }
        let now = now();
        if deployments::set_state(&tx, row.id, &[State::Pending, State::Starting], State::Failed, error, now).await? {
            deployments::record(&tx, row.id, State::Failed, error, now).await?;
            let body = DeploymentFailed { environment: row.environment.clone(), commit: row.commit.clone(), error: error.to_owned() };
            outbox::append(&tx, &[outbox::event(about(row, 2), Body::DeploymentFailed(body), now)]).await?;
        }
        tx.commit().await?;
        self.outbox.wake();
        // Requests no longer come to it.
        self.reroute(row.org_id).await;
        self.forget_backups(row).await?;
        // With a port it is seen to when its process is gone.
        if row.port.is_none() { self.clean_up(row).await } else { Ok(()) }
    }
}

/// A later one was faster.
async fn overtaken(tx: &DatabaseTransaction, row: &Row, later: DeploymentId) -> Result<()> {
    let (reason, now) = (format!("{later} was asked for later and serves already"), now());
    if deployments::set_state(tx, row.id, &[State::Pending, State::Starting], State::Replaced, &reason, now).await? {
        deployments::record(tx, row.id, State::Replaced, &reason, now).await?;
        let body = DeploymentStopped { environment: row.environment.clone(), reason };
        outbox::append(tx, &[outbox::event(about(row, 3), Body::DeploymentStopped(body), now)]).await?;
    }
    Ok(())
}

pub(super) fn uid(row: &Row) -> u32 {
    let (_, low) = row.project_id.uuid().as_u64_pair();
    let environment = row.environment.bytes().fold(0_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    FIRST_UID + u32::try_from((low ^ environment) % u64::from(UIDS)).unwrap_or(0)
}
