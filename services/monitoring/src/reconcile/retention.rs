use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::store::targets;

const EVERY: Duration = Duration::from_secs(3_600);

pub(crate) async fn run(app: Arc<App>, shutdown: CancellationToken) {
    loop {
        match targets::prune(&app.db, app.probes.keep_days).await {
            Ok(0) => {}
            Ok(samples) => tracing::info!(samples, "old samples were dropped"),
            Err(error) => tracing::warn!(?error, "old samples could not be dropped"),
        }
        tokio::select! { () = tokio::time::sleep(EVERY) => {}, () = shutdown.cancelled() => return }
    }
}
