//! Makes the host look as the table says: starts, watches, restarts and ends apps.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::{App, Steps};

/// While something is on its way, and otherwise.
const BUSY: Duration = Duration::from_millis(200);
const IDLE: Duration = Duration::from_secs(2);

pub(crate) async fn run(app: Arc<App>, shutdown: CancellationToken) {
    let mut steps = Steps::default();
    loop {
        let pause = match app.supervise(&mut steps).await {
            Ok(true) => BUSY,
            Ok(false) => IDLE,
            Err(error) => {
                tracing::warn!(?error, "deployments are not supervised");
                IDLE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = app.wake.notified() => {}
            () = shutdown.cancelled() => break,
        }
    }
    steps.end().await;
    if let Err(error) = app.give_back().await {
        tracing::warn!(?error, "leases end by themselves");
    }
}
