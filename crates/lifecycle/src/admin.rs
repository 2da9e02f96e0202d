use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::Health;

/// Serves `/health/live` and `/health/ready`, and `metrics` beside them, until `stop`.
///
/// # Errors
/// The listener failed.
pub async fn serve_admin(listener: TcpListener, health: Health, metrics: Router, stop: CancellationToken) -> std::io::Result<()> {
    axum::serve(listener, health_router(health).merge(metrics)).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// `/health/live` and `/health/ready`.
pub fn health_router(health: Health) -> Router {
    Router::new().route("/health/live", get(async || "ok\n")).route("/health/ready", get(ready)).with_state(health)
}

/// `ok`, or 503 with the names of what is missing.
async fn ready(State(health): State<Health>) -> (StatusCode, String) {
    match health.failing().as_slice() {
        [] => (StatusCode::OK, "ok\n".to_owned()),
        failing => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", failing.join(", "))),
    }
}
