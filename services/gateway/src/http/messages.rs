use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use titan_error::Result;
use titan_proto::orchestrator::{
    self as proto, AcknowledgeMessageRequest, GetMessageRequest, ListDeadMessagesRequest, MessageTo, ReadMailboxRequest, SendMessageRequest,
};
use titan_service::retrying;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Caller, Query};
use super::idempotent::downstream_key;
use super::page::{PageIn, PageOut, json, short, time};
use crate::app::App;

/// To whom: an agent by name or id, every agent of a department, or every agent of a team (its pool).
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ToIn {
    Agent,
    Department,
    Team,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MessageIn {
    to_kind: ToIn,
    to: String,
    /// 0 to 9, the highest is read first; 0 if not given.
    #[serde(default)]
    priority: i32,
    subject: String,
    #[serde(default)]
    #[schema(value_type = Object)]
    body: Option<serde_json::Map<String, Value>>,
    /// Id of a message.
    #[serde(default)]
    in_reply_to: String,
    /// Seconds it waits for its readers; a week if not given. What nobody acknowledged by then is dead.
    #[serde(default)]
    ttl_s: u32,
    /// Of the attempt it is sent for: once that is stale, it is not sent.
    #[serde(default)]
    credential: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct MessageOut {
    id: String,
    from: String,
    /// `agent`, `department` or `team`.
    to_kind: String,
    to: String,
    priority: i32,
    subject: String,
    #[schema(value_type = Object)]
    body: Value,
    in_reply_to: Option<String>,
    recipients: i32,
    acknowledged: i32,
    /// Names of agents that have not acknowledged it, at most 100; only of one message, and of dead ones.
    unread_by: Vec<String>,
    created_at: Option<String>,
    expires_at: Option<String>,
}

impl From<proto::Message> for MessageOut {
    fn from(message: proto::Message) -> Self {
        Self {
            to_kind: short(message.to_kind().as_str_name(), "MESSAGE_TO_"),
            id: message.id,
            from: message.from,
            to: message.to,
            priority: message.priority,
            subject: message.subject,
            body: json(&message.body_json),
            in_reply_to: Some(message.in_reply_to).filter(|id| !id.is_empty()),
            recipients: message.recipients,
            acknowledged: message.acknowledged,
            unread_by: message.unread_by,
            created_at: time(message.created_at),
            expires_at: time(message.expires_at),
        }
    }
}

/// Send a message to agents' mailboxes. It is stored, then told of as `message.sent`: who was away reads it later.
#[utoipa::path(post, path = "/api/v1/messages", request_body = MessageIn, params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, body = MessageOut), (status = 404), (status = 409), (status = 412), (status = 422)))]
async fn send(State(app): State<Arc<App>>, Caller(who): Caller, headers: HeaderMap, Body(message): Body<MessageIn>) -> Result<Response> {
    let MessageIn { to_kind, to, priority, subject, body, in_reply_to, ttl_s, credential: attempt_credential } = message;
    let to_kind = match to_kind {
        ToIn::Agent => MessageTo::Agent,
        ToIn::Department => MessageTo::Department,
        ToIn::Team => MessageTo::Team,
    };
    let (to_kind, body_json) = (to_kind.into(), Value::Object(body.unwrap_or_default()).to_string());
    let idempotency_key = downstream_key(&headers);
    let request = SendMessageRequest { to_kind, to, priority, subject, body_json, in_reply_to, ttl_s, idempotency_key, attempt_credential };
    let send = async || app.message_service().send_message(app.signer.request(&who, request.clone())?).await;
    let sent = retrying(send).await?;
    Ok(super::created(format!("/api/v1/messages/{}", sent.id), MessageOut::from(sent)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct MailboxIn {
    /// Wait so long for a message when there is none, at most 20,000.
    #[serde(default)]
    wait_ms: u32,
}

#[derive(Debug, Serialize, ToSchema)]
struct MailboxOut {
    /// At most 100, the most urgent first.
    messages: Vec<MessageOut>,
}

/// What an agent, by id or name, has not acknowledged.
#[utoipa::path(get, path = "/api/v1/agents/{id}/messages", params(("id" = String, Path), MailboxIn), responses((status = 200, body = MailboxOut), (status = 404)))]
async fn mailbox(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path(agent): Path<String>,
    Query(MailboxIn { wait_ms }): Query<MailboxIn>,
) -> Result<Json<MailboxOut>> {
    let request = ReadMailboxRequest { agent, wait_ms };
    let read = async || app.message_service().read_mailbox(app.signer.request(&who, request.clone())?).await;
    Ok(Json(MailboxOut { messages: app.while_it_runs(retrying(read)).await?.messages.into_iter().map(Into::into).collect() }))
}

/// Take a message out of an agent's mailbox. Twice is like once.
#[utoipa::path(post, path = "/api/v1/agents/{id}/messages/{message}/ack", params(("id" = String, Path), ("message" = String, Path)),
    responses((status = 200, body = MessageOut), (status = 404), (status = 422)))]
async fn acknowledge(
    State(app): State<Arc<App>>,
    Caller(who): Caller,
    Path((agent, id)): Path<(String, String)>,
) -> Result<Json<MessageOut>> {
    let request = AcknowledgeMessageRequest { id, agent };
    let acknowledge = async || app.message_service().acknowledge_message(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(acknowledge).await?.into()))
}

/// One message, and who has not acknowledged it.
#[utoipa::path(get, path = "/api/v1/messages/{id}", params(("id" = String, Path)), responses((status = 200, body = MessageOut), (status = 404)))]
async fn one(State(app): State<Arc<App>>, Caller(who): Caller, Path(id): Path<String>) -> Result<Json<MessageOut>> {
    let request = GetMessageRequest { id };
    let get = async || app.message_service().get_message(app.signer.request(&who, request.clone())?).await;
    Ok(Json(retrying(get).await?.into()))
}

/// Messages that somebody did not acknowledge in time.
#[utoipa::path(get, path = "/api/v1/messages/dead", params(PageIn), responses((status = 200, body = PageOut<MessageOut>)))]
async fn dead(State(app): State<Arc<App>>, Caller(who): Caller, Query(page): Query<PageIn>) -> Result<Json<PageOut<MessageOut>>> {
    let request = ListDeadMessagesRequest { page: page.request() };
    let list = async || app.message_service().list_dead_messages(app.signer.request(&who, request.clone())?).await;
    let found = retrying(list).await?;
    Ok(Json(PageOut::new(found.messages, found.page, MessageOut::from)))
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(send))
        .routes(routes!(one))
        .routes(routes!(mailbox))
        .routes(routes!(acknowledge))
        .routes(routes!(dead))
}
