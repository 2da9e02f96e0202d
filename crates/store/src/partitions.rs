//! Tables that only grow are partitioned by day, in UTC: partitions are made ahead and dropped when they are old, so that
//! nothing is ever deleted row by row.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{Days, NaiveDate};
use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait as _};
use titan_error::{Error, Result};
use titan_telemetry::Metrics;
use titan_telemetry::prometheus::{IntGauge, Opts};
use tokio_util::sync::CancellationToken;

use crate::sql;

/// As many days as an operator has to see the alarm.
const AHEAD: u64 = 7;
const EVERY: Duration = Duration::from_secs(3_600);
const AGAIN: Duration = Duration::from_secs(60);

/// One partitioned table of the service's schema.
#[derive(Clone, Debug)]
pub struct Partitions {
    db: DatabaseConnection,
    table: &'static str,
    keep_days: u32,
    days_ahead: IntGauge,
}

impl Partitions {
    /// # Errors
    /// The metric's name is taken.
    pub fn new(
        db: DatabaseConnection,
        metrics: &Metrics,
        table: &'static str,
        keep_days: u32,
    ) -> titan_telemetry::prometheus::Result<Self> {
        let help = "Days from today on that have a partition; at 0 nothing can be written from tomorrow on.";
        let days_ahead = IntGauge::with_opts(Opts::new("titan_partition_days_ahead", help).const_label("table", table))?;
        Ok(Self { db, table, keep_days, days_ahead: metrics.register(days_ahead)? })
    }

    /// As the metric says it.
    #[must_use]
    pub fn days_ahead(&self) -> i64 {
        self.days_ahead.get()
    }

    /// Looks after the table until `shutdown`, on any number of replicas.
    pub async fn run(self, shutdown: CancellationToken) {
        loop {
            let pause = match self.maintain(titan_lifecycle::now().date_naive()).await {
                Ok(()) => EVERY,
                Err(error) => {
                    // Whoever holds the table longer than the timeout is waited for next time.
                    tracing::error!(?error, table = self.table, days_ahead = self.days_ahead(), "partitions could not be looked after");
                    AGAIN
                }
            };
            tokio::select! { () = tokio::time::sleep(pause) => {}, () = shutdown.cancelled() => return }
        }
    }

    /// Makes what is missing from `today` on and drops what is older than is kept.
    ///
    /// # Errors
    /// The database, or something else that has a partition's name; what could be made is made.
    pub async fn maintain(&self, today: NaiveDate) -> Result<()> {
        let made = self.make(today).await;
        let days = self.days().await?;
        let ahead = (0..=AHEAD).take_while(|n| days.contains(&(today + Days::new(*n)))).count();
        self.days_ahead.set(i64::try_from(ahead).unwrap_or(0) - 1);
        made?;
        let oldest = today - Days::new(self.keep_days.into());
        for day in days.range(..oldest) {
            let drop = format!("SET LOCAL lock_timeout = '2s'; DROP TABLE IF EXISTS {}", self.name(*day));
            let tx = self.db.begin().await?;
            tx.execute_unprepared(&drop).await?;
            tx.commit().await?;
            tracing::info!(table = self.table, %day, "dropped a partition");
        }
        Ok(())
    }

    async fn make(&self, today: NaiveDate) -> Result<()> {
        let tx = self.db.begin().await?;
        let lock = "SELECT pg_advisory_xact_lock(hashtext(current_schema || '.' || $1))";
        tx.execute_raw(sql(lock, [self.table.into()])).await?;
        let there = self.days().await?;
        for day in (0..=AHEAD).map(|n| today + Days::new(n)).filter(|day| !there.contains(day)) {
            let (table, partition, next) = (self.table, self.name(day), day + Days::new(1));
            // Attached, not made in its place: that needs no lock that stops writers.
            tx.execute_unprepared(&format!(
                "SET LOCAL lock_timeout = '2s'; CREATE TABLE {partition} (LIKE {table} INCLUDING ALL);
                ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ('{day} 00:00+00') TO ('{next} 00:00+00')"
            ))
            .await?;
        }
        Ok(tx.commit().await?)
    }

    fn name(&self, day: NaiveDate) -> String {
        format!("{}_{}", self.table, day.format("%Y%m%d"))
    }

    async fn days(&self) -> Result<BTreeSet<NaiveDate>> {
        let select =
            "SELECT c.relname::text AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass";
        let rows = self.db.query_all_raw(sql(select, [self.table.into()])).await?;
        let day = |row: &sea_orm::QueryResult| {
            let name: String = row.try_get("", "name")?;
            let digits = name.rsplit('_').next().unwrap_or_default();
            NaiveDate::parse_from_str(digits, "%Y%m%d").map_err(Error::internal)
        };
        rows.iter().map(day).collect()
    }
}
