use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;

use async_trait::async_trait;
use titan_bus::{Bus, Consume, InProcess, QUEUES, Verdict};
use titan_lifecycle::Check;
use titan_proto::events::EventBatch;
use titan_service::{Listeners, ServiceSettings};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::TestDatabase;

/// The signing key of every test installation.
pub const KEY: &str = "a signing key for tests, 32 bytes or more";

/// A service's own `run()` on free ports, and on a thread of its own: it goes on while the test waits.
pub struct TestService {
    /// `http://127.0.0.1:…`
    pub url: String,
    /// Of health and metrics.
    pub admin: String,
    shutdown: CancellationToken,
    ended: oneshot::Receiver<anyhow::Result<()>>,
}

/// The sections every service has, for `schema` in `database`; append the service's own.
#[must_use]
pub fn settings(database: &TestDatabase, schema: &str) -> String {
    format!(
        "[listen]\naddress = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n[database]\nurl = \"{}\"\npool_size = 5\n[bus]\nprefix = \"test\"\n[identity]\nsigning_key = \"{KEY}\"\n",
        database.service_url(schema)
    )
}

impl TestService {
    pub fn start<S, F>(settings: &str, bus: Bus, run: impl FnOnce(S, Listeners, Bus, CancellationToken) -> F + Send + 'static) -> Self
    where
        S: ServiceSettings,
        F: Future<Output = anyhow::Result<()>>,
    {
        let settings: S = titan_settings::load_text(settings).unwrap();
        let (main, admin) = (crate::listen(), crate::listen());
        let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let (url, admin_url) = (url(&main), url(&admin));
        let shutdown = CancellationToken::new();
        let (stop, (end, ended)) = (shutdown.clone(), oneshot::channel());
        crate::apart(async move || {
            let tokio = |listener| tokio::net::TcpListener::from_std(listener).unwrap();
            // The test may be gone by now.
            let _ = end.send(run(settings, Listeners { main: tokio(main), admin: tokio(admin) }, bus, stop).await);
        });
        Self { url, admin: admin_url, shutdown, ended }
    }

    /// Until it says that it is ready.
    pub async fn ready(&self) {
        let url = format!("{}/health/ready", self.admin);
        crate::eventually("a service that is ready", async || reqwest::get(&url).await.ok().filter(|answer| answer.status() == 200)).await;
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

struct Accepting;

#[async_trait]
impl Consume for Accepting {
    async fn consume(&self, _: &EventBatch) -> Verdict {
        Verdict::Ok
    }
}

/// The in-process bus of a service that is tested by itself: whatever it tells is taken.
#[must_use]
pub fn accepting_bus() -> Bus {
    let bus: Bus = Arc::new(InProcess::default());
    let consumed = bus.clone();
    crate::apart(async move || {
        let consume = |queue| consumed.consume(queue, Arc::new(Accepting), Check::default(), CancellationToken::new());
        futures::future::join_all(QUEUES.iter().map(|queue| consume(*queue))).await;
    });
    bus
}
