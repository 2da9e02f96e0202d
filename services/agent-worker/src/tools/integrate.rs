use std::str::FromStr as _;

use serde_json::{Value, json};
use titan_error::Result;
use titan_git::CommitId;

use crate::runs::Workspace;

/// Keyed by the commit: moves `main` to what the gates judged, if it is still where they found it. Again
/// after a crash, it finds the commit on `main` already.
pub(crate) async fn run(workspace: &mut Workspace, commit: &str, base: Option<&str>) -> Result<Value> {
    let base = base.map(CommitId::from_str).transpose()?;
    let moved = workspace.integrate(&CommitId::from_str(commit)?, base.as_ref()).await?;
    Ok(json!({ "moved": moved }))
}
