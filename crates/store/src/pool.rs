use std::time::Duration;

use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr};
use titan_settings::Database as Settings;

/// Opens the service's pool. Connections are made as they are needed, so a database that is away at the
/// start is waited for, not fatal.
///
/// # Errors
/// A URL PostgreSQL does not understand.
pub async fn connect(settings: &Settings, service: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(settings.url.reveal());
    options
        .max_connections(settings.pool_size)
        .acquire_timeout(Duration::from_secs(5))
        .connect_timeout(Duration::from_secs(5))
        .statement_timeout(Duration::from_secs(30))
        .connect_lazy(true)
        .set_application_name(format!("titan-{service}"))
        .sqlx_logging(false);
    Database::connect(options).await
}
