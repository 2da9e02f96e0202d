//! Loops that take no input, are idempotent and run on any replica. One of them looks what is due and wakes the others.

mod deadlines;
mod limits;
mod retention;
mod schedules;
mod sessions;

use std::sync::Arc;
use std::time::{Duration, Instant};

use titan_lifecycle::Tasks;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::store::due;

const EVERY: Duration = Duration::from_millis(500);
/// A look that takes long, past what was there before, is taken less often.
const LOOKING_MOST: u32 = 20;
const EVERY_MOST: Duration = Duration::from_secs(5);
/// A database that takes so long did not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// Permits are counted anew also while nothing waits for one.
const COUNT_EVERY: Duration = Duration::from_secs(10);

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
    tasks.spawn_loop("retention", retention::run(app.clone(), shutdown.clone()));
}

async fn look(app: Arc<App>, wakes: Arc<Wakes>, shutdown: CancellationToken) {
    let (mut took, mut counted) = (Duration::ZERO, Instant::now());
    loop {
        let pause = EVERY.max((took * LOOKING_MOST).min(EVERY_MOST));
        tokio::select! { () = tokio::time::sleep(pause) => {}, () = shutdown.cancelled() => return }
        let began = Instant::now();
        let looked = due::look(&app.db).await;
        took = began.elapsed();
        if took > ANSWER_WITHIN {
            wakes.silence.notify_one();
        }
        let count = counted.elapsed() >= COUNT_EVERY;
        if count {
            counted = Instant::now();
        }
        match looked {
            Ok(due) => {
                let waking = [
                    (&wakes.sessions, due.sessions || due.quarantined || due.owned),
                    (&wakes.deadlines, due.deadlines || due.owned),
                    (&wakes.schedules, due.schedules || due.messages),
                    (&wakes.limits, due.held || count),
                ];
                waking.iter().filter(|(_, due)| *due).for_each(|(wake, _)| wake.notify_one());
                if due.ready {
                    app.dispatcher.sweep();
                }
            }
            Err(error) => {
                tracing::warn!(?error, "what is due could not be read");
                wakes.silence.notify_one();
            }
        }
    }
}
