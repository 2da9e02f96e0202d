//! This crate only boots a service: from settings to its frame — database, outbox relay, bus, health,
//! metrics, admin listener, gRPC server — and down again in order.

mod boot;
mod frame;
mod grpc;
mod peers;

use titan_settings::{Bus, Database, Identity, Listen, Settings, Telemetry};
use tokio::net::TcpListener;

pub use boot::service_main;
pub use frame::Frame;
pub use grpc::serve_grpc;
pub use peers::{Peers, retrying};

/// With glibc's, allocating was a seventh of what `perf` saw under load; with this one a tenth.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A listener whose connections send small answers at once; held back for a fuller packet they wait for the peer's
/// acknowledgement.
pub fn without_delay(listener: TcpListener) -> impl axum::serve::Listener<Io = tokio::net::TcpStream, Addr = std::net::SocketAddr> {
    use axum::serve::ListenerExt as _;
    listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::debug!(%error, "a connection delays what it sends");
        }
    })
}

/// The sections every service has, wherever they stand in its own settings.
#[derive(Clone, Copy, Debug)]
pub struct FrameSettings<'a> {
    pub listen: &'a Listen,
    pub database: &'a Database,
    pub bus: &'a Bus,
    pub identity: &'a Identity,
    pub telemetry: &'a Telemetry,
}

impl FrameSettings<'_> {
    pub fn problems(&self, problems: &mut Vec<String>) {
        self.database.problems(problems);
        self.bus.problems(problems);
        self.identity.problems(problems);
    }
}

pub trait ServiceSettings: Settings + Send + 'static {
    fn frame(&self) -> FrameSettings<'_>;
}

/// Implements [`ServiceSettings`] for settings whose sections have the usual names.
#[macro_export]
macro_rules! frame_settings {
    ($settings:ty) => {
        impl $crate::ServiceSettings for $settings {
            fn frame(&self) -> $crate::FrameSettings<'_> {
                let Self { listen, database, bus, identity, telemetry, .. } = self;
                $crate::FrameSettings { listen, database, bus, identity, telemetry }
            }
        }
    };
}

/// Bound before the service starts, so that a taken port is an error at the start and tests use port 0.
#[derive(Debug)]
pub struct Listeners {
    /// The service's own interface.
    pub main: TcpListener,
    /// Health and metrics.
    pub admin: TcpListener,
}

impl Listeners {
    /// # Errors
    /// An address that is taken or not of this host; the error names it.
    pub async fn bind(listen: &Listen) -> anyhow::Result<Self> {
        use anyhow::Context as _;
        let main = TcpListener::bind(listen.address).await.with_context(|| format!("listen.address {}", listen.address))?;
        let admin = TcpListener::bind(listen.admin).await.with_context(|| format!("listen.admin {}", listen.admin))?;
        Ok(Self { main, admin })
    }
}
