//! Makes what is scheduled when its time comes, and ends the time of messages.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;

const EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn run(app: Arc<App>, shutdown: CancellationToken) {
    loop {
        tokio::select! { () = tokio::time::sleep(EVERY) => {}, () = shutdown.cancelled() => return }
        if let Err(error) = app.run_due_schedules().await {
            tracing::warn!(?error, "schedules could not be run");
        }
        if let Err(error) = app.expire_messages().await {
            tracing::warn!(?error, "messages could not be expired");
        }
    }
}
