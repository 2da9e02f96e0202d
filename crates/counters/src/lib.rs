//! This crate only counts in windows of time, in Redis for all replicas together or in this process. What
//! it knows may be lost at any moment: nothing depends on it but how much is let through.

mod local;
mod redis;

use std::time::Duration;

use local::Local;
use redis::Redis;

/// How often a key was counted in its window, and how long that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// This time included.
    pub count: u64,
    pub ends_in: Duration,
}

#[derive(Debug)]
pub struct Counters {
    local: Local,
    /// While it does not answer, each process counts by itself.
    redis: Option<Redis>,
}

impl Counters {
    /// # Errors
    /// A URL that is none. A server that does not answer is no error.
    pub fn new(settings: &titan_settings::Counters) -> anyhow::Result<Self> {
        Ok(Self { local: Local::default(), redis: Redis::from_settings(settings)? })
    }

    /// Counts `key` once more. A window starts with the first count after the last one ended.
    pub async fn count(&self, key: &str, window: Duration) -> Counted {
        let together = match &self.redis {
            Some(redis) => redis.count(key, window).await,
            None => None,
        };
        together.unwrap_or_else(|| self.local.count(key, window))
    }
}
