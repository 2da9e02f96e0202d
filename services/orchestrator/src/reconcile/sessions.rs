//! Gives back the tasks of workers that are gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::app::App;

const EVERY: Duration = Duration::from_secs(2);

/// Nothing expires until the database has answered for one whole lease: after an outage every worker gets
/// the time to say that it is still there.
pub(crate) async fn run(app: Arc<App>, shutdown: CancellationToken) {
    let mut answering_since = Instant::now();
    loop {
        tokio::select! { () = tokio::time::sleep(EVERY) => {}, () = shutdown.cancelled() => return }
        let result = if answering_since.elapsed() >= app.lease() {
            app.expire_sessions().await.and(app.release_quarantined().await)
        } else {
            app.db.ping().await.map_err(titan_error::Error::from)
        };
        if let Err(error) = result {
            tracing::warn!(?error, "sessions could not be reconciled");
            answering_since = Instant::now();
        }
    }
}
