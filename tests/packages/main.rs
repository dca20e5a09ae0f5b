//! What packages are made of: the version, completions, manual pages, the compose file and the systemd unit.

mod debian;

use std::process::Command;

use hookhost_tests::binary;
use hookhost_tests::host::{Ended, command, ended};
use tempfile::TempDir;

async fn run(arguments: &[&str]) -> Ended {
    let dir = TempDir::new().unwrap();
    let mut command = command(dir.path());
    command.args(arguments);
    ended(command).await
}

#[tokio::test]
async fn the_version_names_commit_and_interface() {
    let done = run(&["--version"]).await;
    let version = done.stdout.trim().to_owned();
    assert!(
        version.starts_with(concat!("hookhost ", env!("CARGO_PKG_VERSION"), " (commit ")),
        "{version}"
    );
    assert!(version.ends_with(", interface hookhost:hook@0.1.0)"), "{version}");
}

#[tokio::test]
async fn shells_and_manual_readers_get_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let done = run(&["completions", shell]).await;
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(
            done.stdout.contains("quarantine") && done.stdout.contains("webhook-config"),
            "{shell}"
        );
    }
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("man/man1");
    let done = run(&["man", folder.to_str().unwrap()]).await;
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), ""), "{done:?}");
    let page = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|_| panic!("no page {name}"));
    for name in [
        "hookhost.1",
        "hookhost-run.1",
        "hookhost-modules-rescan.1",
        "hookhost-quarantine-list.1",
    ] {
        assert!(page(name).contains(".SH SYNOPSIS"), "{name}");
    }
    assert!(!folder.join("hookhost-help.1").exists());
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = run(&["man", file.to_str().unwrap()]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("cannot write manual pages into"), "{refused:?}");
}

#[tokio::test]
async fn the_compose_file_has_the_variables_of_emqx_unchanged_and_they_are_valid() {
    let of_emqx = include_str!("../../host/crates/import/src/testdata/emqx4-compose.env");
    let compose = std::fs::read_to_string(binary::workspace().join("deploy/compose.yaml")).unwrap();
    let given: Vec<&str> = of_emqx
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    let written: Vec<&str> = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- "))
        .map(|item| item.trim_matches('\''))
        .filter(|item| item.starts_with("EMQX_"))
        .collect();
    assert_eq!(written, given);
    let dir = TempDir::new().unwrap();
    let mut command = command(dir.path());
    command.arg("check");
    command.envs(given.iter().filter_map(|line| line.split_once('=')));
    let done = ended(command).await;
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.contains("12, format emqx4"), "{}", done.stdout);
}

#[tokio::test]
async fn systemd_accepts_the_unit() {
    let Ok(output) = Command::new("systemd-analyze").arg("--version").output() else {
        return eprintln!("skipped: systemd-analyze is not installed");
    };
    assert!(output.status.success());
    let unit = std::fs::read_to_string(binary::workspace().join("deploy/hookhost.service")).unwrap();
    let installed = "/usr/bin/hookhost";
    assert!(unit.contains(&format!("ExecStart={installed} run ")), "{unit}");
    let unit = unit.replace(installed, binary::hookhost().to_str().unwrap());
    // Manual pages are not installed here.
    let unit = unit.replace("Documentation=man:hookhost(1)\n", "");
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("hookhost.service");
    std::fs::write(&file, unit).unwrap();
    let output = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
