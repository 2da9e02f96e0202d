use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::claims::Buckets;

/// Processor time a process has used.
pub(crate) fn cpu(pid: i32) -> anyhow::Result<Duration> {
    // Fields after the name of the program; ticks are hundredths of a second on Linux.
    let (utime, stime) = (11, 12);
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| anyhow::Ok(fields.get(field).context("a line of /proc that is too short")?.parse::<u64>()?);
    Ok(Duration::from_millis(10 * (ticks(utime)? + ticks(stime)?)))
}

/// (what the host took of the processors' time, all of it), since this machine started.
pub(crate) fn stolen() -> anyhow::Result<(f64, f64)> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let ticks =
        stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8).map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    Ok((*ticks.get(7).context("a line of /proc that is too short")?, ticks.iter().sum()))
}

/// `titan up` of the same build, in a directory of its own.
pub(crate) struct Installation {
    home: tempfile::TempDir,
    child: Child,
}

const BASE_PORT: u16 = 17_000;
/// Offsets of their gRPC ports; the next one is the admin's.
const ORCHESTRATORS: [u16; 2] = [2, 4];
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
        for offset in [1, 3, 5, 7, 11, 13, 15, 17] {
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
        ORCHESTRATORS.map(|offset| format!("http://127.0.0.1:{}", BASE_PORT + offset)).to_vec()
    }

    pub(crate) fn gateway(&self) -> String {
        format!("http://127.0.0.1:{BASE_PORT}")
    }

    pub(crate) fn api_key(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.home.path().join("api-key"))?.trim().to_owned())
    }

    /// As by `kill -9`; another process comes in its place.
    pub(crate) fn kill(&self, name: &str) -> anyhow::Result<()> {
        let pid = std::fs::read_to_string(self.home.path().join(format!("run/{name}.pid")))?;
        ensure!(Command::new("kill").args(["-9", pid.trim()]).status()?.success(), "{name} could not be killed");
        Ok(())
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

    /// Processor time the orchestrators have used.
    pub(crate) fn orchestrators_cpu(&self) -> anyhow::Result<Duration> {
        let run = self.home.path().join("run");
        let pid = |name: &str| anyhow::Ok(std::fs::read_to_string(run.join(format!("{name}.pid")))?.trim().parse()?);
        Ok(cpu(pid("orchestrator-1")?)? + cpu(pid("orchestrator-2")?)?)
    }

    /// Of both orchestrators.
    pub(crate) async fn claims(&self) -> anyhow::Result<Buckets> {
        let mut claims = Buckets::default();
        for offset in ORCHESTRATORS {
            let page = reqwest::get(format!("http://127.0.0.1:{}/metrics", BASE_PORT + offset + 1)).await?.text().await?;
            claims = claims.plus(&Buckets::parse(&page));
        }
        Ok(claims)
    }

    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        Ok(tokio::task::spawn_blocking(move || drop(self)).await?)
    }
}

impl Drop for Installation {
    /// `titan up` takes its services with it; the apps they deployed outlive them.
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
            let _ = self.child.wait();
        }
        let _ = Command::new("pkill").args(["-9", "-f", &self.home.path().to_string_lossy()]).status();
    }
}
