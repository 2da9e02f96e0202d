//! `Idempotency-Key` on POST: the second call with a key gets the answer of the first. The key also goes
//! down to the service that acts, which covers a crash between its commit and our note of the answer.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use titan_error::{Error, Result};
use titan_identity::Principal;

use super::extract::{Caller, read_body};
use crate::app::{App, Kept};

pub(super) const HEADER: &str = "idempotency-key";
const KEY_MOST: usize = 200;
const ANSWER_MOST: usize = 4 << 20;

pub(super) async fn answer_once(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key(HEADER) {
        return next.run(request).await;
    }
    match try_answer_once(&app, request, next).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn try_answer_once(app: &Arc<App>, request: Request, next: Next) -> Result<Response> {
    let key = key(request.headers())?;
    let (mut parts, body) = request.into_parts();
    let Caller(who) = Caller::from_request_parts(&mut parts, app).await?;
    let body = read_body(body, app.body_limit).await?;
    let digest = Sha256::new().chain_update(parts.uri.path()).chain_update([0]).chain_update(&body).finalize();
    if let Some(kept) = app.take_key(who.org, &key, &digest).await? {
        return replay(kept);
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    keep(app, &who, &key, response).await
}

fn key(headers: &HeaderMap) -> Result<String> {
    let key = headers.get(HEADER).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if key.is_empty() || key.len() > KEY_MOST {
        return Err(Error::invalid("Idempotency-Key", format!("must be 1 to {KEY_MOST} printable ASCII characters")));
    }
    Ok(key.to_owned())
}

/// Marks the answer of a call that may be made again: the key does nothing for it.
#[derive(Clone)]
pub(super) struct NotKept;

async fn keep(app: &App, who: &Principal, key: &str, response: Response) -> Result<Response> {
    if response.extensions().get::<NotKept>().is_some() {
        app.give_back(who.org, key).await?;
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, ANSWER_MOST).await.map_err(Error::internal)?;
    if parts.status.is_server_error() {
        // Nothing is known to have happened; the caller is to try again.
        app.give_back(who.org, key).await?;
    } else {
        let headers: serde_json::Map<String, Value> = [header::CONTENT_TYPE, header::LOCATION, header::ETAG]
            .iter()
            .filter_map(|name| Some((name.to_string(), json!(parts.headers.get(name)?.to_str().ok()?))))
            .collect();
        let kept = Kept { status: parts.status.as_u16(), headers: headers.into(), body: body.to_vec() };
        app.keep(who.org, key, &kept).await?;
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(kept: Kept) -> Result<Response> {
    let mut response = Response::new(Body::from(kept.body));
    *response.status_mut() = StatusCode::from_u16(kept.status).map_err(Error::internal)?;
    for (name, value) in kept.headers.as_object().into_iter().flatten() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value.as_str().unwrap_or_default())) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

/// The caller's key, or a fresh one: what is behind is called with a key always, so
/// that it may be called again when its answer got lost.
pub(super) fn downstream_key(headers: &HeaderMap) -> String {
    match headers.get(HEADER).and_then(|v| v.to_str().ok()) {
        Some(key) => format!("api/{key}"),
        None => format!("once/{}", uuid::Uuid::new_v4()),
    }
}
