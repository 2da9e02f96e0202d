//! What replicas tell each other by NOTIFY: what became ready, which attempts ended, new lanes, conditions of agents, messages,
//! changed projects, agents to be woken.

use std::sync::Arc;
use std::time::Duration;

use titan_lifecycle::{Backoff, Check};
use titan_settings::Secret;
use titan_store::sqlx::Executor as _;
use titan_store::sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::dispatch::Dispatcher;
use crate::domain::readiness::Ready;

const READY: &str = "titan_ready";
const REVOKED: &str = "titan_revoked";
const LANES: &str = "titan_lanes";
const AGENTS: &str = "titan_agents";
const MAIL: &str = "titan_mail";
const PROJECTS: &str = "titan_projects";
const TRIGGER: &str = "titan_trigger";

const SILENCE: Duration = Duration::from_secs(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// `task/attempt`, from whichever replica ended it.
fn revoke(dispatcher: &Dispatcher, payload: &str) {
    let attempt = payload.split_once('/').and_then(|(task, attempt)| Some((task.parse().ok()?, attempt.parse().ok()?)));
    match attempt {
        Some((task, attempt)) => dispatcher.revoke(task, attempt),
        None => tracing::warn!(payload, "a revocation that is none"),
    }
}

/// What was told while nobody listened is not known: it is read, and workers that say hello again have the rest sorted out.
async fn relearn(app: &App) -> titan_error::Result<()> {
    app.dispatcher.resync();
    app.known_projects.forget();
    app.lanes.reload(&app.db).await?;
    app.tell_unfit().await?;
    Ok(())
}

/// Wakes the dispatcher for tasks that other replicas stored, and tells it which attempts others ended.
pub(crate) async fn listen(app: Arc<App>, url: Secret, check: Check, shutdown: CancellationToken) {
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    while !shutdown.is_cancelled() {
        let listening = async {
            let mut listener = PgListener::connect(url.reveal()).await?;
            listener.listen_all([READY, REVOKED, LANES, AGENTS, MAIL, PROJECTS, TRIGGER]).await?;
            relearn(&app).await?;
            check.set(true);
            loop {
                let Ok(told) = tokio::time::timeout(SILENCE, listener.try_recv()).await else {
                    // Nobody may have said anything, or the connection is gone and nobody told us.
                    tokio::time::timeout(ANSWER_WITHIN, listener.execute("SELECT 1")).await??;
                    continue;
                };
                match told? {
                    Some(told) => match told.channel() {
                        REVOKED => revoke(&app.dispatcher, told.payload()),
                        LANES => {
                            app.lanes.reload(&app.db).await?;
                            app.dispatcher.search();
                        }
                        AGENTS => app.tell_unfit().await?,
                        MAIL => app.mail.notify_waiters(),
                        PROJECTS => app.known_projects.forget(),
                        TRIGGER => {
                            if let Ok(agent) = told.payload().parse() {
                                app.dispatcher.trigger(agent);
                            }
                            app.ready.notify_waiters();
                        }
                        _ => {
                            app.dispatcher.ready(Ready::heard(told.payload(), app.replica));
                            app.ready.notify_waiters();
                        }
                    },
                    // The connection was lost and made anew.
                    None => relearn(&app).await?,
                }
            }
        };
        let error: anyhow::Result<()> = tokio::select! { r = listening => r, () = shutdown.cancelled() => return };
        check.set(false);
        if let Err(error) = error {
            tracing::warn!(%error, "wake-ups are lost; sweeping meanwhile");
        }
        tokio::select! { () = backoff.sleep() => {}, () = shutdown.cancelled() => return }
    }
}
