//! The recorded steps of a run: intent, effect, outcome — each before the next.

use serde_json::Value;
use titan_error::{Error, Result};

use super::{Attempt, Worker, Workspace, patiently};
use crate::store::steps::{self, RunKey};
use crate::tools::{Action, Done};

pub(crate) struct Ledger<'a> {
    worker: &'a Worker,
    attempt: &'a Attempt,
    done: Vec<Done>,
    /// The action of a step that was cut off, to be done again.
    pending: Option<Action>,
}

impl<'a> Ledger<'a> {
    /// The steps so far, whoever made them.
    pub(crate) async fn open(worker: &'a Worker, attempt: &'a Attempt) -> Result<Self> {
        let key = RunKey {
            task: attempt.task,
            org: attempt.org,
            project: attempt.project,
            kind: &attempt.kind,
            role: &attempt.role.name,
            decider: crate::decider::NAME,
        };
        let mut ledger = Self { worker, attempt, done: Vec::new(), pending: None };
        for step in steps::open(&worker.db, key).await? {
            let action: Action = serde_json::from_value(step.action).map_err(Error::internal)?;
            match step.outcome {
                Some(outcome) => ledger.done.push(Done { action, outcome, commit: step.commit }),
                None => ledger.pending = Some(action),
            }
        }
        if !ledger.done.is_empty() {
            tracing::info!(finished = ledger.done.len(), cut_off = ledger.pending.is_some(), "going on where an earlier attempt ended");
        }
        Ok(ledger)
    }

    pub(crate) fn steps(&self) -> &[Done] {
        &self.done
    }
    pub(crate) fn len(&self) -> usize {
        self.done.len()
    }

    /// The workspace as the last step that changed it left it.
    pub(crate) fn commit(&self) -> Option<String> {
        self.done.iter().rev().find_map(|done| done.commit.clone())
    }

    /// Does one action for good. A step that was cut off between intent and outcome is done again: a pure
    /// one simply, one in the workspace from the tree recorded before it, one with a key under its key.
    pub(crate) async fn act(&mut self, action: Action, workspace: &mut Workspace) -> Result<()> {
        let action = self.pending.take().unwrap_or(action);
        let seq = self.done.len();
        let number = i32::try_from(seq).map_err(Error::internal)?;
        let intent = serde_json::to_value(&action).map_err(Error::internal)?;
        let (db, task, attempt) = (&self.worker.db, self.attempt.task, self.attempt.number);
        patiently(|| steps::begin(db, task, attempt, number, action.tool(), &intent)).await?;
        titan_lifecycle::fault("step.after_intent").await;
        let (outcome, commit) = self.effect(&action, seq, workspace).await?;
        titan_lifecycle::fault("step.after_effect").await;
        let finish = async || match steps::finish(db, task, attempt, number, &outcome, commit.as_deref()).await {
            // Written before, by the try whose answer was lost.
            Err(error) if error.code() == titan_error::Code::Aborted && recorded(db, task, seq, &outcome).await? => Ok(()),
            result => result,
        };
        patiently(finish).await?;
        self.done.push(Done { action, outcome, commit });
        Ok(())
    }

    async fn effect(&self, action: &Action, seq: usize, workspace: &mut Workspace) -> Result<(Value, Option<String>)> {
        let mut backoff = titan_lifecycle::Backoff::new(std::time::Duration::from_millis(200), std::time::Duration::from_secs(2));
        loop {
            match action.run(self.worker, self.attempt, seq, workspace).await {
                Err(error) if error.code() == titan_error::Code::Unavailable => {
                    tracing::info!(%error, tool = action.tool(), "waiting");
                    workspace.forget();
                    backoff.sleep().await;
                }
                result => return result,
            }
        }
    }
}

async fn recorded(db: &sea_orm::DatabaseConnection, task: titan_ids::TaskId, seq: usize, outcome: &Value) -> Result<bool> {
    let steps = steps::list(db, task).await?;
    Ok(steps.get(seq).is_some_and(|step| step.outcome.as_ref() == Some(outcome)))
}
