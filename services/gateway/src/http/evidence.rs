use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use titan_blobs::Digest;
use titan_error::{Error, Result};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::Caller;
use crate::app::App;

/// The whole output behind a piece of evidence, by the digest in the task's result. Who knows the digest
/// has seen the result it stands in.
#[utoipa::path(get, path = "/api/v1/evidence/{digest}", params(("digest" = String, Path)), responses((status = 200, body = String, content_type = "text/plain"), (status = 404), (status = 422)))]
async fn get(State(app): State<Arc<App>>, Caller(_who): Caller, Path(digest): Path<String>) -> Result<Response> {
    let digest: Digest = digest.parse().map_err(|e: String| Error::invalid("digest", e))?;
    let bytes = app.blobs.get(&digest).await?;
    let safe = [(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    Ok((safe, bytes).into_response())
}

pub(super) fn router() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(get))
}
