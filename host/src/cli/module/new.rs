//! `module new`: creates a project that builds unchanged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::project::{Language, ModuleName, project};
use super::put;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Name of the module and of the new folder: lower-case letters, digits and "-", such as too-hot
    #[arg(value_name = "NAME")]
    name: ModuleName,
    /// Programming language
    #[arg(long, value_enum, default_value = "rust")]
    lang: Language,
}

pub(super) fn main(arguments: &Arguments) -> ExitCode {
    let Arguments { name, lang } = arguments;
    let files = match project(name, *lang) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let dir = PathBuf::from(name.as_str());
    // Not `create_dir_all`: this also checks that the folder does not exist.
    if let Err(error) = fs::create_dir(&dir) {
        let why = match error.kind() {
            io::ErrorKind::AlreadyExists => "exists already; choose another name for the module".to_owned(),
            _ => format!("cannot be created: {error}"),
        };
        eprintln!("error: {} {why}", dir.display());
        return ExitCode::from(2);
    }
    for (path, content) in &files {
        if let Err(error) = write(&dir.join(path), content) {
            eprintln!("error: cannot write {}: {error}", dir.join(path).display());
            return ExitCode::FAILURE;
        }
    }
    put(&format!(
        "created {name}; {name}/README.md explains how to build and test it\n"
    ));
    ExitCode::SUCCESS
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, content)
}
