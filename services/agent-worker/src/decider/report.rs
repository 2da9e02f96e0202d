//! What the qa says of a version: its parts, a verdict, and what to do next.

use serde_json::{Value, json};

use crate::tools::measure::Performance;
use crate::tools::rehearse::Rehearsed;
use crate::tools::run_tests::Tested;
use crate::tools::scan::Scanned;

/// Nearer to the gate than that, the next change may shut it.
const COVERAGE_NEAR: f64 = 2.0;
/// Of an app that is alone with nothing in its data.
const SLOW_MS: f64 = 200.0;

/// What was judged of one merge.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) tested: Tested,
    pub(super) scanned: Scanned,
    pub(super) measured: Performance,
    /// Of a change, once it was rehearsed.
    pub(super) rehearsed: Option<Rehearsed>,
}

impl Report {
    /// What keeps the gate shut.
    pub(super) fn problems(&self) -> Vec<String> {
        let of_data = self.rehearsed.as_ref().filter(|rehearsed| !rehearsed.possible).map(|rehearsed| rehearsed.message.clone());
        let parts = [self.tested.problem(), self.scanned.problem(), self.measured.measured.problem(), of_data];
        parts.into_iter().flatten().collect()
    }

    pub(super) fn to_json(&self) -> Value {
        let Self { tested, scanned, measured, rehearsed } = self;
        let covered = tested.coverage.is_some_and(|coverage| coverage >= tested.coverage_gate);
        json!({
            "verdict": if self.problems().is_empty() { "passed" } else { "rejected" },
            "functional": { "passed": tested.passed, "tests": tested.tests, "summary": tested.summary },
            "regression": {
                "passed": tested.passed && rehearsed.as_ref().is_none_or(|rehearsed| rehearsed.possible),
                "tests": tested.tests,
                "data": rehearsed.as_ref().map(|rehearsed| rehearsed.message.as_str()),
            },
            "coverage": { "passed": covered, "percent": tested.coverage, "gate": tested.coverage_gate },
            "security": { "passed": scanned.problem().is_none(), "findings": scanned.findings },
            "performance": {
                "passed": measured.measured.problem().is_none(),
                "started_ms": measured.measured.started_ms,
                "requests": measured.measured.requests,
                "p50_ms": measured.measured.p50_ms,
                "p95_ms": measured.measured.p95_ms,
                "errors": measured.measured.errors,
            },
            "recommendations": self.recommendations(),
        })
    }

    fn recommendations(&self) -> Vec<String> {
        let Self { tested, scanned, measured, .. } = self;
        let mut said = self.problems().into_iter().map(|problem| format!("before anything else: {problem}")).collect::<Vec<_>>();
        if let Some(coverage) =
            tested.coverage.filter(|coverage| (tested.coverage_gate..tested.coverage_gate + COVERAGE_NEAR).contains(coverage))
        {
            said.push(format!(
                "add tests: {coverage:.1} % of the lines are covered, and below {:.0} % nothing is merged",
                tested.coverage_gate
            ));
        }
        let low: Vec<_> = scanned.findings.iter().filter(|finding| finding.severity != "high").collect();
        if let Some(first) = low.first() {
            said.push(format!("look at {} finding(s), the first: {} in {}:{}", low.len(), first.message, first.file, first.line));
        }
        if let Some(p95) = measured.measured.p95_ms.filter(|p95| *p95 > SLOW_MS) {
            said.push(format!(
                "make {} faster: one answer in twenty takes longer than {p95:.0} ms, with nothing in its data",
                measured.measured.slowest
            ));
        }
        said
    }
}
