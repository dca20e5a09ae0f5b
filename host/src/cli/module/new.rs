//! `module new`: a project that builds as it is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::project::{Language, ModuleName, project};
use super::put;

#[derive(Debug, Args)]
pub(in crate::cli) struct Arguments {
    /// Name of the module and of the folder that is made: small letters, digits and '-', such as too-hot
    #[arg(value_name = "NAME")]
    name: ModuleName,
    /// What it is to be written in
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
    // Not `create_dir_all`: it is the check that nothing is there.
    if let Err(error) = fs::create_dir(&dir) {
        let why = match error.kind() {
            io::ErrorKind::AlreadyExists => "is already there; give the module another name".to_owned(),
            _ => format!("cannot be made: {error}"),
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
        "{name} is made; {name}/README.md says how to build and try it\n"
    ));
    ExitCode::SUCCESS
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, content)
}
