use std::str::FromStr as _;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Postgres, Transaction};

use crate::installation::cpu;

/// A database of the benchmark's own.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) pool: PgPool,
    name: String,
    admin: PgPool,
}

/// What a stretch of work cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wal_bytes: f64,
    pub(crate) transactions: f64,
}

impl Database {
    pub(crate) async fn create(admin_url: &str) -> anyhow::Result<Self> {
        Self::create_named(admin_url, "main").await
    }

    pub(crate) async fn create_named(admin_url: &str, name: &str) -> anyhow::Result<Self> {
        let admin = PgPoolOptions::new().max_connections(2).connect(admin_url).await?;
        let name = format!("titan_bench_{name}_{}", std::process::id());
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&admin).await?;
        let url = PgConnectOptions::from_str(admin_url)?.database(&name).to_url_lossy().to_string();
        let pool = PgPoolOptions::new().max_connections(6).connect(&url).await?;
        Ok(Self { url, pool, name, admin })
    }

    pub(crate) async fn drop_it(self) -> anyhow::Result<()> {
        self.pool.close().await;
        sqlx::raw_sql(AssertSqlSafe(format!("DROP DATABASE {} WITH (FORCE)", self.name))).execute(&self.admin).await?;
        let roles = ["gateway", "orchestrator", "agent_worker", "deployment", "monitoring"].map(|s| format!("titan_bench_{s}"));
        // Databases of earlier runs that were killed may still need them; the next run uses them too.
        let _ = sqlx::raw_sql(AssertSqlSafe(format!("DROP ROLE IF EXISTS {}", roles.join(", ")))).execute(&self.admin).await;
        Ok(())
    }

    pub(crate) async fn number(&self, sql: &str) -> anyhow::Result<i64> {
        Ok(sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&self.pool).await?)
    }

    /// Waits for what a load left to be written and cleaned up, so that the next one is not measured with it: the kernel writes what is
    /// thirty seconds old in one go, and commits wait for that.
    pub(crate) async fn comes_to_rest(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let cleaning = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'";
        while self.number(cleaning).await? > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        sqlx::raw_sql("CHECKPOINT").execute(&self.admin).await?;
        anyhow::ensure!(tokio::process::Command::new("sync").status().await?.success(), "sync failed");
        Ok(())
    }

    /// Until it is ended, nothing that dies from now on is cleaned away.
    pub(crate) async fn hold_snapshot(&self) -> anyhow::Result<Transaction<'_, Postgres>> {
        let mut holder = self.pool.begin().await?;
        sqlx::query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ").execute(&mut *holder).await?;
        sqlx::query("SELECT count(*) FROM pg_class").execute(&mut *holder).await?;
        Ok(holder)
    }

    pub(crate) async fn execute(&self, sql: &str) -> anyhow::Result<()> {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.pool).await?;
        Ok(())
    }

    /// Processor time that the server's processes for a role have used. Only where the server is on this machine.
    pub(crate) async fn cpu(&self, role: &str) -> anyhow::Result<Duration> {
        let pids: Vec<i32> =
            sqlx::query_scalar("SELECT pid FROM pg_stat_activity WHERE usename = $1").bind(role).fetch_all(&self.pool).await?;
        // One that ended since is missing from what it used.
        Ok(pids.into_iter().filter_map(|pid| cpu(pid).ok()).sum())
    }

    /// Since the server's start; the difference of two is what lay between them.
    pub(crate) async fn cost(&self) -> anyhow::Result<Cost> {
        let wal = self.number("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint").await?;
        let transactions =
            self.number("SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()").await?;
        Ok(Cost { wal_bytes: wal as f64, transactions: transactions as f64 })
    }

    /// Of the server, with the settings that decide how durable a commit is.
    pub(crate) async fn versions(&self) -> anyhow::Result<String> {
        let sql = "SELECT 'PostgreSQL ' || current_setting('server_version') || ', fsync ' || current_setting('fsync')
            || ', synchronous_commit ' || current_setting('synchronous_commit')";
        Ok(sqlx::query_scalar(sql).fetch_one(&self.pool).await?)
    }
}
