//! Lets tasks go on whose time came or whose limit has room again, and counts permits anew.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Wakes;
use crate::app::App;

/// Rounds between two pages of permits that are counted anew.
const ROUNDS: u32 = 20;

pub(super) async fn run(app: Arc<App>, wakes: Arc<Wakes>, shutdown: CancellationToken) {
    let mut counted_to = String::new();
    for round in 0_u32.. {
        tokio::select! { () = wakes.limits.notified() => {}, () = shutdown.cancelled() => return }
        if let Err(error) = app.release_due().await {
            tracing::warn!(?error, "tasks that are due could not be released");
        }
        if round % ROUNDS == 0 {
            match app.recount_permits(&counted_to).await {
                Ok(last) => counted_to = last,
                Err(error) => tracing::warn!(?error, "permits could not be counted"),
            }
        }
    }
}
