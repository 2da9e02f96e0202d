use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

/// The schemas of an installation: one a service, named after it.
pub const SCHEMAS: &[&str] = &["gateway", "orchestrator", "agent_worker", "deployment", "monitoring"];

/// Any constant: two launchers must not create the same role at once.
const LOCK: i64 = 0x0074_6974_616e;

/// Creates what is missing: for each service a role that owns its schema and can see no other. Uses a
/// superuser's URL, so only launchers and tests call it; in a cluster an operator does the same by hand.
///
/// # Errors
/// The URL does not reach a database, or its role may not create roles.
pub async fn provision(admin_url: &str, installation: &Installation) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect(admin_url).await?;
    sqlx::query("SELECT pg_advisory_lock($1)").bind(LOCK).execute(&mut connection).await?;
    let password = installation.password.replace('\'', "''");
    for schema in SCHEMAS {
        let role = installation.role(schema);
        // Settings belong to the role: a SET after connecting leaks through a pooler. Our statements are short: compiling one
        // took 40 ms, running it 3.
        let statement = format!(
            "DO $$ BEGIN
                IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN CREATE ROLE {role} LOGIN; END IF;
             END $$;
             ALTER ROLE {role} PASSWORD '{password}';
             ALTER ROLE {role} SET search_path = {schema};
             ALTER ROLE {role} SET jit = off;
             CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {role};
             REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;"
        );
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    }
    sqlx::raw_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC").execute(&mut connection).await?;
    connection.close().await
}

/// The URL by which the service of `schema` reaches the database of `admin_url`.
///
/// # Errors
/// A URL PostgreSQL does not understand.
pub fn service_url(admin_url: &str, schema: &str, installation: &Installation) -> Result<String, sqlx::Error> {
    let options = PgConnectOptions::from_str(admin_url)?.username(&installation.role(schema)).password(&installation.password);
    Ok(options.to_url_lossy().to_string())
}

/// Roles belong to the whole server, so each installation on it has its own.
#[derive(Clone, Debug)]
pub struct Installation {
    /// `titan` gives the roles `titan_gateway`, `titan_orchestrator`, …
    pub role_prefix: String,
    pub password: String,
}

impl Installation {
    fn role(&self, schema: &str) -> String {
        format!("{}_{schema}", self.role_prefix)
    }
}
