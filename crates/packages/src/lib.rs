//! This crate only fetches the Python packages that a project pins, by their hashes, before its code runs where there is no network. What is
//! fetched is unpacked, never run: wheels only, without their scripts' consent to anything.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use titan_error::Error;
use tokio::process::Command;

/// A directory of sets of packages, each made once.
#[derive(Clone, Debug)]
pub struct Packages {
    dir: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// Line of the file, from 1.
    #[error("line {line}: {reason}; write name==version --hash=sha256:… for each package, as pip-compile --generate-hashes does")]
    Line { line: usize, reason: String },
    /// What was pinned cannot be had; trying again does not help.
    #[error("the packages cannot be had: {0}")]
    Refused(String),
    #[error("packages cannot be fetched just now: {0}")]
    Unavailable(String),
    #[error("packages cannot be kept: {0}")]
    Io(#[from] std::io::Error),
}

impl From<PackagesError> for Error {
    fn from(error: PackagesError) -> Self {
        match error {
            PackagesError::Line { .. } | PackagesError::Refused(_) => Self::invalid("packages.requirements", error.to_string()),
            PackagesError::Unavailable(_) | PackagesError::Io(_) => Self::unavailable(error.to_string()).with_source(error),
        }
    }
}

const PYTHON: &str = "/usr/bin/python3";
const PACKAGES_MOST: usize = 100;
const WITHIN: Duration = Duration::from_secs(300);
/// Of all packages of a project, unpacked.
const BYTES_MOST: u64 = 512 << 20;
/// One that is being made, by somebody who may be gone since.
const ASIDE: &str = ".new-";
const STALE: Duration = Duration::from_secs(3_600);
/// How pip reaches its index, where an operator has said so.
const PASSED_ON: &[&str] = &["http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"];

impl Packages {
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The directory with what a requirements file pins, for `PYTHONPATH`. It is fetched the first time: whole or not at all.
    ///
    /// # Errors
    /// A line that pins nothing, packages that are not there or are others, no way to the index, a full disk.
    pub async fn get(&self, requirements: &str) -> Result<PathBuf, PackagesError> {
        let pinned = pinned(requirements)?;
        // Wheels are made for one version of Python.
        let python = tokio::fs::canonicalize(PYTHON).await?;
        let digest = Sha256::digest(format!("{}\n{pinned}", python.display()));
        let kept = self.dir.join(hex::encode(digest));
        if tokio::fs::try_exists(&kept).await? {
            return Ok(kept);
        }
        tokio::fs::create_dir_all(&self.dir).await?;
        self.forget_stale().await?;
        let aside = tempfile::Builder::new().prefix(ASIDE).tempdir_in(&self.dir)?;
        let made = aside.path().join("packages");
        fetch(&pinned, aside.path(), &made).await?;
        let of = made.clone();
        let bytes = tokio::task::spawn_blocking(move || size(&of)).await.map_err(std::io::Error::other)??;
        if bytes > BYTES_MOST {
            return Err(PackagesError::Refused(format!("they are {} MiB, more than {} MiB", bytes >> 20, BYTES_MOST >> 20)));
        }
        match tokio::fs::rename(&made, &kept).await {
            // Another one was faster.
            Err(e) if matches!(e.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => Ok(kept),
            renamed => Ok(renamed.map(|()| kept)?),
        }
    }

    /// What was left by who was killed in the middle.
    async fn forget_stale(&self) -> std::io::Result<()> {
        let mut entries = tokio::fs::read_dir(&self.dir).await?;
        while let Some(entry) = entries.next_entry().await? {
            let begun = entry.metadata().await.and_then(|metadata| metadata.modified());
            let stale = begun.is_ok_and(|begun| begun.elapsed().is_ok_and(|age| age > STALE));
            if stale && entry.file_name().to_string_lossy().starts_with(ASIDE) {
                let _ = tokio::fs::remove_dir_all(entry.path()).await; // another one may be doing the same
            }
        }
        Ok(())
    }
}

/// The file in one form, with nothing in it but packages and hashes: pip would read options of its own there.
fn pinned(requirements: &str) -> Result<String, PackagesError> {
    let (mut lines, mut whole, mut begun) = (Vec::new(), String::new(), 0);
    for (at, line) in requirements.lines().enumerate() {
        let line = line.split_once(" #").map_or(line, |(line, _)| line).trim();
        if whole.is_empty() {
            begun = at + 1;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
        }
        whole.push_str(line.trim_end_matches('\\'));
        whole.push(' ');
        if !line.ends_with('\\') {
            lines.push(package(&whole).map_err(|reason| PackagesError::Line { line: begun, reason })?);
            whole.clear();
        }
    }
    if !whole.is_empty() {
        lines.push(package(&whole).map_err(|reason| PackagesError::Line { line: begun, reason })?);
    }
    if lines.len() > PACKAGES_MOST {
        let reason = format!("it pins {} packages, and {PACKAGES_MOST} are the most", lines.len());
        return Err(PackagesError::Line { line: 1, reason });
    }
    lines.sort();
    Ok(lines.concat())
}

/// `name==version ; marker --hash=sha256:…`
fn package(line: &str) -> Result<String, String> {
    let (package, hashes) = line.split_once(" --hash=").ok_or_else(|| format!("{:?} has no hash", line.trim()))?;
    let (pin, marker) = package.split_once(';').map_or((package, None), |(pin, marker)| (pin, Some(marker.trim())));
    let (name, version) = pin.split_once("==").ok_or_else(|| format!("{:?} is not name==version", pin.trim()))?;
    let plain = |text: &str, more: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    let (name, version) = (name.trim(), version.trim());
    if !plain(name, "._-[],") || name.starts_with(['-', '.', '[']) || !plain(version, ".+!_-") {
        return Err(format!("{:?} is not name==version", pin.trim()));
    }
    if marker.is_some_and(|marker| !plain(marker, " ._-<>=!'\"()")) {
        return Err("its marker is not understood".to_owned());
    }
    let mut pinned = format!("{name}=={version}{}", marker.map(|marker| format!(" ; {marker}")).unwrap_or_default());
    for hash in hashes.split(" --hash=").map(str::trim) {
        let digest = hash.strip_prefix("sha256:").filter(|digest| digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()));
        pinned += &format!(" --hash=sha256:{}", digest.ok_or_else(|| format!("{hash:?} is no hash of SHA-256"))?);
    }
    Ok(pinned + "\n")
}

async fn fetch(pinned: &str, aside: &Path, to: &Path) -> Result<(), PackagesError> {
    let file = aside.join("requirements.txt");
    tokio::fs::write(&file, pinned).await?;
    let mut pip = Command::new(PYTHON);
    pip.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", aside).env("LANG", "C.UTF-8");
    let index = |name: &String| PASSED_ON.contains(&name.as_str()) || name.starts_with("PIP_");
    pip.envs(std::env::vars().filter(|(name, _)| index(name)));
    pip.args(["-I", "-m", "pip", "install", "--quiet", "--no-input", "--no-cache-dir", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--only-binary=:all:", "--require-hashes", "--target"]).arg(to).arg("--requirement").arg(&file);
    let child = pip.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
    let ended = tokio::time::timeout(WITHIN, child.wait_with_output()).await;
    let output = ended.map_err(|_| PackagesError::Unavailable(format!("pip took longer than {} s", WITHIN.as_secs())))??;
    if output.status.success() {
        // None at all are a set, too.
        return Ok(tokio::fs::create_dir_all(to).await?);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("No module named pip") {
        return Err(PackagesError::Unavailable("pip is not installed on this host: install python3-pip".to_owned()));
    }
    let lines: Vec<&str> =
        said.lines().map(str::trim).filter(|line| line.starts_with("ERROR:") || line.contains("THESE PACKAGES")).collect();
    let why = if lines.is_empty() { said.trim().to_owned() } else { lines.join(" ") };
    // Of an index that cannot be reached pip says in the end that there is no such package.
    Err(if said.contains("Retrying (") || said.contains("Connection") {
        PackagesError::Unavailable(why)
    } else {
        PackagesError::Refused(why)
    })
}

fn size(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let (entry, kind) = entry.and_then(|entry| entry.file_type().map(|kind| (entry, kind)))?;
        bytes += if kind.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIX: &str = "six==1.16.0 \\\n    --hash=sha256:8abb2f1d86890a2dfb989f9a77cfcfd3e47c2a354b01111771326f8aa26e0254\n";

    #[tokio::test]
    async fn what_is_pinned_is_fetched_once_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let packages = Packages::new(dir.path().join("packages"));
        let same = format!("# a comment\n\n{SIX}");
        let (one, other) = tokio::join!(packages.get(SIX), packages.get(&same));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one, other, "comments pin nothing");
        assert!(one.join("six.py").exists());
        assert_eq!(std::fs::read_dir(packages.dir).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn others_than_those_that_were_pinned_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let packages = Packages::new(dir.path().to_owned());
        for (wrong, why) in [(SIX.replace("8abb", "8abc"), "HASHES"), (SIX.replace("1.16.0", "0.0.999"), "No matching distribution")] {
            let error = packages.get(&wrong).await.unwrap_err();
            assert!(matches!(error, PackagesError::Refused(_)) && error.to_string().contains(why), "{error}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is left");
    }

    #[test]
    fn lines_that_pin_nothing_are_named() {
        for (text, line, why) in [
            ("six==1.16.0\n", 1, "has no hash"),
            ("# one\n--index-url http://evil.example/ --hash=sha256:aa\n", 2, "is not name==version"),
            ("six>=1.0 --hash=sha256:aa", 1, "is not name==version"),
            ("six @ file:///etc/passwd --hash=sha256:aa", 1, "is not name==version"),
            ("-r==/etc/passwd --hash=sha256:aa", 1, "is not name==version"),
            ("six==1.16.0 --hash=md5:aa", 1, "is no hash"),
            ("six==1.0 --find-links=/tmp --hash=sha256:aa", 1, "is not name==version"),
        ] {
            match pinned(text).unwrap_err() {
                PackagesError::Line { line: at, reason } => assert!(at == line && reason.contains(why), "{text:?}: {at} {reason}"),
                other => panic!("{text:?}: {other}"),
            }
        }
        assert_eq!(
            pinned(&format!("b==1 ; python_version < '3.12' {}", SIX.split_once("\\\n    ").unwrap().1))
                .unwrap()
                .matches("b==1 ; ")
                .count(),
            1
        );
    }
}
