//! Builds the built-in module for `wasm32-wasip2`, to be embedded in the binary. Adds that target to the toolchain if it is
//! missing.
//!
//! The results are copies in `OUT_DIR`, whose paths the crate finds in the variables of [`BUILDS`]. The module has a target
//! directory of its own, `guest` below that of this build: the outer cargo holds the lock on its own for as long as
//! this script runs, and development and release builds of the host share the module.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const TARGET: &str = "wasm32-wasip2";
const PACKAGE: &str = "hookhost-webhook";
const ARTIFACT: &str = "hookhost_webhook.wasm";
/// The builds of the module: the features, the name of the copy, and the variable with its path. The target directory keeps
/// the last one, which is the one that most configurations load.
const BUILDS: [(&str, &str, &str); 2] = [
    (
        "component,all-functions",
        "hookhost_webhook_full.wasm",
        "HOOKHOST_WEBHOOK_FULL_WASM",
    ),
    ("component", "hookhost_webhook.wasm", "HOOKHOST_WEBHOOK_WASM"),
];
/// The profile of the workspace that guests are built with; also the name of its folder.
const PROFILE: &str = "guest";

/// What the module is made of, relative to the root of the workspace.
const SOURCES: [&str; 5] = ["guest-sdk", "wit", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"];

/// What the outer build says about itself and the module must not inherit: flags for another target, wrappers that
/// check instead of compile, other directories. `CARGO_PROFILE_…` goes as well.
const OUTER: [&str; 14] = [
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_INCREMENTAL",
    "CARGO_RESOLVER_FEATURE_UNIFICATION",
    "CLIPPY_ARGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

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
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let root = manifest_dir
        .ancestors()
        .nth(3)
        .ok_or("the package has no workspace around it")?;
    for source in SOURCES {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    require_target()?;
    let target_dir = target_dir(&out_dir).join(PROFILE);
    for (features, name, path_variable) in BUILDS {
        build(root, &target_dir, features)?;
        let built = target_dir.join(TARGET).join(PROFILE).join(ARTIFACT);
        let module = out_dir.join(name);
        fs::copy(&built, &module).map_err(|error| format!("cannot copy {}: {error}", built.display()))?;
        println!("cargo::rustc-env={path_variable}={}", module.display());
    }
    Ok(())
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("{name} is not set; this is a build script of cargo"))
}

/// Makes sure that the toolchain has the target: adds it with `rustup`, or fails with what to install.
///
/// Build scripts of several builds may run at the same time, and `rustup` does not expect that: they take turns, with a
/// lock on the toolchain's folder of targets.
fn require_target() -> Result<(), String> {
    let rustc = variable("RUSTC")?;
    if has_target(&rustc)? {
        return Ok(());
    }
    let targets = printed(&rustc, &["--print", "sysroot"])?.join("lib/rustlib");
    let turn = File::open(&targets).and_then(|dir| dir.lock().map(|()| dir));
    let _turn = turn.map_err(|error| format!("cannot lock {}: {error}", targets.display()))?;
    // Another build may have added it in the meantime.
    if has_target(&rustc)? {
        return Ok(());
    }
    add_target()?;
    if has_target(&rustc)? {
        return Ok(());
    }
    Err(format!(
        "`rustup target add {TARGET}` succeeded, but {} still lacks the target; is it a compiler of another toolchain?",
        rustc.display()
    ))
}

fn has_target(rustc: &OsStr) -> Result<bool, String> {
    Ok(printed(rustc, &["--print", "target-libdir", "--target", TARGET])?.is_dir())
}

/// The path that a compiler prints; empty if it fails, as one does that does not know the target.
fn printed(rustc: &OsStr, arguments: &[&str]) -> Result<PathBuf, String> {
    let output = Command::new(rustc)
        .args(arguments)
        .output()
        .map_err(|error| format!("cannot run {}: {error}", rustc.display()))?;
    let path = String::from_utf8_lossy(&output.stdout);
    Ok(if output.status.success() {
        PathBuf::from(path.trim())
    } else {
        PathBuf::new()
    })
}

fn add_target() -> Result<(), String> {
    let reason = format!("the built-in module is WebAssembly, and this Rust toolchain lacks the target {TARGET}");
    let output = match Command::new("rustup").args(["target", "add", TARGET]).output() {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(format!(
                "{reason}, and there is no `rustup` to add it; install Rust with rustup (https://rustup.rs), or the package \
                 of your system that holds Rust's standard library for {TARGET}"
            ));
        }
        Err(error) => return Err(format!("{reason}, and `rustup` does not start: {error}")),
    };
    if output.status.success() {
        println!("cargo::warning=added the target {TARGET} to this Rust toolchain (`rustup target add {TARGET}`)");
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Err(format!(
        "{reason}, and `rustup target add {TARGET}` failed: {}",
        said.join("; ")
    ))
}

/// The target directory of the outer build: the one that cargo has marked, above `OUT_DIR`.
fn target_dir(out_dir: &Path) -> PathBuf {
    let marked = out_dir.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    marked.unwrap_or(out_dir).to_path_buf()
}

fn build(root: &Path, target_dir: &Path, features: &str) -> Result<(), String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.current_dir(root).args([
        "rustc",
        "--package",
        PACKAGE,
        "--lib",
        "--crate-type",
        "cdylib",
        "--features",
        features,
        "--target",
        TARGET,
        "--profile",
        PROFILE,
    ]);
    cargo.arg("--target-dir").arg(target_dir);
    for name in OUTER {
        cargo.env_remove(name);
    }
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PROFILE_") {
            cargo.env_remove(name);
        }
    }
    // Standard output belongs to the directives of this script.
    let status = cargo
        .stdout(Stdio::null())
        .status()
        .map_err(|error| format!("cannot run cargo: {error}"))?;
    if !status.success() {
        return Err(format!(
            "the built-in module did not build ({status}); the errors are above"
        ));
    }
    Ok(())
}
