use chrono::{DateTime, Utc};
use sea_orm::TransactionTrait as _;
use titan_error::{Code, Error, Result};
use titan_identity::{Principal, PrincipalId};
use titan_ids::{Deployment, DeploymentId, ProjectId};
use titan_proto::common::PageRequest;
use titan_proto::events::event::Body;
use titan_proto::events::{DeploymentStarted, DeploymentStopped};
use titan_proto::orchestrator::VerifyAttemptRequest;
use titan_proto::orchestrator::task_service_client::TaskServiceClient;
use titan_service::retrying;
use titan_store::outbox::{self, About};
use titan_store::{Page, PageOf};

use super::App;
use crate::domain::State;
use crate::domain::rollout::Strategy;
use crate::store::deployments::{self, Change, New, Rollout, Row};

pub(crate) const ENVIRONMENTS: &[&str] = &["dev", "staging", "production"];
const REASON_MOST: usize = 500;
const SHARE: u32 = 10;
const OBSERVE_S: u32 = 60;
const OBSERVE_MOST_S: u32 = 86_400;

#[derive(Debug)]
pub(crate) struct DeployIn {
    pub(crate) project: ProjectId,
    pub(crate) project_slug: String,
    pub(crate) environment: String,
    pub(crate) commit: String,
    pub(crate) idempotency_key: String,
    pub(crate) attempt_credential: String,
    pub(crate) strategy: Strategy,
    /// In percent; 0: as the strategy has it.
    pub(crate) share: u32,
    /// 0: as the strategy has it.
    pub(crate) observe_s: u32,
}

/// Why it is asked for, and whether that needs somebody's approval.
#[derive(Debug, Default)]
pub(super) struct Why {
    /// The task or the person.
    pub(super) causation: String,
    pub(super) awaits_approval: bool,
    /// As of [`Row`].
    pub(super) back_from: String,
    /// As of [`Row`].
    pub(super) restores: Option<DeploymentId>,
    /// More for the history.
    pub(super) said: String,
}

impl App {
    /// Notes the deployment; the supervisor does the rest.
    pub(crate) async fn deploy(&self, who: &Principal, deploy: DeployIn, now: DateTime<Utc>) -> Result<Row> {
        who.may_touch(deploy.project)?;
        rollout(deploy.strategy, deploy.share, deploy.observe_s)?;
        check(&deploy.environment, &deploy.commit)?;
        let causation = self.verify(who, deploy.project, Some(&deploy.project_slug), &deploy.attempt_credential).await?;
        let awaits_approval = self.apps.approval.contains(&deploy.environment);
        self.begin(who, deploy, Why { causation, awaits_approval, ..Why::default() }, now).await
    }

    /// With the key of another deployment, that one.
    pub(super) async fn begin(&self, who: &Principal, deploy: DeployIn, why: Why, now: DateTime<Utc>) -> Result<Row> {
        let rollout = rollout(deploy.strategy, deploy.share, deploy.observe_s)?;
        if deploy.idempotency_key.is_empty() {
            return Err(Error::invalid("idempotency_key", "is required: a deployment must not happen twice"));
        }
        let Why { causation, awaits_approval, back_from, restores, said } = why;
        let tx = self.db.begin().await?;
        let new = New {
            id: DeploymentId::generate(),
            org: who.org,
            project: deploy.project,
            project_slug: &deploy.project_slug,
            environment: &deploy.environment,
            commit: &deploy.commit,
            key: &deploy.idempotency_key,
            causation: &causation,
            traceparent: &titan_telemetry::traceparent().unwrap_or_default(),
            host: &self.apps.host,
            rollout,
            awaits_approval,
            back_from: &back_from,
            restores,
        };
        if deployments::insert(&tx, &new, now).await? {
            let said = format!("asked for{said}{}", if awaits_approval { "; it waits for somebody to approve it" } else { "" });
            deployments::record(&tx, new.id, State::Pending, &said, now).await?;
            let row = deployments::find(&tx, who.org, new.id).await?;
            let body = DeploymentStarted { environment: deploy.environment, commit: deploy.commit, provider: "process".to_owned() };
            outbox::append(&tx, &[outbox::event(about(&row, 1), Body::DeploymentStarted(body), now)]).await?;
            tx.commit().await?;
            self.outbox.wake();
            self.wake.notify_one();
            return Ok(row);
        }
        tx.rollback().await?;
        let known = deployments::by_key(&self.db, who.org, &deploy.idempotency_key).await?;
        let known = known.ok_or_else(|| Error::unavailable("try again"))?;
        let same = (known.project_id, &known.commit, &known.environment, known.rollout, known.restores)
            == (deploy.project, &deploy.commit, &deploy.environment, rollout, restores);
        if !same {
            return Err(Error::invalid("idempotency_key", "was used for another deployment"));
        }
        Ok(known)
    }

    /// An agent's deployment is its task's, and only while the attempt owns it.
    pub(super) async fn verify(&self, who: &Principal, project: ProjectId, slug: Option<&str>, credential: &str) -> Result<String> {
        if credential.is_empty() {
            let message = "a deployment needs the credential of the attempt that makes it";
            return if who.is_service() { Err(Error::new(Code::PermissionDenied, message)) } else { Ok(who.id.to_string()) };
        }
        let verify = async || {
            let request = VerifyAttemptRequest { credential: credential.to_owned() };
            TaskServiceClient::new(self.orchestrator.clone()).verify_attempt(self.signer.service_request(who.org, request)?).await
        };
        let attempt = retrying(verify).await?;
        if attempt.project_id != project.to_string() || slug.is_some_and(|slug| slug != attempt.project_slug) {
            return Err(Error::new(Code::PermissionDenied, "the attempt is for another project"));
        }
        Ok(attempt.task_id)
    }

    pub(crate) async fn deployment(&self, who: &Principal, id: DeploymentId) -> Result<(Row, Vec<Change>)> {
        let row = deployments::find(&self.db, who.org, id).await?;
        who.may_touch(row.project_id)?;
        let history = deployments::history(&self.db, id).await?;
        Ok((row, history))
    }

    pub(crate) async fn deployments(
        &self,
        who: &Principal,
        project: Option<ProjectId>,
        shown: Option<String>,
        page: Option<PageRequest>,
    ) -> Result<PageOf<Row>> {
        let page = Page::parse::<Deployment>(page)?;
        let rows = deployments::list(&self.db, who.org, project.or(who.project), shown, page).await?;
        Ok(page.of(rows, |d| d.id.to_string()))
    }

    /// People's word on a deployment that waits for it: it begins, or never will.
    pub(crate) async fn decide(
        &self,
        who: &Principal,
        id: DeploymentId,
        approved: bool,
        reason: &str,
        now: DateTime<Utc>,
    ) -> Result<(Row, Vec<Change>)> {
        if !matches!(who.id, PrincipalId::User(_)) {
            return Err(Error::new(Code::PermissionDenied, "people approve, not services and agents"));
        }
        check_reason(reason)?;
        let (row, _) = self.deployment(who, id).await?;
        let said = format!("{} by {}", if approved { "approved" } else { "rejected" }, who.id);
        let said = if reason.is_empty() { said } else { format!("{said}: {reason}") };
        let tx = self.db.begin().await?;
        if !deployments::approve(&tx, id).await? {
            return Err(Error::precondition(format!("{id} waits for nobody's approval")));
        }
        let serving = deployments::rival(&tx, row.project_id, &row.environment).await?;
        if let Some(later) = serving.filter(|serving| approved && serving.id > id) {
            return Err(Error::precondition(format!("{} was asked for later and serves already; deploy this version anew", later.id)));
        }
        let to = if approved { State::Pending } else { State::Stopped };
        if !approved {
            deployments::set_state(&tx, id, &[State::Pending], State::Stopped, &said, now).await?;
            let body = DeploymentStopped { environment: row.environment.clone(), reason: said.clone() };
            outbox::append(&tx, &[outbox::event(about(&row, 3), Body::DeploymentStopped(body), now)]).await?;
        }
        deployments::record(&tx, id, to, &said, now).await?;
        tx.commit().await?;
        self.outbox.wake();
        self.wake.notify_one();
        self.deployment(who, id).await
    }

    /// Takes the route away and ends the app. Stopping what is stopped changes nothing.
    pub(crate) async fn stop(&self, who: &Principal, id: DeploymentId, now: DateTime<Utc>) -> Result<(Row, Vec<Change>)> {
        let (row, _) = self.deployment(who, id).await?;
        let live = [State::Pending, State::Starting, State::Running];
        self.stop_as(&row, &live, &format!("stopped by {}", who.id), now).await?;
        self.deployment(who, id).await
    }

    /// Ends what does not serve yet; what serves goes on.
    pub(crate) async fn cancel(&self, who: &Principal, id: DeploymentId, now: DateTime<Utc>) -> Result<(Row, Vec<Change>)> {
        let (row, _) = self.deployment(who, id).await?;
        let stopped = self.stop_as(&row, &[State::Pending, State::Starting], &format!("cancelled by {}", who.id), now).await?;
        let (row, history) = self.deployment(who, id).await?;
        if !stopped && row.state == State::Running {
            let remedy = "stop it, or roll the environment back to what served before";
            return Err(Error::precondition(format!("{id} serves already, and is not to be cancelled any more; {remedy}")));
        }
        Ok((row, history))
    }

    /// False when it is in none of the states.
    pub(super) async fn stop_as(&self, row: &Row, from: &[State], reason: &str, now: DateTime<Utc>) -> Result<bool> {
        let tx = self.db.begin().await?;
        let stopped = deployments::set_state(&tx, row.id, from, State::Stopped, "", now).await?;
        if stopped {
            deployments::record(&tx, row.id, State::Stopped, reason, now).await?;
            let body = DeploymentStopped { environment: row.environment.clone(), reason: reason.to_owned() };
            outbox::append(&tx, &[outbox::event(about(row, 3), Body::DeploymentStopped(body), now)]).await?;
        }
        tx.commit().await?;
        if stopped {
            self.hooks.end(row.id);
            self.outbox.wake();
            self.reroute(row.org_id).await;
            self.wake.notify_one();
        }
        Ok(stopped)
    }

    /// Where people reach the app.
    pub(crate) fn url(&self, row: &Row) -> String {
        format!("{}/{}/", self.public_url, crate::proxy::route_name(&row.project_slug, &row.environment))
    }

    /// Where probes reach it: the way its users go.
    pub(super) fn health_url(&self, row: &Row, path: &str) -> String {
        format!("{}/{}{path}", self.internal_url, crate::proxy::route_name(&row.project_slug, &row.environment))
    }
}

/// How urgent it is and why, for the history. In an emergency nobody approves it.
pub(super) fn urgency(who: &Principal, emergency: bool, reason: &str) -> Result<String> {
    check_reason(reason)?;
    if emergency && !matches!(who.id, PrincipalId::User(_)) {
        return Err(Error::new(Code::PermissionDenied, "people declare an emergency, not services and agents"));
    }
    if emergency && reason.trim().is_empty() {
        return Err(Error::invalid("reason", "is required in an emergency: the history says why nobody approved it"));
    }
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    Ok(format!("{}{why}", if emergency { ", in an emergency" } else { "" }))
}

fn check_reason(reason: &str) -> Result<()> {
    if reason.chars().count() > REASON_MOST {
        return Err(Error::invalid("reason", format!("must be at most {REASON_MOST} characters")));
    }
    Ok(())
}

pub(super) fn rollout(strategy: Strategy, share: u32, observe_s: u32) -> Result<Rollout> {
    if share > 0 && !matches!(strategy, Strategy::Canary | Strategy::Gradual) {
        return Err(Error::invalid("rollout.share", "is a canary's, or of a gradual one"));
    }
    if observe_s > 0 && strategy == Strategy::Rolling {
        return Err(Error::invalid("rollout.observe_s", "is of canary, gradual and blue-green; a rolling one is not tried out"));
    }
    if share > 100 {
        return Err(Error::invalid("rollout.share", "must be 1 to 100 percent"));
    }
    if observe_s > OBSERVE_MOST_S {
        return Err(Error::invalid("rollout.observe_s", format!("must be at most {OBSERVE_MOST_S}")));
    }
    let or = |given: u32, default: u32| i32::try_from(if given == 0 { default } else { given }).unwrap_or(i32::MAX);
    Ok(match strategy {
        Strategy::Rolling => Rollout { strategy, share: 100, observe_s: 0 },
        Strategy::BlueGreen => Rollout { strategy, share: 100, observe_s: or(observe_s, OBSERVE_S) },
        Strategy::Canary | Strategy::Gradual => Rollout { strategy, share: or(share, SHARE), observe_s: or(observe_s, OBSERVE_S) },
    })
}

pub(super) fn check_environment(environment: &str) -> Result<()> {
    if ENVIRONMENTS.contains(&environment) {
        Ok(())
    } else {
        Err(Error::invalid("environment", format!("must be one of {}", ENVIRONMENTS.join(", "))))
    }
}

pub(super) fn check(environment: &str, commit: &str) -> Result<()> {
    check_environment(environment)?;
    if commit.len() != 40 || !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Error::invalid("commit", "must be a full commit id: 40 hex digits"));
    }
    Ok(())
}

/// `version` orders the events of a deployment: asked for 1, decided 2, ended 3.
pub(super) fn about(row: &Row, version: i64) -> About {
    About {
        org: row.org_id,
        project: Some(row.project_id),
        subject: row.id.to_string(),
        version,
        causation: row.causation.clone(),
        traceparent: row.traceparent.clone(),
    }
}
