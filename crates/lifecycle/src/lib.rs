//! This crate only starts and stops things: named tasks under one cancellation token, health that fails
//! when deaf, the admin listener, signals, and the clock at the edge.

mod admin;
mod backoff;
mod fault;
mod health;
mod tasks;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;

pub use admin::{health_router, serve_admin};
pub use backoff::Backoff;
pub use fault::fault;
pub use health::{Check, Health};
pub use tasks::Tasks;

/// Now, for the edge of a service; code below it takes the time as an argument.
#[must_use]
#[allow(clippy::disallowed_methods)] // the one place that reads it
pub fn now() -> DateTime<Utc> {
    Utc::now()
}

/// Cancelled by SIGTERM or SIGINT; a second signal exits at once.
///
/// # Errors
/// The process may not install signal handlers.
#[allow(clippy::disallowed_methods)] // outlives the tasks it stops
pub fn shutdown_on_signal() -> std::io::Result<CancellationToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let token = CancellationToken::new();
    let stop = token.clone();
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::info!("stopping; a second signal exits at once");
        stop.cancel();
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        std::process::exit(130);
    });
    Ok(token)
}
