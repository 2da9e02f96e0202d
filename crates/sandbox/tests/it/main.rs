//! What a hostile job may try, and that it fails. Every test runs the real sandbox of this machine.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

use std::path::Path;
use std::time::{Duration, Instant};

use titan_sandbox::{Ended, Job, Limits, Outcome, Sandbox};

async fn python(dir: &Path, limits: Limits, code: &str) -> Outcome {
    let sandbox = Sandbox::probe().await.expect("the machine has bubblewrap");
    sandbox.run(Job { dir, command: &["/usr/bin/python3", "-c", code], limits, packages: None, collect: &[] }).await.unwrap()
}

async fn hostile(code: &str) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    python(dir.path(), Limits { time: Duration::from_secs(20), ..Limits::default() }, code).await
}

#[track_caller]
fn refused(outcome: &Outcome, why: &str) {
    assert!(!outcome.succeeded(), "it worked: {}", outcome.stdout);
    assert!(outcome.stderr.contains(why), "expected {why:?} in: {}", outcome.stderr);
}

#[tokio::test]
async fn a_job_works_on_its_copy_and_sends_back_what_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("in.txt"), "3").unwrap();
    let sandbox = Sandbox::probe().await.unwrap();
    let command = ["/bin/sh", "-c", "echo hello; echo $(($(cat in.txt) + 4)) > out.txt; echo x > in.txt; exit 7"];
    let outcome = sandbox
        .run(Job { dir: dir.path(), command: &command, limits: Limits::default(), packages: None, collect: &["out.txt", "absent"] })
        .await
        .unwrap();
    assert_eq!((outcome.ended, outcome.stdout.as_str()), (Ended::Exit(7), "hello\n"));
    assert_eq!(outcome.collected["out.txt"], b"7\n");
    assert_eq!(outcome.collected.len(), 1);
    assert_eq!(std::fs::read_to_string(dir.path().join("in.txt")).unwrap(), "3");
}

#[tokio::test]
async fn no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    refused(&hostile(&format!("import socket; socket.create_connection(('127.0.0.1', {port}), 3)")).await, "refused");
    refused(&hostile("import socket; socket.create_connection(('192.0.2.1', 80), 3)").await, "unreachable");
}

#[tokio::test]
async fn no_files_of_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "hunter2").unwrap();
    refused(&hostile(&format!("print(open({secret:?}).read())")).await, "No such file");
    refused(&hostile("print(open('/etc/shadow').read())").await, "No such file");
    refused(&hostile("import os; print(os.listdir('/root'))").await, "No such file");
    for path in ["/usr/bin/evil", "/etc/evil", "/evil", "/dev/evil"] {
        let outcome = hostile(&format!("open({path:?}, 'w')")).await;
        assert!(!outcome.succeeded(), "{path} could be written");
    }
}

#[tokio::test]
async fn a_link_out_of_the_workspace_leads_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::NamedTempFile::new().unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
    refused(&python(dir.path(), Limits::default(), "print(open('link').read())").await, "No such file");
}

#[tokio::test]
async fn a_fork_bomb_stops_at_the_process_limit() {
    let code = "import os,time\nn=0\ntry:\n  while True:\n    if os.fork()==0: time.sleep(60); os._exit(0)\n    n+=1\nexcept OSError as e:\n  print(n, e); raise SystemExit(3)";
    let outcome = hostile(code).await;
    assert_eq!(outcome.ended, Ended::Exit(3), "{}", outcome.stderr);
    let forks: u32 = outcome.stdout.split(' ').next().unwrap().parse().unwrap();
    assert!(forks < 64, "{forks} processes");
}

#[tokio::test]
async fn memory_is_limited() {
    refused(&hostile("x = bytearray(4 << 30)").await, "MemoryError");
}

#[tokio::test]
async fn disk_is_limited() {
    let code = "import os\nfor d in ['/work', '/tmp', '/dev/shm']:\n  n=0\n  try:\n    for i in range(40):\n      open(f'{d}/{i}', 'wb').write(b'x'*(8<<20)); n+=1\n    raise SystemExit(0)\n  except OSError as e: print(d, n, e)\nraise SystemExit(5)";
    let outcome = hostile(code).await;
    assert_eq!(outcome.ended, Ended::Exit(5), "{} {}", outcome.stdout, outcome.stderr);
}

#[tokio::test]
async fn time_is_limited_and_nothing_stays_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mark = format!("3{:09}", std::process::id());
    let started = Instant::now();
    let code =
        format!("import subprocess; subprocess.Popen(['sleep', '{mark}'], start_new_session=True); subprocess.run(['sleep', '{mark}'])");
    let outcome = python(dir.path(), Limits { time: Duration::from_secs(2), ..Limits::default() }, &code).await;
    assert_eq!(outcome.ended, Ended::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(10));
    let deadline = Instant::now() + Duration::from_secs(5);
    while std::process::Command::new("pgrep").args(["-f", &mark]).output().unwrap().status.success() {
        assert!(Instant::now() < deadline, "a process outlived its sandbox");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn output_is_limited() {
    let outcome = hostile("print('a' * (5 << 20)); print('the end')").await;
    assert!(outcome.stdout.len() < 70 << 10);
    assert!(outcome.stdout.contains("bytes left out") && outcome.stdout.ends_with("the end\n"));
}

#[tokio::test]
async fn other_processes_are_not_there() {
    let outcome = hostile("import os; print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()))").await;
    let pids: Vec<u32> = outcome.stdout.trim().trim_matches(['[', ']']).split(", ").map(|p| p.parse().unwrap()).collect();
    assert!(pids.len() <= 6 && pids.iter().all(|p| *p < 20), "{pids:?}");
    refused(&hostile(&format!("import os; os.kill({}, 0)", std::process::id())).await, "No such process");
}

#[tokio::test]
async fn no_privilege_can_be_gained() {
    let outcome = hostile("import os; print(os.getuid() != 0, open('/proc/self/status').read())").await;
    assert!(outcome.stdout.starts_with("True"), "it ran as root");
    assert!(outcome.stdout.contains("NoNewPrivs:\t1"));
    assert!(outcome.stdout.contains("CapEff:\t0000000000000000") && outcome.stdout.contains("CapPrm:\t0000000000000000"));
    refused(&hostile("import os; os.setuid(0)").await, "not permitted");
    // A set-uid program of the host gains nothing: mounts are nosuid, and new privileges are refused.
    refused(&hostile("import subprocess; subprocess.run(['mount', '-t', 'tmpfs', 'x', '/tmp'], check=True)").await, "mount");
    refused(&hostile("import ctypes; l=ctypes.CDLL(None, use_errno=True); r=l.unshare(0x10000000); import os; assert r==0, os.strerror(ctypes.get_errno())").await, "not permitted");
    refused(&hostile("import ctypes; l=ctypes.CDLL(None, use_errno=True); r=l.ptrace(0,0,0,0); import os; assert r==0, os.strerror(ctypes.get_errno())").await, "not permitted");
}

#[tokio::test]
async fn the_environment_is_empty() {
    let outcome = hostile("import os; print(sorted(os.environ))").await;
    assert_eq!(outcome.stdout.trim(), "['HOME', 'LANG', 'MALLOC_ARENA_MAX', 'PATH', 'PWD', 'PYTHONDONTWRITEBYTECODE']");
}
