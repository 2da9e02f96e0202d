use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use deadpool_redis::{Config, Pool, PoolConfig, PoolError, Runtime, redis};

use crate::Counted;

pub(crate) struct Redis {
    pool: Pool,
    prefix: String,
    /// Not asked before then, since it did not answer.
    away_until: Mutex<Option<Instant>>,
}

/// Somebody's request waits for the count.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// The time between two tries of a server that does not answer.
const AWAY: Duration = Duration::from_secs(2);

impl Redis {
    /// None when no server is named.
    pub(crate) fn from_settings(settings: &titan_settings::Counters) -> anyhow::Result<Option<Self>> {
        let Some(url) = &settings.redis_url else { return Ok(None) };
        let mut config = Config::from_url(url.reveal());
        let mut pool = PoolConfig::new(settings.connections);
        pool.timeouts.wait = Some(ANSWER_WITHIN);
        pool.timeouts.create = Some(ANSWER_WITHIN);
        pool.timeouts.recycle = Some(ANSWER_WITHIN);
        config.pool = Some(pool);
        let pool = config.create_pool(Some(Runtime::Tokio1)).context("counters.redis_url")?;
        Ok(Some(Self { pool, prefix: settings.prefix.clone(), away_until: Mutex::new(None) }))
    }

    /// None while the server does not answer.
    pub(crate) async fn count(&self, key: &str, window: Duration) -> Option<Counted> {
        let away = *self.away();
        if away.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let counted = self.ask(key, window).await;
        let mut since = self.away();
        match &counted {
            Ok(_) => {
                if since.take().is_some() {
                    tracing::info!("Redis answers again");
                }
            }
            Err(error) => {
                if since.replace(Instant::now() + AWAY).is_none() {
                    tracing::warn!(%error, "Redis does not answer; each process counts by itself until it does");
                }
            }
        }
        counted.ok()
    }

    async fn ask(&self, key: &str, window: Duration) -> Result<Counted, PoolError> {
        let key = format!("{}:count:{key}", self.prefix);
        let mut connection = self.pool.get().await?;
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        // One transaction: a counter without an end would count for ever.
        let (count, ends_in_ms): (u64, i64) = redis::pipe()
            .atomic()
            .cmd("SET")
            .arg(&key)
            .arg(0)
            .arg("PX")
            .arg(window_ms)
            .arg("NX")
            .ignore()
            .incr(&key, 1)
            .cmd("PTTL")
            .arg(&key)
            .query_async(&mut connection)
            .await?;
        Ok(Counted { count, ends_in: Duration::from_millis(u64::try_from(ends_in_ms).unwrap_or(0)) })
    }

    fn away(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.away_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
