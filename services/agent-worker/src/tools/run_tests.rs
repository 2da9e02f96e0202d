use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_manifest::Manifest;
use titan_sandbox::{Ended, Job, Limits, Outcome};

use super::{Evidence, Project};
use crate::runs::{Worker, Workspace};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tested {
    /// Every test passed.
    pub(crate) passed: bool,
    pub(crate) tests: u32,
    /// Lines covered, in percent; none when there was no report.
    pub(crate) coverage: Option<f64>,
    /// What the project asks for.
    pub(crate) coverage_gate: f64,
    pub(crate) summary: String,
    pub(crate) evidence: Evidence,
}

impl Tested {
    /// What keeps the gate shut.
    pub(crate) fn problem(&self) -> Option<String> {
        if !self.passed {
            return Some(format!("tests fail: {}", self.summary));
        }
        match self.coverage {
            Some(coverage) if coverage >= self.coverage_gate => None,
            Some(coverage) => Some(format!("coverage is {coverage:.1} %, less than {:.0} %", self.coverage_gate)),
            None => Some("there is no coverage report".to_owned()),
        }
    }
}

/// Pure: runs the project's tests in the sandbox, on a copy of the workspace.
pub(crate) async fn run(worker: &Worker, workspace: &mut Workspace) -> Result<Value> {
    let Project { dir, manifest, packages } = Project::of(worker, workspace).await?;
    let script = script(&manifest);
    let report = manifest.test.coverage_report.as_deref();
    let limits = Limits { time: Duration::from_secs(manifest.test.timeout_s), ..Limits::default() };
    let job = Job { dir: &dir, command: &["/bin/sh", "-c", &script], limits, packages: packages.as_deref(), collect: report.as_slice() };
    let outcome = worker.sandbox.run(job).await.map_err(|e| Error::unavailable(format!("the sandbox failed: {e}")).with_source(e))?;
    let output = format!("$ {script}\n{}{}", outcome.stdout, outcome.stderr);
    let digest = worker.blobs.put(output.into()).await?;
    let coverage = report.and_then(|path| outcome.collected.get(path)).and_then(|bytes| percent_covered(bytes));
    let (tests, summary) = (count_tests(&outcome), summary(&outcome));
    let evidence_summary = match coverage {
        Some(coverage) => format!("{summary}, {coverage:.1} % of lines covered, {}", worker.sandbox.level()),
        None => format!("{summary}, {}", worker.sandbox.level()),
    };
    let passed = outcome.succeeded() && tests > 0;
    let evidence = Evidence { name: "tests".to_owned(), passed, summary: evidence_summary, digest: digest.to_string() };
    super::outcome(&Tested { passed, tests, coverage, coverage_gate: manifest.coverage_gate(), summary, evidence })
}

/// The tests, then the coverage report; the exit code is the tests'.
fn script(manifest: &Manifest) -> String {
    let tests = quote(&manifest.test.command);
    if manifest.test.coverage_command.is_empty() {
        tests
    } else {
        format!("{tests}; code=$?; {}; exit $code", quote(&manifest.test.coverage_command))
    }
}

fn quote(command: &[String]) -> String {
    command.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect::<Vec<_>>().join(" ")
}

/// coverage.py's JSON report.
fn percent_covered(report: &[u8]) -> Option<f64> {
    let report: Value = serde_json::from_slice(report).ok()?;
    report["totals"]["percent_covered"].as_f64()
}

/// unittest says `Ran 12 tests in 0.3s`, pytest `12 passed`.
fn count_tests(outcome: &Outcome) -> u32 {
    let words: Vec<&str> = outcome.stderr.split_whitespace().chain(outcome.stdout.split_whitespace()).collect();
    let unittest = words.windows(3).filter(|w| w[0] == "Ran" && w[2].starts_with("test")).find_map(|w| w[1].parse().ok());
    let pytest = || words.windows(2).filter(|w| w[1].starts_with("passed")).find_map(|w| w[0].parse().ok());
    unittest.or_else(pytest).unwrap_or(0)
}

fn summary(outcome: &Outcome) -> String {
    match outcome.ended {
        Ended::TimedOut => format!("stopped after {:.0} s", outcome.duration.as_secs_f64()),
        Ended::Exit(0) => format!("{} tests passed in {:.1} s", count_tests(outcome), outcome.duration.as_secs_f64()),
        Ended::Exit(code) => {
            let text = if outcome.stderr.trim().is_empty() { &outcome.stdout } else { &outcome.stderr };
            let lines: Vec<&str> = text.trim().lines().rev().take(12).collect();
            format!("exit code {code}: {}", lines.into_iter().rev().collect::<Vec<_>>().join("\n"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quote(&["a b".to_owned(), "it's".to_owned()]), r"'a b' 'it'\''s'");
    }

    #[test]
    fn coverage_below_the_gate_keeps_it_shut() {
        let evidence = Evidence { name: String::new(), passed: true, summary: String::new(), digest: String::new() };
        let tested =
            |coverage| Tested { passed: true, tests: 1, coverage, coverage_gate: 90.0, summary: String::new(), evidence: evidence.clone() };
        assert_eq!(tested(Some(90.0)).problem(), None);
        assert!(tested(Some(89.9)).problem().is_some());
        assert!(tested(None).problem().is_some());
    }
}
