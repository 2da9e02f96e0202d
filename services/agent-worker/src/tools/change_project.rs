use serde_json::{Value, json};
use titan_error::{Error, Result};

use super::write_template::write;
use crate::runs::{Attempt, GENERATED, Worker, Workspace};

/// In the workspace: makes what is on `main` now be what the sentence asks for, and saves it. Work that was sent back because `main`
/// moved is done anew on what it is now.
pub(crate) async fn run(worker: &Worker, attempt: &Attempt, workspace: &mut Workspace, sentence: &str) -> Result<(Value, Option<String>)> {
    let Some(before) = workspace.project().await? else {
        return Err(Error::invalid("project", "has nothing on main that could be changed"));
    };
    if let Some(to) = back(sentence) {
        let version = workspace.version(to).await?.map_err(|reason| Error::invalid("sentence", reason))?;
        // What others did to that version comes back with it, and is no template's then either.
        let generated = workspace.generated(&version.commit).await?.unwrap_or_else(|| version.commit.clone());
        workspace.tree().await?.take_files(&version.commit).await?;
        let message = format!("Back to {}\n\nTask: {}\n{GENERATED}: {generated}", version.commit, attempt.task);
        let commit = workspace.save(&message).await?;
        let tree = workspace.tree().await?.tree_id(&commit).await?;
        return Ok((json!({ "commit": commit, "tree": tree, "files": [] }), Some(commit.to_string())));
    }
    let modification = titan_templates::modify(&before, sentence).map_err(|refusal| Error::invalid("sentence", refusal.to_string()))?;
    // Beside what others did since: the merge brings both together, or says where they are in each other's way.
    if let Some(main) = workspace.main().await?
        && let Some(generated) = workspace.generated(&main).await?
    {
        workspace.tree().await?.reset_to(&generated).await?;
    }
    write(worker, attempt, workspace, &modification.after).await
}

/// "Roll back", "roll back to 1a2b3c4": to which commit, empty for the one before.
pub(crate) fn back(sentence: &str) -> Option<&str> {
    let sentence = sentence.trim().trim_end_matches('.');
    let rest = ["roll back", "rollback", "go back"]
        .iter()
        .find_map(|verb| sentence.get(..verb.len()).filter(|start| start.eq_ignore_ascii_case(verb)).map(|_| &sentence[verb.len()..]))?;
    let to = rest.trim().strip_prefix("to ").unwrap_or(rest.trim()).trim();
    (to.is_empty() || (to.len() >= 7 && to.len() <= 40 && to.bytes().all(|b| b.is_ascii_hexdigit()))).then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_back_is_asked_for_in_so_many_words() {
        assert_eq!(back("Roll back."), Some(""));
        assert_eq!(back("roll back to 0123abc"), Some("0123abc"));
        assert_eq!(back("Roll back to the title"), None);
        assert_eq!(back("Add a note"), None);
    }
}
