//! Queries, one file a noun. `submissions`, `claims` and `transitions` are the hot path: a statement a batch, rows in the
//! order of their ids.

pub(crate) mod agents;
pub(crate) mod claims;
pub(crate) mod due;
pub(crate) mod entity;
pub(crate) mod goals;
pub(crate) mod lanes;
pub(crate) mod limits;
pub(crate) mod messages;
pub(crate) mod plans;
pub(crate) mod projects;
pub(crate) mod retention;
pub(crate) mod schedules;
pub(crate) mod sessions;
pub(crate) mod submissions;
pub(crate) mod tasks;
pub(crate) mod templates;
pub(crate) mod transitions;
