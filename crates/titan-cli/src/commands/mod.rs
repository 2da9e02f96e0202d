pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod git_credential;
pub(crate) mod goal;
pub(crate) mod lists;
pub(crate) mod logs;
pub(crate) mod task;
mod watch;
