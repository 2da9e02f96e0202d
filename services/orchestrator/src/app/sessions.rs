use std::collections::HashSet;

use futures::future::try_join_all;
use sea_orm::TransactionTrait as _;
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::{AgentId, SessionId};
use uuid::Uuid;

use super::{App, Outcome};
use crate::domain::matching::Agent;
use crate::domain::records::Tally;
use crate::domain::session::{AttemptKey, resume};
use crate::store::agents::{self, Hosted};
use crate::store::sessions;

/// What a worker says when it connects.
#[derive(Debug)]
pub(crate) struct Hello {
    pub(crate) session: SessionId,
    pub(crate) worker: String,
    pub(crate) agents: Vec<Hosted>,
    pub(crate) running: Vec<AttemptKey>,
    pub(crate) unacknowledged: Vec<AttemptKey>,
}

/// The session as it stands after connecting.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) epoch: i64,
    pub(crate) agents: Vec<Agent>,
    pub(crate) records: Vec<(AgentId, String, Tally)>,
    /// What it owns, and which agent has it.
    pub(crate) owned: Vec<(AttemptKey, AgentId)>,
    pub(crate) keep: Vec<AttemptKey>,
    pub(crate) redeliver: Vec<AttemptKey>,
}

const AGENTS_MOST: usize = 1_000;

impl App {
    pub(crate) async fn open_session(&self, who: &Principal, hello: &Hello) -> Result<Opened> {
        who.require_service()?;
        if hello.agents.is_empty() || hello.agents.len() > AGENTS_MOST {
            return Err(Error::invalid("hello.agents", format!("must be 1 to {AGENTS_MOST} agents")));
        }
        if let Some(i) = hello.agents.iter().position(|a| a.name.is_empty() || a.role.is_empty() || a.max_concurrency < 1) {
            return Err(Error::invalid(format!("hello.agents[{i}]"), "needs a name, a role and a max_concurrency of 1 or more"));
        }
        let tx = self.db.begin().await?;
        let epoch = sessions::connect(&tx, hello.session, &hello.worker, self.lease()).await?;
        // Its tasks are somebody else's by now; the worker drops everything and starts a new session.
        let epoch = epoch.ok_or_else(|| Error::precondition(format!("{} has expired; start a new session", hello.session)))?;
        let agents = agents::register(&tx, who.org, hello.session, &hello.agents).await?;
        tx.commit().await?;
        let ids: Vec<Uuid> = agents.iter().map(|agent| agent.id.uuid()).collect();
        let records = agents::records(&self.db, &ids).await?;
        let owned = sessions::owned_by(&self.db, hello.session).await?;
        let attempts: Vec<AttemptKey> = owned.iter().map(|(attempt, _)| *attempt).collect();
        let plan = resume(&attempts, &hello.running, &hello.unacknowledged);
        Ok(Opened { epoch, agents, records, owned, keep: plan.keep, redeliver: plan.redeliver })
    }

    pub(crate) async fn heartbeat(&self, beats: &[(SessionId, i64)]) -> Result<Vec<SessionId>> {
        sessions::extend(&self.db, beats, self.lease()).await
    }

    pub(crate) async fn close_session(&self, session: SessionId, epoch: i64) -> Result<()> {
        sessions::disconnect(&self.db, session, epoch, self.grace()).await
    }

    /// Expires what is due and gives the tasks of expired sessions back.
    pub(crate) async fn expire_sessions(&self) -> Result<()> {
        let expired = sessions::expire(&self.db).await?;
        if expired > 0 {
            tracing::info!(expired, "worker sessions expired");
        }
        self.release_orphans().await
    }

    /// Gives the tasks of expired sessions back.
    pub(crate) async fn release_orphans(&self) -> Result<()> {
        let orphans = sessions::orphans(&self.db).await?;
        let lost = || Outcome::Lost { reason: "its worker is gone".to_owned() };
        try_join_all(orphans.iter().map(|owned| self.finish(owned.id, owned.attempt, lost()))).await?;
        Ok(())
    }

    /// Attempts of these that ended before the dispatcher knew that this replica has their session: nobody was told here.
    pub(crate) async fn ended_meanwhile(&self, session: SessionId, owned: &[AttemptKey]) -> Result<Vec<AttemptKey>> {
        let still: HashSet<AttemptKey> = sessions::owned_by(&self.db, session).await?.into_iter().map(|(attempt, _)| attempt).collect();
        Ok(owned.iter().filter(|attempt| !still.contains(attempt)).copied().collect())
    }
}
