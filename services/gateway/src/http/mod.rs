//! REST: `/api/v1`, one convention for every resource, written once here.

mod agents;
mod backups;
mod costs;
mod deployments;
mod environments;
mod events;
mod evidence;
mod external;
mod extract;
mod goals;
mod idempotent;
mod interventions;
mod messages;
mod operations;
mod page;
mod projects;
mod schedules;
mod tasks;
mod templates;
mod versions;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use axum::{Json, Router, middleware};
use titan_error::{Code, Error};
use titan_lifecycle::Health;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use utoipa::OpenApi as _;
use utoipa::openapi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(title = "TitanForge", description = "An autonomous software agency in your own cluster."),
    modifiers(&Bearer),
    security(("api_key" = [])),
)]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// What every operation may answer, said once.
fn add_common_responses(document: &mut openapi::OpenApi) {
    let common = [("401", "No API key, or not a valid one."), ("429", "Too many requests; `retry-after` says when to try again.")];
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            for (status, description) in common {
                operation.responses.responses.insert(status.to_owned(), openapi::Response::new(description).into());
            }
        }
    }
}

pub(crate) fn router(app: Arc<App>, health: Health) -> Router {
    let (api, mut document) = OpenApiRouter::with_openapi(Document::openapi())
        .merge(projects::router())
        .merge(versions::router())
        .merge(backups::router())
        .merge(operations::router())
        .merge(goals::router())
        .merge(tasks::router())
        .merge(interventions::router())
        .merge(agents::router())
        .merge(external::router())
        .merge(schedules::router())
        .merge(templates::router())
        .merge(messages::router())
        .merge(deployments::router())
        .merge(environments::router())
        .merge(costs::router())
        .merge(events::router())
        .merge(evidence::router())
        .layer(middleware::from_fn_with_state(app.clone(), idempotent::answer_once))
        .split_for_parts();
    add_common_responses(&mut document);
    let api = api.route("/api/v1/openapi.json", serve_document(document));
    let api = api.route_layer(middleware::from_fn_with_state(app.clone(), extract::admit));
    let git = Router::new().route("/git/{repo}/{*path}", any(crate::git::serve)).layer(DefaultBodyLimit::disable());
    api.merge(git)
        .method_not_allowed_fallback(async || method_not_allowed())
        .fallback(async |request: Request| Error::not_found(request.uri().path()))
        .layer(CatchPanicLayer::custom(|_| Error::internal("a handler panicked").into_response()))
        .layer(TraceLayer::new_for_http().make_span_with(titan_telemetry::request_span))
        .with_state(app)
        .merge(titan_lifecycle::health_router(health))
}

fn serve_document(document: openapi::OpenApi) -> axum::routing::MethodRouter<Arc<App>> {
    get(async move |_: extract::Caller| Json(document))
}

fn method_not_allowed() -> Response {
    let mut response = Error::new(Code::InvalidArgument, "this path does not take that method; see `allow`").into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

/// `201` with the place of what was made.
fn created<T: serde::Serialize>(location: String, body: T) -> Response {
    (StatusCode::CREATED, [(header::LOCATION, location)], Json(body)).into_response()
}
