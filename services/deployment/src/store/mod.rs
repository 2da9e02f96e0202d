//! Queries, one file a noun.

pub(crate) mod backups;
pub(crate) mod deployments;
pub(crate) mod proxies;
pub(crate) mod variables;
