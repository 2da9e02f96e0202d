//! This crate only runs code nobody has vouched for. It climbs down a ladder of isolation, probed at the
//! start and failing closed: bubblewrap is the rung that exists today; without it nothing runs.
//!
//! A job sees a read-only `/usr`, its own copy of a directory under `/work`, no network, no other process,
//! no secret and no capability, and dies with its time, memory, process, disk or output limit.

mod app;
mod bubblewrap;
mod job;
mod probe;
mod seccomp;

pub use app::App;
pub use job::{Ended, Job, Limits, Outcome};
pub use probe::{Level, Sandbox, Unavailable};
