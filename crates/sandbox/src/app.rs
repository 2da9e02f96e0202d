use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Limits, Sandbox, seccomp};
use command_fds::{CommandFdExt as _, FdMapping};

/// A long-running process with the network of the host: an app somebody deployed.
#[derive(Debug)]
pub struct App<'a> {
    /// Read-only at `/app`.
    pub release: &'a Path,
    /// Writable at `/data`, kept between releases. Belongs to `uid` afterwards.
    pub data: &'a Path,
    /// Python packages, read-only.
    pub packages: Option<&'a Path>,
    /// Standard output and error go here.
    pub log: &'a Path,
    pub command: &'a [String],
    pub environment: &'a [(String, String)],
    pub limits: Limits,
    /// It ends with the process that started it.
    pub attached: bool,
    /// The app's own user id, when the level gives one.
    pub uid: u32,
}

impl Sandbox {
    /// The command that starts `app`, in a session of its own. It survives its parent, unless it is attached to it.
    ///
    /// # Errors
    /// The log cannot be opened or the data directory not be given to the app's user.
    pub fn app(&self, app: &App<'_>) -> std::io::Result<Command> {
        let mut isolation = self.isolation(false);
        isolation.set_uid(app.uid);
        isolation.limit(app.limits);
        isolation.scratch("/tmp", app.limits.scratch_bytes);
        isolation.bind("--ro-bind", app.release, "/app");
        isolation.bind("--bind", app.data, "/data");
        isolation.packages(app.packages);
        // What may be a secret stands on no command line, which everybody on the host can read; what is ours says whose process it is.
        let (ours, own): (Vec<_>, Vec<_>) = app.environment.iter().partition(|(name, _)| name.starts_with("TITAN_"));
        for (name, value) in ours {
            isolation.add(&["--setenv", name, value]);
        }
        let mut given = tempfile::tempfile()?;
        for (name, value) in own {
            write!(given, "--setenv\0{name}\0{value}\0")?;
        }
        given.rewind()?;
        isolation.add(&["--args", "6", "--chdir", "/app", "--add-seccomp-fd", "4", "--add-seccomp-fd", "5"]);
        if app.attached {
            isolation.add(&["--die-with-parent"]);
        }
        // A link could lead anywhere on the host.
        if !std::fs::symlink_metadata(app.data)?.is_dir() {
            return Err(std::io::Error::other("the data directory is none"));
        }
        if let Some(uid) = isolation.uid() {
            std::os::unix::fs::lchown(app.data, Some(uid), Some(uid))?;
        }
        let inner: Vec<&str> = app.command.iter().map(String::as_str).collect();
        let walls = isolation.command(&inner);
        let mut command = Command::new("/usr/bin/setsid");
        command.env_clear().arg(walls.get_program()).args(walls.get_args());
        let log = std::fs::OpenOptions::new().create(true).append(true).open(app.log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let [refused, clone3] = seccomp::filters()?;
        let mappings = vec![
            FdMapping { parent_fd: refused, child_fd: 4 },
            FdMapping { parent_fd: clone3, child_fd: 5 },
            FdMapping { parent_fd: given.into(), child_fd: 6 },
        ];
        command.fd_mappings(mappings).map_err(std::io::Error::other)?;
        Ok(command)
    }
}
