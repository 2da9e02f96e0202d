//! Loops that take no input and run on any replica.

pub(crate) mod retention;
