//! One trace, from the command line's request to a tool's run.

use std::collections::HashSet;

use titan_testkit::{OtlpReceiver, Span, eventually};

use crate::stack::Stack;

async fn one_trace(receiver: &OtlpReceiver, stack: &Stack, expected: &[&str]) {
    let output = crate::stack::titan()
        .arg("--home")
        .arg(stack.home.path())
        .args(["--url", &stack.url, "goal", "Build a REST API for boxes with a name", "--watch"])
        .env("TITAN_OTLP_ENDPOINT", &receiver.endpoint)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let trace =
        eventually("the span of the command line", async || receiver.spans().into_iter().find(|s| s.name == "titan goal")).await.trace_id;
    let of_trace = || receiver.spans().into_iter().filter(|s| s.trace_id == trace).collect::<Vec<Span>>();
    // Exporters send in batches, each process its own. Every tool's run is there, below its attempt.
    eventually(&format!("{expected:?}"), async || {
        let spans = of_trace();
        let names: HashSet<&str> = spans.iter().map(|s| s.name.as_str()).collect();
        let ids: HashSet<_> = spans.iter().map(|s| s.span_id.clone()).collect();
        let tools: Vec<_> = spans.iter().filter(|s| s.name == "tool").collect();
        let below = tools.len() >= 8 && tools.iter().all(|tool| ids.contains(&tool.parent_span_id));
        (below && expected.iter().all(|name| names.contains(*name))).then_some(())
    })
    .await;
}

const EXPECTED: &[&str] = &["titan goal", "request", "consume", "attempt", "tool", "supervise"];

#[tokio::test]
async fn over_the_in_process_bus() {
    let receiver = OtlpReceiver::start();
    let stack = Stack::dev(&[("TITAN_OTLP_ENDPOINT", &receiver.endpoint)]);
    one_trace(&receiver, &stack, EXPECTED).await;
}

#[tokio::test]
async fn over_rabbitmq_and_many_processes() {
    let receiver = OtlpReceiver::start();
    let stack = Stack::up(17_100, &[("TITAN_OTLP_ENDPOINT", &receiver.endpoint)]).await;
    one_trace(&receiver, &stack, EXPECTED).await;
    eventually("spans of all five services, the proxy and the command line", async || {
        let services: HashSet<_> = receiver.spans().into_iter().map(|s| s.service).collect();
        (services.len() == 7).then_some(())
    })
    .await;
}
