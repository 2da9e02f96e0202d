//! Pure: no clock, no database, no wire. The time is an argument.

pub(crate) mod graph;
pub(crate) mod matching;
pub(crate) mod session;
pub(crate) mod task;
