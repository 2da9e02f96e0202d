//! Answers are kept for a day: no client tries again for longer.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::store::idempotency;

const EVERY: Duration = Duration::from_secs(3_600);

pub(crate) async fn run(app: Arc<App>, shutdown: CancellationToken) {
    loop {
        if let Err(error) = idempotency::prune(&app.db).await {
            tracing::warn!(?error, "old answers could not be dropped");
        }
        tokio::select! { () = tokio::time::sleep(EVERY) => {}, () = shutdown.cancelled() => return }
    }
}
