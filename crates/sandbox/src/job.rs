use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt as _, FdMapping};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, Command};

use crate::{Sandbox, seccomp};

/// A command over a copy of a directory.
#[derive(Debug)]
pub struct Job<'a> {
    /// Copied to `/work`; what the job changes there is gone with it.
    pub dir: &'a Path,
    pub command: &'a [&'a str],
    pub limits: Limits,
    /// Python packages, read-only.
    pub packages: Option<&'a Path>,
    /// Files below `/work` to bring back, if they are there.
    pub collect: &'a [&'a str],
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub time: Duration,
    /// Address space of each process.
    pub memory_bytes: u64,
    pub processes: u64,
    /// Of each of `/work`, `/tmp` and `/dev/shm`.
    pub scratch_bytes: u64,
    /// Of each file.
    pub file_bytes: u64,
    /// Of standard output and of standard error; the middle is left out beyond it.
    pub output_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Exit(i32),
    /// Killed by us for taking too long.
    TimedOut,
}

#[derive(Debug)]
pub struct Outcome {
    pub ended: Ended,
    pub stdout: String,
    pub stderr: String,
    pub collected: BTreeMap<String, Vec<u8>>,
    pub duration: Duration,
}

impl Outcome {
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.ended == Ended::Exit(0)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(30),
            memory_bytes: 2 << 30,
            processes: 64,
            scratch_bytes: 128 << 20,
            file_bytes: 128 << 20,
            output_bytes: 64 << 10,
        }
    }
}

impl Limits {
    pub(crate) fn prlimit(&self) -> Vec<String> {
        vec![
            format!("--as={}", self.memory_bytes),
            format!("--nproc={}", self.processes),
            format!("--fsize={}", self.file_bytes),
            "--nofile=512".to_owned(),
            "--core=0".to_owned(),
        ]
    }
}

/// Unpacks the workspace from standard input, runs the command without it, and sends back what was asked
/// for through descriptor 3. Its own exit code is the command's.
const SCRIPT: &str = r#"
tar -xf - -C /work || exit 125
n=$1; shift
wanted=
while [ "$n" -gt 0 ]; do wanted="$wanted $1"; shift; n=$((n-1)); done
"$@" </dev/null 3>&-
code=$?
[ -n "$wanted" ] && tar -cf - --ignore-failed-read -C /work -- $wanted >&3 2>/dev/null
exit $code
"#;

/// What a job may send back.
const COLLECT_BYTES: u64 = 32 << 20;

impl Sandbox {
    /// Runs a job to its end. It is killed, with everything it started, when the future is dropped.
    ///
    /// # Errors
    /// The sandbox itself failed, or `dir` could not be read; never what the job did.
    pub async fn run(&self, job: Job<'_>) -> std::io::Result<Outcome> {
        if let Some(bad) = job.collect.iter().find(|path| path.contains(|c: char| !c.is_ascii_alphanumeric() && !"._/-".contains(c))) {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, format!("cannot collect {bad:?}")));
        }
        let (reader, writer) = std::io::pipe()?;
        let mut child = self.command(&job, writer.into())?.spawn()?;
        let started = Instant::now();
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let archive = pack(job.dir.to_owned());
        let collected = tokio::task::spawn_blocking(move || unpack(reader));
        let work = async {
            let (sent, stdout, stderr) = tokio::join!(
                feed(stdin, archive),
                head_and_tail(stdout, job.limits.output_bytes),
                head_and_tail(stderr, job.limits.output_bytes)
            );
            sent?;
            let status = child.wait().await?;
            Ok::<_, std::io::Error>((status.code().unwrap_or(-1), stdout?, stderr?))
        };
        let ended = tokio::time::timeout(job.limits.time, work).await;
        let duration = started.elapsed();
        match ended {
            Ok(ended) => {
                let (code, stdout, stderr) = ended?;
                let collected = collected.await.map_err(std::io::Error::other)?;
                Ok(Outcome { ended: Ended::Exit(code), stdout, stderr, collected, duration })
            }
            Err(_) => {
                child.kill().await?;
                let (stdout, stderr) = (String::new(), format!("stopped after {:?}", job.limits.time));
                Ok(Outcome { ended: Ended::TimedOut, stdout, stderr, collected: BTreeMap::new(), duration })
            }
        }
    }

    fn command(&self, job: &Job<'_>, collect: OwnedFd) -> std::io::Result<Command> {
        let mut isolation = self.isolation(true);
        isolation.limit(job.limits);
        isolation.scratch("/tmp", job.limits.scratch_bytes);
        isolation.scratch("/work", job.limits.scratch_bytes);
        isolation.packages(job.packages);
        isolation.add(&["--die-with-parent", "--chdir", "/work", "--add-seccomp-fd", "4", "--add-seccomp-fd", "5"]);
        let count = job.collect.len().to_string();
        let mut inner = vec!["/bin/sh", "-c", SCRIPT, "sandbox", &count];
        inner.extend(job.collect);
        inner.extend(job.command);
        let mut command = isolation.command(&inner);
        let [refused, clone3] = seccomp::filters()?;
        let fds = [(collect, 3), (refused, 4), (clone3, 5)];
        let mappings = fds.into_iter().map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
        command.fd_mappings(mappings).map_err(std::io::Error::other)?;
        let mut command = Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }
}

/// The directory as a tar, links as links: what they point at is not there inside.
async fn pack(dir: std::path::PathBuf) -> std::io::Result<Vec<u8>> {
    let packed = tokio::task::spawn_blocking(move || {
        let mut archive = tar::Builder::new(Vec::new());
        archive.follow_symlinks(false);
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_name() == ".git" {
                continue;
            }
            let name = entry.file_name();
            if entry.file_type()?.is_dir() {
                archive.append_dir_all(&name, entry.path())?
            } else {
                archive.append_path_with_name(entry.path(), &name)?
            }
        }
        archive.into_inner()
    });
    packed.await.map_err(std::io::Error::other)?
}

async fn feed(stdin: Option<ChildStdin>, archive: impl Future<Output = std::io::Result<Vec<u8>>>) -> std::io::Result<()> {
    let archive = archive.await?;
    let Some(mut stdin) = stdin else { return Ok(()) };
    match stdin.write_all(&archive).await {
        // The job ended before it read everything; its exit code tells why.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

fn unpack(reader: impl std::io::Read) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut archive = tar::Archive::new(reader.take(COLLECT_BYTES));
    // The job may have written anything at all here; what is not a readable tar is nothing.
    let Ok(entries) = archive.entries() else { return files };
    for mut entry in entries.flatten().filter(|e| e.header().entry_type().is_file()) {
        let (Ok(path), mut bytes) = (entry.path().map(|p| p.to_string_lossy().into_owned()), Vec::new()) else { continue };
        if entry.read_to_end(&mut bytes).is_ok() {
            files.insert(path, bytes);
        }
    }
    files
}

/// Reads everything, keeps the first and the last half of `limit`.
async fn head_and_tail(stream: Option<impl AsyncRead + Unpin>, limit: usize) -> std::io::Result<String> {
    let Some(mut stream) = stream else { return Ok(String::new()) };
    let (mut head, mut tail, mut left_out) = (Vec::new(), std::collections::VecDeque::new(), 0_usize);
    let mut chunk = vec![0; 8192];
    loop {
        let n = stream.read(&mut chunk).await?;
        if n == 0 {
            break;
        }
        let to_head = n.min((limit / 2).saturating_sub(head.len()));
        head.extend_from_slice(&chunk[..to_head]);
        tail.extend(&chunk[to_head..n]);
        let over = tail.len().saturating_sub(limit / 2);
        tail.drain(..over);
        left_out += over;
    }
    let mut text = String::from_utf8_lossy(&head).into_owned();
    if left_out > 0 {
        text.push_str(&format!("\n… {left_out} bytes left out …\n"));
    }
    text.push_str(&String::from_utf8_lossy(tail.make_contiguous()));
    // Databases and terminals do not take it.
    Ok(text.replace('\0', "\u{2400}"))
}
