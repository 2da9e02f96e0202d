//! Starting installations on this machine.

pub(crate) mod dev;
pub(crate) mod postgres;
mod settings;
pub(crate) mod up;
