//! Every kind of API under schemathesis, which reads its OpenAPI document and sends what it allows and what it does not: nothing is answered with 5xx, nor
//! otherwise than the document says.

use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::evaluation::App;

const VERSION: &str = "4.32.5";

/// Installed once, beside what is built.
fn schemathesis() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("schemathesis-{VERSION}"));
    let program = dir.join("bin/schemathesis");
    if !program.exists() {
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output().unwrap();
            assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        };
        let _ = std::fs::remove_dir_all(&dir); // an installation that was cut off
        run("python3", &["-m", "venv", &dir.to_string_lossy()]);
        run(&dir.join("bin/pip").to_string_lossy(), &["install", "-q", &format!("schemathesis=={VERSION}")]);
    }
    program
}

#[test]
fn no_request_breaks_an_api_and_every_answer_is_as_described() {
    let program = schemathesis();
    for (sentence, login) in [
        (
            "Build a REST API for products and warehouses, with search. Products have a name, a unique sku and an optional price of at least 0. \
             Each product belongs to a warehouse. Warehouses have a name and a city",
            false,
        ),
        (
            "Build a REST API in FastAPI for products and warehouses, with search. Products have a name, a unique sku and an optional price of at \
             least 0. Each product belongs to a warehouse. Warehouses have a name and a city",
            false,
        ),
        ("Build a FastAPI project for notes with a text and a due date, with login, file uploads and payments", true),
        ("Build a REST API for notes with a text, a kind of open or closed and a due date, with login, file uploads and payments", true),
        ("Build a web app for books with a title, a rating from 1 to 5 and a publishing date", false),
        ("Build a mobile backend for a habit tracker where habits have a name and a streak", true),
        ("Create a micro service for stock levels with a sku and a quantity of at least 0", false),
        ("Build a data pipeline that loads sales from a CSV file with a product, an amount and a date every hour", false),
    ] {
        let app = App::start(sentence);
        let url = format!("http://127.0.0.1:{}/openapi.json", app.port);
        let mut command = Command::new(&program);
        command.args([
            "run",
            &url,
            "--max-examples",
            "15",
            "--seed",
            "1",
            "--phases",
            "examples,coverage,fuzzing",
            "--no-color",
            "--suppress-health-check",
            "all",
        ]);
        command.args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"]);
        if login {
            let who = json!({ "email": "ada@example.org", "password": "correct horse" });
            assert_eq!(app.call("POST", "/users", &who), 201);
            let (status, session) = app.ask("POST", "/sessions", &who);
            assert_eq!(status, 201);
            command.args(["-H", &format!("Authorization: Bearer {}", session["token"].as_str().unwrap())]);
            // Who signs out is somebody else from then on.
            command.args(["--exclude-path", "/sessions/current"]);
        }
        let output = command.current_dir(env!("CARGO_TARGET_TMPDIR")).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{sentence}\n{text}");
        assert!(text.contains("generated"), "it sent something: {text}");
    }
}
