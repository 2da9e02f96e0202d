use std::future::Future;

use titan_bus::Bus;
use titan_service::{Listeners, ServiceSettings};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::TestDatabase;

/// The signing key of every test installation.
pub const KEY: &str = "a signing key for tests, 32 bytes or more";

/// A service's own `run()` on free ports.
pub struct TestService {
    /// `http://127.0.0.1:…`
    pub url: String,
    /// Of health and metrics.
    pub admin: String,
    shutdown: CancellationToken,
    running: tokio::task::JoinHandle<anyhow::Result<()>>,
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
    pub async fn start<S, F>(settings: &str, bus: Bus, run: impl FnOnce(S, Listeners, Bus, CancellationToken) -> F + Send + 'static) -> Self
    where
        S: ServiceSettings,
        F: Future<Output = anyhow::Result<()>>,
    {
        let settings: S = titan_settings::load_text(settings).unwrap();
        let (main, admin) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let url = format!("http://{}", main.local_addr().unwrap());
        let admin_url = format!("http://{}", admin.local_addr().unwrap());
        let shutdown = CancellationToken::new();
        let (stop, runtime) = (shutdown.clone(), tokio::runtime::Handle::current());
        let running = tokio::task::spawn_blocking(move || runtime.block_on(run(settings, Listeners { main, admin }, bus, stop)));
        Self { url, admin: admin_url, shutdown, running }
    }

    /// Asks it to stop and waits until it has.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
    }
}
