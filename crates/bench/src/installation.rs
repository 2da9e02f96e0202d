use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

/// `titan up` of the same build, in a directory of its own.
pub(crate) struct Installation {
    home: tempfile::TempDir,
    child: Child,
}

const BASE_PORT: u16 = 17_000;
/// Tasks each of the two workers runs at once.
const SLOTS: &str = "1000";

impl Installation {
    pub(crate) async fn start(database_url: &str) -> anyhow::Result<Self> {
        let home = tempfile::Builder::new().prefix("titan-bench-").tempdir()?;
        let program = std::env::current_exe()?.with_file_name("titan");
        let mut command = Command::new(&program);
        command.arg("--home").arg(home.path()).arg("up").stdout(Stdio::null());
        command.args(["--role-prefix", "titan_bench", "--bus-prefix", "titan-bench", "--runner-slots", SLOTS]);
        command.args(["--base-port", &BASE_PORT.to_string(), "--apps-port", "17100", "--database-url", database_url]);
        let child = command.spawn().with_context(|| program.display().to_string())?;
        let mut installation = Self { home, child };
        let deadline = Instant::now() + Duration::from_secs(60);
        for offset in [1, 3, 5, 7, 11] {
            let url = format!("http://127.0.0.1:{}/health/ready", BASE_PORT + offset);
            while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                ensure!(installation.child.try_wait()?.is_none() && Instant::now() < deadline, "the services did not start");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(installation)
    }

    /// gRPC URLs of the two replicas.
    pub(crate) fn orchestrators(&self) -> Vec<String> {
        [2, 4].map(|offset| format!("http://127.0.0.1:{}", BASE_PORT + offset)).to_vec()
    }

    pub(crate) fn signing_key(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.home.path().join("signing-key"))?.trim().to_owned())
    }

    /// Resident memory by process.
    pub(crate) fn memory_mib(&self) -> anyhow::Result<Vec<(String, u64)>> {
        let mut memory = Vec::new();
        for entry in std::fs::read_dir(self.home.path().join("run"))? {
            let path: PathBuf = entry?.path();
            if path.extension().is_none_or(|e| e != "pid") {
                continue;
            }
            let status = std::fs::read_to_string(format!("/proc/{}/status", std::fs::read_to_string(&path)?.trim()))?;
            let kib = status.lines().find_map(|l| l.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse::<u64>().ok());
            memory.push((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), kib.unwrap_or(0) / 1024));
        }
        memory.sort();
        Ok(memory)
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self)).await?)
    }
}

impl Drop for Installation {
    /// `titan up` takes its services with it.
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
            let _ = self.child.wait();
        }
    }
}
