//! Processes of this host, found again by id and start time, or by the mark in their command line.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use titan_error::{Error, Result};

/// A process and the time it was started, in clock ticks since boot: together they name it for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) started: i64,
}

const GRACE: Duration = Duration::from_secs(5);

/// The fields of `/proc/<pid>/stat` that are needed.
#[derive(Clone, Copy, Debug)]
struct Stat {
    parent: i32,
    started: i64,
    /// Its own processor time and that of its children that have ended, in ticks.
    ticks: u64,
    /// Resident.
    pages: u64,
}

/// None when there is no such process, or only its corpse.
fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may contain anything.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
    let alive = !matches!(*fields.first()?, "Z" | "X");
    alive.then_some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
        ticks: (11..15).map(number).sum::<Option<u64>>()?,
        pages: number(21)?,
    })
}

/// What a process and everything below it use.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Since they were started.
    pub(crate) cpu_ms: u64,
    pub(crate) memory_bytes: u64,
}

/// Of those that are alive, by their ids.
pub(crate) fn used(processes: &[Process]) -> HashMap<i32, Used> {
    if processes.is_empty() {
        return HashMap::new();
    }
    let stats: HashMap<i32, Stat> = pids().into_iter().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (pid, stat) in &stats {
        children.entry(stat.parent).or_default().push(*pid);
    }
    let (tick_ms, page) = (1_000 / rustix::param::clock_ticks_per_second().max(1), rustix::param::page_size() as u64);
    let of = |process: &Process| {
        let alive = stats.get(&process.pid).is_some_and(|stat| stat.started == process.started);
        let (mut used, mut next) = (Used::default(), vec![process.pid]);
        while let Some(pid) = next.pop() {
            if let Some(Stat { ticks, pages, .. }) = stats.get(&pid) {
                used = Used { cpu_ms: used.cpu_ms + ticks * tick_ms, memory_bytes: used.memory_bytes + pages * page };
            }
            next.extend(children.get(&pid).into_iter().flatten());
        }
        alive.then_some((process.pid, used))
    };
    processes.iter().filter_map(of).collect()
}

/// Where a process id means the same process: this start of this machine, and the namespace of its processes.
pub(crate) fn place() -> anyhow::Result<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let namespace = std::fs::read_link("/proc/self/ns/pid")?;
    Ok(format!("{}-{}", boot.trim(), namespace.to_string_lossy()))
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.pid, self.started)
    }
}

impl FromStr for Process {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parsed = text.split_once('@').and_then(|(pid, started)| Some(Self { pid: pid.parse().ok()?, started: started.parse().ok()? }));
        parsed.ok_or_else(|| Error::invalid("process", format!("{text:?} is not <id>@<start>")))
    }
}

impl Process {
    /// This one.
    pub(crate) fn own() -> anyhow::Result<Self> {
        i32::try_from(std::process::id()).ok().and_then(Self::of).context("/proc does not show this process")
    }

    pub(crate) fn of(pid: i32) -> Option<Self> {
        stat(pid).map(|stat| Self { pid, started: stat.started })
    }

    pub(crate) fn alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started)
    }

    /// Asks it and everything below it to end, and ends them after a grace.
    pub(crate) async fn stop(self) {
        let below: Vec<Self> = descendants(self.pid).into_iter().filter_map(Self::of).collect();
        for process in &below {
            signal(process.pid, Signal::TERM);
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
        // What outlived it.
        for process in below.into_iter().filter(|process| process.alive()) {
            signal(process.pid, Signal::KILL);
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
    pids().into_iter().filter(|pid| bwrap(*pid)).min_by_key(|pid| stat(*pid).map_or(i64::MAX, |stat| stat.started)).and_then(Process::of)
}

fn pids() -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir(Path::new("/proc")) else { return Vec::new() };
    let mut pids: Vec<i32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

/// Everything below `root`, the deepest first.
fn descendants(root: i32) -> Vec<i32> {
    let parents: Vec<(i32, i32)> = pids().into_iter().filter_map(|pid| stat(pid).map(|stat| (pid, stat.parent))).collect();
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
    use std::io::Read as _;
    use std::process::Stdio;

    use super::*;

    #[tokio::test]
    async fn a_process_is_named_by_id_and_start() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        assert!(process.alive());
        assert!(!Process { started: process.started + 1, ..process }.alive(), "another one with the same id");
        assert_eq!(process.to_string().parse::<Process>().unwrap(), process);
        assert!(Process::own().unwrap().alive() && "no process".parse::<Process>().is_err());
        child.kill().unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(5);
        while process.alive() {
            assert!(std::time::Instant::now() < deadline, "a corpse is not alive");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child.wait().unwrap();
    }

    #[test]
    fn what_is_below_is_counted_too_also_when_it_has_ended() {
        let script = "(i=0; while [ $i -lt 500000 ]; do i=$((i+1)); done); echo ended; sleep 60; exit";
        let mut child = std::process::Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        let of = |process: Process| used(&[process]).get(&process.pid).copied();
        child.stdout.take().unwrap().read_exact(&mut [0; 6]).unwrap();
        assert!(of(process).unwrap().cpu_ms >= 50, "of the one that has ended: {:?}", of(process));
        let own = stat(process.pid).unwrap().pages * rustix::param::page_size() as u64;
        while of(process).unwrap().memory_bytes <= own {
            assert!(std::time::Instant::now() < deadline, "{:?}", of(process));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(of(Process { started: process.started + 1, ..process }).is_none(), "another one with the same id");
        for pid in descendants(process.pid).into_iter().chain([process.pid]) {
            signal(pid, Signal::KILL);
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
