//! Every template's own tests, run for real on what it renders.
#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

mod browser;
mod evaluation;
mod fuzzing;

use std::path::Path;
use std::process::Command;

use titan_packages::Packages;
use titan_templates::{Library, understand};

fn write(dir: &Path, sentence: &str) {
    for file in Library::open(None).unwrap().render(&understand(sentence).unwrap()).unwrap() {
        let path = dir.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, file.contents).unwrap();
    }
}

/// Python in a project, with the packages that it pins.
fn python_in(dir: &Path) -> Command {
    let mut python = Command::new("/usr/bin/python3");
    python.current_dir(dir);
    if let Ok(requirements) = std::fs::read_to_string(dir.join("requirements.txt")) {
        let packages = Packages::new(Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        python.env("PYTHONPATH", runtime.block_on(packages.get(&requirements)).unwrap());
    }
    python
}

fn python(dir: &Path, arguments: &[&str]) -> String {
    let output = python_in(dir).args(arguments).output().unwrap();
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
    // What the qa will scan it with.
    let findings: serde_json::Value =
        serde_json::from_str(&python(dir.path(), &["-I", "-c", include_str!("../../../../services/agent-worker/src/tools/scan.py")]))
            .unwrap();
    let high: Vec<_> = findings.as_array().unwrap().iter().filter(|finding| finding["severity"] == "high").collect();
    assert!(high.is_empty(), "{high:?}");
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

/// A kind of project each, with what it may have beside its resources.
#[test]
fn several_resources_that_belong_to_each_other() {
    passes_with_coverage(
        "Build a REST API for products and warehouses, with search. Products have a name, a unique sku and an optional price of at least 0. \
         Each product belongs to a warehouse. Warehouses have a name and a city",
    );
}

#[test]
fn login_files_live_updates_and_payments() {
    passes_with_coverage("Build a REST API for notes with a text and a due date, with login, file uploads, live updates and payments");
}

#[test]
fn in_fastapi() {
    passes_with_coverage(
        "Build a REST API with FastAPI for products and warehouses, with search. Products have a name, a unique sku, a copy, a json and an optional \
         price of at least 0. Each product belongs to a warehouse. Warehouses have a name and a city",
    );
}

#[test]
fn in_fastapi_with_login_files_and_payments() {
    passes_with_coverage("Build a FastAPI service for notes with a text and a due date, with login, file uploads and payments");
}

#[test]
fn a_web_app() {
    passes_with_coverage(
        "Build a web app for books and authors, with search. A book has a title, a summary, a status of read or unread, a price, a rating from 1 to 5, an owned flag and a publishing date, \
         and belongs to an author. An author has a name, an email, a website and a start time",
    );
}

#[test]
fn a_web_app_with_login() {
    passes_with_coverage("Build a web app for a reading list of books with a title, an author, and a read flag, with login");
}

#[test]
fn a_web_app_with_files_payments_and_live_updates() {
    passes_with_coverage(
        "Build a web app for recipes with a title, a price and a photo, and ingredients with a name, each ingredient belongs to a recipe, with live updates and payments",
    );
}

#[test]
fn a_mobile_backend() {
    passes_with_coverage(
        "Build a mobile backend for a habit tracker where habits have a name and a streak. A check has a day and belongs to a habit",
    );
}

#[test]
fn a_data_pipeline() {
    passes_with_coverage("Build a data pipeline that loads sales from a CSV file with a product, an amount and a date every hour");
}

#[test]
fn a_data_pipeline_with_keys() {
    passes_with_coverage("Create a pipeline which imports customers with a name and a unique email from JSON files once a day");
}

#[test]
fn a_microservice() {
    passes_with_coverage("Create a micro service for stock levels with a sku and a quantity of at least 0");
}

#[test]
fn an_operators_own_template_replaces_the_built_in_one() {
    let own = tempfile::tempdir().unwrap();
    let files = own.path().join("rest-api/files/app");
    std::fs::create_dir_all(&files).unwrap();
    std::fs::write(files.join("name.txt.j2"), "{{ resources[0].plural }}\n").unwrap();
    let rendered = Library::open(Some(own.path())).unwrap().render(&understand("Build a REST API for boxes").unwrap()).unwrap();
    let files: Vec<_> = rendered.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(files, ["app/migrations/0001.json", "app/name.txt", "project.json"]);
    assert_eq!(rendered[1].contents, "boxes\n");
}

#[test]
fn a_directory_that_is_no_library_is_refused_by_name() {
    let own = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(own.path().join("rest-apis/files")).unwrap();
    let error = Library::open(Some(own.path())).unwrap_err().to_string();
    assert!(error.contains("rest-apis") && error.contains("no files"), "{error}");
    std::fs::write(own.path().join("rest-apis/files/a"), "").unwrap();
    for (description, part) in [
        ("extends = \"nothing\"", "nothing"),
        ("extends = \"rest-apis\"", "rest-apis"),
        ("blocks = [\"x\"]", "\"x\""),
        ("kind = 1", "kind"),
    ] {
        std::fs::write(own.path().join("rest-apis/template.toml"), description).unwrap();
        let error = Library::open(Some(own.path())).unwrap_err().to_string();
        assert!(error.contains(part), "{description}: {error}");
    }
    let absent = own.path().join("absent");
    assert!(Library::open(Some(&absent)).unwrap_err().to_string().contains("absent"));
}
