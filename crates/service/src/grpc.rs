use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower_http::trace::TraceLayer;

/// A peer that is gone without a word is noticed after both together.
const KEEPALIVE: Duration = Duration::from_secs(3);

/// Serves gRPC until `stop`; the standard health service comes with it.
///
/// # Errors
/// The listener failed.
pub async fn serve_grpc(listener: TcpListener, routes: Routes, stop: CancellationToken) -> anyhow::Result<()> {
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .layer(TraceLayer::new_for_grpc().make_span_with(titan_telemetry::request_span))
        .add_routes(routes)
        .add_service(health);
    // Small messages go out at once; held back for a fuller packet they wait 40 ms for the peer's acknowledgement.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    server.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await.context("the gRPC server")
}
