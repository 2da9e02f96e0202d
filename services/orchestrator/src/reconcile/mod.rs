//! Loops that take no input, are idempotent and run on any replica. One of them looks what is due and wakes the others.

mod deadlines;
mod limits;
mod schedules;
mod sessions;

use std::sync::Arc;
use std::time::Duration;

use titan_lifecycle::Tasks;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::store::due;

const EVERY: Duration = Duration::from_millis(500);

/// Wakes the loops that have something to do, or may have.
#[derive(Debug, Default)]
struct Wakes {
    sessions: Notify,
    deadlines: Notify,
    schedules: Notify,
    limits: Notify,
    /// The database did not answer.
    silence: Notify,
}

pub(crate) fn spawn(tasks: &Tasks, app: &Arc<App>) {
    let (wakes, shutdown) = (Arc::new(Wakes::default()), tasks.shutdown());
    tasks.spawn_loop("due", look(app.clone(), wakes.clone(), shutdown.clone()));
    tasks.spawn_loop("sessions", sessions::run(app.clone(), wakes.clone(), shutdown.clone()));
    tasks.spawn_loop("deadlines", deadlines::run(app.clone(), wakes.clone(), shutdown.clone()));
    tasks.spawn_loop("schedules", schedules::run(app.clone(), wakes.clone(), shutdown.clone()));
    tasks.spawn_loop("limits", limits::run(app.clone(), wakes, shutdown.clone()));
}

async fn look(app: Arc<App>, wakes: Arc<Wakes>, shutdown: CancellationToken) {
    loop {
        tokio::select! { () = tokio::time::sleep(EVERY) => {}, () = shutdown.cancelled() => return }
        match due::look(&app.db).await {
            Ok(due) => {
                let waking = [
                    (&wakes.sessions, due.sessions || due.quarantined || due.owned),
                    (&wakes.deadlines, due.deadlines || due.owned),
                    (&wakes.schedules, due.schedules || due.messages),
                    (&wakes.limits, due.held),
                ];
                waking.iter().filter(|(_, due)| *due).for_each(|(wake, _)| wake.notify_one());
            }
            Err(error) => {
                tracing::warn!(?error, "what is due could not be read");
                wakes.silence.notify_one();
            }
        }
    }
}
