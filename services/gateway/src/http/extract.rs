//! Extractors. A handler that has no [`Caller`] among its arguments has nobody to act for.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use titan_error::{Code, Error};
use titan_identity::Principal;

use crate::app::App;

/// Who calls, by `Authorization: Bearer <API key>`.
pub(crate) struct Caller(pub(crate) Principal);

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Error;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
        let Some(key) = header.and_then(|value| value.strip_prefix("Bearer ")) else {
            return Err(Error::new(Code::Unauthenticated, "an API key is required: `Authorization: Bearer titan_key_…`"));
        };
        app.authenticate(key).await.map(Self)
    }
}

/// A JSON body; what is wrong with it is said by field.
pub(crate) struct Body<T>(pub(crate) T);

/// Too large for an [`Error`], which has no code of its own for it.
pub(crate) struct BodyRejection(Response);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = BodyRejection;
    async fn from_request(request: Request, state: &S) -> Result<Self, BodyRejection> {
        let bytes = Bytes::from_request(request, state).await.map_err(BodyRejection::from)?;
        let json = &mut serde_json::Deserializer::from_slice(&bytes);
        let value = serde_path_to_error::deserialize(json).map_err(|error| {
            let path = error.path().to_string();
            let field = if path == "." { "body".to_owned() } else { path };
            BodyRejection(Error::invalid(field, error.into_inner().to_string()).into_response())
        })?;
        Ok(Self(value))
    }
}

impl From<BytesRejection> for BodyRejection {
    fn from(rejection: BytesRejection) -> Self {
        let status = rejection.status();
        let message = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than this API takes (256 KiB unless configured otherwise)".to_owned(),
            _ => rejection.body_text(),
        };
        let mut response = Error::invalid("body", message).into_response();
        *response.status_mut() = status;
        Self(response)
    }
}

impl IntoResponse for BodyRejection {
    fn into_response(self) -> Response {
        self.0
    }
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
