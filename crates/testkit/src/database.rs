use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use titan_store::Installation;

/// A database for one test, dropped with it.
pub struct TestDatabase {
    name: String,
    /// A superuser's.
    pub url: String,
    undelivered: AtomicBool,
}

/// Any constant: one process at a time makes templates.
const LOCK: i64 = 0x7465_7374;

fn installation() -> Installation {
    Installation { role_prefix: "titan_test".to_owned(), password: "titan-test".to_owned() }
}

impl TestDatabase {
    /// A copy of a template with every role and schema, migrated by `migrations` (schema, migrator).
    pub async fn new(migrations: &[(&str, &Migrator)]) -> Self {
        let mut admin = PgConnection::connect(&crate::database_url()).await.expect("PostgreSQL for tests answers (see README)");
        let template = template(&mut admin, migrations).await;
        let name = format!("titan_test_{}", uuid::Uuid::new_v4().simple());
        execute(&mut admin, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self { url: in_database(&name), name, undelivered: AtomicBool::new(false) }
    }

    /// One without anything in it, for an installation that prepares it itself.
    pub async fn empty() -> Self {
        let mut admin = PgConnection::connect(&crate::database_url()).await.expect("PostgreSQL for tests answers (see README)");
        let name = format!("titan_test_{}", uuid::Uuid::new_v4().simple());
        execute(&mut admin, format!("CREATE DATABASE {name}")).await;
        Self { url: in_database(&name), name, undelivered: AtomicBool::new(false) }
    }

    /// Drops the database and the roles an installation made for it.
    pub fn drop_roles(self, prefix: &str) {
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(self)));
        let roles: Vec<String> = titan_store::SCHEMAS.iter().map(|schema| format!("{prefix}_{schema}")).collect();
        as_admin(move |mut admin| async move { execute(&mut admin, format!("DROP ROLE IF EXISTS {}", roles.join(", "))).await });
        if let Err(panic) = dropped {
            std::panic::resume_unwind(panic);
        }
    }

    /// The URL of a service's role.
    #[must_use]
    pub fn service_url(&self, schema: &str) -> String {
        titan_store::service_url(&self.url, schema, &installation()).unwrap()
    }

    /// The test leaves events in outboxes that nobody takes, or refuses some.
    pub fn expect_undelivered(&self) {
        self.undelivered.store(true, Ordering::Relaxed);
    }

    /// One number of the whole database, by a superuser.
    pub async fn count(&self, sql: &str) -> i64 {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
    }

    /// One text, in the same way.
    pub async fn text(&self, sql: &str) -> String {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
    }

    /// The same; none while the server is away.
    pub async fn try_count(&self, sql: &str) -> Option<i64> {
        let mut connection = PgConnection::connect(&self.url).await.ok()?;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.ok()
    }

    /// Changes something behind the services' back.
    pub async fn execute(&self, sql: &str) {
        execute(&mut PgConnection::connect(&self.url).await.unwrap(), sql.to_owned()).await;
    }
}

impl Drop for TestDatabase {
    /// What was committed but told to nobody fails the test. A database that stays behind does not.
    fn drop(&mut self) {
        let look = !self.undelivered.load(Ordering::Relaxed) && !std::thread::panicking();
        let (name, url) = (self.name.clone(), self.url.clone());
        let cleaned = crate::apart(async move || {
            let undelivered = if look { undelivered(&url).await } else { Vec::new() };
            let mut admin = PgConnection::connect(&crate::database_url()).await.unwrap();
            execute(&mut admin, format!("DROP DATABASE {name} WITH (FORCE)")).await;
            undelivered
        });
        let undelivered = cleaned.join();
        if look {
            let undelivered = undelivered.expect("the outboxes can be read");
            assert!(undelivered.is_empty(), "events were left in outboxes: {undelivered:?}");
        }
    }
}

/// Destructors cannot wait in the test's runtime.
fn as_admin<F: Future<Output = ()>>(work: impl FnOnce(PgConnection) -> F + Send + 'static) {
    let cleaning = crate::apart(async move || work(PgConnection::connect(&crate::database_url()).await.unwrap()).await);
    let _ = cleaning.join(); // a role that an interrupted run left something of stays
}

/// Events that were neither published nor taken within some seconds, with what was said about them.
async fn undelivered(url: &str) -> Vec<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let outboxes: Vec<String> =
        sqlx::query_scalar("SELECT schemaname::text FROM pg_tables WHERE tablename = 'outbox'").fetch_all(&mut connection).await.unwrap();
    let selects = outboxes.iter().map(|s| format!("SELECT '{s} ' || name || coalesce(': ' || dead_reason, '') FROM {s}.outbox"));
    let selects = selects.collect::<Vec<_>>().join(" UNION ALL ");
    for _ in 0..100 {
        if selects.is_empty() {
            return Vec::new();
        }
        let left: Vec<String> = sqlx::query_scalar(AssertSqlSafe(selects.clone())).fetch_all(&mut connection).await.unwrap();
        if left.is_empty() {
            return left;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    sqlx::query_scalar(AssertSqlSafe(selects)).fetch_all(&mut connection).await.unwrap()
}

/// Made once for each set of migrations.
async fn template(admin: &mut PgConnection, migrations: &[(&str, &Migrator)]) -> String {
    let mut hash = Sha256::new();
    titan_store::MESSAGING.iter().for_each(|migration| hash.update(&migration.checksum));
    for (schema, migrator) in migrations {
        hash.update(schema);
        migrator.iter().for_each(|migration| hash.update(&migration.checksum));
    }
    let name = format!("titan_template_{}", &hex::encode(hash.finalize())[..16]);
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut *admin).await.unwrap();
    let there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)").bind(&name).fetch_one(&mut *admin).await.unwrap();
    if !there {
        let aside = format!("{name}_new");
        execute(admin, format!("DROP DATABASE IF EXISTS {aside} WITH (FORCE)")).await;
        execute(admin, format!("CREATE DATABASE {aside}")).await;
        let url = in_database(&aside);
        titan_store::provision(&url, &installation()).await.unwrap();
        for (schema, migrator) in migrations {
            let url = titan_settings::Secret::new(titan_store::service_url(&url, schema, &installation()).unwrap());
            titan_store::migrate(&titan_settings::Database { url, direct_url: None, pool_size: 1 }, migrator).await.unwrap();
        }
        execute(admin, format!("ALTER DATABASE {aside} RENAME TO {name}")).await;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)").bind(LOCK).execute(&mut *admin).await.unwrap();
    name
}

async fn execute(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap();
}

fn in_database(name: &str) -> String {
    PgConnectOptions::from_str(&crate::database_url()).unwrap().database(name).to_url_lossy().to_string()
}
