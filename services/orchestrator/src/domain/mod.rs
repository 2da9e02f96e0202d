//! Pure: no clock, no database, no wire. The time is an argument.

pub(crate) mod backlog;
pub(crate) mod budget;
pub(crate) mod fairness;
pub(crate) mod graph;
pub(crate) mod limits;
pub(crate) mod matching;
pub(crate) mod offer;
pub(crate) mod plan;
pub(crate) mod readiness;
pub(crate) mod records;
pub(crate) mod schedule;
pub(crate) mod session;
pub(crate) mod task;
