use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};
use tokio::process::Command;

/// What isolates the jobs of this process; shown with every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// bubblewrap started by root: namespaces, seccomp, rlimits, and a user id of its own for each job.
    BubblewrapOwnUid,
    /// bubblewrap in a user namespace: the same without a user id of its own.
    Bubblewrap,
}

/// No rung of the ladder holds here; the text says what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("no sandbox: {reason}. {remedy}")]
pub struct Unavailable {
    pub reason: String,
    pub remedy: &'static str,
}

/// Runs jobs at the probed level.
#[derive(Clone, Debug)]
pub struct Sandbox {
    level: Level,
    next_uid: Arc<AtomicU32>,
}

/// User ids that belong to nobody on Debian (the ranges for users end at 60,000, for systemd at 65,519
/// start again at 61,184 only with DynamicUser, which never runs our host's jobs).
const FIRST_UID: u32 = 200_000;
const UIDS: u32 = 10_000;

impl Sandbox {
    /// Tries the ladder for real: a job must run and must see no network.
    ///
    /// # Errors
    /// When nothing that isolates works; callers must then refuse to run code.
    pub async fn probe() -> Result<Self, Unavailable> {
        let level = if is_root() { Level::BubblewrapOwnUid } else { Level::Bubblewrap };
        let sandbox = Self { level, next_uid: Arc::new(AtomicU32::new(std::process::id() % UIDS)) };
        if !Path::new("/usr/bin/bwrap").exists() {
            let reason = "/usr/bin/bwrap is missing".to_owned();
            return Err(Unavailable { reason, remedy: "Install it: apt-get install bubblewrap" });
        }
        let remedy =
            "If this is a container, it needs user namespaces: allow unprivileged_userns_clone, or run the worker under gVisor or Kata";
        let mut command: Command =
            sandbox.isolation(true).command(&["/bin/sh", "-c", "test $(ls /sys/class/net 2>/dev/null | wc -l) -le 1"]).into();
        match command.stdin(Stdio::null()).stdout(Stdio::null()).output().await {
            Ok(output) if output.status.success() => Ok(sandbox),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(Unavailable { reason: format!("bubblewrap does not work here ({said})"), remedy })
            }
            Err(e) => Err(Unavailable { reason: format!("bubblewrap does not start ({e})"), remedy }),
        }
    }

    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// A user id no other job of this process has now.
    pub(crate) fn uid(&self) -> Option<u32> {
        let turn = self.next_uid.fetch_add(1, Ordering::Relaxed) % UIDS;
        (self.level == Level::BubblewrapOwnUid).then_some(FIRST_UID + turn)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BubblewrapOwnUid => "bubblewrap (namespaces, seccomp, rlimits, own uid)",
            Self::Bubblewrap => "bubblewrap (user namespace, seccomp, rlimits)",
        })
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}
