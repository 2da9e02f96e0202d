//! Queries, one file a noun.

pub(crate) mod agents;
pub(crate) mod entity;
pub(crate) mod goals;
pub(crate) mod projects;
pub(crate) mod sessions;
pub(crate) mod tasks;
