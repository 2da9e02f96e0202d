//! Tells monitoring what apps did and used, from time to time.

use std::time::Duration;

use titan_error::{Error, Result};
use tokio_util::sync::CancellationToken;

use crate::reports::{Reports, Usages};

const LAST: Duration = Duration::from_secs(1);

pub(crate) async fn run(
    mut reports: Reports,
    mut measure: impl AsyncFnMut() -> Result<Usages>,
    every: Duration,
    shutdown: CancellationToken,
) {
    loop {
        let stops = shutdown.run_until_cancelled(tokio::time::sleep(every)).await.is_none();
        // Who stops waits for nobody who may be stopping too.
        let patience = if stops { LAST } else { every.max(LAST) };
        let told = tokio::time::timeout(patience, reports.tell(&mut measure)).await;
        match told.unwrap_or_else(|_| Err(Error::unavailable("no answer in time"))) {
            // Monitoring may have stopped before.
            Err(error) if stops => tracing::debug!(%error, "monitoring was not told what apps did last"),
            Err(error) => tracing::warn!(%error, "monitoring was not told what apps do; the next time it is told that too"),
            Ok(()) => {}
        }
        if stops {
            return;
        }
    }
}
