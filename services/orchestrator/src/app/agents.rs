use titan_error::{Code, Error, Result};
use titan_identity::Principal;
use titan_ids::{Agent, AgentId, ProjectId};
use titan_proto::common::PageRequest;
use titan_store::{Page, PageOf};

use super::{App, text};
use crate::domain::matching::{Demands, Lane, Subscription};
use crate::store::agents::{self, AgentRow, Condition};
use crate::store::tasks::TaskRow;

impl App {
    /// By id or name.
    pub(crate) async fn agent(&self, who: &Principal, id_or_name: &str) -> Result<AgentRow> {
        match id_or_name.parse::<AgentId>() {
            Ok(id) => agents::find(&self.db, who.org, id).await,
            Err(_) => agents::by_name(&self.db, who.org, id_or_name).await,
        }
    }

    pub(crate) async fn agents(&self, who: &Principal, page: Option<PageRequest>) -> Result<PageOf<AgentRow>> {
        let page = Page::parse::<Agent>(page)?;
        Ok(page.of(agents::list(&self.db, who.org, page).await?, |a| a.id.to_string()))
    }

    /// Whether new work is given to an agent; what it has it keeps.
    pub(crate) async fn set_condition(&self, who: &Principal, agent: &str, condition: Condition, reason: &str) -> Result<AgentRow> {
        let agent = self.agent(who, agent).await?;
        let reason = if reason.trim().is_empty() { format!("by {}", who.id) } else { text("reason", reason, 500)? };
        agents::set_condition(&self.db, agent.id, condition, &reason).await?;
        agents::notify_conditions(&self.db).await?;
        // This replica knows before it answers; the others hear of it.
        self.tell_unfit().await?;
        agents::find(&self.db, who.org, agent.id).await
    }

    /// Reads which agents are given nothing, and tells the dispatcher: one after the other, so that what was read last is told last.
    pub(crate) async fn tell_unfit(&self) -> Result<()> {
        let _one = self.telling_unfit.lock().await;
        self.dispatcher.unfit(agents::unfit(&self.db).await?);
        Ok(())
    }

    /// Wakes it, wherever it is connected.
    pub(crate) async fn trigger_agent(&self, who: &Principal, agent: &str) -> Result<AgentRow> {
        let agent = self.agent(who, agent).await?;
        if !agent.alive {
            let seen = agent.last_seen_at.format("%F %T UTC");
            return Err(Error::precondition(format!("{} is not connected, and was seen last at {seen}; start it", agent.name)));
        }
        agents::notify_trigger(&self.db, agent.id).await?;
        Ok(agent)
    }

    /// Gives agents that were quarantined long enough another chance.
    pub(crate) async fn release_quarantined(&self) -> Result<()> {
        let after = std::time::Duration::from_secs(self.engine.quarantine_s.into());
        if agents::release(&self.db, after, self.engine.quarantine_after).await? > 0 {
            agents::notify_conditions(&self.db).await?;
        }
        Ok(())
    }

    /// Whether the agent called so could be given such a task.
    pub(super) async fn check_recipient(&self, who: &Principal, lane: &Lane, task: &TaskRow, name: &str) -> Result<()> {
        let agent = agents::by_name(&self.db, who.org, name).await;
        let agent = agent.map_err(|error| match error.code() {
            Code::NotFound => Error::invalid("to", format!("there is no agent called {name:?}; `titan agents` lists them")),
            _ => error,
        })?;
        let lacks = agent.lacks(lane, task.project_id, task.priority);
        if lacks.is_empty() { Ok(()) } else { Err(Error::invalid("to", format!("{name} cannot be given it: {}", lacks.join(", ")))) }
    }
}

impl AgentRow {
    /// Why it is not given tasks of this lane; empty when it is.
    pub(crate) fn lacks(&self, lane: &Lane, project: ProjectId, priority: i32) -> Vec<String> {
        let Demands { skills, labels, agent } = &lane.demands;
        let subscription: Subscription = serde_json::from_value(self.subscription.clone()).unwrap_or_default();
        let proficiency = |skill: &str| self.proficiency[skill].as_f64();
        let mut lacks = Vec::new();
        if self.role != lane.role {
            lacks.push(format!("its role is {}, not {}", self.role, lane.role));
        }
        if self.pool != lane.pool {
            lacks.push(format!("its pool is {}, not {}", self.pool, lane.pool));
        }
        lacks.extend(agent.iter().filter(|only| **only != self.name).map(|only| format!("only {only} may take it")));
        for (skill, least) in skills {
            match proficiency(skill) {
                None => lacks.push(format!("it has no skill in {skill}")),
                Some(has) if has < *least => lacks.push(format!("its proficiency in {skill} is {has}, not {least}")),
                Some(_) => {}
            }
        }
        if !subscription.labels.is_empty() && subscription.labels.is_disjoint(labels) {
            lacks.push("it subscribes to other labels".to_owned());
        }
        if !subscription.projects.is_empty() && !subscription.projects.contains(&project) {
            lacks.push("it subscribes to other projects".to_owned());
        }
        if priority < subscription.priority {
            lacks.push(format!("it subscribes to priority {} and above", subscription.priority));
        }
        lacks
    }
}
