use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Counted;

#[derive(Debug, Default)]
pub(crate) struct Local(Mutex<HashMap<String, Window>>);

#[derive(Debug)]
struct Window {
    ends: Instant,
    count: u64,
}

/// Windows that ended are thrown away when there are more than this.
const KEPT: usize = 10_000;

impl Local {
    pub(crate) fn count(&self, key: &str, window: Duration) -> Counted {
        let now = Instant::now();
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() > KEPT {
            windows.retain(|_, window| window.ends > now);
        }
        let entry = windows.entry(key.to_owned()).or_insert(Window { ends: now + window, count: 0 });
        if entry.ends <= now {
            *entry = Window { ends: now + window, count: 0 };
        }
        entry.count += 1;
        Counted { count: entry.count, ends_in: entry.ends - now }
    }
}
