pub(crate) mod meters;
pub(crate) mod supervisor;
