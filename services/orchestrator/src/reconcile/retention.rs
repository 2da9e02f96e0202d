//! Drops what nobody asks for any more.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::store::retention;

const EVERY: Duration = Duration::from_secs(3_600);
const REST: Duration = Duration::from_secs(1);

pub(super) async fn run(app: Arc<App>, shutdown: CancellationToken) {
    loop {
        let pause = match retention::prune(&app.db, app.engine.history_days).await {
            Ok(0) => EVERY,
            Ok(rows) => {
                tracing::info!(rows, "what is older than the history was dropped");
                REST
            }
            Err(error) => {
                tracing::warn!(?error, "what is old could not be dropped");
                EVERY
            }
        };
        tokio::select! { () = tokio::time::sleep(pause) => {}, () = shutdown.cancelled() => return }
    }
}
