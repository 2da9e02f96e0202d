use titan_error::Result;
use titan_identity::Principal;
use titan_ids::{Agent, AgentId};
use titan_proto::common::PageRequest;
use titan_store::{Page, PageOf};

use super::App;
use crate::store::agents::{self, AgentRow};

impl App {
    pub(crate) async fn agent(&self, who: &Principal, id: AgentId) -> Result<AgentRow> {
        agents::find(&self.db, who.org, id).await
    }

    pub(crate) async fn agents(&self, who: &Principal, page: Option<PageRequest>) -> Result<PageOf<AgentRow>> {
        let page = Page::parse::<Agent>(page)?;
        Ok(page.of(agents::list(&self.db, who.org, page).await?, |a| a.id.to_string()))
    }
}
