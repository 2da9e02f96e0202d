use std::sync::Arc;
use std::time::Duration;

use titan_error::Result;
use titan_identity::Principal;
use titan_lifecycle::Backoff;
use titan_settings::Secret;
use titan_store::sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::store::events::{self, Entry, Filter};

impl App {
    /// Events after number `seq`, oldest first.
    pub(crate) async fn events_after(&self, who: &Principal, filter: &Filter, seq: i64, limit: i64) -> Result<Vec<Entry>> {
        events::after(&self.db, who.org, filter, seq, limit).await
    }

    pub(crate) async fn last_event(&self) -> Result<i64> {
        events::last(&self.db).await
    }

    /// Changes whenever the log may have grown; only a hint.
    pub(crate) fn grown(&self) -> watch::Receiver<()> {
        self.grown.subscribe()
    }

    /// Hears of what any replica logged.
    pub(crate) async fn listen(self: Arc<Self>, url: Secret, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        while !shutdown.is_cancelled() {
            let listening = async {
                let mut listener = PgListener::connect(url.reveal()).await?;
                listener.listen("titan_events").await?;
                loop {
                    listener.try_recv().await?;
                    self.grown.send_replace(());
                }
            };
            let error: Result<(), titan_store::sqlx::Error> = tokio::select! { r = listening => r, () = shutdown.cancelled() => return };
            if let Err(error) = error {
                tracing::warn!(%error, "sockets poll meanwhile");
            }
            tokio::select! { () = backoff.sleep() => {}, () = shutdown.cancelled() => return }
        }
    }
}
