use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_sandbox::{Job, Limits};

use super::{Evidence, Project};
use crate::runs::{Worker, Workspace};

/// Of all answers but one in twenty. It is alone, with nothing in its data: what is slower is so for everybody.
const P95_MOST_MS: f64 = 1_000.0;

/// Runs inside the sandbox over the copy of the tree.
const MEASURE: &str = include_str!("measure.py");

/// How the app answers, started as it would be deployed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) healthy: bool,
    pub(crate) started_ms: f64,
    pub(crate) requests: u32,
    pub(crate) p50_ms: Option<f64>,
    pub(crate) p95_ms: Option<f64>,
    /// The path that takes longest.
    pub(crate) slowest: String,
    /// What failed, the first ones.
    pub(crate) errors: Vec<String>,
}

/// The same, with where all of it can be read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Performance {
    #[serde(flatten)]
    pub(crate) measured: Measured,
    pub(crate) evidence: Evidence,
}

impl Measured {
    /// What keeps the gate shut.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(error) = self.errors.first() {
            return Some(format!("the app does not answer as it should: {error}"));
        }
        match self.p95_ms {
            Some(p95) if p95 <= P95_MOST_MS => None,
            Some(p95) => Some(format!("one answer in twenty takes longer than {p95:.0} ms; the slowest place is {}", self.slowest)),
            None => Some("the app was not asked anything".to_owned()),
        }
    }
}

/// Pure: starts the app of the workspace in the sandbox and asks it for a moment.
pub(crate) async fn run(worker: &Worker, workspace: &mut Workspace) -> Result<Value> {
    let Project { dir, manifest, packages } = Project::of(worker, workspace).await?;
    let limits = Limits { time: Duration::from_secs(60), output_bytes: 1 << 20, ..Limits::default() };
    let app = serde_json::to_string(&manifest.app.command).map_err(Error::internal)?;
    let environment = serde_json::to_string(&manifest.app.environment).map_err(Error::internal)?;
    let command = ["/usr/bin/python3", "-c", MEASURE, &app, &manifest.app.health, &environment];
    let job = Job { dir: &dir, command: &command, limits, packages: packages.as_deref(), collect: &[] };
    let outcome = worker.sandbox.run(job).await.map_err(|e| Error::unavailable(format!("the sandbox failed: {e}")).with_source(e))?;
    let measured = match serde_json::from_str(&outcome.stdout) {
        Ok(measured) if outcome.succeeded() => measured,
        // No verdict is not a good verdict.
        _ => Measured {
            healthy: false,
            started_ms: 0.0,
            requests: 0,
            p50_ms: None,
            p95_ms: None,
            slowest: String::new(),
            errors: vec![format!("it could not be measured: {}", outcome.stderr.trim())],
        },
    };
    let digest = worker.blobs.put(outcome.stdout.into()).await?;
    let summary = measured.problem().unwrap_or_else(|| {
        let ms = |value: Option<f64>| value.unwrap_or_default();
        format!("{} requests, p50 {:.1} ms, p95 {:.1} ms", measured.requests, ms(measured.p50_ms), ms(measured.p95_ms))
    });
    let passed = measured.problem().is_none();
    let evidence = Evidence { name: "performance".to_owned(), passed, summary, digest: digest.to_string() };
    super::outcome(&Performance { measured, evidence })
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        time.sleep(SLEEP)
        text = b'{\"paths\": {\"/things\": {\"get\": {}}, \"/things/{id}\": {\"get\": {}}}}' if self.path == '/openapi.json' else b'ok'
        self.send_response(STATUS if self.path == '/things' else 200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)
http.server.HTTPServer((os.environ['HOST'], int(os.environ['PORT'])), Handler).serve_forever()
";

    fn measure(app: &str) -> Measured {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("app.py"), app).unwrap();
        let command = ["-c", MEASURE, r#"["/usr/bin/python3", "app.py"]"#, "/health", "{}"];
        let output = std::process::Command::new("/usr/bin/python3").args(command).current_dir(dir.path()).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }

    #[test]
    fn what_answers_is_measured_and_what_does_not_keeps_the_gate_shut() {
        let app = |status: &str, sleep: &str| APP.replace("STATUS", status).replace("SLEEP", sleep);
        let well = measure(&app("200", "0"));
        assert!(well.problem().is_none() && well.requests > 10 && well.p95_ms >= well.p50_ms, "{well:?}");
        let broken = measure(&app("503", "0")).problem().unwrap();
        assert!(broken.contains("GET /things: 503"), "{broken}");
        let slow = measure(&app("200", "1.2")).problem().unwrap();
        assert!(slow.contains("takes longer than 12"), "{slow}");
        let dead = measure("print('no such table: boxes')\nraise SystemExit(3)\n").problem().unwrap();
        assert!(dead.contains("no such table: boxes"), "{dead}");
    }
}
