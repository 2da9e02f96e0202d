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
    let job = Job { dir: &dir, command: &["/usr/bin/python3", "-I", "-c", SCANNER], limits, packages: None, collect: &[] };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(files: &[(&str, &str)]) -> Vec<Finding> {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            std::fs::write(dir.path().join(path), text).unwrap();
        }
        let output = std::process::Command::new("/usr/bin/python3").args(["-I", "-c", SCANNER]).current_dir(dir.path()).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn rules(files: &[(&str, &str)]) -> Vec<(String, u32)> {
        scan(files).into_iter().filter(|f| f.severity == "high").map(|f| (f.rule, f.line)).collect()
    }

    #[test]
    fn planted_dangers_are_found_where_they_are() {
        // Put together here, so that no scanner of this repository takes them for real ones.
        let aws = format!("key = 'AKIA{}'", "ABCDEFGHIJKLMNOP");
        let password = format!("pass{} = \"correct-horse\"", "word");
        for (text, rule) in [
            ("import os\nos.system('ls ' + x)", "shell-command"),
            ("x = 1\neval(x)", "dangerous-eval"),
            ("import subprocess\nsubprocess.run(x, shell=True)", "shell-command"),
            ("import pickle\npickle.loads(x)", "unsafe-deserialization"),
            ("c = 1\nc.execute(f\"SELECT * FROM t WHERE a = '{x}'\")", "sql-injection"),
            ("c = 1\nc.execute('DELETE FROM t WHERE a = %s' % x)", "sql-injection"),
            ("\n-----BEGIN PRIVATE KEY-----", "private-key"),
            (&format!("\n{aws}"), "aws-access-key"),
            (&format!("\n{password}"), "assigned-secret"),
        ] {
            let found = rules(&[("a.py", text)]);
            assert!(found.contains(&(rule.to_owned(), 2)), "{text}: {found:?}");
        }
        assert_eq!(rules(&[("broken.py", "def")])[0].0, "syntax-error");
    }

    #[test]
    fn harmless_text_raises_no_alarm() {
        let text = "# eval(x) and os.system are dangerous\ndoc = 'call eval(x)'\nc.execute('SELECT 1 WHERE a = ?', (x,))\npassword = get()\nc.execute(f'SELECT {quoted(x)} FROM t')\n";
        assert_eq!(scan(&[("a.py", "import hashlib\nhashlib.sha1(x, usedforsecurity=False)")]), []);
        assert_eq!(scan(&[("a.py", "import hashlib\nhashlib.sha1(x, usedforsecurity=True)")]).len(), 1);
        assert_eq!(rules(&[("a.py", text), ("README.md", "postgres://user:{password}@host, password: ask")]), []);
    }

    #[test]
    fn one_high_finding_keeps_the_gate_shut() {
        let evidence = Evidence { name: String::new(), passed: false, summary: String::new(), digest: String::new() };
        let findings = scan(&[("a.py", "eval(x)"), ("b.py", "import hashlib\nhashlib.md5(x)")]);
        let problem = Scanned { findings: findings.clone(), evidence: evidence.clone() }.problem().unwrap();
        assert!(problem.contains("a.py:1"), "{problem}");
        let low = findings.into_iter().filter(|f| f.severity == "low").collect();
        assert_eq!(Scanned { findings: low, evidence }.problem(), None);
    }
}
