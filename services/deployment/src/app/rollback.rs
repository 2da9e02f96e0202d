//! The way back of an environment to what served it before.

use std::sync::PoisonError;
use std::time::Duration;

use chrono::{DateTime, Utc};
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::ProjectId;

use super::App;
use super::deployments::{DeployIn, Why, check_environment, rollout, urgency};
use crate::store::deployments::{self, Row};

#[derive(Debug)]
pub(crate) struct RollBackIn {
    /// Its commit: the beginning of one that served; empty: the version before what serves.
    pub(crate) deploy: DeployIn,
    pub(crate) emergency: bool,
    pub(crate) reason: String,
}

/// What it would be.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) serving: Row,
    pub(crate) to: Row,
    pub(crate) data_changes: bool,
    /// What the rehearsal found, or why the data cannot go along.
    pub(crate) rehearsed: std::result::Result<String, String>,
    pub(crate) needs_approval: bool,
    /// Others of the environment that do not serve yet: they are replaced by it.
    pub(crate) under_way: Vec<Row>,
}

/// A plan is waited for.
const PLANNED_WITHIN: Duration = Duration::from_secs(25);

/// One plan of an environment is rehearsed at a time.
struct Alone<'a>(&'a App, (ProjectId, String));

impl<'a> Alone<'a> {
    fn begin(app: &'a App, of: (ProjectId, String)) -> Result<Self> {
        let new = app.rehearsing.lock().unwrap_or_else(PoisonError::into_inner).insert(of.clone());
        if new {
            Ok(Self(app, of))
        } else {
            Err(Error::precondition("another way back of the environment is being rehearsed; try again then"))
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.rehearsing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

impl App {
    pub(crate) async fn roll_back(&self, who: &Principal, back: RollBackIn, now: DateTime<Utc>) -> Result<Row> {
        let RollBackIn { deploy, emergency, reason } = back;
        let (project, environment) = (deploy.project, deploy.environment.clone());
        who.may_touch(project)?;
        let urgency = urgency(who, emergency, &reason)?;
        let causation = self.verify(who, project, Some(&deploy.project_slug), "").await?;
        let (commit, rollout) = (deploy.commit.to_lowercase(), rollout(deploy.strategy, deploy.share, deploy.observe_s)?);
        // What serves is another one by now.
        if let Some(known) = deployments::by_key(&self.db, who.org, &deploy.idempotency_key).await? {
            let same = known.project_id == project && known.environment == environment && !known.back_from.is_empty();
            if same && known.commit.starts_with(&commit) && known.rollout == rollout {
                return Ok(known);
            }
            return Err(Error::invalid("idempotency_key", "was used for another deployment"));
        }
        let (serving, to) = self.way_back(who, project, &environment, &commit).await?;
        let said = format!(" by {}, back from {} to {}{urgency}", who.id, serving.commit, to.commit);
        let awaits_approval = self.apps.approval.contains(&environment) && !emergency;
        let deploy = DeployIn { commit: to.commit, ..deploy };
        self.begin(who, deploy, Why { causation, awaits_approval, back_from: serving.commit, said, ..Why::default() }, now).await
    }

    /// Rehearsed; changes nothing.
    pub(crate) async fn plan_roll_back(&self, who: &Principal, project: ProjectId, environment: &str, commit: &str) -> Result<Plan> {
        who.may_touch(project)?;
        let (serving, to) = self.way_back(who, project, environment, commit).await?;
        let _alone = Alone::begin(self, (project, environment.to_owned()))?;
        let rehearsal = tokio::time::timeout(PLANNED_WITHIN, self.rehearsed(&serving, &to.commit)).await;
        let too_long = || (true, Err(format!("the rehearsal takes longer than {} s", PLANNED_WITHIN.as_secs())));
        let (data_changes, rehearsed) = rehearsal.unwrap_or_else(|_| Ok(too_long()))?;
        let needs_approval = self.apps.approval.iter().any(|name| name == environment);
        let under_way = deployments::under_way(&self.db, project, environment).await?;
        Ok(Plan { serving, to, data_changes, rehearsed, needs_approval, under_way })
    }

    /// What serves, and what served before.
    async fn way_back(&self, who: &Principal, project: ProjectId, environment: &str, commit: &str) -> Result<(Row, Row)> {
        check_environment(environment)?;
        let part = commit.is_empty() || ((7..=40).contains(&commit.len()) && commit.bytes().all(|b| b.is_ascii_hexdigit()));
        if !part {
            return Err(Error::invalid("commit", "must be a commit id: 7 to 40 hex digits"));
        }
        let serving = deployments::serving(&self.db, project, environment).await?;
        if serving.as_ref().is_some_and(|serving| serving.org_id != who.org) {
            return Err(Error::not_found(format!("project {project}")));
        }
        let serving = serving.ok_or_else(|| Error::precondition(format!("nothing serves {environment}; deploy a version to it")))?;
        let to = deployments::served(&self.db, &serving, &commit.to_lowercase()).await?;
        let to = to.ok_or_else(|| match commit {
            "" => Error::precondition(format!("no other version served {environment} before {}", serving.commit)),
            _ => Error::precondition(format!("{commit} is no other version that served {environment}; deploy it instead")),
        })?;
        Ok((serving, to))
    }
}
