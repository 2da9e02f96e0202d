use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

use crate::Understanding;

static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/library");

/// A file of the project; paths use `/` and lead nowhere but down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedFile {
    pub path: String,
    pub contents: String,
}

#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    #[error("{name:?} is not the name of a template it could replace: {known}")]
    Unknown { name: String, known: String },
    #[error("{} is neither a file nor a directory", path.display())]
    NoFile { path: PathBuf },
    #[error("{name} has no files")]
    Empty { name: String },
    #[error("{file} is not UTF-8")]
    NotText { file: String },
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
}

#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    #[error("there is no template {0:?}")]
    NoTemplate(String),
    #[error("{file}: {source}")]
    Jinja { file: String, source: minijinja::Error },
}

/// The templates that are built in, some of them replaced by an operator's own. What is in a file is read once.
#[derive(Clone, Debug)]
pub struct Library(BTreeMap<String, Vec<RenderedFile>>);

const FILES: &str = "files";

impl Library {
    /// `own`: a directory with a folder `<template>/files` for each template that replaces the built-in one of that name.
    ///
    /// # Errors
    /// A folder with another name, one without files, or a file that is not text.
    pub fn open(own: Option<&Path>) -> Result<Self, LibraryError> {
        let mut templates = BTreeMap::new();
        for template in BUILT_IN.dirs() {
            let name = template.path().to_string_lossy().into_owned();
            let mut files = Vec::new();
            embedded(template, &template.path().join(FILES), &mut files)?;
            templates.insert(name, files);
        }
        let Some(own) = own else { return Ok(Self(templates)) };
        for entry in std::fs::read_dir(own).map_err(|e| unreadable(own, e))? {
            let path = entry.map_err(|e| unreadable(own, e))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !templates.contains_key(&name) {
                let known = templates.keys().cloned().collect::<Vec<_>>().join(", ");
                return Err(LibraryError::Unknown { name, known });
            }
            let mut files = Vec::new();
            on_disk(&path.join(FILES), "", &mut files)?;
            if files.is_empty() {
                return Err(LibraryError::Empty { name });
            }
            templates.insert(name, files);
        }
        Ok(Self(templates))
    }

    /// The template's files for what was understood. A name that ends in `.j2` is a Jinja template; every other file is
    /// taken as it is.
    ///
    /// # Errors
    /// The template is missing or refers to something that is not there.
    pub fn render(&self, understanding: &Understanding) -> Result<Vec<RenderedFile>, RenderError> {
        let name = &understanding.template;
        let files = self.0.get(name).ok_or_else(|| RenderError::NoTemplate(name.clone()))?;
        let block_lines = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
        let environment = environment(block_lines.map_err(|source| RenderError::Jinja { file: name.clone(), source })?);
        let rendered = files.iter().map(|file| match file.path.strip_suffix(".j2") {
            None => Ok(file.clone()),
            Some(path) => match environment.render_str(&file.contents, Serde(understanding)) {
                Ok(contents) => Ok(RenderedFile { path: path.to_owned(), contents }),
                Err(source) => Err(RenderError::Jinja { file: file.path.clone(), source }),
            },
        });
        let mut rendered = rendered.collect::<Result<Vec<_>, _>>()?;
        rendered.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(rendered)
    }
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

fn embedded(dir: &Dir<'_>, root: &Path, files: &mut Vec<RenderedFile>) -> Result<(), LibraryError> {
    for entry in dir.entries() {
        match entry {
            DirEntry::Dir(dir) => embedded(dir, root, files)?,
            DirEntry::File(file) => {
                let Ok(path) = file.path().strip_prefix(root) else { continue };
                files.push(text(path.to_string_lossy().into_owned(), file.contents().to_vec())?);
            }
        }
    }
    Ok(())
}

/// Files and directories only: a link might lead anywhere.
fn on_disk(dir: &Path, below: &str, files: &mut Vec<RenderedFile>) -> Result<(), LibraryError> {
    for entry in std::fs::read_dir(dir).map_err(|e| unreadable(dir, e))? {
        let entry = entry.map_err(|e| unreadable(dir, e))?;
        let (kind, path) = (entry.file_type().map_err(|e| unreadable(&entry.path(), e))?, entry.path());
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if kind.is_dir() {
            on_disk(&path, &format!("{name}/"), files)?;
        } else if kind.is_file() {
            files.push(text(name, std::fs::read(&path).map_err(|e| unreadable(&path, e))?)?);
        } else {
            return Err(LibraryError::NoFile { path });
        }
    }
    Ok(())
}

fn text(path: String, contents: Vec<u8>) -> Result<RenderedFile, LibraryError> {
    match String::from_utf8(contents) {
        Ok(contents) => Ok(RenderedFile { path, contents }),
        Err(_) => Err(LibraryError::NotText { file: path }),
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> LibraryError {
    LibraryError::Unreadable { path: path.to_owned(), source }
}
