//! The build script of the built-in module adds the compile target of modules, or prints what to install.
//!
//! The test compiles the script unchanged and runs it with fake `rustc`, `rustup` and `cargo`, so that no toolchain
//! changes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use hookhost_tests::binary::workspace;
use tempfile::TempDir;

const TARGET: &str = "wasm32-wasip2";

/// The compiled build script.
fn script() -> &'static Path {
    static SCRIPT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, script) = SCRIPT.get_or_init(|| {
        let dir = TempDir::with_prefix("hookhost-test-").unwrap();
        let script = dir.path().join("script");
        let status = Command::new("rustc")
            .args(["--edition", "2024", "-o"])
            .arg(&script)
            .arg(workspace().join("host/crates/modules/build.rs"))
            .status()
            .unwrap();
        assert!(status.success());
        (dir, script)
    });
    script
}

/// A toolchain without the target, and a folder `bin` for `rustup`.
struct Toolchain(TempDir);

impl Toolchain {
    fn new() -> Toolchain {
        let dir = TempDir::with_prefix("hookhost-test-").unwrap();
        for folder in ["bin", "lib/rustlib", "target/build/out"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("target/CACHEDIR.TAG"), "").unwrap();
        let toolchain = Toolchain(dir);
        let root = toolchain.path();
        toolchain.program(
            "rustc",
            &format!("case $2 in sysroot) echo {root};; *) echo {root}/lib/rustlib/{TARGET}/lib;; esac"),
        );
        toolchain.program(
            "cargo",
            &format!(
                "mkdir -p {root}/target/guest/{TARGET}/guest && echo wasm > {root}/target/guest/{TARGET}/guest/hookhost_webhook.wasm"
            ),
        );
        toolchain
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn program(&self, name: &str, commands: &str) {
        let path = self.0.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{commands}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn command(&self) -> Command {
        let bin = self.0.path().join("bin");
        let mut command = Command::new(script());
        command
            .env_clear()
            .env("PATH", &bin)
            .env("RUSTC", bin.join("rustc"))
            .env("CARGO", bin.join("cargo"))
            .env("CARGO_MANIFEST_DIR", workspace().join("host/crates/modules"))
            .env("OUT_DIR", self.0.path().join("target/build/out"));
        command
    }

    fn run(&self) -> (Output, String) {
        let output = self.command().output().unwrap();
        let said = String::from_utf8(output.stdout.clone()).unwrap();
        (output, said)
    }
}

#[test]
fn a_missing_target_is_added_once_by_one_of_several_builds() {
    let toolchain = Toolchain::new();
    let root = toolchain.path();
    toolchain.program(
        "rustup",
        &format!("echo $* >> {root}/calls; sleep 0.3; mkdir -p {root}/lib/rustlib/{TARGET}/lib"),
    );
    let builds: Vec<_> = (0..4)
        .map(|_| {
            toolchain
                .command()
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let said: Vec<String> = builds
        .into_iter()
        .map(|build| {
            let output = build.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        })
        .collect();
    let calls = fs::read_to_string(toolchain.0.path().join("calls")).unwrap();
    assert_eq!(calls, format!("target add {TARGET}\n"));
    let warning = format!("cargo::warning=added the target {TARGET} to this Rust toolchain");
    assert_eq!(
        said.iter().filter(|said| said.contains(&warning)).count(),
        1,
        "{said:?}"
    );
}

#[test]
fn a_target_that_is_there_needs_no_rustup() {
    let toolchain = Toolchain::new();
    fs::create_dir_all(toolchain.0.path().join("lib/rustlib").join(TARGET).join("lib")).unwrap();
    let (output, said) = toolchain.run();
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("cargo::warning"), "{said}");
}

#[test]
fn without_rustup_the_error_says_what_to_install() {
    let toolchain = Toolchain::new();
    let (output, said) = toolchain.run();
    assert!(!output.status.success());
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("cargo::error=")).collect();
    let [error] = errors[..] else { panic!("{said}") };
    for word in [
        TARGET,
        "there is no `rustup`",
        "https://rustup.rs",
        "package of your system",
    ] {
        assert!(error.contains(word), "{word} is not in {error}");
    }
}

#[test]
fn a_rustup_that_fails_is_quoted_in_one_line() {
    let toolchain = Toolchain::new();
    toolchain.program(
        "rustup",
        "echo 'info: downloading' >&2; echo 'error: no network' >&2; exit 1",
    );
    let (output, said) = toolchain.run();
    assert!(!output.status.success());
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("cargo::error=")).collect();
    let [error] = errors[..] else { panic!("{said}") };
    assert!(
        error.ends_with("failed: info: downloading; error: no network"),
        "{error}"
    );
}
