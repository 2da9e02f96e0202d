//! Queries, one file a noun.

pub(crate) mod targets;
pub(crate) mod usage;
