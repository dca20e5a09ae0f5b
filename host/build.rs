//! Lists the sources of the SDK, which `hookhost module new` writes into new projects.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            println!("cargo::error={text}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let variable =
        |name| env::var_os(name).ok_or_else(|| format!("{name} is not set; this is a build script of cargo"));
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let root = manifest_dir.parent().ok_or("the package has no workspace around it")?;
    println!("cargo::rerun-if-changed={}", root.join("guest-sdk").display());
    println!("cargo::rerun-if-changed=build.rs");
    write_sdk_sources(&root.join("guest-sdk"), &out_dir.join("sdk_sources.rs"))
}

/// Writes the list of the SDK's files, which `hookhost module new` puts into a project: `[(path below guest-sdk, content)]`.
fn write_sdk_sources(dir: &Path, list: &Path) -> Result<(), String> {
    let mut files = Vec::new();
    collect(dir, &mut files).map_err(|error| format!("cannot list {}: {error}", dir.display()))?;
    files.sort();
    let mut text = "[".to_owned();
    for file in &files {
        let name = file.strip_prefix(dir).unwrap_or(file);
        text.push_str(&format!("({name:?}, include_str!({file:?})),\n"));
    }
    text.push(']');
    fs::write(list, text).map_err(|error| format!("cannot write {}: {error}", list.display()))
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if is_sdk_file(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// Whether a file is a part of the SDK: a source or a manifest of one of its crates.
fn is_sdk_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs") || path.file_name() == Some("Cargo.toml".as_ref())
}
