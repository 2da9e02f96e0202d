use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, RedisResult};

use crate::Counted;

/// One connection that many requests share; it is made anew when it breaks.
pub(crate) struct Redis {
    client: Client,
    connection: Mutex<Option<ConnectionManager>>,
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
        let client = Client::open(url.reveal()).context("counters.redis_url")?;
        let prefix = settings.prefix.clone();
        Ok(Some(Self { client, connection: Mutex::new(None), prefix, away_until: Mutex::new(None) }))
    }

    /// None while the server does not answer.
    pub(crate) async fn count(&self, key: &str, window: Duration) -> Option<Counted> {
        let was_away = {
            let mut away = lock(&self.away_until);
            if away.is_some_and(|until| Instant::now() < until) {
                return None;
            }
            // Of those who come now one tries for all.
            away.as_mut().map(|until| *until = Instant::now() + AWAY).is_some()
        };
        let counted = tokio::time::timeout(ANSWER_WITHIN, self.ask(key, window)).await;
        let error = match counted {
            Ok(Ok(counted)) => {
                if was_away {
                    *lock(&self.away_until) = None;
                    tracing::info!("Redis answers again");
                }
                return Some(counted);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => {
                // A connection whose other end is gone without a word stays silent for ever.
                *lock(&self.connection) = None;
                format!("no answer within {} ms", ANSWER_WITHIN.as_millis())
            }
        };
        if lock(&self.away_until).replace(Instant::now() + AWAY).is_none() {
            tracing::warn!(error, "Redis does not answer; each process counts by itself until it does");
        }
        None
    }

    async fn ask(&self, key: &str, window: Duration) -> RedisResult<Counted> {
        let key = format!("{}:count:{key}", self.prefix);
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
            .query_async(&mut self.connection()?)
            .await?;
        Ok(Counted { count, ends_in: Duration::from_millis(u64::try_from(ends_in_ms).unwrap_or(0)) })
    }

    /// Connects with the first command.
    fn connection(&self) -> RedisResult<ConnectionManager> {
        let mut known = lock(&self.connection);
        if let Some(connection) = &*known {
            return Ok(connection.clone());
        }
        let config =
            ConnectionManagerConfig::new().set_number_of_retries(0).set_connection_timeout(Some(ANSWER_WITHIN)).set_response_timeout(None);
        let connection = ConnectionManager::new_lazy_with_config(self.client.clone(), config)?;
        *known = Some(connection.clone());
        Ok(connection)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
