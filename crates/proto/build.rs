use prost::Message as _;
use std::path::{Path, PathBuf};

const PROTO: &str = "../../proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed={PROTO}");
    let mut files = Vec::new();
    collect(Path::new(PROTO), &mut files)?;
    files.sort();
    let descriptors = protox::compile(files, [PROTO])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    std::fs::write(out.join("titan.descriptors"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .include_file("titan.rs")
        // Events are shown to people as JSON; the other messages are not.
        .type_attribute(".titan.events.v1", "#[derive(serde::Serialize)]")
        .type_attribute(".titan.events.v1.Event.body", "#[serde(rename_all = \"snake_case\")]")
        .field_attribute(".titan.events.v1.Event.at", "#[serde(serialize_with = \"crate::time::serialize\")]")
        .compile_fds(descriptors)?;
    Ok(())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
