pub(crate) mod goal;
pub(crate) mod project;
