//! Work that does not pass its gates, from an operator's own template: it goes back, and the goal says why.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::stack::Stack;

const SENTENCE: &str = "Build a REST API for boxes with a name and a weight";

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() { copy(&entry.path(), &target) } else { std::fs::copy(entry.path(), target).map(drop).unwrap() }
    }
}

/// The built-in template, to be spoiled.
fn own_template() -> (tempfile::TempDir, PathBuf) {
    let own = tempfile::tempdir().unwrap();
    let files = own.path().join("rest-api/files");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates/library/rest-api/files"), &files);
    (own, files)
}

fn kinds(tasks: &Value) -> Vec<(&str, &str)> {
    let mut kinds: Vec<_> =
        tasks["items"].as_array().unwrap().iter().map(|t| (t["kind"].as_str().unwrap(), t["state"].as_str().unwrap())).collect();
    kinds.sort_unstable();
    kinds
}

#[tokio::test]
async fn work_below_the_gates_is_sent_back_with_the_findings() {
    let (own, files) = own_template();
    std::fs::remove_file(files.join("tests/test_http.py")).unwrap();
    std::fs::write(files.join("app/keys.py"), format!("KEY = \"AKIA{}\"\n", "IOSFODNN7EXAMPLE")).unwrap();
    let stack = Stack::dev(&[("TITAN_TEMPLATES", &own.path().to_string_lossy())]);
    let output = stack.titan(&["goal", SENTENCE, "--watch"]);
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("sent back") && out.contains("coverage") && out.contains("90"), "{out}");
    let tasks = stack.titan_json(&["tasks"]);
    assert_eq!(
        kinds(&tasks),
        [("deploy", "cancelled"), ("plan-goal", "done"), ("verify", "cancelled"), ("write-code", "done"), ("write-code", "failed")]
    );
    let find = |kind: &str, state: &str| {
        let task = tasks["items"].as_array().unwrap().iter().find(|t| t["kind"] == kind && t["state"] == state).unwrap();
        stack.titan_json(&["task", task["id"].as_str().unwrap()])["task"].clone()
    };
    let fix = find("write-code", "failed");
    assert!(fix["error"].as_str().unwrap().contains("change the template"), "{fix}");
    let rework = fix["input"]["rework"].to_string();
    assert!(rework.contains("app/keys.py") && rework.contains("coverage"), "the findings travel with it: {rework}");
    assert_eq!(find("verify", "cancelled")["result"], json!(null), "no verdict in favour");
    assert_eq!(stack.titan_json(&["deployments"])["items"], json!([]), "nothing was deployed");
    let project = &stack.titan_json(&["projects"])["items"][0];
    let url = format!("{}{}", stack.url, project["repository"].as_str().unwrap());
    let refs = std::process::Command::new("git").args(["-c", &stack.credential_helper(), "ls-remote", &url]).output().unwrap();
    let refs = String::from_utf8(refs.stdout).unwrap();
    assert!(refs.contains("refs/heads/task/") && !refs.contains("refs/heads/main"), "main never moved: {refs}");
}

#[tokio::test]
async fn a_template_whose_tests_fail_fails_the_goal_with_their_output() {
    let (own, files) = own_template();
    let broken = "import unittest\n\n\nclass Broken(unittest.TestCase):\n    def test_sum(self):\n        self.assertEqual(1 + 1, 3)\n";
    std::fs::write(files.join("tests/test_broken.py"), broken).unwrap();
    let stack = Stack::dev(&[("TITAN_TEMPLATES", &own.path().to_string_lossy())]);
    let output = stack.titan(&["goal", SENTENCE, "--watch"]);
    let out = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("tests fail") && out.contains("failed"), "{out}");
    let tasks = stack.titan_json(&["tasks"]);
    assert_eq!(kinds(&tasks), [("deploy", "cancelled"), ("plan-goal", "done"), ("verify", "cancelled"), ("write-code", "failed")]);
    let task = tasks["items"].as_array().unwrap().iter().find(|t| t["kind"] == "write-code").unwrap();
    let task = stack.titan_json(&["task", task["id"].as_str().unwrap()])["task"].clone();
    assert!(task["error"].as_str().unwrap().contains("failures=1"), "{task}");
}

#[tokio::test]
async fn what_would_be_built_is_said_and_asked_for_first() {
    let stack = Stack::dev(&[]);
    let planned = stack.titan(&["goal", SENTENCE, "--plan"]);
    let out = String::from_utf8_lossy(&planned.stdout).into_owned();
    assert!(planned.status.success() && out.contains("Understood  rest-api for boxes") && !out.contains("Tests"), "{out}");
    let refused = stack.titan(&["goal", "make me a sandwich", "--plan"]);
    assert!(refused.status.code() == Some(1) && String::from_utf8_lossy(&refused.stdout).contains("It cannot be"), "{refused:?}");
    let answered = |answer: &str| {
        let mut child = crate::stack::titan()
            .arg("--home")
            .arg(stack.home.path())
            .args(["--url", &stack.url, "goal", SENTENCE, "--ask", "--watch"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), answer.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    assert!(!answered("no\n").contains("App  "));
    assert_eq!(stack.titan_json(&["projects"])["items"], serde_json::json!([]), "nothing is left of what was only planned");
    let built = answered("yes\n");
    assert!(built.contains("App         http") && built.contains("Speed       p50"), "{built}");
    let json = stack.titan(&["--json", "goal", SENTENCE, "--ask"]);
    assert!(String::from_utf8_lossy(&json.stderr).contains("use --plan with --json"), "{json:?}");
}

#[tokio::test]
async fn a_template_of_ones_own_is_added_named_and_built_from() {
    let own = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(own.path().join("files/docs")).unwrap();
    std::fs::write(own.path().join("files/docs/NOTICE.md.j2"), "{{ title }}, as we build them\n").unwrap();
    std::fs::write(own.path().join("template.toml"), "summary = \"As we build them\"\nextends = \"rest-api\"\n").unwrap();
    let stack = Stack::dev(&[]);
    let unknown = stack.titan(&["goal", &format!("{SENTENCE}, using the template house-api"), "--watch"]);
    let out = String::from_utf8(unknown.stdout).unwrap();
    assert!(!unknown.status.success() && out.contains("There is no template \"house-api\""), "{out}");
    let added = stack.titan(&["template", "add", "house-api", &own.path().to_string_lossy()]);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    let listed = String::from_utf8(stack.titan(&["template", "list"]).stdout).unwrap();
    assert!(listed.contains("house-api") && listed.contains("As we build them") && listed.contains("built in"), "{listed}");
    let built = stack.titan(&["goal", &format!("{SENTENCE}, using the template house-api"), "--watch"]);
    let out = String::from_utf8(built.stdout).unwrap();
    assert!(built.status.success() && out.contains("It is built from the template house-api"), "{out}");
    let back = tempfile::tempdir().unwrap();
    let written = back.path().join("house");
    assert!(stack.titan(&["template", "get", "house-api", &written.to_string_lossy()]).status.success());
    assert!(std::fs::read_to_string(written.join("files/docs/NOTICE.md.j2")).unwrap().contains("as we build them"));
    let project = &stack.titan_json(&["projects"])["items"][0];
    let url = format!("{}{}", stack.url, project["repository"].as_str().unwrap());
    let clone = back.path().join("clone");
    let cloned =
        std::process::Command::new("git").args(["-c", &stack.credential_helper(), "clone", "-q", &url]).arg(&clone).output().unwrap();
    assert!(cloned.status.success(), "{}", String::from_utf8_lossy(&cloned.stderr));
    assert_eq!(std::fs::read_to_string(clone.join("docs/NOTICE.md")).unwrap(), "Boxes API, as we build them\n");
    assert!(stack.titan(&["template", "delete", "house-api"]).status.success());
}
