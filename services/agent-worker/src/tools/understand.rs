use serde::{Deserialize, Serialize};
use serde_json::Value;
use titan_error::{Error, Result};
use titan_templates::{Impact, Modification, Understanding};

use super::change_project;
use crate::runs::{Attempt, Worker, Workspace};

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Understood {
    /// A project that is not there yet.
    Yes {
        understanding: Box<Understanding>,
    },
    /// What a project that is there becomes.
    Change {
        understanding: Box<Understanding>,
        /// Each a sentence for people.
        changes: Vec<String>,
        impact: Box<Impact>,
    },
    Refused {
        reason: String,
    },
}

/// Pure: reads the sentence, and what the project is that it is about.
pub(crate) async fn run(worker: &Worker, attempt: &Attempt, workspace: &mut Workspace, sentence: &str) -> Result<Value> {
    let refused = |reason: String| super::outcome(&Understood::Refused { reason });
    let Some(before) = workspace.project().await? else {
        if workspace.main().await?.is_some() {
            let remedy = "give it a project of its own: leave the project out";
            return refused(format!("The project has work on main that no goal of TitanForge made, which it would replace; {remedy}"));
        }
        return match titan_templates::understand(sentence) {
            Ok(understanding) => {
                let library = worker.library(attempt.org).await?;
                if !library.has(&understanding.template) {
                    let names = library.templates().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
                    return refused(format!("There is no template {:?}; there are {names}", understanding.template));
                }
                super::outcome(&Understood::Yes { understanding: Box::new(understanding) })
            }
            Err(refusal) => refused(refusal.to_string()),
        };
    };
    let modification = match change_project::back(sentence) {
        Some(to) => match workspace.version(to).await? {
            Ok(version) => {
                let mut changes = vec![format!("the project goes back to {}", version.commit)];
                let others = foreign(workspace).await?;
                if let Some(main) = workspace.main().await? {
                    let differ = workspace.tree().await?.changed_files(&version.commit, &main).await?;
                    let undone: Vec<_> = others.into_iter().filter(|file| differ.contains(file)).collect();
                    let said = || format!("what others did since goes with it, in {}", undone.join(", "));
                    changes.extend((!undone.is_empty()).then(said));
                }
                Ok(Modification { changes, after: version.project })
            }
            Err(reason) => Err(reason),
        },
        None => titan_templates::modify(&before, sentence).map_err(|refusal| refusal.to_string()),
    };
    match modification {
        Ok(Modification { after, changes }) => {
            let mut impact =
                worker.library(attempt.org).await?.impact(&before, &after).map_err(|e| Error::invalid("template", e.to_string()))?;
            if change_project::back(sentence).is_none() {
                impact.kept = foreign(workspace).await?;
            }
            super::outcome(&Understood::Change { understanding: Box::new(after), changes, impact: Box::new(impact) })
        }
        Err(reason) => refused(reason),
    }
}

/// The files of `main` that are not as the template wrote them.
async fn foreign(workspace: &mut Workspace) -> Result<Vec<String>> {
    let Some(main) = workspace.main().await? else { return Ok(Vec::new()) };
    let Some(generated) = workspace.generated(&main).await? else { return Ok(Vec::new()) };
    Ok(workspace.tree().await?.changed_files(&generated, &main).await?)
}
