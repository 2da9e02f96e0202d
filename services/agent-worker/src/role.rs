//! Roles are data: a file in `roles/` is a role. The code knows tools and kinds of work, not roles.

use std::collections::BTreeMap;

use anyhow::Context as _;
use include_dir::{Dir, include_dir};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    pub name: String,
    pub department: String,
    /// One sentence: what it does.
    pub summary: String,
    pub skills: Vec<String>,
    /// The tools its agents may use; any other is refused.
    pub tools: Vec<String>,
    /// The kinds of task it works on.
    pub kinds: Vec<String>,
}

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/roles");

/// Every role by name.
///
/// # Errors
/// A file that is not a role.
pub fn roles() -> anyhow::Result<BTreeMap<String, Role>> {
    let parse = |file: &include_dir::File<'_>| {
        let text = file.contents_utf8().context("is not UTF-8")?;
        let role: Role = toml::from_str(text).with_context(|| format!("roles/{}", file.path().display()))?;
        Ok((role.name.clone(), role))
    };
    FILES.files().map(parse).collect()
}
