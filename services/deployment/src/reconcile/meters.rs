//! Tells monitoring what apps use.

use std::sync::Arc;
use std::time::Duration;

use titan_error::Error;
use tokio_util::sync::CancellationToken;

use crate::app::{App, Meters};

const LAST: Duration = Duration::from_secs(1);

pub(crate) async fn run(app: Arc<App>, every: Duration, shutdown: CancellationToken) {
    let mut meters = Meters::default();
    loop {
        let stops = shutdown.run_until_cancelled(tokio::time::sleep(every)).await.is_none();
        // Who stops waits for nobody who may be stopping too.
        let patience = if stops { LAST } else { every.max(LAST) };
        let told = tokio::time::timeout(patience, app.tell_usage(&mut meters)).await;
        if let Err(error) = told.unwrap_or_else(|_| Err(Error::unavailable("no answer in time"))) {
            tracing::warn!(%error, "monitoring was not told what apps use; the next time it is told that too");
        }
        if stops {
            return;
        }
    }
}
