//! Use cases.

mod costs;
mod usage;

use std::time::{Duration, Instant};

use sea_orm::{DatabaseConnection, TransactionTrait as _};
use titan_error::{Error, Result};
use titan_identity::{Principal, Signer};
use titan_ids::DeploymentId;
use titan_proto::events::HealthChanged;
use titan_proto::events::event::Body;
use titan_proto::monitoring::Traffic;
use titan_service::Frame;
use titan_store::Outbox;
use titan_store::outbox::{self, About};
use tokio::sync::Notify;

use crate::config::{Prices, Probes};
use crate::store::targets::{self, Due, Sample, Status};

pub(crate) use usage::traffic;

pub(crate) struct App {
    pub(crate) db: DatabaseConnection,
    outbox: Outbox,
    pub(crate) signer: Signer,
    pub(crate) probes: Probes,
    pub(crate) prices: Option<Prices>,
    client: reqwest::Client,
    /// A target may be due.
    pub(crate) wake: Notify,
}

/// Probed at the same time.
const AT_ONCE: i64 = 100;
const IDS_MOST: usize = 200;

impl App {
    pub(crate) fn new(frame: &Frame, probes: Probes, prices: Option<Prices>) -> anyhow::Result<Self> {
        let timeout = Duration::from_millis(probes.timeout_ms.into());
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(titan_proto::PROBE_AGENT)
            .build()?;
        let (db, outbox, signer) = (frame.db.clone(), frame.outbox.clone(), frame.signer.clone());
        Ok(Self { db, outbox, signer, probes, prices, client, wake: Notify::new() })
    }

    /// Probes what is due; true when there may be more.
    pub(crate) async fn probe_due(&self) -> Result<bool> {
        let due = targets::take_due(&self.db, AT_ONCE).await?;
        let full = i64::try_from(due.len()).unwrap_or(AT_ONCE) == AT_ONCE;
        let results = futures::future::join_all(due.iter().map(|target| self.probe(target))).await;
        results.into_iter().collect::<Result<()>>()?;
        Ok(full)
    }

    async fn probe(&self, target: &Due) -> Result<()> {
        let started = Instant::now();
        let answer = self.client.get(&target.url).send().await;
        let latency_ms = Some(started.elapsed().as_secs_f64() * 1_000.0);
        let (up, latency_ms, error) = match answer {
            Ok(answer) if answer.status().is_success() => (true, latency_ms, String::new()),
            Ok(answer) => (false, latency_ms, format!("answered {}", answer.status())),
            Err(e) if e.is_timeout() => (false, None, format!("no answer within {} ms", self.probes.timeout_ms)),
            Err(e) => (false, None, e.without_url().to_string()),
        };
        let sample = Sample { at: titan_lifecycle::now(), up, latency_ms, error };
        let tx = self.db.begin().await?;
        targets::record(&tx, target.deployment_id, &sample).await?;
        if target.up.is_some_and(|before| before != up) {
            let about = About {
                org: target.org_id,
                project: Some(target.project_id),
                subject: target.deployment_id.to_string(),
                version: sample.at.timestamp_millis(),
                causation: String::new(),
                traceparent: target.traceparent.clone(),
            };
            let body = HealthChanged { up, url: target.url.clone(), error: sample.error.clone() };
            outbox::append(&tx, &[outbox::event(about, Body::HealthChanged(body), sample.at)]).await?;
        }
        tx.commit().await?;
        self.outbox.wake();
        Ok(())
    }

    /// With the traffic of the last minutes, and of the last day.
    pub(crate) async fn statuses(&self, who: &Principal, ids: &[String]) -> Result<Vec<(Status, Traffic, Traffic)>> {
        if ids.len() > IDS_MOST {
            return Err(Error::invalid("deployment_ids", format!("must be at most {IDS_MOST}")));
        }
        let parse = |(i, id): (usize, &String)| {
            let id = id.parse::<DeploymentId>().map_err(|e| Error::invalid(format!("deployment_ids[{i}]"), e.to_string()))?;
            Ok(id.uuid())
        };
        let ids = ids.iter().enumerate().map(parse).collect::<Result<Vec<_>>>()?;
        let statuses = targets::statuses(&self.db, who.org, ids).await?;
        self.with_traffic(statuses).await
    }
}
