use std::str::FromStr as _;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use titan_error::Result;
use titan_git::{CommitId, Merge};

use crate::runs::{Attempt, Workspace};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Merged {
    Done {
        commit: String,
        /// Where `main` was; none when there was none.
        base: Option<String>,
    },
    Conflict {
        paths: Vec<String>,
    },
}

/// In the workspace: the task's commit merged with what is on `main` now. Gates judge this tree.
pub(crate) async fn run(attempt: &Attempt, workspace: &mut Workspace, commit: &str) -> Result<(Value, Option<String>)> {
    let theirs = CommitId::from_str(commit)?;
    let author = workspace.author().to_owned();
    let Some(base) = workspace.main().await? else {
        // The first commit of a project needs no merge.
        workspace.tree().await?.reset_to(&theirs).await?;
        workspace.push(&theirs).await?;
        return Ok((super::outcome(&Merged::Done { commit: theirs.to_string(), base: None })?, Some(theirs.to_string())));
    };
    let message = format!("Merge {commit}\n\nTask: {}", attempt.task);
    match workspace.tree().await?.merge(&base, &theirs, &author, &message).await? {
        Merge::Done(merged) => {
            workspace.push(&merged).await?;
            let done = Merged::Done { commit: merged.to_string(), base: Some(base.to_string()) };
            Ok((super::outcome(&done)?, Some(merged.to_string())))
        }
        Merge::Conflict(paths) => Ok((super::outcome(&Merged::Conflict { paths })?, None)),
    }
}
