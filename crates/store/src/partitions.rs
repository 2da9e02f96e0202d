//! Tables that only grow are partitioned by day, in UTC: partitions are made ahead and dropped when they are old, so that
//! nothing is ever deleted row by row.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::{Days, NaiveDate};
use sea_orm::{ConnectionTrait, DatabaseConnection, TransactionTrait as _};
use titan_error::Result;
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
    /// The database, or something else that has a partition's name; what can be made is made all the same.
    pub async fn maintain(&self, today: NaiveDate) -> Result<()> {
        let mut made = Ok(());
        for day in (0..=AHEAD).map(|n| today + Days::new(n)) {
            made = made.and(self.make(day).await);
        }
        let days: BTreeSet<_> =
            self.there().await?.into_iter().filter(|(_, attached)| *attached == Attached::Wholly).map(|(day, _)| day).collect();
        let ahead = (0..=AHEAD).take_while(|n| days.contains(&(today + Days::new(*n)))).count();
        self.days_ahead.set(i64::try_from(ahead).unwrap_or(0) - 1);
        made?;
        let Some(oldest) = today.checked_sub_days(Days::new(self.keep_days.into())) else { return Ok(()) };
        for (day, attached) in self.there().await?.into_iter().filter(|(day, _)| *day < oldest) {
            let (table, partition) = (self.table, self.name(day));
            // Detached in two steps, as PostgreSQL offers it: neither stops those who read or write the other days.
            match attached {
                Attached::Wholly => self.say(&format!("ALTER TABLE {table} DETACH PARTITION {partition} CONCURRENTLY")).await?,
                Attached::Leaving => self.say(&format!("ALTER TABLE {table} DETACH PARTITION {partition} FINALIZE")).await?,
                Attached::No => {}
            }
            self.say(&format!("DROP TABLE IF EXISTS {partition}")).await?;
            tracing::info!(table, %day, "dropped a partition");
        }
        Ok(())
    }

    /// Not in a transaction.
    async fn say(&self, text: &str) -> Result<()> {
        self.db.execute_unprepared(text).await?;
        Ok(())
    }

    async fn make(&self, day: NaiveDate) -> Result<()> {
        let tx = self.db.begin().await?;
        let lock = "SELECT pg_advisory_xact_lock(hashtext(current_schema || '.' || $1))";
        tx.execute_raw(sql(lock, [self.table.into()])).await?;
        let (table, partition, next) = (self.table, self.name(day), day + Days::new(1));
        let attached =
            "SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass AND c.relname = $2";
        if tx.query_one_raw(sql(attached, [table.into(), partition.clone().into()])).await?.is_none() {
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

    /// Every table that is named as a partition.
    async fn there(&self) -> Result<BTreeMap<NaiveDate, Attached>> {
        let select = "SELECT c.relname::text AS name, i.inhrelid IS NOT NULL AS attached, coalesce(i.inhdetachpending, false) AS leaving
            FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = $1::regclass
            WHERE c.relkind = 'r' AND c.relnamespace = current_schema::regnamespace AND starts_with(c.relname, $1 || '_')";
        let mut there = BTreeMap::new();
        for row in self.db.query_all_raw(sql(select, [self.table.into()])).await? {
            let name: String = row.try_get("", "name")?;
            let day = name.strip_prefix(self.table).and_then(|rest| NaiveDate::parse_from_str(rest, "_%Y%m%d").ok());
            let attached = match (row.try_get("", "attached")?, row.try_get("", "leaving")?) {
                (true, false) => Attached::Wholly,
                (true, true) => Attached::Leaving,
                (false, _) => Attached::No,
            };
            there.extend(day.map(|day| (day, attached)));
        }
        Ok(there)
    }
}

/// Whether a table belongs to the partitioned one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attached {
    Wholly,
    /// Detaching it was cut off.
    Leaving,
    No,
}
