//! Fault points: named places where a test can make the process die or stall. Compiled to nothing in release
//! builds.

/// `point=exit` (die as by kill -9) or `point=stall` (never go on), once, at the point named.
pub const FAULT_ENV: &str = "TITAN_FAULT";

#[cfg(not(debug_assertions))]
#[inline]
pub async fn fault(_point: &str) {}

#[cfg(debug_assertions)]
#[allow(clippy::disallowed_methods)] // test builds only
pub async fn fault(point: &str) {
    let Ok(armed) = std::env::var(FAULT_ENV) else { return };
    match armed.split_once('=') {
        Some((name, "exit")) if name == point => std::process::exit(137),
        Some((name, "stall")) if name == point => std::future::pending().await,
        _ => {}
    }
}
