use std::future::Future;
use std::time::Duration;

use anyhow::Context as _;
use titan_error::{Code, Result};
use titan_lifecycle::Backoff;
use tonic::transport::{Channel, Endpoint};

/// The replicas of a service that another one calls.
#[derive(Clone, Debug)]
pub struct Peers(Vec<Endpoint>);

impl Peers {
    /// # Errors
    /// No URL, or one that is none; `name` is the settings key.
    pub fn new(name: &str, urls: &[String]) -> anyhow::Result<Self> {
        anyhow::ensure!(!urls.is_empty(), "{name}: name at least one URL");
        let endpoint = |url: &String| {
            let endpoint = Endpoint::from_shared(url.clone()).with_context(|| format!("{name}: {url:?} is not a URL"))?;
            let endpoint = endpoint.connect_timeout(Duration::from_secs(3)).tcp_nodelay(true);
            Ok(endpoint
                .http2_keep_alive_interval(Duration::from_secs(3))
                .keep_alive_timeout(Duration::from_secs(3))
                .keep_alive_while_idle(true))
        };
        urls.iter().map(endpoint).collect::<anyhow::Result<_>>().map(Self)
    }

    /// For unary calls: connects when needed, spreads over the replicas. A replica that is away answers
    /// `Unavailable`, so wrap calls in [`retrying`].
    #[must_use]
    pub fn balanced(&self) -> Channel {
        let limited = self.0.iter().map(|e| e.clone().timeout(Duration::from_secs(30)));
        Channel::balance_list(limited)
    }

    /// For a long stream: one replica, the `turn`th.
    #[must_use]
    pub fn one(&self, turn: usize) -> Channel {
        self.0[turn % self.0.len()].connect_lazy()
    }
}

/// Calls again while the answer is `Unavailable`, for about five seconds. Every call made through it is
/// idempotent: reads, and writes with a key.
///
/// # Errors
/// The last answer.
pub async fn retrying<T, F: Future<Output = std::result::Result<tonic::Response<T>, tonic::Status>>>(call: impl Fn() -> F) -> Result<T> {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
    let mut left = 12_u32;
    loop {
        let error = match call().await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) => titan_error::Error::from(status),
        };
        left -= 1;
        if error.code() != Code::Unavailable || left == 0 {
            return Err(error);
        }
        backoff.sleep().await;
    }
}
