//! Makes what is scheduled when its time comes, and ends the time of messages.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Wakes;
use crate::app::App;

pub(super) async fn run(app: Arc<App>, wakes: Arc<Wakes>, shutdown: CancellationToken) {
    loop {
        tokio::select! { () = wakes.schedules.notified() => {}, () = shutdown.cancelled() => return }
        if let Err(error) = app.run_due_schedules().await {
            tracing::warn!(?error, "schedules could not be run");
        }
        if let Err(error) = app.expire_messages().await {
            tracing::warn!(?error, "messages could not be expired");
        }
    }
}
