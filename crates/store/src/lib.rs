//! This crate only reaches PostgreSQL: pools, a role and a schema for each service, migrations, the
//! transactional outbox and inbox, partitions by day, and keyset paging.

mod combined;
pub mod inbox;
mod migrations;
pub mod outbox;
mod paging;
mod partitions;
mod pool;
mod provision;

use sea_orm::{DbBackend, Statement, Value};

pub use combined::Combined;
pub use migrations::{MESSAGING, migrate};
pub use outbox::Outbox;
pub use paging::{Page, PageOf};
pub use partitions::Partitions;
pub use pool::connect;
pub use provision::{Installation, SCHEMAS, provision, service_url};
pub use sqlx;

/// A raw statement with its values, `$1` first.
pub fn sql<const N: usize>(text: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, text, values)
}
