//! Finds the binary under test. Cargo gives an integration test the paths of its own package's binaries only. So this
//! module looks in the directory that the running test was built into. `HOOKHOST_BIN` overrides the path.
//!
//! A binary that is missing or older than its sources is built first, once per test process. The build uses the same
//! profile and the whole workspace, so that features unify as in `cargo build --workspace`. No test runs an outdated
//! host.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// Path of the `hookhost` binary, built if necessary. Panics with cargo's output if it does not build.
pub fn hookhost() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| match std::env::var_os("HOOKHOST_BIN") {
        Some(path) => path.into(),
        None => {
            let binary = profile_dir().join("hookhost");
            if !is_fresh(&binary) {
                build();
            }
            binary
        }
    })
}

/// The repository.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in the workspace")
}

/// The directory of the running executable: `target/debug`, `target/release`, …
pub fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("a running executable has a path");
    let dir = exe.parent().expect("an executable lies in a directory");
    let dir = if dir.ends_with("deps") {
        dir.parent().expect("deps lies in the profile directory")
    } else {
        dir
    };
    dir.to_path_buf()
}

fn is_fresh(binary: &Path) -> bool {
    let sources = ["host", "guest-sdk", "wit", "Cargo.toml", "Cargo.lock"].map(|name| workspace().join(name));
    let newest = sources.iter().filter_map(|source| newest(source)).max();
    let built = std::fs::metadata(binary).and_then(|metadata| metadata.modified()).ok();
    built.is_some() && built > newest
}

/// The time of the last change of a file, or of any file below a directory.
fn newest(path: &Path) -> Option<SystemTime> {
    if !path.is_dir() {
        return std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    }
    std::fs::read_dir(path)
        .ok()?
        .filter_map(|entry| newest(&entry.ok()?.path()))
        .max()
}

fn build() {
    let dir = profile_dir();
    let mut cargo = cargo();
    cargo
        .args(["build", "--workspace", "--bin", "hookhost"])
        .current_dir(workspace());
    match dir.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => (),
        Some(profile) => {
            cargo.args(["--profile", profile]);
        }
    }
    if let Some(target) = dir.parent() {
        cargo.arg("--target-dir").arg(target);
    }
    let output = cargo.output().expect("cargo runs");
    assert!(
        output.status.success(),
        "hookhost does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Cargo as a user would call it, without the variables that it sets for a test. Some of them make build scripts run
/// again.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") || text == "LD_LIBRARY_PATH" {
            cargo.env_remove(&name);
        }
    }
    cargo
}

/// The built-in module as a file. The build of the host puts it below the target directory.
pub fn builtin_module() -> PathBuf {
    hookhost();
    let target = profile_dir()
        .parent()
        .expect("the profile directory lies in target")
        .to_path_buf();
    let usual = target.join("guest/wasm32-wasip2/guest/hookhost_webhook.wasm");
    if usual.exists() {
        return usual;
    }
    find(&target, "hookhost_webhook.wasm", 7).unwrap_or_else(|| panic!("no hookhost_webhook.wasm below {target:?}"))
}

/// The tests' own module that misbehaves on request, built for `wasm32-wasip2` once per test process.
pub fn probe_module() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| build_guest(&workspace().join("tests/guests/probe/Cargo.toml"), "probe"))
}

/// The first example of the README, built as its users build it.
pub fn example_module() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| rust_example("temperature-alert"))
}

/// An example in Rust, built as its users build it.
pub fn rust_example(name: &str) -> PathBuf {
    build_guest(&workspace().join("examples/Cargo.toml"), name)
}

/// The module that module-bench measures, built as the built-in module is.
pub fn bench_module() -> PathBuf {
    build_guest_in("guest", &workspace().join("Cargo.toml"), "hookhost-bench-guest")
}

fn build_guest(manifest: &Path, package: &str) -> PathBuf {
    build_guest_in("release", manifest, package)
}

/// Guests have their own target directory, so that they do not wait for the lock of the outer cargo and share their
/// dependencies.
pub fn guests_dir() -> PathBuf {
    profile_dir()
        .parent()
        .expect("the profile directory lies in target")
        .join("test-guests")
}

/// Cargo for guests, whose target differs from that of the host.
pub fn guest_cargo(command: &str, manifest: &Path) -> Command {
    let mut cargo = cargo();
    cargo
        .arg(command)
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(guests_dir())
        .current_dir(workspace());
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "RUSTC_WRAPPER",
    ] {
        cargo.env_remove(name);
    }
    cargo
}

fn build_guest_in(profile: &str, manifest: &Path, package: &str) -> PathBuf {
    let target = "wasm32-wasip2";
    let output = guest_cargo("build", manifest)
        .args(["--profile", profile, "--target", target, "--package", package])
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{package} does not build:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    guests_dir()
        .join(target)
        .join(profile)
        .join(format!("{}.wasm", package.replace('-', "_")))
}

fn find(dir: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    let entries: Vec<_> = std::fs::read_dir(dir)
        .ok()?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    if let Some(hit) = entries
        .iter()
        .find(|path| path.is_file() && path.file_name().is_some_and(|n| n == name))
    {
        return Some(hit.clone());
    }
    let below = depth.checked_sub(1)?;
    entries
        .iter()
        .filter(|path| path.is_dir())
        .find_map(|path| find(path, name, below))
}
