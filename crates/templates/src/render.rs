use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use include_dir::{Dir, DirEntry, include_dir};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Resource, Understanding};

static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/library");

/// A file of the project; paths use `/` and lead nowhere but down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedFile {
    pub path: String,
    pub contents: String,
}

/// What a change touches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impact {
    pub files_added: Vec<String>,
    pub files_changed: Vec<String>,
    pub files_removed: Vec<String>,
    /// Places of the API whose items are others now.
    pub endpoints: Vec<String>,
    /// What becomes of the data, step by step.
    pub data: Vec<String>,
    /// Files of tests that are run on the new version and its merge.
    pub tests: Vec<String>,
    /// Files that are not as the template wrote them: what others did there stays, or the change is refused.
    #[serde(default)]
    pub kept: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    #[error("the template {name} names the {what} {of:?}, which is not there")]
    Unknown { name: String, what: String, of: String },
    #[error("what describes {name} is wrong: {reason}")]
    Wrong { name: String, reason: String },
    #[error("{name:?} is no name of a template: a name is 1 to 50 of a to z, 0 to 9 and -, and begins with a letter")]
    Name { name: String },
    #[error("{name} has a file that is wrong: {reason}")]
    File { name: String, reason: String },
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
    #[error("{file}: {source}")]
    Json { file: String, source: serde_json::Error },
}

/// The templates that are built in, and an operator's own, which may replace some of them. What is in a file is read once.
#[derive(Clone, Debug)]
pub struct Library {
    templates: BTreeMap<String, Template>,
    blocks: BTreeMap<String, Template>,
}

/// A template that is not built in, as it is given.
#[derive(Clone, Debug)]
pub struct OwnTemplate {
    pub name: String,
    /// Its `template.toml`; empty: its files are all there is.
    pub about: String,
    /// Those that end in `.j2` are Jinja.
    pub files: Vec<RenderedFile>,
}

/// Files and what is said of them: a kind of project, or a block that a project may have.
#[derive(Clone, Debug)]
struct Template {
    about: About,
    files: Vec<RenderedFile>,
}

/// `template.toml` or `block.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct About {
    /// In a sentence.
    summary: String,
    /// Its files are this one's and its own.
    extends: Option<String>,
    /// Blocks that every project of it has.
    blocks: Vec<String>,
    /// Before the paths of resources.
    prefix: String,
    /// Clients only read.
    read_only: bool,
    /// A file of packages, pinned by their hashes, that it runs on.
    requirements: Option<String>,
    /// Of a block: the app's module of it.
    module: Option<String>,
    /// Of a block: requests come by those with the least first.
    order: i32,
}

/// What templates are rendered with.
#[derive(Serialize)]
struct Context<'a> {
    #[serde(flatten)]
    understanding: &'a Understanding,
    prefix: &'a str,
    writable: bool,
    requirements: Option<&'a str>,
    /// Names the shape of the data.
    data_version: String,
    modules: Vec<&'a str>,
    /// Of its blocks, for people.
    summaries: Vec<&'a str>,
}

const FILES: &str = "files";
const BLOCKS: &str = "blocks";
const ABOUT: &str = "template.toml";
const ABOUT_BLOCK: &str = "block.toml";
/// The project as it was understood: what it is changed from.
pub const PROJECT: &str = "project.json";

impl Library {
    /// `own`: a directory with a folder `<template>/files` for each template that is added, or replaces the built-in one of that name;
    /// beside `files` may stand a `template.toml`.
    ///
    /// # Errors
    /// A folder without files, a file that is not text, or a description that is wrong.
    pub fn open(own: Option<&Path>) -> Result<Self, LibraryError> {
        let mut library = Self { templates: BTreeMap::new(), blocks: BTreeMap::new() };
        for dir in BUILT_IN.dirs() {
            let name = name_of(dir.path());
            if name == BLOCKS {
                for block in dir.dirs() {
                    library.blocks.insert(name_of(block.path()), built_in(block, ABOUT_BLOCK)?);
                }
            } else {
                library.templates.insert(name, built_in(dir, ABOUT)?);
            }
        }
        let Some(own) = own else { return Ok(library) };
        let mut templates = Vec::new();
        for entry in std::fs::read_dir(own).map_err(|e| unreadable(own, e))? {
            let path = entry.map_err(|e| unreadable(own, e))?.path();
            let mut files = Vec::new();
            on_disk(&path.join(FILES), "", &mut files)?;
            let about = match std::fs::read_to_string(path.join(ABOUT)) {
                Ok(text) => text,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
                Err(e) => return Err(unreadable(&path.join(ABOUT), e)),
            };
            templates.push(OwnTemplate { name: name_of(&path), about, files });
        }
        library.with(templates)
    }

    /// With these beside it, or in place of those of the same names.
    ///
    /// # Errors
    /// A template without files, a path that leads anywhere but down, a file that Jinja cannot read, or a description that is wrong.
    pub fn with(&self, own: impl IntoIterator<Item = OwnTemplate>) -> Result<Self, LibraryError> {
        let mut library = self.clone();
        for OwnTemplate { name, about: text, files } in own {
            let wrong = |reason: String| LibraryError::File { name: name.clone(), reason };
            if !is_template_name(&name) {
                return Err(LibraryError::Name { name });
            }
            if files.is_empty() {
                return Err(LibraryError::Empty { name });
            }
            let mut paths = BTreeSet::new();
            for file in &files {
                // As it is written.
                let path = file.path.strip_suffix(".j2").unwrap_or(&file.path);
                if !path.split('/').all(|part| !matches!(part, "" | "." | ".." | ".git") && !part.contains(['\\', '\0'])) {
                    return Err(wrong(format!("{:?} is not the path of a file below it", file.path)));
                }
                if !paths.insert(path) {
                    return Err(wrong(format!("{path:?} is not the path of one file only")));
                }
                if file.path.ends_with(".j2") {
                    environment(block_lines(&file.path).map_err(|e| wrong(e.to_string()))?)
                        .template_from_str(&file.contents)
                        .map_err(|e| wrong(format!("{}: {e}", file.path)))?;
                }
            }
            let parents = |path: &&str| path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>();
            if let Some(both) = paths.iter().flat_map(parents).find(|parent| paths.contains(parent.as_str())) {
                return Err(wrong(format!("{both:?} is not the path of a file, for others are below it")));
            }
            let about = if text.is_empty() {
                // Its files are all there is.
                About { extends: None, ..library.templates.get(&name).map(|template| template.about.clone()).unwrap_or_default() }
            } else {
                about(&name, &text)?
            };
            library.templates.insert(name, Template { about, files });
        }
        library.check()?;
        Ok(library)
    }

    #[must_use]
    pub fn has(&self, template: &str) -> bool {
        self.templates.contains_key(template)
    }

    /// That what a template names is there, and no template extends itself.
    fn check(&self) -> Result<(), LibraryError> {
        for (name, template) in &self.templates {
            let wrong = |what: &str, of: &str| Err(LibraryError::Unknown { name: name.clone(), what: what.to_owned(), of: of.to_owned() });
            if let Some(block) = template.about.blocks.iter().find(|block| !self.blocks.contains_key(*block)) {
                return wrong("block", block);
            }
            let (mut seen, mut base) = (vec![name], &template.about.extends);
            while let Some(extended) = base {
                let Some(template) = self.templates.get(extended).filter(|_| !seen.contains(&extended)) else {
                    return wrong("template to extend", extended);
                };
                seen.push(extended);
                base = &template.about.extends;
            }
        }
        Ok(())
    }

    /// The names of all templates, with what each is.
    pub fn templates(&self) -> impl Iterator<Item = (&str, &str)> {
        self.templates.iter().map(|(name, template)| (name.as_str(), template.about.summary.as_str()))
    }

    /// What a change touches: files, what clients meet, and data.
    ///
    /// # Errors
    /// As [`Library::render`].
    pub fn impact(&self, before: &Understanding, after: &Understanding) -> Result<Impact, RenderError> {
        let files =
            |of: &Understanding| Ok(self.render(of)?.into_iter().map(|file| (file.path, file.contents)).collect::<BTreeMap<_, _>>());
        let (old, new) = (files(before)?, files(after)?);
        let mut impact = Impact::default();
        for path in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            match (old.get(path), new.get(path)) {
                (None, _) => impact.files_added.push(path.clone()),
                (_, None) => impact.files_removed.push(path.clone()),
                (was, is) if was != is => impact.files_changed.push(path.clone()),
                _ => {}
            }
        }
        let prefix = self.templates.get(&after.template).map_or("", |template| &template.about.prefix);
        let place = |resource: &Resource| format!("{prefix}/{}", resource.path);
        let same = |one: &Resource, of: &Understanding| of.resources.contains(one);
        let touched = after.resources.iter().filter(|resource| !same(resource, before)).map(place);
        let gone = |resource: &&Resource| after.resources.iter().all(|other| other.path != resource.path);
        let left = before.resources.iter().filter(gone).map(|resource| format!("{} (gone)", place(resource)));
        impact.endpoints = touched.chain(left).collect();
        // Shorter after a way back: what was done is undone.
        let (was, is) = (before.migrations.len(), after.migrations.len());
        impact.data = after.migrations.iter().skip(was).flatten().map(ToString::to_string).collect();
        impact
            .data
            .extend(before.migrations.iter().skip(is).rev().flat_map(|steps| steps.iter().rev()).map(|step| format!("undone: {step}")));
        impact.tests = new.keys().filter(|path| path.starts_with("tests/test_")).cloned().collect();
        Ok(impact)
    }

    /// The template's files for what was understood. A name that ends in `.j2` is a Jinja template; every other file is
    /// taken as it is.
    ///
    /// # Errors
    /// The template is missing or refers to something that is not there.
    pub fn render(&self, understanding: &Understanding) -> Result<Vec<RenderedFile>, RenderError> {
        let name = &understanding.template;
        let template = self.templates.get(name).ok_or_else(|| RenderError::NoTemplate(name.clone()))?;
        let mut chain = vec![template];
        while let Some(base) = chain.last().and_then(|template| template.about.extends.as_ref()).and_then(|base| self.templates.get(base)) {
            chain.push(base);
        }
        let asked = understanding.blocks.iter().map(|block| block.name().to_owned());
        let names: BTreeSet<String> = chain.iter().flat_map(|template| template.about.blocks.iter().cloned()).chain(asked).collect();
        let mut blocks: Vec<&Template> = names.iter().filter_map(|name| self.blocks.get(name)).collect();
        blocks.sort_by_key(|block| block.about.order);
        let mut files: BTreeMap<&str, &RenderedFile> = BTreeMap::new();
        for file in chain.iter().rev().copied().chain(blocks.iter().copied()).flat_map(|template| &template.files) {
            files.insert(&file.path, file);
        }
        // A template's own come last.
        files.extend(template.files.iter().map(|file| (file.path.as_str(), file)));
        let context = Context {
            understanding,
            prefix: &template.about.prefix,
            writable: !template.about.read_only,
            requirements: template.about.requirements.as_deref(),
            data_version: data_version(understanding)?,
            modules: blocks.iter().filter_map(|block| block.about.module.as_deref()).collect(),
            summaries: blocks.iter().map(|block| block.about.summary.as_str()).collect(),
        };
        let environment = environment(block_lines(name)?);
        let rendered = files.into_values().map(|file| match file.path.strip_suffix(".j2") {
            None => Ok(file.clone()),
            Some(path) => match environment.render_str(&file.contents, Serde(&context)) {
                Ok(contents) => Ok(RenderedFile { path: path.to_owned(), contents }),
                Err(source) => Err(RenderError::Jinja { file: file.path.clone(), source }),
            },
        });
        let mut rendered = rendered.collect::<Result<Vec<_>, _>>()?;
        // What says nothing of this project is no part of it.
        rendered.retain(|file| !file.contents.trim().is_empty() || chain.iter().any(|template| template.files.contains(file)));
        for (version, steps) in understanding.migrations.iter().enumerate() {
            rendered.push(json(format!("app/migrations/{:04}.json", version + 1), steps)?);
        }
        rendered.push(json(PROJECT.to_owned(), understanding)?);
        rendered.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(rendered)
    }
}

/// Of files: a line that is only a block leaves none.
fn block_lines(file: &str) -> Result<SyntaxConfig, RenderError> {
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    syntax.map_err(|source| RenderError::Jinja { file: file.to_owned(), source })
}

/// Instructions of one file.
const FUEL: u64 = 5_000_000;

/// Of a template.
pub(crate) fn is_template_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 50
        && name != BLOCKS
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Another one for other migrations, however many they are.
fn data_version(understanding: &Understanding) -> Result<String, RenderError> {
    let RenderedFile { contents, .. } = json("app/migrations".to_owned(), &understanding.migrations)?;
    Ok(format!("{}-{}", understanding.migrations.len(), &hex::encode(Sha256::digest(contents))[..12]))
}

fn json(path: String, value: &impl Serialize) -> Result<RenderedFile, RenderError> {
    match serde_json::to_string_pretty(value) {
        Ok(text) => Ok(RenderedFile { path, contents: text + "\n" }),
        Err(source) => Err(RenderError::Json { file: path, source }),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn about(name: &str, text: &str) -> Result<About, LibraryError> {
    toml::from_str(text).map_err(|e| LibraryError::Wrong { name: name.to_owned(), reason: e.message().to_owned() })
}

fn built_in(dir: &Dir<'_>, description: &str) -> Result<Template, LibraryError> {
    let mut files = Vec::new();
    let root = dir.path().join(FILES);
    embedded(dir, &root, &mut files)?;
    let name = name_of(dir.path());
    let text = dir.get_file(dir.path().join(description)).and_then(include_dir::File::contents_utf8).unwrap_or_default();
    Ok(Template { about: about(&name, text)?, files })
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
    // Whoever wrote it, it ends.
    environment.set_fuel(Some(FUEL));
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
