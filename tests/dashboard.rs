//! The dashboard in headless Chromium: `dashboard/page.mjs` does what a person does.
//!
//! Needs Node.js, npm and Chromium (Debian packages `nodejs`, `npm`, `chromium`). Without them the test says so and passes;
//! with `HOOKHOST_TEST_BROWSER=1` it fails then.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Setup, ended};
use hookhost_tests::sink::{Answer, Sink};
use hookhost_tests::{PATIENCE, Version, binary};

const TOKEN: &str = "a-token-that-is-long-enough";
/// A client id, and a topic, that would run a script if a page showed it as HTML.
const HOSTILE: &str = "<img src=x onerror=hacked=1>";

/// The folder of the script with its packages, or what is missing.
fn installed() -> Result<PathBuf, String> {
    let source = binary::workspace().join("tests/dashboard");
    let folder = binary::guests_dir().join("dashboard");
    std::fs::create_dir_all(&folder).unwrap();
    for program in ["node", "npm", "chromium"] {
        let found = Command::new(program).arg("--version").output();
        if !found.is_ok_and(|output| output.status.success()) {
            return Err(format!("{program} is not installed"));
        }
    }
    let copy = |name: &str| std::fs::copy(source.join(name), folder.join(name)).unwrap();
    let lock = "package-lock.json";
    let is_installed = folder.join("node_modules/playwright-core").is_dir()
        && std::fs::read(source.join(lock)).ok() == std::fs::read(folder.join(lock)).ok();
    for name in ["package.json", lock, "page.mjs"] {
        copy(name);
    }
    if !is_installed {
        let output = Command::new("npm").arg("ci").current_dir(&folder).output().unwrap();
        if !output.status.success() {
            std::fs::remove_dir_all(&folder).unwrap();
            return Err(format!("npm ci fails: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_uses_the_dashboard() {
    let folder = match installed() {
        Ok(folder) => folder,
        Err(missing) => {
            assert!(std::env::var_os("HOOKHOST_TEST_BROWSER").is_none(), "{missing}");
            // Bypasses the output capture of the test harness, which shows no output of tests that pass.
            let line = format!("skipped: the dashboard in a browser: {missing}\n");
            return std::io::stderr().write_all(line.as_bytes()).unwrap();
        }
    };
    let sink = Sink::start().await;
    sink.answer(|_, before| match before % 5 {
        4 => Answer::Status(422),
        _ => Answer::Status(200),
    });
    let settings = format!("[config]\nurl = {:?}\ntag = \"\"\ntopic = \"#\"\n", sink.url("/hook"));
    let host = Setup::new()
        .modules()
        .module_file("probe.toml", settings)
        .module_file("probe.wasm", std::fs::read(binary::probe_module()).unwrap())
        .env("HOOKHOST_ADMIN__TOKEN", TOKEN)
        .start()
        .await;
    let mut client = Client::connect(host.address, Version::V5, HOSTILE).await;
    client.subscribe("t/#", 0).await;
    for number in 0..20 {
        client.publish("t/1", 1, format!("{number}")).await;
    }
    for _ in 0..3 {
        client.publish(&format!("t/{HOSTILE}"), 1, "panic").await;
    }
    let quarantined = |line: &str| line.contains("event quarantined");
    host.log().wait("the quarantine", PATIENCE, quarantined).await;

    let mut command = Command::new("node");
    command.arg("page.mjs").current_dir(&folder);
    for (name, value) in [
        ("URL", format!("http://{}", host.admin.unwrap())),
        ("TOKEN", TOKEN.to_owned()),
        ("CHROMIUM", chromium()),
        ("HOSTILE", HOSTILE.to_owned()),
        ("OUT", screenshots().display().to_string()),
    ] {
        command.env(name, value);
    }
    let done = ended(command).await;
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    assert!(done.stdout.contains("ok: logging out ends the session"), "{done:?}");
}

fn chromium() -> String {
    let output = Command::new("sh").args(["-c", "command -v chromium"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Where the screenshots are, for people.
fn screenshots() -> PathBuf {
    let folder: &Path = &binary::guests_dir().join("dashboard/screenshots");
    std::fs::create_dir_all(folder).unwrap();
    folder.to_owned()
}
