//! The template engine's way of working: a fixed procedure for each kind of task, each step following from
//! the outcomes before it.

use serde_json::{Value, json};
use titan_error::{Error, Result};
use titan_templates::Understanding;

use super::Next;
use super::report::Report;
use crate::runs::Attempt;
use crate::tools::deploy::Deployed;
use crate::tools::merge::Merged;
use crate::tools::rehearse::Rehearsed;
use crate::tools::run_tests::Tested;
use crate::tools::understand::Understood;
use crate::tools::{Action, Done};

/// `main` may move under a merge this often before it is given up; the queue makes it rare.
const MERGES_MOST: usize = 5;
const WAIT_MOST_MS: u64 = 60_000;
const ENVIRONMENT: &str = "production";
const PLAYBOOK: &str = "build-project";
const CHANGES: &str = "modify-project";

pub(super) fn decide(attempt: &Attempt, steps: &[Done]) -> Result<Next> {
    match attempt.kind.as_str() {
        "noop" => Ok(noop(attempt, steps)),
        "plan-goal" => plan_goal(attempt, steps),
        "write-code" => write_code(attempt, steps),
        "verify" => verify(attempt, steps),
        "deploy" => deploy(attempt, steps),
        other => Err(Error::invalid("kind", format!("the template engine has no procedure for {other:?}; configure a model"))),
    }
}

/// `{"wait_ms": n}` keeps it busy for a while.
fn noop(attempt: &Attempt, steps: &[Done]) -> Next {
    let wait = attempt.input["wait_ms"].as_u64().unwrap_or(0).min(WAIT_MOST_MS);
    if steps.is_empty() && wait > 0 { Next::Act(Action::Wait { ms: wait }) } else { Next::Complete(json!({ "waited_ms": wait })) }
}

fn plan_goal(attempt: &Attempt, steps: &[Done]) -> Result<Next> {
    let Some(last) = steps.last() else { return Ok(Next::Act(Action::Understand { sentence: sentence(attempt)? })) };
    match &last.action {
        Action::Understand { .. } => Ok(match last.outcome()? {
            Understood::Refused { reason } => Next::Fail(reason),
            understood if attempt.input["plan_only"] == json!(true) => Next::Complete(planned(&understood)),
            Understood::Yes { understanding } => plan(attempt, PLAYBOOK, understanding, None),
            Understood::Change { understanding, .. } => plan(attempt, CHANGES, understanding, Some(sentence(attempt)?)),
        }),
        _ => {
            let mut planned = planned(&steps[0].outcome()?);
            planned["tasks"] = last.outcome["tasks"].clone();
            Ok(Next::Complete(planned))
        }
    }
}

/// What was understood, and what it changes.
fn planned(understood: &Understood) -> Value {
    match understood {
        Understood::Yes { understanding } => json!({ "understanding": understanding, "change": null }),
        Understood::Change { understanding, changes, impact } => {
            json!({ "understanding": understanding, "change": { "changes": changes, "impact": impact } })
        }
        Understood::Refused { .. } => Value::Null,
    }
}

fn sentence(attempt: &Attempt) -> Result<String> {
    let sentence = attempt.input["sentence"].as_str().ok_or_else(|| Error::invalid("input.sentence", "is missing"))?;
    Ok(sentence.to_owned())
}

fn plan(attempt: &Attempt, playbook: &str, understanding: Box<Understanding>, change: Option<String>) -> Next {
    let wanted = attempt.input["environments"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut before: Vec<String> = wanted.map(str::to_owned).collect();
    let environment = before.pop().unwrap_or_else(|| ENVIRONMENT.to_owned());
    Next::Act(Action::PlanTasks { playbook: playbook.to_owned(), environment, before, understanding, change })
}

/// The step that wrote the code.
fn writes(action: &Action) -> bool {
    matches!(action, Action::WriteTemplate { .. } | Action::ChangeProject { .. })
}

fn write_code(attempt: &Attempt, steps: &[Done]) -> Result<Next> {
    let Some(last) = steps.last() else {
        if let Some(sentence) = attempt.input["change"].as_str() {
            return Ok(Next::Act(Action::ChangeProject { sentence: sentence.to_owned() }));
        }
        let understanding: Box<Understanding> = serde_json::from_value(attempt.input["understanding"].clone())
            .map_err(|e| Error::invalid("input.understanding", e.to_string()))?;
        return Ok(Next::Act(Action::WriteTemplate { understanding }));
    };
    match &last.action {
        action if writes(action) => {
            let (rework, tree) = (&attempt.input["rework"], &last.outcome["tree"]);
            let rejected = &attempt.dependency("write-code").map(|r| r["tree"].clone()).unwrap_or(Value::Null);
            if !rework.is_null() && rejected == tree {
                let message = rework["message"].as_str().unwrap_or_default();
                return Ok(Next::Fail(format!(
                    "the work was sent back ({message}), and the template engine writes the same again; change the template or configure a model"
                )));
            }
            Ok(Next::Act(Action::RunTests {}))
        }
        _ => {
            let tested: Tested = last.outcome()?;
            if !tested.passed {
                return Ok(Next::Fail(format!("the project's own tests fail: {}", tested.summary)));
            }
            let written = steps.iter().find(|step| writes(&step.action)).map(|s| &s.outcome);
            let written = written.cloned().unwrap_or_default();
            Ok(Next::Complete(json!({
                "branch": attempt.branch(), "commit": written["commit"], "tree": written["tree"], "files": written["files"],
                "tests": tested.tests, "coverage": tested.coverage, "evidence": [tested.evidence],
            })))
        }
    }
}

fn verify(attempt: &Attempt, steps: &[Done]) -> Result<Next> {
    let commit = attempt.dependency("write-code")?["commit"].as_str().unwrap_or_default().to_owned();
    let merges = steps.iter().filter(|step| matches!(step.action, Action::Merge { .. })).count();
    // Steps before the last merge of this commit judged something else: work that was sent back since, or an older main.
    let since = steps.iter().rposition(|step| matches!(&step.action, Action::Merge { commit: merged } if *merged == commit));
    let merge = || Ok(Next::Act(Action::Merge { commit: commit.clone() }));
    let Some((steps, last)) = since.and_then(|at| Some((&steps[at..], steps.last()?))) else { return merge() };
    match &last.action {
        Action::Merge { .. } => Ok(match last.outcome()? {
            Merged::Conflict { paths } => {
                let message = format!("it conflicts with main in {}", paths.join(", "));
                Next::Reject { message, findings: json!({ "conflicts": paths }) }
            }
            Merged::Done { .. } => Next::Act(Action::RunTests {}),
        }),
        Action::RunTests {} => Ok(Next::Act(Action::Scan {})),
        Action::Scan {} => Ok(Next::Act(Action::Measure {})),
        Action::Measure {} => {
            let report = report(steps)?;
            let problems = report.problems();
            if !problems.is_empty() {
                return Ok(Next::Reject { message: problems.join("; "), findings: json!({ "report": report.to_json() }) });
            }
            match outcome_of(steps, |a| matches!(a, Action::Merge { .. }))? {
                Merged::Done { commit, .. } if !attempt.input["change"].is_null() => {
                    let environment = attempt.input["environment"].as_str().unwrap_or(ENVIRONMENT).to_owned();
                    Ok(Next::Act(Action::Rehearse { environment, commit }))
                }
                Merged::Done { commit, base } => Ok(Next::Act(Action::Integrate { commit, base })),
                Merged::Conflict { .. } => merge(),
            }
        }
        Action::Rehearse { .. } => {
            let rehearsed: Rehearsed = last.outcome()?;
            if !rehearsed.possible {
                return Ok(Next::Fail(format!("the data cannot go along, and everything stays as it was: {}", rehearsed.message)));
            }
            match outcome_of(steps, |a| matches!(a, Action::Merge { .. }))? {
                Merged::Done { commit, base } => Ok(Next::Act(Action::Integrate { commit, base })),
                Merged::Conflict { .. } => merge(),
            }
        }
        Action::Integrate { commit, .. } => {
            if last.outcome["moved"] == json!(true) {
                let report = report(steps)?;
                let Report { tested, scanned, measured, .. } = &report;
                return Ok(Next::Complete(json!({
                    "commit": commit, "verdict": "passed", "tests": tested.tests, "coverage": tested.coverage, "findings": scanned.findings,
                    "report": report.to_json(), "evidence": [tested.evidence, scanned.evidence, measured.evidence],
                })));
            }
            if merges >= MERGES_MOST { Ok(Next::Fail(format!("main moved {merges} times while this was merged"))) } else { merge() }
        }
        other => Err(Error::invalid("steps", format!("{} does not belong here", other.tool()))),
    }
}

fn deploy(attempt: &Attempt, steps: &[Done]) -> Result<Next> {
    let Some(last) = steps.last() else {
        let commit = attempt.dependency("verify")?["commit"].as_str().unwrap_or_default().to_owned();
        let environment = attempt.input["environment"].as_str().unwrap_or(ENVIRONMENT).to_owned();
        return Ok(Next::Act(Action::Deploy { environment, commit }));
    };
    let deployed: Deployed = last.outcome()?;
    Ok(match &last.action {
        Action::Deploy { .. } => Next::Act(Action::AwaitHealthy { deployment: deployed.deployment }),
        Action::AwaitHealthy { .. } if deployed.state != "running" => {
            let Deployed { deployment, state, error, .. } = deployed;
            Next::Fail(format!("the deployment is {state}: {error} (see `titan logs {deployment}`)"))
        }
        Action::AwaitHealthy { .. } => Next::Act(Action::AwaitWatched { deployment: deployed.deployment }),
        _ => {
            let running = outcome_of(steps, |a| matches!(a, Action::AwaitHealthy { .. }))?;
            let Deployed { deployment, state, url, .. } = running;
            Next::Complete(json!({ "deployment": deployment, "state": state, "url": url, "watched": last.outcome["watched"] }))
        }
    })
}

fn report(steps: &[Done]) -> Result<Report> {
    let rehearsed = steps.iter().rev().find(|step| matches!(step.action, Action::Rehearse { .. }));
    Ok(Report {
        tested: outcome_of(steps, |a| matches!(a, Action::RunTests {}))?,
        scanned: outcome_of(steps, |a| matches!(a, Action::Scan {}))?,
        measured: outcome_of(steps, |a| matches!(a, Action::Measure {}))?,
        rehearsed: rehearsed.map(Done::outcome).transpose()?,
    })
}

/// Of the last step whose action is meant.
fn outcome_of<T: serde::de::DeserializeOwned>(steps: &[Done], meant: impl Fn(&Action) -> bool) -> Result<T> {
    let step = steps.iter().rev().find(|step| meant(&step.action));
    step.ok_or_else(|| Error::invalid("steps", "a step is missing"))?.outcome()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::role::roles;
    use titan_proto::worker::{Assignment, Dependency};

    fn attempt(kind: &str, role: &str, dependency: (&str, Value)) -> Attempt {
        let id = |prefix: &str| format!("{prefix}_0190c3f6e5a17d3c8a5b0f2e4d6c8b9a");
        let dependency = Dependency { task_id: id("task"), kind: dependency.0.to_owned(), result_json: dependency.1.to_string() };
        let assignment = Assignment {
            task_id: id("task"),
            attempt: 2,
            kind: kind.to_owned(),
            role: role.to_owned(),
            org_id: id("org"),
            project_id: id("project"),
            input_json: "{}".to_owned(),
            dependencies: vec![dependency],
            ..Assignment::default()
        };
        Attempt::parse(assignment, &roles().unwrap()).unwrap()
    }

    fn done(action: Action, outcome: Value) -> Done {
        Done { action, outcome, commit: None }
    }

    fn judged(commit: &str, coverage: f64, p95_ms: f64) -> Vec<Done> {
        let evidence = json!({ "name": "", "passed": true, "summary": "", "digest": "" });
        let merged = json!({ "done": { "commit": format!("merged-{commit}"), "base": null } });
        let tested =
            json!({ "passed": true, "tests": 3, "coverage": coverage, "coverage_gate": 90.0, "summary": "", "evidence": evidence });
        vec![
            done(Action::Merge { commit: commit.to_owned() }, merged),
            done(Action::RunTests {}, tested),
            done(Action::Scan {}, json!({ "findings": [], "evidence": evidence })),
            done(
                Action::Measure {},
                json!({ "healthy": true, "started_ms": 200.0, "requests": 100, "p50_ms": 1.0, "p95_ms": p95_ms, "slowest": "/things", "errors": [], "evidence": evidence }),
            ),
        ]
    }

    #[test]
    fn what_was_sent_back_is_judged_anew() {
        let rejected = judged("first", 50.0, 2.0);
        let first = attempt("verify", "qa", ("write-code", json!({ "commit": "first" })));
        assert!(matches!(verify(&first, &rejected).unwrap(), Next::Reject { message, .. } if message.contains("50.0 %")));
        let fixed = attempt("verify", "qa", ("write-code", json!({ "commit": "second" })));
        assert!(matches!(verify(&fixed, &rejected).unwrap(), Next::Act(Action::Merge { commit }) if commit == "second"));
        let steps = [rejected, judged("second", 95.0, 2.0)].concat();
        assert!(matches!(verify(&fixed, &steps).unwrap(), Next::Act(Action::Integrate { commit, .. }) if commit == "merged-second"));
    }

    #[test]
    fn the_report_says_what_is_wrong_and_what_to_do_next() {
        let attempt = attempt("verify", "qa", ("write-code", json!({ "commit": "c" })));
        let Next::Reject { message, findings } = verify(&attempt, &judged("c", 95.0, 1_500.0)).unwrap() else { panic!("too slow") };
        let report = &findings["report"];
        assert!(message.contains("longer than 1500 ms") && message.contains("/things"), "{message}");
        assert_eq!(
            (&report["verdict"], &report["performance"]["passed"], &report["functional"]["passed"]),
            (&json!("rejected"), &json!(false), &json!(true))
        );
        let mut steps = judged("c", 90.5, 300.0);
        steps.push(done(Action::Integrate { commit: "merged-c".to_owned(), base: None }, json!({ "moved": true })));
        let Next::Complete(done) = verify(&attempt, &steps).unwrap() else { panic!("it passed") };
        assert_eq!(done["report"]["verdict"], "passed");
        let advice = done["report"]["recommendations"].to_string();
        assert!(advice.contains("add tests: 90.5 %") && advice.contains("make /things faster"), "{advice}");
    }

    #[test]
    fn a_main_that_moves_is_merged_again_but_not_for_ever() {
        let attempt = attempt("verify", "qa", ("write-code", json!({ "commit": "c" })));
        let mut steps = Vec::new();
        for round in 1..=MERGES_MOST {
            steps.extend(judged("c", 95.0, 2.0));
            steps.push(done(Action::Integrate { commit: "merged-c".to_owned(), base: None }, json!({ "moved": false })));
            match verify(&attempt, &steps).unwrap() {
                Next::Act(Action::Merge { .. }) => assert!(round < MERGES_MOST),
                Next::Fail(_) => assert_eq!(round, MERGES_MOST),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn the_same_work_again_is_no_answer_to_a_rejection() {
        let mut attempt = attempt("write-code", "dev", ("write-code", json!({ "tree": "t" })));
        attempt.input = json!({ "rework": { "message": "coverage" } });
        let understanding = Box::new(titan_templates::understand("Build a REST API for boxes").unwrap());
        let written = |tree: &str| {
            vec![done(Action::WriteTemplate { understanding: understanding.clone() }, json!({ "commit": "c", "tree": tree, "files": [] }))]
        };
        assert!(matches!(write_code(&attempt, &written("t")).unwrap(), Next::Fail(message) if message.contains("coverage")));
        assert!(matches!(write_code(&attempt, &written("other")).unwrap(), Next::Act(Action::RunTests {})));
    }
}
