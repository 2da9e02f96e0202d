//! Agents that we did not write: they ask for work instead of holding a stream. Their session lives as long as they call, and any
//! replica answers.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use sea_orm::TransactionTrait as _;
use titan_error::{Code, Error, Result};
use titan_identity::Principal;
use titan_ids::SessionId;
use titan_proto::worker::Assignment;

use super::assignments::Claimed;
use super::{App, Report, What};
use crate::domain::matching::{Choice, Slot};
use crate::domain::records::Records;
use crate::domain::session::{AttemptKey, resume};
use crate::domain::task::TaskState;
use crate::store::agents::{self, AgentRow, Condition, External, Hosted};
use crate::store::sessions;

/// They say less often than workers that they live.
const LEASE: Duration = Duration::from_secs(60);
/// Shorter than the patience of who asks for them.
const WAIT_MOST: Duration = Duration::from_secs(20);
/// What a lost wake-up missed is found after this long.
const LOOK: Duration = Duration::from_secs(2);
const CONCURRENCY_MOST: u32 = 1_000;

/// What an agent that asked gets.
pub(crate) enum Polled {
    Assigned(Box<Assignment>),
    /// Why there is nothing, and when to ask again.
    Nothing {
        reason: String,
        retry_after: Duration,
    },
}

impl App {
    /// Under its name; what an earlier life had is given back.
    pub(crate) async fn register_agent(&self, who: &Principal, agent: Hosted) -> Result<AgentRow> {
        if !(1..=CONCURRENCY_MOST).contains(&agent.max_concurrency) {
            return Err(Error::invalid("max_concurrency", format!("must be 1 to {CONCURRENCY_MOST}")));
        }
        match agents::by_name(&self.db, who.org, &agent.name).await {
            Ok(existing) => {
                let earlier = agents::external(&self.db, existing.id).await?;
                if earlier.is_none() && existing.alive {
                    return Err(Error::new(Code::AlreadyExists, format!("{:?} is an agent of a worker; choose another name", agent.name)));
                }
                if let Some(earlier) = earlier {
                    sessions::end(&self.db, earlier.session).await?;
                }
            }
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error),
        }
        let session = SessionId::generate();
        let tx = self.db.begin().await?;
        sessions::connect(&tx, session, sessions::EXTERNAL, LEASE).await?;
        agents::register(&tx, who.org, session, std::slice::from_ref(&agent)).await?;
        tx.commit().await?;
        self.release_orphans().await?;
        agents::by_name(&self.db, who.org, &agent.name).await
    }

    /// A task for the agent, as soon as there is one. What it was given and does not have comes first, with the same attempt.
    pub(crate) async fn poll_task(&self, who: &Principal, agent: &str, wait: Duration, running: &[AttemptKey]) -> Result<Polled> {
        let deadline = tokio::time::Instant::now() + wait.min(WAIT_MOST);
        loop {
            // Before looking, so that nothing that comes meanwhile is missed.
            let woken = self.ready.notified();
            let (row, mut external) = self.external(who, agent).await?;
            // Who may touch one project only is given nothing of another.
            if let Some(project) = who.project {
                let wanted = &mut external.agent.subscription.projects;
                if !wanted.is_empty() && !wanted.contains(&project) {
                    return Err(Error::invalid("subscription.projects", "the credential is for another project"));
                }
                *wanted = [project].into();
            }
            let owned = sessions::owned_by(&self.db, external.session).await?;
            let attempts: Vec<AttemptKey> = owned.iter().map(|(attempt, _)| *attempt).collect();
            let missing = resume(&attempts, running, &[]).redeliver;
            let again = missing.get(..1).unwrap_or_default();
            if let Some(assignment) = self.redeliver(again, &TaskState::OWNED).await?.into_iter().next() {
                who.may_touch(assignment.project_id.parse().map_err(Error::internal)?)?;
                // The word of its beginning may have been lost with the answer.
                for (task, attempt) in again {
                    self.report(Report { task: *task, attempt: *attempt, usage: None, what: What::Started }).await?;
                }
                return Ok(Polled::Assigned(Box::new(assignment)));
            }
            let nothing = match row.condition {
                Condition::Draining | Condition::Quarantined => Some((format!("it is given nothing: {}", row.condition_reason), 30)),
                Condition::Fit if attempts.len() >= external.agent.max_concurrency as usize => {
                    Some(("it has as many tasks as it takes at once".to_owned(), 1))
                }
                Condition::Fit => None,
            };
            if let Some((reason, seconds)) = nothing {
                return Ok(Polled::Nothing { reason, retry_after: Duration::from_secs(seconds) });
            }
            let slot = Slot {
                agent: Arc::new(crate::domain::matching::Agent {
                    max_concurrency: u32::try_from(attempts.len()).unwrap_or(u32::MAX).saturating_add(1),
                    ..external.agent.clone()
                }),
                session: external.session,
                epoch: external.epoch,
                running: u32::try_from(attempts.len()).unwrap_or(u32::MAX),
            };
            let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let offer = self.offer(vec![slot]);
            let Claimed { tasks, unseen, .. } = self.claim(None, offer, &shares, &Records::default(), titan_lifecycle::now()).await?;
            if let Some((choice, assignment)) = tasks.into_iter().next() {
                let Choice { candidate, .. } = &choice;
                self.shares.lock().unwrap_or_else(PoisonError::into_inner).charge(candidate.project, candidate.project_weight);
                // Who asked for it begins it.
                self.report(Report { task: choice.candidate.id, attempt: choice.next.attempt, usage: None, what: What::Started }).await?;
                return Ok(Polled::Assigned(Box::new(assignment)));
            }
            if unseen {
                // Another poll of its was first; how many it has now is to be read.
                continue;
            }
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if left.is_zero() {
                let reason = format!("nothing is ready for a {} of the pool {} with its skills and subscription", row.role, row.pool);
                return Ok(Polled::Nothing { reason, retry_after: Duration::from_secs(1) });
            }
            let _ = tokio::time::timeout(left.min(LOOK), woken).await; // either way it looks again
        }
    }

    /// What of `running` it still owns, and whether it has something beside that.
    pub(crate) async fn heartbeat_agent(&self, who: &Principal, agent: &str, running: &[AttemptKey]) -> Result<(Vec<AttemptKey>, bool)> {
        let (_, external) = self.external(who, agent).await?;
        let owned: Vec<AttemptKey> =
            sessions::owned_by(&self.db, external.session).await?.into_iter().map(|(attempt, _)| attempt).collect();
        let plan = resume(&owned, running, &[]);
        Ok((plan.keep, !plan.redeliver.is_empty()))
    }

    /// What it has is somebody else's at once.
    pub(crate) async fn remove_agent(&self, who: &Principal, agent: &str) -> Result<AgentRow> {
        let row = self.agent(who, agent).await?;
        let external = agents::external(&self.db, row.id).await?;
        let external =
            external.ok_or_else(|| Error::precondition(format!("{} is an agent of a worker and leaves with it; drain it", row.name)))?;
        sessions::end(&self.db, external.session).await?;
        self.release_orphans().await?;
        self.agent(who, agent).await
    }

    /// False when the attempt is stale.
    pub(crate) async fn report_attempt(&self, who: &Principal, agent: &str, report: Report) -> Result<bool> {
        let (row, _) = self.external(who, agent).await?;
        let task = self.task(who, report.task).await?;
        if task.agent_id != Some(row.id) {
            return Ok(false);
        }
        self.report(report).await
    }

    /// The agent, whose lease every call extends.
    async fn external(&self, who: &Principal, agent: &str) -> Result<(AgentRow, External)> {
        let row = self.agent(who, agent).await?;
        let external = agents::external(&self.db, row.id).await?;
        let external = external
            .ok_or_else(|| Error::precondition(format!("{} is an agent of a worker, which gets its tasks by its stream", row.name)))?;
        if sessions::extend(&self.db, &[(external.session, external.epoch)], LEASE).await?.is_empty() {
            let message = format!("{} said nothing for {} s and is gone; register it again", row.name, LEASE.as_secs());
            return Err(Error::precondition(message));
        }
        Ok((row, external))
    }
}
