pub(crate) mod supervisor;
