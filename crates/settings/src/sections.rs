//! Sections that more than one service has.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::Secret;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// URL of the service's own role.
    pub url: Secret,
    /// For migrations and LISTEN when `url` goes through a pooler such as PgBouncer.
    #[serde(default)]
    pub direct_url: Option<Secret>,
    /// Connections at the most. Services × replicas × pool must stay below the server's `max_connections`.
    pub pool_size: u32,
}

impl Database {
    #[must_use]
    pub fn direct(&self) -> &Secret {
        self.direct_url.as_ref().unwrap_or(&self.url)
    }

    pub fn problems(&self, problems: &mut Vec<String>) {
        for (key, url) in [("url", Some(&self.url)), ("direct_url", self.direct_url.as_ref())] {
            if url.is_some_and(|u| !u.reveal().starts_with("postgres://") && !u.reveal().starts_with("postgresql://")) {
                problems.push(format!("database.{key}: must look like postgres://role:password@host:5432/database"));
            }
        }
        if !(1..=200).contains(&self.pool_size) {
            problems.push("database.pool_size: must be 1 to 200".to_owned());
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bus {
    /// RabbitMQ, e.g. `amqp://user:password@host:5672/vhost`; absent means the in-process bus.
    pub amqp_url: Option<Secret>,
    /// Prefix of every exchange and queue, so that several installations share a broker.
    pub prefix: String,
}

impl Default for Bus {
    fn default() -> Self {
        Self { amqp_url: None, prefix: "titan".to_owned() }
    }
}

impl Bus {
    pub fn problems(&self, problems: &mut Vec<String>) {
        if self.amqp_url.as_ref().is_some_and(|u| !u.reveal().starts_with("amqp://") && !u.reveal().starts_with("amqps://")) {
            problems.push("bus.amqp_url: must look like amqp://user:password@host:5672".to_owned());
        }
        if self.prefix.is_empty() || !self.prefix.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            problems.push("bus.prefix: 1 or more of a-z 0-9 - _ .".to_owned());
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Counters {
    /// Redis, e.g. `redis://:password@host:6379`; absent means that each process counts by itself.
    pub redis_url: Option<Secret>,
    /// Prefix of every key, so that several installations share a server.
    pub prefix: String,
}

impl Default for Counters {
    fn default() -> Self {
        Self { redis_url: None, prefix: "titan".to_owned() }
    }
}

impl Counters {
    pub fn problems(&self, problems: &mut Vec<String>) {
        if self.redis_url.as_ref().is_some_and(|u| !u.reveal().starts_with("redis://") && !u.reveal().starts_with("rediss://")) {
            problems.push("counters.redis_url: must look like redis://:password@host:6379".to_owned());
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Key by which services sign principals for each other; the same in every service, 32 bytes or more.
    pub signing_key: Secret,
}

impl Identity {
    pub fn problems(&self, problems: &mut Vec<String>) {
        if self.signing_key.reveal().len() < 32 {
            problems.push(
                "identity.signing_key: must be 32 characters or more, the same in every service (make one with `openssl rand -hex 32`)"
                    .to_owned(),
            );
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Address of the service's own interface.
    pub address: SocketAddr,
    /// Address of `/health/live`, `/health/ready` and `/metrics`; keep it inside the cluster.
    pub admin: SocketAddr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// tracing-subscriber filter, e.g. `info,titan_orchestrator=debug`.
    pub log: String,
    pub log_format: LogFormat,
    /// OTLP/gRPC collector, e.g. `http://localhost:4317`; absent sends nothing.
    pub otlp_endpoint: Option<String>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { log: "info".to_owned(), log_format: LogFormat::Json, otlp_endpoint: None }
    }
}
