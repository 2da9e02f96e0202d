use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Counted;

#[derive(Debug, Default)]
pub(crate) struct Local(Mutex<Windows>);

#[derive(Debug)]
struct Windows {
    open: HashMap<String, Window>,
    pruned: Instant,
}

impl Default for Windows {
    fn default() -> Self {
        Self { open: HashMap::new(), pruned: Instant::now() }
    }
}

#[derive(Debug)]
struct Window {
    ends: Instant,
    count: u64,
}

/// Windows that ended are thrown away this often.
const PRUNE: Duration = Duration::from_secs(60);

impl Local {
    pub(crate) fn count(&self, key: &str, window: Duration) -> Counted {
        let now = Instant::now();
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if now - windows.pruned > PRUNE {
            windows.open.retain(|_, window| window.ends > now);
            windows.pruned = now;
        }
        let entry = windows.open.entry(key.to_owned()).or_insert(Window { ends: now + window, count: 0 });
        if entry.ends <= now {
            *entry = Window { ends: now + window, count: 0 };
        }
        entry.count += 1;
        Counted { count: entry.count, ends_in: entry.ends - now }
    }
}
