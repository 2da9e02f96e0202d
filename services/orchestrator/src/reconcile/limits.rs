//! Lets tasks go on whose time came or whose limit has room again, and counts permits anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Wakes;
use crate::app::App;

/// Between two pages of permits that are counted anew.
const COUNT_EVERY: Duration = Duration::from_secs(9);

pub(super) async fn run(app: Arc<App>, wakes: Arc<Wakes>, shutdown: CancellationToken) {
    let mut counted_to = String::new();
    let mut counted: Option<Instant> = None;
    loop {
        tokio::select! { () = wakes.limits.notified() => {}, () = shutdown.cancelled() => return }
        if let Err(error) = app.release_due().await {
            tracing::warn!(?error, "tasks that are due could not be released");
        }
        if counted.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
            counted = Some(Instant::now());
            match app.recount_permits(&counted_to).await {
                Ok(last) => counted_to = last,
                Err(error) => tracing::warn!(?error, "permits could not be counted"),
            }
        }
    }
}
