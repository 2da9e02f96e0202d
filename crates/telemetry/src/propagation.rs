//! W3C trace context: out of the current span into a header, and from a header into a new span.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::global::get_text_map_propagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

const HEADER: &str = "traceparent";

/// The current span as a `traceparent`; none outside a sampled trace.
#[must_use]
pub fn traceparent() -> Option<String> {
    let context = Span::current().context();
    let mut carrier = HashMap::new();
    get_text_map_propagator(|p| p.inject_context(&context, &mut carrier));
    carrier.remove(HEADER)
}

/// Makes `span` continue the trace of `traceparent`; without one, or with a bad one, it starts its own.
#[must_use]
pub fn child_of(span: Span, traceparent: Option<&str>) -> Span {
    if let Some(parent) = traceparent.filter(|t| !t.is_empty()).map(remote)
        && span.set_parent(parent).is_err()
    {
        tracing::debug!("the span is not recorded; its parent is left out");
    }
    span
}

fn remote(traceparent: &str) -> Context {
    let carrier = HashMap::from([(HEADER.to_owned(), traceparent.to_owned())]);
    get_text_map_propagator(|p| p.extract(&carrier))
}

/// The span of an incoming HTTP or gRPC request.
pub fn request_span<B>(request: &http::Request<B>) -> Span {
    let span = tracing::info_span!("request", http.method = %request.method(), http.path = request.uri().path());
    child_of(span, request.headers().get(HEADER).and_then(|v| v.to_str().ok()))
}
