//! This crate only makes the system observable: logs, OTLP traces/metrics/logs, Prometheus `/metrics`,
//! and the W3C trace context that ties the processes together.

mod metrics;
mod propagation;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use titan_settings::{LogFormat, Telemetry};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

pub use metrics::Metrics;
pub use prometheus;
pub use propagation::{child_of, request_span, traceparent};

/// What the exporters themselves use must not be exported again.
const NOT_EXPORTED: &str = "info,h2=off,hyper=off,tonic=off,tower=off,opentelemetry=off,reqwest=off";

/// Flushes what is still buffered; call [`Guard::shutdown`] last.
#[derive(Default)]
pub struct Guard {
    tracer: Option<SdkTracerProvider>,
    meter: Option<SdkMeterProvider>,
    logger: Option<SdkLoggerProvider>,
}

/// Installs the process-wide subscriber. Call it once, inside the runtime.
///
/// # Errors
/// A bad filter or endpoint, or a second call.
pub fn init(service: &'static str, settings: &Telemetry) -> anyhow::Result<Guard> {
    let filter = || settings.log.parse::<EnvFilter>().context("telemetry.log");
    let text = matches!(settings.log_format, LogFormat::Text);
    let human = text.then(|| tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false));
    let json = (!text).then(|| tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr));
    let logs = tracing_subscriber::registry()
        .with(human.map(|l| Ok::<_, anyhow::Error>(l.with_filter(filter()?))).transpose()?)
        .with(json.map(|l| Ok::<_, anyhow::Error>(l.with_filter(filter()?))).transpose()?);

    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    // Without a collector spans still get ids, so that errors can quote a trace id.
    let resource = Resource::builder().with_service_name(service).build();
    let mut tracer = SdkTracerProvider::builder().with_resource(resource.clone());
    let mut guard = Guard::default();
    if let Some(endpoint) = &settings.otlp_endpoint {
        let spans = opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
        tracer = tracer.with_batch_exporter(spans);
        let metrics = opentelemetry_otlp::MetricExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
        let meter = SdkMeterProvider::builder().with_periodic_exporter(metrics).with_resource(resource.clone()).build();
        opentelemetry::global::set_meter_provider(meter.clone());
        guard.meter = Some(meter);
        let exporter = opentelemetry_otlp::LogExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
        guard.logger = Some(SdkLoggerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build());
    }
    let tracer = guard.tracer.insert(tracer.build());
    let spans = tracing_opentelemetry::layer().with_tracer(tracer.tracer(service)).with_filter(NOT_EXPORTED.parse::<EnvFilter>()?);
    let bridge = guard.logger.as_ref().map(OpenTelemetryTracingBridge::new);
    let bridge = bridge.map(|b| Ok::<_, anyhow::Error>(b.with_filter(NOT_EXPORTED.parse::<EnvFilter>()?))).transpose()?;
    logs.with(spans).with(bridge).try_init()?;
    Ok(guard)
}

impl Guard {
    /// Sends what is buffered, giving up after the exporters' own timeouts.
    pub async fn shutdown(self) {
        let flush = tokio::task::spawn_blocking(move || {
            let failed = [
                self.tracer.and_then(|p| p.shutdown().err()),
                self.meter.and_then(|p| p.shutdown().err()),
                self.logger.and_then(|p| p.shutdown().err()),
            ];
            for error in failed.into_iter().flatten() {
                tracing::warn!(%error, "telemetry could not be flushed");
            }
        });
        if flush.await.is_err() {
            tracing::warn!("flushing telemetry panicked");
        }
    }
}
