//! Fault points: named places where a test makes the process die as by kill -9. Compiled to nothing in
//! release builds.

/// Names a directory. A file in it, called like a point, arms the point once, for whichever process
/// comes there first.
#[cfg(debug_assertions)]
const FAULT_ENV: &str = "TITAN_FAULTS";

#[cfg(not(debug_assertions))]
#[inline]
pub async fn fault(_point: &str) {}

#[cfg(debug_assertions)]
#[allow(clippy::disallowed_methods)] // test builds only
pub async fn fault(point: &str) {
    // Removing a file succeeds for one process only.
    if let Ok(dir) = std::env::var(FAULT_ENV)
        && std::fs::remove_file(std::path::Path::new(&dir).join(point)).is_ok()
    {
        std::process::exit(137);
    }
}
