//! The programs of the last release beside those of this one, on one schema, in both directions. `make upgrade` builds the former.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use titan_testkit::eventually;

use crate::stack::{PROCESSES, Servers, Stack};

/// Directory of the last release's programs.
fn last_release() -> PathBuf {
    titan_settings::env("TITAN_LAST_RELEASE").expect("TITAN_LAST_RELEASE: `make upgrade` sets it").into()
}

fn this_release() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_titan")).parent().unwrap()
}

fn program(process: &str) -> String {
    let service = process.trim_end_matches(|c: char| c == '-' || c.is_ascii_digit());
    format!("titan-{}", if service == "worker" { "agent-worker" } else { service })
}

/// Puts a program in the place of another one that may be running.
fn put(from: &Path, to: &Path, program: &str) {
    let new = to.join(format!("{program}.new"));
    std::fs::copy(from.join(program), &new).unwrap();
    std::fs::rename(new, to.join(program)).unwrap();
}

/// Ends the process and waits for the one that comes in its place, as a rolling update does.
async fn replace(stack: &Stack, process: &str) {
    let before = stack.pid(process);
    stack.signal(process, "-TERM");
    eventually(process, async || (stack.pid(process) != before).then_some(())).await;
}

#[tokio::test]
#[ignore = "needs the last release's programs: make upgrade"]
async fn every_process_is_replaced_under_load_and_back() {
    let (old, new) = (last_release(), this_release());
    let programs = tempfile::tempdir().unwrap();
    let here = programs.path();
    put(&old, here, "titan");
    // Its deployment service is the proxy too.
    let processes = || PROCESSES.iter().filter(|process| old.join(program(process)).exists());
    for process in processes() {
        put(&old, here, &program(process));
    }
    let stack = Stack::up_from(here, 18_400, Servers::default(), &[]).await;
    stack.post("/api/v1/projects", "project", &json!({ "name": "stream" })).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let load = async {
        let mut batches = 0;
        while !stop.is_cancelled() {
            stack.submit_noops(&format!("batch-{batches}"), 10, 100 + 37 * (batches as u64 % 9)).await;
            batches += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        batches * 10
    };
    let rolling = async {
        for (from, what) in [(new, "the new release comes"), (old.as_path(), "and goes"), (new, "and comes again")] {
            eprintln!("{what}");
            for process in processes() {
                put(from, here, &program(process));
                replace(&stack, process).await;
                // Both releases of it, and of what it speaks with, for a while.
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
        }
        stop.cancel();
    };
    let (submitted, ()) = tokio::join!(load, rolling);
    stack.all_done_once(submitted).await;
}
