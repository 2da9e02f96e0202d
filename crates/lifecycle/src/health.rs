use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

/// What the service needs to be of use: the database, the broker, a peer. Ready when every check passes
/// and the service is not stopping.
#[derive(Clone, Debug, Default)]
pub struct Health {
    checks: Arc<RwLock<BTreeMap<&'static str, Check>>>,
}

/// One thing a service needs; failing until told otherwise.
#[derive(Clone, Debug, Default)]
pub struct Check(Arc<AtomicBool>);

impl Check {
    pub fn set(&self, passing: bool) {
        self.0.store(passing, Ordering::Relaxed);
    }
    #[must_use]
    pub fn passing(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Health {
    #[must_use]
    pub fn check(&self, name: &'static str) -> Check {
        self.checks.write().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone()
    }

    /// The names of the failing checks; none means ready.
    #[must_use]
    pub fn failing(&self) -> Vec<&'static str> {
        let checks = self.checks.read().unwrap_or_else(PoisonError::into_inner);
        checks.iter().filter(|(_, check)| !check.passing()).map(|(name, _)| *name).collect()
    }
}
