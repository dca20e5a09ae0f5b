//! Examples in languages whose tools are not part of this workspace. The commands of their READMEs install, test and
//! build them, in a copy below `target/test-guests`, so that the source tree stays clean.
//!
//! Installed tools and built files are kept until the content of their sources changes. If a tool is missing, or cannot
//! be installed because there is no network, the test reports this on standard error and passes.
//! `HOOKHOST_TEST_LANGUAGES=all` makes that a failure, and `none` skips such examples.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use crate::binary::{guests_dir, workspace};

/// An example and the commands that build its module, for a shell in its directory.
#[derive(Debug)]
pub struct Example {
    /// Its directory in `examples/`.
    pub name: &'static str,
    /// Programs that must be installed.
    pub needs: &'static [&'static str],
    /// Files that list the installed packages.
    pub pins: &'static [&'static str],
    /// Installs the tools.
    pub install: &'static [&'static str],
    /// Runs its native tests.
    pub test: &'static [&'static str],
    /// Builds the component.
    pub build: &'static str,
    /// The component that is built.
    pub wasm: &'static str,
}

/// `examples/js-vehicle-position`.
pub const JAVASCRIPT: Example = Example {
    name: "js-vehicle-position",
    needs: &["node", "npm"],
    pins: &["package.json", "package-lock.json"],
    install: &["npm ci"],
    test: &["npm test"],
    build: "npm run build",
    wasm: "vehicle-position.wasm",
};

/// `examples/c-dead-band`.
pub const C: Example = Example {
    name: "c-dead-band",
    needs: &["python3", "node", "npm"],
    pins: &["requirements.txt", "package.json", "package-lock.json"],
    install: &[
        "python3 -m venv build/venv",
        "build/venv/bin/pip install -r requirements.txt",
        "npm ci",
    ],
    test: &["npm test"],
    build: "npm run build",
    wasm: "dead-band.wasm",
};

/// `examples/python-flapping`.
pub const PYTHON: Example = Example {
    name: "python-flapping",
    needs: &["python3"],
    pins: &["requirements.txt"],
    install: &[
        "python3 -m venv build/venv",
        "build/venv/bin/pip install -r requirements.txt",
    ],
    test: &[
        "rm -rf build/bindings",
        "build/venv/bin/componentize-py -d ../../wit -w hook-module bindings build/bindings",
        "PYTHONPATH=src:build/bindings build/venv/bin/python -m unittest discover tests",
    ],
    build: "build/venv/bin/componentize-py -d ../../wit -w hook-module componentize -p src app -o flapping.wasm",
    wasm: "flapping.wasm",
};

impl Example {
    /// The module's component, tested and built unless it already exists. Returns `None`, with a line that says why, if
    /// its tools are missing. Panics if its README has other commands, if its tests fail or if it does not build.
    pub fn module(&self) -> Option<Vec<u8>> {
        self.module_of(&workspace().join("examples").join(self.name))
    }

    /// The same for a project in another directory.
    pub fn module_of(&self, source: &Path) -> Option<Vec<u8>> {
        let wanted = std::env::var("HOOKHOST_TEST_LANGUAGES").unwrap_or_default();
        assert!(
            ["", "all", "none"].contains(&wanted.as_str()),
            "HOOKHOST_TEST_LANGUAGES is {wanted:?}, not all or none"
        );
        if wanted == "none" {
            self.skip("HOOKHOST_TEST_LANGUAGES is none");
            return None;
        }
        match self.make(source) {
            Ok(wasm) => Some(wasm),
            Err(missing) => {
                assert!(
                    wanted != "all",
                    "{}: {missing}, and HOOKHOST_TEST_LANGUAGES is all",
                    self.name
                );
                self.skip(&missing);
                None
            }
        }
    }

    /// Bypasses the output capture of the test harness, which shows no output of tests that pass.
    fn skip(&self, why: &str) {
        let line = format!("skipped: the example {}: {why}\n", self.name);
        std::io::stderr()
            .write_all(line.as_bytes())
            .expect("standard error is open");
    }

    /// The component, or the missing tool.
    fn make(&self, source: &Path) -> Result<Vec<u8>, String> {
        let readme = std::fs::read_to_string(source.join("README.md")).expect("the example has a README");
        for command in [self.install, self.test, &[self.build]].concat() {
            assert!(
                readme.lines().any(|line| line == command),
                "{}/README.md does not say `{command}`",
                self.name
            );
        }
        for program in self.needs {
            if shell(&format!("{program} --version"), source).is_err() {
                return Err(format!("{program} is not installed"));
            }
        }
        // The same layout as in the repository: the commands name `../../wit`.
        let root = guests_dir().join("languages");
        let copy = root.join("examples").join(self.name);
        renew(&workspace().join("wit"), &root.join("wit"));
        renew(source, &copy);

        let pins = print(&self.pins.iter().map(|pin| copy.join(pin)).collect::<Vec<_>>());
        if !is_stamped(&copy.join("build/installed"), pins) {
            for command in self.install {
                shell(command, &copy).map_err(|output| format!("`{command}` fails:\n{output}"))?;
            }
            stamp(&copy.join("build/installed"), pins);
        }
        let content = print(&[source.to_owned(), workspace().join("wit")]);
        let wasm = copy.join(self.wasm);
        if !wasm.exists() || !is_stamped(&copy.join("build/built"), content) {
            for command in self.test.iter().chain([&self.build]) {
                if let Err(output) = shell(command, &copy) {
                    panic!("{}: `{command}` fails:\n{output}", self.name);
                }
            }
            stamp(&copy.join("build/built"), content);
        }
        Ok(std::fs::read(&wasm).unwrap_or_else(|error| panic!("{}: {error}", wasm.display())))
    }
}

/// Runs a command in a directory. The error is its output.
fn shell(command: &str, dir: &Path) -> Result<(), String> {
    let output = Command::new("sh").arg("-c").arg(command).current_dir(dir).output();
    let Output { status, stdout, stderr } = output.map_err(|error| error.to_string())?;
    if status.success() {
        return Ok(());
    }
    Err(format!(
        "{}{}",
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr)
    ))
}

/// Files of a directory and below, in order, without installed and built files.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default();
        !["build", "node_modules", "__pycache__"]
            .map(Some)
            .contains(&name.to_str())
            && path.extension().is_none_or(|extension| extension != "wasm")
    });
    paths.sort();
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    paths.into_iter().flat_map(below).collect()
}

/// Makes `to` hold exactly the files of `from`, except for installed and built files. Files that are the same stay as they
/// are, because the build of another test may be reading them.
fn renew(from: &Path, to: &Path) {
    static RENEWING: Mutex<()> = Mutex::new(());
    let _alone = RENEWING.lock().unwrap_or_else(PoisonError::into_inner);
    std::fs::create_dir_all(to).expect("the target directory is ours");
    for stale in files(to) {
        let source = from.join(stale.strip_prefix(to).expect("a file below it"));
        if !source.is_file() {
            std::fs::remove_file(stale).expect("the target directory is ours");
        }
    }
    for file in files(from) {
        let place = to.join(file.strip_prefix(from).expect("a file below it"));
        let content = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        if std::fs::read(&place).is_ok_and(|known| known == content) {
            continue;
        }
        std::fs::create_dir_all(place.parent().expect("a file has a directory")).expect("the target directory is ours");
        std::fs::copy(&file, &place).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
}

/// A hash of the names and the content of files and directories. Excludes files that do not affect the component: its
/// README and its settings.
fn print(paths: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in paths {
        let found = if path.is_dir() { files(path) } else { vec![path.clone()] };
        let beside = |file: &PathBuf| {
            ["md", "toml"]
                .iter()
                .any(|other| file.extension().is_some_and(|e| e == *other))
        };
        for file in found.into_iter().filter(|file| !beside(file)) {
            file.strip_prefix(path).unwrap_or(&file).hash(&mut hasher);
            std::fs::read(&file)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
                .hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn is_stamped(file: &Path, print: u64) -> bool {
    std::fs::read_to_string(file).is_ok_and(|text| text == print.to_string())
}

fn stamp(file: &Path, print: u64) {
    std::fs::create_dir_all(file.parent().expect("a file has a directory")).expect("the target directory is ours");
    std::fs::write(file, print.to_string()).expect("the target directory is ours");
}
