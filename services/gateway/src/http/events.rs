//! The event log: read in pages, or live over a WebSocket that resumes at any number, on any replica.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::GoalId;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Caller, Query};
use crate::app::App;
use crate::store::events::{Entry, Filter};

const PAGE: i64 = 200;
/// Finds what a lost hint missed, and shows a gone client.
const PING: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventsIn {
    /// Number of the last event seen; the stream starts after the newest one if not given, the list at the
    /// beginning.
    after: Option<i64>,
    /// Only events of this goal and what it caused.
    goal: Option<String>,
    /// Only events of this project, by id.
    project: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct EventOut {
    /// Rises by one with each event of the installation: the cursor to resume at.
    seq: i64,
    /// Id, name, time, subject and body as in `proto/titan/events/v1`.
    #[schema(value_type = Object)]
    event: Value,
}

#[derive(Debug, Serialize, ToSchema)]
struct EventsOut {
    /// Oldest first, at most 200.
    events: Vec<EventOut>,
}

impl From<Entry> for EventOut {
    fn from(Entry { seq, event }: Entry) -> Self {
        Self { seq, event }
    }
}

impl EventsIn {
    fn filter(&self) -> Result<Filter> {
        let goal = self.goal.as_deref().map(|g| g.parse::<GoalId>().map_err(|e| Error::invalid("goal", e.to_string()))).transpose()?;
        let project =
            self.project.as_deref().map(|p| p.parse().map_err(|e: titan_ids::ParseIdError| Error::invalid("project", e.to_string())));
        Ok(Filter { goal: goal.map(|g| g.to_string()), project: project.transpose()? })
    }
}

/// Events after a number.
#[utoipa::path(get, path = "/api/v1/events", params(EventsIn), responses((status = 200, body = EventsOut), (status = 422)))]
async fn list(State(app): State<Arc<App>>, Caller(who): Caller, Query(query): Query<EventsIn>) -> Result<Json<EventsOut>> {
    let entries = app.events_after(&who, &query.filter()?, query.after.unwrap_or(0), PAGE).await?;
    Ok(Json(EventsOut { events: entries.into_iter().map(EventOut::from).collect() }))
}

/// The same, live: a WebSocket with one JSON event a message.
#[utoipa::path(get, path = "/api/v1/events/stream", params(EventsIn), responses((status = 101), (status = 422)))]
async fn stream(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Query(query): Query<EventsIn>,
    upgrade: WebSocketUpgrade,
) -> Result<Response> {
    let filter = query.filter()?;
    let after = match query.after {
        Some(after) => after,
        None => app.last_event().await?,
    };
    Ok(upgrade.max_message_size(1 << 16).on_upgrade(async move |socket| {
        if let Err(error) = pump(&app, &who, &filter, after, socket).await {
            tracing::debug!(%error, "a live stream ended");
        }
    }))
}

/// Sends from the log, from the cursor on; hints only say when to look.
async fn pump(app: &App, who: &Principal, filter: &Filter, mut after: i64, mut socket: WebSocket) -> anyhow::Result<()> {
    let mut grown = app.grown();
    loop {
        grown.mark_unchanged();
        let entries = app.events_after(who, filter, after, PAGE).await?;
        let full = entries.len() as i64 == PAGE;
        for entry in entries {
            after = entry.seq;
            let text = serde_json::to_string(&EventOut::from(entry))?;
            socket.send(Message::Text(text.into())).await?;
        }
        if full {
            continue;
        }
        tokio::select! {
            changed = grown.changed() => changed?,
            () = tokio::time::sleep(PING) => socket.send(Message::Ping(Default::default())).await?,
            () = app.tasks.shutdown().cancelled() => return Ok(socket.send(Message::Close(None)).await?),
            message = socket.recv() => match message {
                None | Some(Err(_) | Ok(Message::Close(_))) => return Ok(()),
                Some(Ok(_)) => {}
            },
        }
    }
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(stream))
}
