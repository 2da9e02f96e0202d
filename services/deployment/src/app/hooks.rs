//! What a project wants done when its versions come and go: commands of its `titan.toml`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sea_orm::TransactionTrait as _;
use titan_error::Result;
use titan_ids::DeploymentId;
use titan_lifecycle::now;
use tokio_util::sync::CancellationToken;

use super::App;
use super::data::WITHIN;
use super::release::Release;
use super::supervise::uid;
use crate::domain::State;
use crate::store::deployments::{self, Row};
use crate::store::variables::{self, Of};

/// While requests wait they cannot wait for longer.
const WHILE_HELD: Duration = Duration::from_secs(15);

/// The hooks that run, which end with their deployments.
#[derive(Default)]
pub(super) struct Running(Mutex<HashMap<DeploymentId, CancellationToken>>);

impl Running {
    fn begin(&self, id: DeploymentId) -> CancellationToken {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default().clone()
    }

    /// Its hook ends, if it has one that runs.
    pub(super) fn end(&self, id: DeploymentId) {
        if let Some(token) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id) {
            token.cancel();
        }
    }
}

impl App {
    /// What an app finds in its environment: the environment's own over what the project says for all, and what the deployment says.
    pub(super) async fn environment(&self, row: &Row, release: &Release, more: &[(&str, String)]) -> Result<Vec<(String, String)>> {
        let of = Of { org: row.org_id, project: row.project_id, environment: &row.environment };
        let mut environment: BTreeMap<String, String> = release.manifest.app.environment.clone();
        environment.extend(variables::all(&self.db, of).await?);
        let mut environment: Vec<(String, String)> = environment.into_iter().collect();
        environment.push(("TITAN_DEPLOYMENT".to_owned(), row.id.to_string()));
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        Ok(environment)
    }

    /// Healthy, and no request has come to it: whether its project lets it serve. One that it does not fails.
    pub(super) async fn verified(&self, row: &Row) -> Result<bool> {
        let release = self.release(row).await?;
        let (hook, Some(port)) = (&release.manifest.hooks.verify, row.port) else { return Ok(true) };
        if hook.is_empty() {
            return Ok(true);
        }
        let serving = deployments::rival(&self.db, row.project_id, &row.environment).await?;
        let held = serving.is_some_and(|serving| serving.held_for == Some(row.id));
        let within = if held { WHILE_HELD } else { WITHIN };
        if let Err(said) = self.hook(row, &release, hook, format!("http://127.0.0.1:{port}"), within).await {
            self.fail(row, &format!("hooks.verify says it must not serve:\n{said}")).await?;
            return Ok(false);
        }
        // It took its time.
        Ok(self.healthy(row).await)
    }

    /// It serves since a moment ago. What becomes of the hook is in the history, and changes nothing else.
    pub(super) async fn run_served_hook(&self, row: &Row) -> Result<()> {
        let release = self.release(row).await?;
        let url = self.health_url(row, "").trim_end_matches('/').to_owned();
        let said = match self.hook(row, &release, &release.manifest.hooks.served, url, WITHIN).await {
            Ok(()) => "hooks.served ended well".to_owned(),
            Err(said) => format!("hooks.served failed:\n{said}"),
        };
        let tx = self.db.begin().await?;
        // What serves no longer has a history that has ended.
        if deployments::lock_owned(&tx, row.id, &self.owner).await? && deployments::hook_ran(&tx, row.id).await? {
            deployments::record(&tx, row.id, State::Running, &said, now()).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Why it failed.
    async fn hook(
        &self,
        row: &Row,
        release: &Release,
        command: &[String],
        url: String,
        within: Duration,
    ) -> std::result::Result<(), String> {
        let mut more = vec![("TITAN_APP_URL", url), ("TITAN_ENVIRONMENT", row.environment.clone()), ("TITAN_COMMIT", row.commit.clone())];
        more.extend((!row.back_from.is_empty()).then(|| ("TITAN_BACK_FROM", row.back_from.clone())));
        let ended = self.hooks.begin(row.id);
        titan_lifecycle::fault("deployment.hook").await;
        let run = async {
            let environment = self.environment(row, release, &more).await?;
            self.on_data(&release.command(command, uid(row)), &environment, within).await
        };
        let ran = ended.run_until_cancelled(run).await;
        self.hooks.end(row.id);
        match ran {
            None => Err("its deployment ended".to_owned()),
            Some(Err(error)) => Err(format!("it could not be run: {error}")),
            Some(Ok(said)) => said.map(drop),
        }
    }
}
