use cap_std::ambient_authority;
use cap_std::fs::Dir;
use serde_json::{Value, json};
use titan_error::{Error, Result};
use titan_templates::{RenderedFile, Understanding};

use crate::runs::{Attempt, TEMPLATE, Worker, Workspace};

/// In the workspace: makes its tree be what the template says, and saves it.
pub(crate) async fn write(
    worker: &Worker,
    attempt: &Attempt,
    workspace: &mut Workspace,
    understanding: &Understanding,
) -> Result<(Value, Option<String>)> {
    let rendered = worker.library(attempt.org).await?.render(understanding).map_err(|e| Error::invalid("template", e.to_string()))?;
    let files: Vec<String> = rendered.iter().map(|f| f.path.clone()).collect();
    let dir = workspace.tree().await?.path().to_owned();
    let written = tokio::task::spawn_blocking(move || write_tree(&dir, &rendered)).await.map_err(Error::internal)?;
    written.map_err(|e| Error::unavailable(format!("the workspace could not be written: {e}")).with_source(e))?;
    let message = format!("{}\n\nTask: {}\n{TEMPLATE}: {}", attempt.title, attempt.task, understanding.template);
    let commit = workspace.save(&message).await?;
    let tree = workspace.tree().await?.tree_id(&commit).await?;
    Ok((json!({ "commit": commit, "tree": tree, "files": files }), Some(commit.to_string())))
}

/// Through a directory handle that nothing leads out of, neither `..` nor a link.
fn write_tree(path: &std::path::Path, files: &[RenderedFile]) -> std::io::Result<()> {
    let dir = Dir::open_ambient_dir(path, ambient_authority())?;
    for entry in dir.entries()? {
        let entry = entry?;
        if entry.file_name() == ".git" {
            continue;
        }
        if entry.file_type()?.is_dir() { dir.remove_dir_all(entry.file_name())? } else { dir.remove_file(entry.file_name())? }
    }
    for file in files {
        if let Some(parent) = std::path::Path::new(&file.path).parent() {
            dir.create_dir_all(parent)?;
        }
        dir.write(&file.path, &file.contents)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_in_the_tree_does_not_lead_out_of_it() {
        let (tree, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(tree.path().join(".git")).unwrap();
        std::os::unix::fs::symlink(outside.path(), tree.path().join("app")).unwrap();
        std::os::unix::fs::symlink(outside.path(), tree.path().join(".git/out")).unwrap();
        let file = |path: &str| RenderedFile { path: path.to_owned(), contents: "x".to_owned() };
        write_tree(tree.path(), &[file("app/main.py")]).unwrap();
        assert!(tree.path().join("app/main.py").is_file(), "the link was replaced by a directory");
        assert!(write_tree(tree.path(), &[file("../evil")]).is_err());
        assert!(write_tree(tree.path(), &[file(".git/out/evil")]).is_err());
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
