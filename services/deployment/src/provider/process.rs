//! Processes of this host, found again by id and start time, or by the mark in their command line.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A process and the time it was started, in clock ticks since boot: together they name it for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) started: i64,
}

const GRACE: Duration = Duration::from_secs(5);

/// The fields of `/proc/<pid>/stat` that are needed; none when there is no such process, or only its corpse.
fn stat(pid: i32) -> Option<(i32, i64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may contain anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let (state, parent, started) = (fields.first()?, fields.get(1)?.parse().ok()?, fields.get(19)?.parse().ok()?);
    (!matches!(*state, "Z" | "X")).then_some((parent, started))
}

impl Process {
    pub(crate) fn of(pid: i32) -> Option<Self> {
        stat(pid).map(|(_, started)| Self { pid, started })
    }

    pub(crate) fn alive(self) -> bool {
        stat(self.pid).is_some_and(|(_, started)| started == self.started)
    }

    /// Asks it and everything below it to end, and ends them after a grace.
    pub(crate) async fn stop(self) {
        let below = descendants(self.pid);
        for pid in &below {
            signal(*pid, Signal::TERM);
        }
        let deadline = tokio::time::Instant::now() + GRACE;
        while self.alive() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if self.alive() {
            for pid in descendants(self.pid).into_iter().chain([self.pid]) {
                signal(pid, Signal::KILL);
            }
        }
    }
}

/// The process whose command line carries `mark`, started by us before we could write down its id.
pub(crate) fn find(mark: &str) -> Option<Process> {
    let bwrap = |pid: i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|b| *b == 0);
        words.next().is_some_and(|program| program.ends_with(b"bwrap")) && words.any(|word| word == mark.as_bytes())
    };
    // The outermost of them: bwrap keeps a copy of itself inside.
    pids().into_iter().filter(|pid| bwrap(*pid)).min_by_key(|pid| stat(*pid).map_or(i64::MAX, |(_, started)| started)).and_then(Process::of)
}

fn pids() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir(Path::new("/proc")) else { return Vec::new() };
    let mut pids: Vec<i32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// Everything below `root`, the deepest first.
fn descendants(root: i32) -> Vec<i32> {
    let parents: Vec<(i32, i32)> = pids().into_iter().filter_map(|pid| stat(pid).map(|(parent, _)| (pid, parent))).collect();
    let (mut found, mut next) = (Vec::new(), vec![root]);
    while let Some(parent) = next.pop() {
        let children = parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid);
        for child in children {
            found.push(child);
            next.push(child);
        }
    }
    found.reverse();
    found
}

/// A process that is gone already needs no signal.
fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_is_named_by_id_and_start() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(process.alive());
        assert!(!Process { started: process.started + 1, ..process }.alive(), "another one with the same id");
        child.kill().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while process.alive() {
            assert!(std::time::Instant::now() < deadline, "a corpse is not alive");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn stopping_ends_what_is_below_too() {
        let mut child = std::process::Command::new("sh").args(["-c", "trap '' TERM; sleep 61 & sleep 62; sleep 63"]).spawn().unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        while descendants(pid).len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let below = descendants(pid);
        let process = Process::of(pid).unwrap();
        let reap = tokio::task::spawn_blocking(move || child.wait());
        process.stop().await;
        reap.await.unwrap().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while below.iter().any(|pid| stat(*pid).is_some()) {
            assert!(std::time::Instant::now() < deadline, "{below:?} are left");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
