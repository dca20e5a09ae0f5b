//! Lists the sources of the SDK, which `hookhost module new` writes into new projects, and passes the commit and the
//! version of the interface to the source.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

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
    println!("cargo::rustc-env=HOOKHOST_COMMIT={}", commit(&manifest_dir));
    println!(
        "cargo::rustc-env=HOOKHOST_INTERFACE={}",
        interface(&root.join("wit/hook.wit"))?
    );
    write_sdk_sources(&root.join("guest-sdk"), &out_dir.join("sdk_sources.rs"))
}

/// The commit of the source: `HOOKHOST_COMMIT` in the environment of the build, for builds from an archive, or else what
/// git says. A debug build has none, so that a commit does not make it compile again.
fn commit(dir: &Path) -> String {
    println!("cargo::rerun-if-env-changed=HOOKHOST_COMMIT");
    let given = env::var("HOOKHOST_COMMIT").ok().filter(|commit| !commit.is_empty());
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(dir).args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout)
            .ok()
            .filter(|_| output.status.success())?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let found = || {
        // The name of a branch does not change with its commits, but their log does.
        let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
        println!("cargo::rerun-if-changed={}", dir.join(log).display());
        git(&["rev-parse", "--short=12", "HEAD"])
    };
    let is_debug = env::var("PROFILE").is_ok_and(|profile| profile == "debug");
    let commit = if is_debug { given } else { given.or_else(found) };
    commit.unwrap_or_else(|| "unknown".to_owned())
}

/// The package of a WIT file: its name and version.
fn interface(file: &Path) -> Result<String, String> {
    println!("cargo::rerun-if-changed={}", file.display());
    let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let package = text
        .lines()
        .find_map(|line| line.strip_prefix("package ")?.strip_suffix(';'));
    package
        .map(str::to_owned)
        .ok_or_else(|| format!("{} names no package", file.display()))
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
