//! Queries, one file a noun.

pub(crate) mod deployments;
pub(crate) mod variables;
