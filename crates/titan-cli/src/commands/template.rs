//! What projects are built from.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::table::{self, short, text, time};

#[derive(clap::Subcommand)]
pub(crate) enum Verb {
    /// Built in and your own.
    List,
    /// Add the template of a directory with `files/…` and, if it extends another one, `template.toml`; or replace the one of this name.
    Add(AddArgs),
    /// Write one of your own into a directory.
    Get(GetArgs),
    /// Delete one of your own.
    Delete(NameArgs),
}

#[derive(clap::Args)]
pub(crate) struct AddArgs {
    /// 1 to 50 of a to z, 0 to 9 and -. A goal says "…, using the template NAME".
    name: String,
    directory: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct GetArgs {
    name: String,
    /// It is made.
    directory: PathBuf,
}

#[derive(clap::Args)]
pub(crate) struct NameArgs {
    name: String,
}

pub(crate) async fn run(client: &Client, verb: Verb, json: bool) -> anyhow::Result<ExitCode> {
    let done = match verb {
        Verb::List => {
            let all = client.get("/templates").await?;
            if !json {
                let row = |t: &Value| {
                    let whose = if t["built_in"] == true { "built in" } else { "own" };
                    [text(t, "name"), whose.to_owned(), time(t, "updated_at"), short(&text(t, "summary"), 100)]
                };
                table::show(["TEMPLATE", "WHOSE", "UPDATED", "SUMMARY"], all["items"].as_array().into_iter().flatten().map(row));
            }
            all
        }
        Verb::Add(AddArgs { name, directory }) => {
            let about = match std::fs::read_to_string(directory.join("template.toml")) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
                read => read.with_context(|| format!("{}/template.toml cannot be read", directory.display()))?,
            };
            let mut files = Map::new();
            collect(&directory.join("files"), "", &mut files)?;
            let put = client.put(&format!("/templates/{name}"), &json!({ "about": about, "files": files })).await?;
            if !json {
                println!("{}  {} files", text(&put, "name"), put["files"].as_object().map_or(0, Map::len));
            }
            put
        }
        Verb::Get(GetArgs { name, directory }) => {
            let template = client.get(&format!("/templates/{name}")).await?;
            for (path, contents) in template["files"].as_object().into_iter().flatten() {
                write(&directory.join("files").join(path), contents.as_str().unwrap_or_default())?;
            }
            if !text(&template, "about").is_empty() {
                write(&directory.join("template.toml"), &text(&template, "about"))?;
            }
            template
        }
        Verb::Delete(NameArgs { name }) => {
            let gone = client.delete(&format!("/templates/{name}")).await?;
            if !json {
                println!("{}  deleted", text(&gone, "name"));
            }
            gone
        }
    };
    if json {
        println!("{done}");
    }
    Ok(ExitCode::SUCCESS)
}

fn collect(dir: &Path, below: &str, files: &mut Map<String, Value>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("{} cannot be read", dir.display()))? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_str().context("a file name is not UTF-8")?);
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else {
            let contents = std::fs::read_to_string(entry.path()).with_context(|| format!("{} is no text", entry.path().display()))?;
            files.insert(name, contents.into());
        }
    }
    Ok(())
}

fn write(path: &Path, contents: &str) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(path, contents).with_context(|| format!("{} cannot be written", path.display()))
}
