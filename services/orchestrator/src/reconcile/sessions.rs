//! Gives back the tasks of workers that are gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Wakes;
use crate::app::App;

const EVERY: Duration = Duration::from_secs(2);

/// Nothing expires until the database has answered for one whole lease: after an outage every worker gets
/// the time to say that it is still there.
pub(super) async fn run(app: Arc<App>, wakes: Arc<Wakes>, shutdown: CancellationToken) {
    let mut answering_since = Instant::now();
    loop {
        tokio::select! {
            biased;
            () = wakes.silence.notified() => {
                answering_since = Instant::now();
                continue;
            }
            () = wakes.sessions.notified() => {}
            () = shutdown.cancelled() => return,
        }
        if answering_since.elapsed() >= app.lease()
            && let Err(error) = app.expire_sessions().await.and(app.release_quarantined().await)
        {
            tracing::warn!(?error, "sessions could not be reconciled");
            answering_since = Instant::now();
        }
        tokio::select! { () = tokio::time::sleep(EVERY) => {}, () = shutdown.cancelled() => return }
    }
}
