//! Tells monitoring what apps use.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::{App, Meters};

pub(crate) async fn run(app: Arc<App>, every: Duration, shutdown: CancellationToken) {
    let mut meters = Meters::default();
    loop {
        let stops = shutdown.run_until_cancelled(tokio::time::sleep(every)).await.is_none();
        if let Err(error) = app.tell_usage(&mut meters).await {
            tracing::warn!(%error, "monitoring was not told what apps use; the next time it is told that too");
        }
        if stops {
            return;
        }
    }
}
