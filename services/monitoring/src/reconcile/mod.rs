//! Loops that take no input and run on any replica.

pub(crate) mod prober;
pub(crate) mod retention;
