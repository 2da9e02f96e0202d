//! The REST API, as every other client sees it.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use titan_lifecycle::Backoff;

use crate::home::Home;

pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error("the gateway at {url} does not answer ({reason}); start it with `titan dev`, or name another with --url")]
    Unreachable { url: String, reason: String },
    #[error("{detail}\n(the API key is that of another installation? set TITAN_API_KEY or --home)")]
    Unauthenticated { detail: String },
    #[error("{detail}")]
    Refused { detail: String },
    #[error("the answer is not what was expected: {0}")]
    Odd(String),
}

impl ClientError {
    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unauthenticated { .. })
    }
}

/// The gateway may be restarting; after this long it is not there.
const TRIES: u32 = 6;

impl Client {
    pub(crate) fn new(url: &str, home: &Home) -> anyhow::Result<Self> {
        Self::with_key(url, home.api_key()?)
    }

    pub(crate) fn with_key(url: &str, key: String) -> anyhow::Result<Self> {
        let http =
            reqwest::Client::builder().timeout(Duration::from_secs(30)).connect_timeout(Duration::from_secs(3)).no_proxy().build()?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), key })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.call(|| self.request(Method::GET, path)).await
    }

    /// Every try carries the same key, so that what is done is done once.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.post_as(path, &uuid::Uuid::new_v4().to_string(), body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.call(|| self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<Value, ClientError> {
        self.call(|| self.request(Method::DELETE, path)).await
    }

    /// Against the version that was read.
    pub(crate) async fn patch(&self, path: &str, version: &str, body: &Value) -> Result<Value, ClientError> {
        self.call(|| self.request(Method::PATCH, path).header("if-match", format!("\"{version}\"")).json(body)).await
    }

    /// With a key of the caller's.
    pub(crate) async fn post_as(&self, path: &str, key: &str, body: &Value) -> Result<Value, ClientError> {
        self.call(|| self.request(Method::POST, path).header("idempotency-key", key).json(body)).await
    }

    /// A body that is not JSON.
    pub(crate) async fn text(&self, path: &str) -> Result<String, ClientError> {
        let odd = |e: reqwest::Error| ClientError::Odd(e.to_string());
        let answer = self.request(Method::GET, path).send().await.map_err(odd)?;
        let (status, text) = (answer.status(), answer.text().await.map_err(odd)?);
        if status.is_success() { Ok(text) } else { Err(ClientError::Refused { detail: detail(&text) }) }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}/api/v1{path}", self.url)).bearer_auth(&self.key);
        match titan_telemetry::traceparent() {
            Some(traceparent) => request.header("traceparent", traceparent),
            None => request,
        }
    }

    async fn call(&self, request: impl Fn() -> RequestBuilder) -> Result<Value, ClientError> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
        let mut last = String::new();
        for _ in 0..TRIES {
            match request().send().await {
                Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE || answer.status() == StatusCode::BAD_GATEWAY => {
                    last = detail(&answer.text().await.unwrap_or_default());
                }
                Ok(answer) => {
                    let (status, text) = (answer.status(), answer.text().await.map_err(|e| ClientError::Odd(e.to_string()))?);
                    return read(status, &text);
                }
                Err(e) if e.is_connect() || e.is_timeout() || e.is_request() => last = e.without_url().to_string(),
                Err(e) => return Err(ClientError::Odd(e.to_string())),
            }
            backoff.sleep().await;
        }
        Err(ClientError::Unreachable { url: self.url.clone(), reason: last })
    }
}

fn read(status: StatusCode, text: &str) -> Result<Value, ClientError> {
    match status {
        s if s.is_success() => serde_json::from_str(text).map_err(|e| ClientError::Odd(e.to_string())),
        StatusCode::UNAUTHORIZED => Err(ClientError::Unauthenticated { detail: detail(text) }),
        _ => Err(ClientError::Refused { detail: detail(text) }),
    }
}

/// What a problem+json says, with the trace id for the operator.
fn detail(text: &str) -> String {
    let Ok(problem) = serde_json::from_str::<Value>(text) else { return text.chars().take(500).collect() };
    let detail = problem["detail"].as_str().unwrap_or(text).to_owned();
    match problem["trace_id"].as_str().filter(|_| problem["status"].as_u64().is_some_and(|s| s >= 500)) {
        Some(trace) => format!("{detail} (trace {trace})"),
        None => detail,
    }
}
