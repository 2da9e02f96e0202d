//! What a project wants done when its versions come and go: commands of its `titan.toml`.

use std::collections::BTreeMap;

use sea_orm::TransactionTrait as _;
use titan_error::Result;
use titan_lifecycle::now;

use super::App;
use super::release::Release;
use super::supervise::uid;
use crate::domain::State;
use crate::store::deployments::{self, Row};
use crate::store::variables::{self, Of};

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
        if let Err(said) = self.hook(row, &release, hook, format!("http://127.0.0.1:{port}")).await? {
            self.fail(row, &format!("hooks.verify says it must not serve:\n{said}")).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// It serves since a moment ago. What becomes of the hook is in the history, and changes nothing else.
    pub(super) async fn run_served_hook(&self, row: &Row) -> Result<()> {
        let release = self.release(row).await?;
        let url = self.health_url(row, "").trim_end_matches('/').to_owned();
        let said = match self.hook(row, &release, &release.manifest.hooks.served, url).await? {
            Ok(_) => "hooks.served ended well".to_owned(),
            Err(said) => format!("hooks.served failed:\n{said}"),
        };
        let tx = self.db.begin().await?;
        if deployments::lock_owned(&tx, row.id, &self.owner).await? {
            deployments::set_hook_due(&tx, row.id, false).await?;
            deployments::record(&tx, row.id, State::Running, &said, now()).await?;
        }
        Ok(tx.commit().await?)
    }

    /// What it printed, or why it failed.
    async fn hook(&self, row: &Row, release: &Release, command: &[String], url: String) -> Result<std::result::Result<String, String>> {
        let more = [
            ("TITAN_APP_URL", url),
            ("TITAN_ENVIRONMENT", row.environment.clone()),
            ("TITAN_COMMIT", row.commit.clone()),
            ("TITAN_BACK_FROM", row.back_from.clone()),
        ];
        let environment = self.environment(row, release, &more).await?;
        self.on_data(&release.command(command, uid(row)), &environment).await
    }
}
