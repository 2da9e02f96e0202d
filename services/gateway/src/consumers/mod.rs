//! One consumer: every event, into the log.

use async_trait::async_trait;
use sea_orm::{DatabaseConnection, DatabaseTransaction};
use titan_bus::GATEWAY_EVENTS;
use titan_error::{Error, Result};
use titan_proto::events::Event;
use titan_store::inbox::{Handle, Inbox};

use crate::store::events::{self, NewEntry};

pub(crate) struct EventLog;

pub(crate) fn event_log(db: &DatabaseConnection) -> Inbox<EventLog> {
    Inbox { db: db.clone(), consumer: GATEWAY_EVENTS.name, handler: EventLog }
}

#[async_trait]
impl Handle for EventLog {
    async fn handle(&self, tx: &DatabaseTransaction, events: &[&Event]) -> Result<()> {
        let entries = events.iter().map(|event| entry(event)).collect::<Result<Vec<_>>>()?;
        events::append(tx, &entries).await?;
        events::notify(tx).await
    }
}

fn entry(event: &Event) -> Result<NewEntry> {
    let bad = |field: &'static str| move |e: titan_ids::ParseIdError| Error::invalid(field, e.to_string());
    let at = event.at.as_ref().and_then(titan_proto::time::from_proto);
    Ok(NewEntry {
        org: event.org_id.parse().map_err(bad("org_id"))?,
        project: if event.project_id.is_empty() { None } else { Some(event.project_id.parse().map_err(bad("project_id"))?) },
        name: event.name.clone(),
        subject: event.subject.clone(),
        causation: event.causation_id.clone(),
        at: at.ok_or_else(|| Error::invalid("at", "is missing"))?,
        event: serde_json::to_string(event).map_err(Error::internal)?,
    })
}
