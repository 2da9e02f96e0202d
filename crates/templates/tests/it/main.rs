//! Every template's own tests, run for real on what it renders.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

use std::path::Path;
use std::process::Command;

use titan_templates::{render, understand};

fn write(dir: &Path, sentence: &str) {
    for file in render(&understand(sentence).unwrap()).unwrap() {
        let path = dir.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.contents).unwrap();
    }
}

fn python(dir: &Path, arguments: &[&str]) -> String {
    let output = Command::new("/usr/bin/python3").args(arguments).current_dir(dir).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

fn passes_with_coverage(sentence: &str) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), sentence);
    python(dir.path(), &["-m", "coverage", "run", "--source=app", "-m", "unittest", "discover", "-s", "tests", "-t", "."]);
    python(dir.path(), &["-m", "coverage", "json", "-q", "-o", "coverage.json"]);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.path().join("coverage.json")).unwrap()).unwrap();
    let covered = report["totals"]["percent_covered"].as_f64().unwrap();
    assert!(covered >= 90.0, "only {covered:.1} % of the lines are covered");
}

#[test]
fn todos() {
    passes_with_coverage("Build a REST API for todos with a title, a done flag and a due date");
}

#[test]
fn every_type_and_awkward_names() {
    passes_with_coverage(
        "Build a REST API for order items with a required name, a class, a from date, select, quantity, price, paid flag, start time, email and website",
    );
}

#[test]
fn nothing_required() {
    passes_with_coverage("Build a REST API for measurements with a temperature and an optional note");
}
