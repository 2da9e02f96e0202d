use std::collections::{BTreeSet, HashMap};

use sea_orm::TransactionTrait as _;
use titan_error::{Error, Result};
use titan_identity::Principal;
use titan_ids::DeploymentId;
use titan_proto::latency::quantile_ms;
use titan_proto::monitoring::Traffic;
use uuid::Uuid;

use super::App;
use super::costs;
use crate::config::Prices;
use crate::store::targets::Status;
use crate::store::usage::{self, Counted, Grain, Hour, Usage};

const RECENT_MIN: i32 = 5;
const DAY_MIN: i32 = 24 * 60;
const HOURS_MOST: u32 = 744;
const USAGES_MOST: usize = 2_000;

#[expect(clippy::cast_precision_loss, reason = "counts and milliseconds")]
/// What was counted over some time, as people ask for it.
pub(crate) fn traffic(counted: &Counted, prices: Option<&Prices>) -> Traffic {
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    let latencies: Vec<u64> = counted.latencies.iter().map(|n| count(*n)).collect();
    let per = |n: i64, of: i64| if of > 0 { n as f64 / of as f64 } else { 0.0 };
    Traffic {
        requests: count(counted.requests),
        errors: count(counted.errors),
        requests_per_s: per(counted.requests, counted.span_ms) * 1e3,
        error_rate: per(counted.errors, counted.requests),
        latency_p50_ms: quantile_ms(&latencies, 0.5),
        latency_p95_ms: quantile_ms(&latencies, 0.95),
        cpu_cores: per(counted.cpu_ms, counted.span_ms),
        memory_bytes: count(counted.memory_bytes),
        disk_bytes: count(counted.disk_bytes),
        received_bytes: count(counted.received_bytes),
        sent_bytes: count(counted.sent_bytes),
        hours: counted.span_ms as f64 / 3.6e6,
        cost: prices.map(|prices| costs::of(counted, prices)),
    }
}

impl App {
    /// Keeps one report of what apps did.
    pub(crate) async fn record_usage(&self, who: &Principal, source: Uuid, sequence: u64, usages: &[Usage]) -> Result<()> {
        who.require_service()?;
        let distinct: BTreeSet<Uuid> = usages.iter().map(|usage| usage.deployment).collect();
        if usages.len() > USAGES_MOST || distinct.len() < usages.len() {
            return Err(Error::invalid("usages", format!("must be at most {USAGES_MOST}, one a deployment")));
        }
        let sequence = i64::try_from(sequence).map_err(|_| Error::invalid("sequence", "is too large"))?;
        let tx = self.db.begin().await?;
        if usage::is_new(&tx, source, sequence).await? {
            usage::record(&tx, usages, titan_lifecycle::now()).await?;
        }
        Ok(tx.commit().await?)
    }

    pub(super) async fn with_traffic(&self, statuses: Vec<Status>) -> Result<Vec<(Status, Traffic, Traffic)>> {
        let ids: Vec<Uuid> = statuses.iter().map(|status| status.deployment_id.uuid()).collect();
        let over = async |grain: Grain, minutes: i32| {
            let counted = usage::over(&self.db, grain, &ids, minutes).await?;
            Ok::<_, Error>(
                counted.iter().map(|of| (of.deployment_id, traffic(&of.counted, self.prices.as_ref()))).collect::<HashMap<_, _>>(),
            )
        };
        let (mut recent, mut day) = (over(Grain::Reports, RECENT_MIN).await?, over(Grain::Hours, DAY_MIN).await?);
        let with = |status: Status| {
            let id = status.deployment_id;
            (status, recent.remove(&id).unwrap_or_default(), day.remove(&id).unwrap_or_default())
        };
        Ok(statuses.into_iter().map(with).collect())
    }

    pub(crate) async fn hours(&self, who: &Principal, deployment: DeploymentId, hours: u32) -> Result<Vec<Hour>> {
        let hours = if hours == 0 { 24 } else { hours };
        if hours > HOURS_MOST {
            return Err(Error::invalid("hours", format!("must be at most {HOURS_MOST}")));
        }
        usage::hours(&self.db, who.org, deployment, i32::try_from(hours).unwrap_or(i32::MAX)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_that_was_measured() {
        let counted = Counted {
            requests: 300,
            errors: 3,
            span_ms: 10_000,
            cpu_ms: 2_500,
            memory_bytes: 7,
            latencies: vec![300],
            ..Counted::default()
        };
        let seen = traffic(&counted, None);
        assert_eq!((seen.requests_per_s, seen.error_rate, seen.cpu_cores, seen.memory_bytes), (30.0, 0.01, 0.25, 7));
        assert_eq!((seen.latency_p50_ms, seen.latency_p95_ms), (Some(0.5), Some(0.95)));
        assert_eq!(traffic(&Counted::default(), None), Traffic::default(), "nothing was seen");
    }
}
