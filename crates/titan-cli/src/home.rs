use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Directory of a local installation: database cluster, repositories, apps, and the first API key.
#[derive(Clone, Debug)]
pub(crate) struct Home(PathBuf);

impl Home {
    /// The directory given, `/var/lib/titan` for root, else `~/.titan`.
    pub(crate) fn new(given: Option<PathBuf>) -> Self {
        let default = || match titan_settings::env("HOME").filter(|_| !is_root()) {
            Some(home) => PathBuf::from(home).join(".titan"),
            None => PathBuf::from("/var/lib/titan"),
        };
        Self(given.unwrap_or_else(default))
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    pub(crate) fn key_file(&self) -> PathBuf {
        self.join("api-key")
    }

    /// `TITAN_API_KEY`, or the key written at the first start.
    pub(crate) fn api_key(&self) -> anyhow::Result<String> {
        if let Some(key) = titan_settings::env("TITAN_API_KEY") {
            return Ok(key);
        }
        let file = self.key_file();
        let key = std::fs::read_to_string(&file);
        let key = key.with_context(|| {
            format!("no API key: set TITAN_API_KEY, or start the services here first (`titan dev`), which writes {}", file.display())
        })?;
        Ok(key.trim().to_owned())
    }

    /// A secret of this installation, made when it is first asked for, readable by its owner only.
    pub(crate) fn secret(&self, name: &str) -> anyhow::Result<String> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        std::fs::create_dir_all(&self.0).with_context(|| format!("cannot make {}", self.0.display()))?;
        let path = self.join(name);
        match std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                file.write_all(format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()).as_bytes())?;
                file.sync_all()?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e).with_context(|| format!("cannot write {}", path.display())),
        }
        Ok(std::fs::read_to_string(&path)?.trim().to_owned())
    }
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}
