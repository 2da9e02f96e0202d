use std::borrow::Cow;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::migrate::{MigrateError, Migrator};
use titan_lifecycle::Backoff;
use titan_settings::Database;

/// The tables of outbox and inbox, which every service's schema has.
pub static MESSAGING: Migrator = sqlx::migrate!();

/// Brings the service's schema up to date: the messaging tables every service has, then its own. Replicas
/// that start together take turns by an advisory lock; a database that is away is waited for.
///
/// # Errors
/// A migration failed, or the schema is newer than this build knows.
pub async fn migrate(settings: &Database, own: &Migrator) -> Result<(), MigrateError> {
    let mut all: Vec<_> = MESSAGING.iter().cloned().collect();
    all.extend(own.iter().cloned());
    // A schema migrated by the next release may already be there during a rolling upgrade.
    let migrator = Migrator { migrations: Cow::Owned(all), ignore_missing: true, ..Migrator::DEFAULT };
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
    let mut connection = loop {
        match sqlx::PgConnection::connect(settings.direct().reveal()).await {
            Ok(connection) => break connection,
            // A connection that breaks during the handshake is a protocol error.
            Err(error @ (sqlx::Error::Io(_) | sqlx::Error::Protocol(_) | sqlx::Error::Database(_))) if starting(&error) => {
                tracing::warn!(%error, "the database is not there yet");
                backoff.sleep().await;
            }
            Err(error) => return Err(error.into()),
        }
    };
    migrator.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Class 57P: the server is starting up or shutting down.
fn starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(e) => e.code().is_some_and(|code| code.starts_with("57P")),
        _ => true,
    }
}
