//! Where apps run. One provider exists: processes of this host.

pub(crate) mod process;
