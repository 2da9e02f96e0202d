use std::str::FromStr as _;

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
        Self { url: in_database(&name), name }
    }

    /// One without anything in it, for an installation that prepares it itself.
    pub async fn empty() -> Self {
        let mut admin = PgConnection::connect(&crate::database_url()).await.expect("PostgreSQL for tests answers (see README)");
        let name = format!("titan_test_{}", uuid::Uuid::new_v4().simple());
        execute(&mut admin, format!("CREATE DATABASE {name}")).await;
        Self { url: in_database(&name), name }
    }

    /// Drops the database and the roles an installation made for it.
    pub fn drop_roles(self, prefix: &str) {
        drop(self);
        let roles: Vec<String> = titan_store::SCHEMAS.iter().map(|schema| format!("{prefix}_{schema}")).collect();
        as_admin(move |mut admin| async move { execute(&mut admin, format!("DROP ROLE IF EXISTS {}", roles.join(", "))).await });
    }

    /// The URL of a service's role.
    #[must_use]
    pub fn service_url(&self, schema: &str) -> String {
        titan_store::service_url(&self.url, schema, &installation()).unwrap()
    }

    /// One number of the whole database, by a superuser.
    pub async fn count(&self, sql: &str) -> i64 {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await.unwrap()
    }

    /// Changes something behind the services' back.
    pub async fn execute(&self, sql: &str) {
        execute(&mut PgConnection::connect(&self.url).await.unwrap(), sql.to_owned()).await;
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let name = self.name.clone();
        as_admin(move |mut admin| async move { execute(&mut admin, format!("DROP DATABASE {name} WITH (FORCE)")).await });
    }
}

/// On a thread of its own: destructors cannot wait in the test's runtime. What stays behind fails no test.
fn as_admin<F: Future<Output = ()>>(work: impl FnOnce(PgConnection) -> F + Send + 'static) {
    let cleaning = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { work(PgConnection::connect(&crate::database_url()).await.unwrap()).await });
    });
    let _ = cleaning.join();
}

/// Made once for each set of migrations.
async fn template(admin: &mut PgConnection, migrations: &[(&str, &Migrator)]) -> String {
    let mut hash = Sha256::new();
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
