use std::collections::BTreeMap;

use include_dir::{Dir, DirEntry, include_dir};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

use crate::Understanding;

static LIBRARY: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/library");

/// A file of the project; paths use `/` and lead nowhere but down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedFile {
    pub path: String,
    pub contents: String,
}

#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("there is no template {0:?}")]
    NoTemplate(String),
    #[error("{file} is not UTF-8")]
    NotText { file: String },
    #[error("{file}: {source}")]
    Jinja { file: String, source: minijinja::Error },
}

/// The template's files for what was understood. A name that ends in `.j2` is a Jinja template; every other file is
/// taken as it is.
///
/// # Errors
/// The template is missing or refers to something that is not there.
pub fn render(understanding: &Understanding) -> Result<Vec<RenderedFile>, RenderError> {
    let root = format!("{}/files", understanding.template);
    let dir = LIBRARY.get_dir(&root).ok_or_else(|| RenderError::NoTemplate(understanding.template.clone()))?;
    let block_lines = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    let environment = environment(block_lines.map_err(|source| RenderError::Jinja { file: root.clone(), source })?);
    let mut files = Vec::new();
    collect(dir, &mut |path, contents| {
        let file = path.strip_prefix(&format!("{root}/")).unwrap_or(path).to_owned();
        let text = std::str::from_utf8(contents).map_err(|_| RenderError::NotText { file: file.clone() })?;
        let rendered = match file.strip_suffix(".j2") {
            None => RenderedFile { path: file, contents: text.to_owned() },
            Some(name) => {
                let contents = environment
                    .render_str(text, Serde(understanding))
                    .map_err(|source| RenderError::Jinja { file: file.clone(), source })?;
                RenderedFile { path: name.to_owned(), contents }
            }
        };
        files.push(rendered);
        Ok(())
    })?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// One line with variables, such as a title.
///
/// # Errors
/// A variable that is not given.
pub fn render_line(template: &str, variables: &BTreeMap<&str, String>) -> Result<String, RenderError> {
    environment(SyntaxConfig::default())
        .render_str(template, Serde(variables))
        .map_err(|source| RenderError::Jinja { file: template.to_owned(), source })
}

fn environment(syntax: SyntaxConfig) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(syntax);
    environment
}

fn collect(dir: &Dir<'_>, visit: &mut impl FnMut(&str, &[u8]) -> Result<(), RenderError>) -> Result<(), RenderError> {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => collect(dir, visit)?,
            DirEntry::File(file) => visit(&file.path().to_string_lossy(), file.contents())?,
        }
    }
    Ok(())
}
