//! Ends attempts that take longer than they may, and gives to others what is not begun. A live session never protects a stuck task.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Wakes;
use crate::app::{App, Outcome};
use crate::store::sessions;

const EVERY: Duration = Duration::from_secs(2);
/// A look that takes long, past what was owned before, is taken less often.
const LOOKING_MOST: u32 = 20;
const EVERY_MOST: Duration = Duration::from_secs(10);
/// Workers stop at the deadline themselves; this is for those that do not.
const MARGIN: Duration = Duration::from_secs(3);

pub(super) async fn run(app: Arc<App>, wakes: Arc<Wakes>, shutdown: CancellationToken) {
    loop {
        tokio::select! { () = wakes.deadlines.notified() => {}, () = shutdown.cancelled() => return }
        let began = Instant::now();
        if let Err(error) = end_overdue(&app).await {
            tracing::warn!(?error, "deadlines could not be reconciled");
        }
        let pause = EVERY.max((began.elapsed() * LOOKING_MOST).min(EVERY_MOST));
        tokio::select! { () = tokio::time::sleep(pause) => {}, () = shutdown.cancelled() => return }
    }
}

async fn end_overdue(app: &App) -> titan_error::Result<()> {
    for overdue in sessions::overdue(&app.db, MARGIN).await? {
        let (message, code) = ("the attempt took longer than its timeout".to_owned(), "timeout".to_owned());
        app.finish(overdue.id, overdue.attempt, Outcome::Failed { message, code, last: false }).await?;
        // Also when this was not what ended it: it is over.
        sessions::notify_revoked(&app.db, overdue.id, overdue.attempt).await?;
    }
    app.expire_tasks().await?;
    app.rebalance().await
}
