//! The whole, as its users see it: the `titan` program, REST, WebSocket and git, against real servers.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

mod api;
mod architecture;
mod chaos;
mod engine;
mod faults;
mod gates;
mod goal;
mod handover;
mod modify;
mod outages;
mod stack;
mod trace;
mod upgrade;
