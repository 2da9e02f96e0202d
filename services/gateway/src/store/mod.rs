//! Queries, one file a noun.

pub(crate) mod events;
pub(crate) mod idempotency;
pub(crate) mod keys;
