//! This crate only drives the `git` program: bare repositories on the side that serves them, work trees
//! on the side that works in them. Credentials travel in the environment, never in arguments or files.

mod bare;
mod command;
mod worktree;

pub use bare::{BareRepository, Version};
pub use command::{GitError, clean_git};
pub use worktree::{CommitId, Merge, Remote, WorkTree};

/// The branch a project's accepted work is on.
pub const MAIN: &str = "refs/heads/main";
