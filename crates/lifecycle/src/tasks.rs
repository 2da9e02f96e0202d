use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// The background tasks of a service. When one ends before shutdown — it returned or panicked — the
/// service stops: a process that lost a loop must be restarted, not limp on.
#[derive(Clone, Debug)]
pub struct Tasks {
    tracker: TaskTracker,
    shutdown: CancellationToken,
}

impl Tasks {
    #[must_use]
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { tracker: TaskTracker::new(), shutdown }
    }

    #[must_use]
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// A loop that runs until shutdown.
    pub fn spawn_loop<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shutdown = self.shutdown.clone();
        let end = EndGuard { name, shutdown };
        self.spawn(name, async move {
            let _end = end;
            future.await;
        });
    }

    /// A piece of work that ends by itself.
    #[allow(clippy::disallowed_methods)] // the one place that spawns
    pub fn spawn<F>(&self, name: &'static str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(future.instrument(tracing::debug_span!("background", name)));
    }

    /// Waits for every task; true when all ended within `deadline`.
    pub async fn drain(&self, deadline: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok()
    }
}

struct EndGuard {
    name: &'static str,
    shutdown: CancellationToken,
}

impl Drop for EndGuard {
    fn drop(&mut self) {
        if !self.shutdown.is_cancelled() {
            tracing::error!(task = self.name, "a background loop ended; stopping the service");
            self.shutdown.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_loop_that_panics_stops_the_service() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn_loop("boom", async { panic!("expected by the test") });
        tokio::time::timeout(Duration::from_secs(5), tasks.shutdown().cancelled()).await.unwrap();
    }

    #[tokio::test]
    async fn drain_gives_up_at_its_deadline() {
        let tasks = Tasks::new(CancellationToken::new());
        tasks.spawn("stuck", std::future::pending());
        assert!(!tasks.drain(Duration::from_millis(20)).await);
    }
}
