//! Loops that take no input, are idempotent and run on any replica.

pub(crate) mod deadlines;
pub(crate) mod limits;
pub(crate) mod schedules;
pub(crate) mod sessions;
