use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::app::App;

const EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn run(app: Arc<App>, shutdown: CancellationToken) {
    loop {
        match app.probe_due().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(?error, "targets are not probed"),
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = app.wake.notified() => {}
            () = shutdown.cancelled() => return,
        }
    }
}
