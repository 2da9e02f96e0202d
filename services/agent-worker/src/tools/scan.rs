use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_sandbox::{Job, Limits};

use super::Evidence;
use crate::runs::{Worker, Workspace};

/// One place that looks dangerous.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) rule: String,
    /// `high` fails the gate.
    pub(crate) severity: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) message: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scanned {
    pub(crate) findings: Vec<Finding>,
    pub(crate) evidence: Evidence,
}

impl Scanned {
    /// What keeps the gate shut.
    pub(crate) fn problem(&self) -> Option<String> {
        let high: Vec<_> = self.findings.iter().filter(|f| f.severity == "high").collect();
        let first = high.first()?;
        Some(format!("{} high finding(s), first: {} in {}:{}", high.len(), first.message, first.file, first.line))
    }
}

/// Runs inside the sandbox over the copy of the tree, and prints the findings as JSON.
const SCANNER: &str = include_str!("scan.py");

/// Pure: secrets and dangerous calls in the workspace's files.
pub(crate) async fn run(worker: &Worker, workspace: &mut Workspace) -> Result<Value> {
    let dir = workspace.tree().await?.path().to_owned();
    let limits = Limits { time: Duration::from_secs(60), output_bytes: 1 << 20, ..Limits::default() };
    let job = Job { dir: &dir, command: &["/usr/bin/python3", "-I", "-c", SCANNER], limits, collect: &[] };
    let outcome = worker.sandbox.run(job).await.map_err(|e| Error::unavailable(format!("the sandbox failed: {e}")).with_source(e))?;
    let findings: Vec<Finding> = match serde_json::from_str(&outcome.stdout) {
        Ok(findings) if outcome.succeeded() => findings,
        // No verdict is not a good verdict.
        _ => vec![Finding {
            rule: "scan-failed".to_owned(),
            severity: "high".to_owned(),
            file: String::new(),
            line: 0,
            message: format!("the scan itself failed: {}", outcome.stderr.trim()),
        }],
    };
    let digest = worker.blobs.put(outcome.stdout.into()).await?;
    let high = findings.iter().filter(|f| f.severity == "high").count();
    let summary = format!("{} finding(s), {high} high", findings.len());
    let evidence = Evidence { name: "security".to_owned(), passed: high == 0, summary, digest: digest.to_string() };
    super::outcome(&Scanned { findings, evidence })
}
