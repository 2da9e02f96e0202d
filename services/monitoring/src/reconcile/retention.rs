use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::store::usage;

const EVERY: Duration = Duration::from_secs(3_600);

pub(crate) async fn run(app: Arc<App>, shutdown: CancellationToken) {
    loop {
        match usage::prune(&app.db, app.probes.keep_hours_days).await {
            Ok(0) => {}
            Ok(hours) => tracing::info!(hours, "old hours were dropped"),
            Err(error) => tracing::warn!(?error, "old hours could not be dropped"),
        }
        tokio::select! { () = tokio::time::sleep(EVERY) => {}, () = shutdown.cancelled() => return }
    }
}
