//! Builds the default module for `wasm32-wasip2`, to be embedded in the binary.
//!
//! The result is a copy in `OUT_DIR`, whose path the crate finds in `HOOKHOST_WEBHOOK_WASM`. The module has a target
//! directory of its own, `guest` below that of this build: the outer cargo holds the lock on its own for as long as
//! this script runs, and development and release builds of the host share the module.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

const TARGET: &str = "wasm32-wasip2";
const PACKAGE: &str = "hookhost-webhook";
const ARTIFACT: &str = "hookhost_webhook.wasm";
/// The profile of the workspace that guests are built with; also the name of its folder.
const PROFILE: &str = "guest";

/// What the module is made of, relative to the root of the workspace.
const SOURCES: [&str; 5] = ["guest-sdk", "wit", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"];

/// What the outer build says about itself and the module must not inherit: flags for another target, wrappers that
/// check instead of compile, other directories. `CARGO_PROFILE_…` goes as well.
const OUTER: [&str; 13] = [
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CARGO_INCREMENTAL",
    "CLIPPY_ARGS",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
];

fn main() -> ExitCode {
    match run() {
        Ok(module) => {
            println!("cargo::rustc-env=HOOKHOST_WEBHOOK_WASM={}", module.display());
            ExitCode::SUCCESS
        }
        Err(text) => {
            println!("cargo::error={text}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<PathBuf, String> {
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
    build(root, &target_dir)?;

    let built = target_dir.join(TARGET).join(PROFILE).join(ARTIFACT);
    let module = out_dir.join(ARTIFACT);
    fs::copy(&built, &module).map_err(|error| format!("cannot copy {}: {error}", built.display()))?;
    Ok(module)
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("{name} is not set; this is a build script of cargo"))
}

/// Fails with what to install, where cargo would say that it cannot find `core`.
fn require_target() -> Result<(), String> {
    let rustc = variable("RUSTC")?;
    let output = Command::new(&rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("cannot run {}: {error}", rustc.display()))?;
    let libraries = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    Err(format!(
        "the default module is WebAssembly, and this Rust toolchain lacks the target {TARGET}; install it with \
         `rustup target add {TARGET}` (or the package of your system that holds Rust's standard library for it)"
    ))
}

/// The target directory of the outer build: the one that cargo has marked, above `OUT_DIR`.
fn target_dir(out_dir: &Path) -> PathBuf {
    let marked = out_dir.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    marked.unwrap_or(out_dir).to_path_buf()
}

fn build(root: &Path, target_dir: &Path) -> Result<(), String> {
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.current_dir(root).args([
        "rustc",
        "--package",
        PACKAGE,
        "--lib",
        "--crate-type",
        "cdylib",
        "--features",
        "component",
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
            "the default module did not build ({status}); the errors are above"
        ));
    }
    Ok(())
}
