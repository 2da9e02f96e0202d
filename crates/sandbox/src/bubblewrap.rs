//! The command line that makes the walls.

use std::path::Path;
use std::process::Command;

use crate::{Limits, Sandbox};

/// The walls of one job, as arguments of `bwrap`.
pub(crate) struct Isolation {
    args: Vec<String>,
    uid: Option<u32>,
    limits: Limits,
}

impl Sandbox {
    /// Everything that all jobs have in common; `offline` takes the network away.
    pub(crate) fn isolation(&self, offline: bool) -> Isolation {
        let mut isolation = Isolation { args: Vec::new(), uid: self.uid(), limits: Limits::default() };
        isolation.add(&["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try", "--new-session", "--clearenv"]);
        isolation.add(&["--hostname", "sandbox", "--cap-drop", "ALL"]);
        if offline {
            isolation.add(&["--unshare-net"]);
        }
        if isolation.uid.is_some() {
            // Needed by setpriv below, which gives them up together with root.
            isolation.add(&["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]);
        } else {
            isolation.add(&["--unshare-user", "--uid", "1000", "--gid", "1000"]);
        }
        isolation.add(&["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin", "/sbin"]);
        isolation.add(&["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]);
        isolation.add(&["--perms", "0755", "--dir", "/etc"]);
        isolation.add(&[
            "--ro-bind-try",
            "/etc/alternatives",
            "/etc/alternatives",
            "--ro-bind-try",
            "/etc/ld.so.cache",
            "/etc/ld.so.cache",
        ]);
        isolation.add(&["--proc", "/proc", "--dev", "/dev"]);
        // glibc reserves 64 MiB of address space a thread, which the memory limit would count.
        let environment =
            [("PATH", "/usr/bin:/bin"), ("HOME", "/tmp"), ("LANG", "C.UTF-8"), ("PYTHONDONTWRITEBYTECODE", "1"), ("MALLOC_ARENA_MAX", "2")];
        for (name, value) in environment {
            isolation.add(&["--setenv", name, value]);
        }
        isolation
    }
}

impl Isolation {
    pub(crate) fn add(&mut self, args: &[&str]) {
        self.args.extend(args.iter().map(|a| (*a).to_owned()));
    }

    pub(crate) fn limit(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(crate) fn uid(&self) -> Option<u32> {
        self.uid
    }
    pub(crate) fn set_uid(&mut self, uid: u32) {
        self.uid = self.uid.map(|_| uid);
    }

    /// Memory-backed, empty, writable, and not larger than `bytes`.
    pub(crate) fn scratch(&mut self, path: &str, bytes: u64) {
        self.add(&["--perms", "1777", "--size", &bytes.to_string(), "--tmpfs", path]);
    }

    pub(crate) fn bind(&mut self, how: &str, from: &Path, to: &str) {
        self.add(&[how, &from.to_string_lossy(), to]);
    }

    pub(crate) fn packages(&mut self, packages: Option<&Path>) {
        if let Some(packages) = packages {
            self.bind("--ro-bind", packages, "/packages");
            self.add(&["--setenv", "PYTHONPATH", "/packages"]);
        }
    }

    /// `bwrap … prlimit … setpriv … command`. Limits come after the walls: bwrap itself needs more.
    pub(crate) fn command(mut self, command: &[&str]) -> Command {
        // Last, so that nothing but the scratch directories can be written.
        self.scratch("/dev/shm", self.limits.scratch_bytes);
        self.add(&["--remount-ro", "/dev", "--remount-ro", "/"]);
        let mut bwrap = Command::new("/usr/bin/bwrap");
        bwrap.env_clear().args(&self.args).arg("--");
        if let Some(uid) = self.uid {
            bwrap.args([
                "/usr/bin/setpriv",
                &format!("--reuid={uid}"),
                &format!("--regid={uid}"),
                "--clear-groups",
                "--inh-caps=-all",
                "--",
            ]);
        }
        bwrap.arg("/usr/bin/prlimit").args(self.limits.prlimit()).arg("--").args(command);
        bwrap
    }
}
