//! This crate only holds the contract between services: the messages and clients generated from
//! `proto/`, and the conversions of the well-known types that every adapter needs.
#![allow(unreachable_pub)] // generated code

mod event;
pub mod latency;
pub mod time;

#[allow(clippy::all, clippy::too_many_lines, clippy::large_futures)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/titan.rs"));
}
pub use generated::titan::common::v1 as common;
pub use generated::titan::deployment::v1 as deployment;
pub use generated::titan::events::v1 as events;
pub use generated::titan::monitoring::v1 as monitoring;
pub use generated::titan::orchestrator::v1 as orchestrator;
pub use generated::titan::worker::v1 as worker;

/// Bytes of the largest message that goes out of the orchestrator: an assignment with the results of a thousand tasks, or a page of
/// tasks, of 64 KiB a document.
pub const ASSIGNMENT_MOST: usize = 80 << 20;

/// What monitoring calls itself when it probes an app: such requests are nobody's traffic.
pub const PROBE_AGENT: &str = "titan-monitoring";

/// The file descriptors of this build; compared with the last release's in `tests/`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/titan.descriptors"));
