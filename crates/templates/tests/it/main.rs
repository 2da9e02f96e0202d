//! Every template's own tests, run for real on what it renders.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

mod evaluation;

use std::path::Path;
use std::process::Command;

use titan_templates::{Library, understand};

fn write(dir: &Path, sentence: &str) {
    for file in Library::open(None).unwrap().render(&understand(sentence).unwrap()).unwrap() {
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
fn every_constraint() {
    passes_with_coverage(
        "Build a REST API for t-shirts with a unique name of at most 40 characters, a size (S, M, L or XL), a price of at least 0.5, a rating from 1 to 5, \
         a unique email, a unique website, a unique release date, a unique stock of at least 0 and a note of at least 3 characters",
    );
}

#[test]
fn search() {
    passes_with_coverage("Build a REST API for articles with a title and an optional price, with search and pagination");
}

#[test]
fn nothing_required() {
    passes_with_coverage("Build a REST API for measurements with a temperature and an optional note");
}

#[test]
fn an_operators_own_template_replaces_the_built_in_one() {
    let own = tempfile::tempdir().unwrap();
    let files = own.path().join("rest-api/files/app");
    std::fs::create_dir_all(&files).unwrap();
    std::fs::write(files.join("name.txt.j2"), "{{ resource.plural }}\n").unwrap();
    let rendered = Library::open(Some(own.path())).unwrap().render(&understand("Build a REST API for boxes").unwrap()).unwrap();
    assert_eq!((rendered.len(), rendered[0].path.as_str(), rendered[0].contents.as_str()), (1, "app/name.txt", "boxes\n"));
}

#[test]
fn a_directory_that_is_no_library_is_refused_by_name() {
    let own = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(own.path().join("rest-apis/files")).unwrap();
    let error = Library::open(Some(own.path())).unwrap_err().to_string();
    assert!(error.contains("rest-apis") && error.contains("rest-api"), "{error}");
    let absent = own.path().join("absent");
    assert!(Library::open(Some(&absent)).unwrap_err().to_string().contains("absent"));
}
