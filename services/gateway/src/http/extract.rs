//! Extractors. A handler that has no [`Caller`] among its arguments has nobody to act for.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::{HeaderMap, header, request::Parts};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use titan_error::{Code, Error};
use titan_identity::Principal;

use crate::app::App;

/// Who calls, by `Authorization: Bearer <API key>`.
#[derive(Clone)]
pub(crate) struct Caller(pub(crate) Principal);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let Some(key) = header.and_then(|value| value.strip_prefix("Bearer ")) else {
            return Err(Error::new(Code::Unauthenticated, "an API key is required: `Authorization: Bearer titan_key_…`"));
        };
        app.authenticate(key).await.map(Self)
    }
}

/// Before everything else that a request wants: who it is from, found out and counted once.
pub(super) async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Result<Response, Error> {
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &app).await?;
    app.admit(&caller.0).await?;
    parts.extensions.insert(caller);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// A JSON body; what is wrong with it is said by field.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<App>> for Body<T> {
    type Rejection = Error;
    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Error> {
        let bytes = read_body(request.into_body(), app.body_limit).await?;
        let json = &mut serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(json).map_err(|error| {
            let path = error.path().to_string();
            let field = if path == "." || path == "?" { "body".to_owned() } else { path };
            Error::invalid(field, error.into_inner().to_string())
        })?;
        Ok(Self(value))
    }
}

/// A client that is cut off while it sends does not read why: this much more is read and thrown away.
const DRAINED: usize = 8 << 20;

/// The whole body, if it is not larger than `limit`.
pub(crate) async fn read_body(body: axum::body::Body, limit: usize) -> Result<Vec<u8>, Error> {
    let (mut stream, mut bytes, mut total) = (body.into_data_stream(), Vec::new(), 0);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|e| Error::invalid("body", format!("could not be read: {e}")))?;
        total += chunk.len();
        if total <= limit {
            bytes.extend_from_slice(&chunk);
        } else if total > limit + DRAINED {
            break;
        }
    }
    if total > limit { Err(Error::new(Code::TooLarge, format!("body: is larger than {limit} bytes"))) } else { Ok(bytes) }
}

/// The version a change was made against. `what`: what the caller read it of.
pub(super) fn if_match(headers: &HeaderMap, what: &str) -> Result<String, Error> {
    let tag = headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
    let tag = tag.ok_or_else(|| Error::invalid("If-Match", format!("is required: the ETag of the {what} as you read it")))?;
    Ok(tag.trim_matches('"').to_owned())
}

/// The query string.
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Error::invalid("query", rejection.body_text())),
        }
    }
}
