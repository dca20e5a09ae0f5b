//! The dashboard in headless Chromium: the scripts in `dashboard/` do what a person does.
//!
//! Needs Node.js, npm and Chromium (Debian packages `nodejs`, `npm`, `chromium`). Without them the test says so and passes;
//! with `HOOKHOST_TEST_BROWSER=1` it fails then.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Ended, Host, Setup, ended};
use hookhost_tests::sink::{Answer, Received, Sink};
use hookhost_tests::{PATIENCE, Version, binary};

const TOKEN: &str = "a-token-that-is-long-enough";
const VIEWER_TOKEN: &str = "a-token-of-a-viewer";
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
    for name in ["package.json", lock, "page.mjs", "webhooks.mjs", "browser.mjs"] {
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

/// The folder of the scripts. `None` if something is not installed.
fn scripts() -> Option<PathBuf> {
    static INSTALLED: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match INSTALLED.get_or_init(installed) {
        Ok(folder) => Some(folder.clone()),
        Err(missing) => {
            assert!(std::env::var_os("HOOKHOST_TEST_BROWSER").is_none(), "{missing}");
            // Bypasses the output capture of the test harness, which shows no output of tests that pass.
            let line = format!("skipped: the dashboard in a browser: {missing}\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            None
        }
    }
}

/// Runs a script against a host.
async fn run_script(folder: &Path, script: &str, host: &Host, variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new("node");
    command.arg(script).current_dir(folder);
    command.env("URL", format!("http://{}", host.admin.unwrap()));
    command.env("CHROMIUM", chromium()).env("OUT", screenshots());
    command.envs(variables.iter().copied());
    let done = ended(command).await;
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_uses_the_dashboard() {
    let Some(folder) = scripts() else { return };
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
        .config("[webhooks.of_the_file]\nurl = \"http://127.0.0.1:1/\"\nevents = [\"other\"]\n")
        .env("HOOKHOST_ADMIN__TOKEN", TOKEN)
        .env("HOOKHOST_ADMIN__VIEWER_TOKEN", VIEWER_TOKEN)
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

    let variables = [("TOKEN", TOKEN), ("VIEWER_TOKEN", VIEWER_TOKEN), ("HOSTILE", HOSTILE)];
    let done = run_script(&folder, "page.mjs", &host, &variables).await;
    assert!(done.stdout.contains("ok: logging out ends the session"), "{done:?}");
}

/// The requests that EMQX's page about webhooks shows: the event, and the keys of its body.
const TUTORIAL: [(&str, &[&str]); 6] = [
    (
        "client.connected",
        &[
            "username",
            "timestamp",
            "sockname",
            "receive_maximum",
            "proto_ver",
            "proto_name",
            "peername",
            "node",
            "mountpoint",
            "metadata",
            "keepalive",
            "is_bridge",
            "expiry_interval",
            "event",
            "connected_at",
            "conn_props",
            "clientid",
            "clean_start",
        ],
    ),
    (
        "client.connack",
        &[
            "username",
            "timestamp",
            "sockname",
            "reason_code",
            "proto_ver",
            "proto_name",
            "peername",
            "node",
            "metadata",
            "keepalive",
            "expiry_interval",
            "event",
            "conn_props",
            "clientid",
            "clean_start",
        ],
    ),
    (
        "client.check_authz_complete",
        &[
            "username",
            "topic",
            "timestamp",
            "result",
            "peerhost",
            "node",
            "metadata",
            "event",
            "clientid",
            "authz_source",
            "action",
        ],
    ),
    (
        "message.publish",
        &[
            "username",
            "topic",
            "timestamp",
            "qos",
            "publish_received_at",
            "pub_props",
            "peerhost",
            "payload",
            "node",
            "metadata",
            "id",
            "flags",
            "event",
            "clientid",
        ],
    ),
    (
        "message.dropped",
        &[
            "username",
            "topic",
            "timestamp",
            "reason",
            "qos",
            "publish_received_at",
            "pub_props",
            "peerhost",
            "payload",
            "node",
            "metadata",
            "id",
            "flags",
            "event",
            "clientid",
        ],
    ),
    (
        "client.disconnected",
        &[
            "username",
            "timestamp",
            "sockname",
            "reason",
            "proto_ver",
            "proto_name",
            "peername",
            "node",
            "metadata",
            "event",
            "disconnected_at",
            "disconn_props",
            "clientid",
        ],
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_creates_the_webhook_of_the_emqx_tutorial() {
    let Some(folder) = scripts() else { return };
    let sink = Sink::start().await;
    let setup = Setup::new();
    let data = setup.dir().join("data");
    let host = setup.arg("--data").arg(data).start().await;
    let done = run_script(&folder, "webhooks.mjs", &host, &[("RECEIVER", &sink.url("/"))]).await;
    assert!(
        done.stdout.contains("ok: a webhook is removed after a question"),
        "{done:?}"
    );

    let tested = sink.count();
    let mut client = Client::connect(host.address, Version::V5, "emqx_c").await;
    client.publish("t/1", 0, "{ \"msg\": \"Hello Webhook\" }").await;
    client.disconnect().await;
    for (event, keys) in TUTORIAL {
        let is_there = |request: &Received| request.json()["event"] == event;
        sink.wait_until(event, PATIENCE, |all| {
            all.iter().skip(tested).any(|request| is_there(request))
        })
        .await;
        let requests = sink.requests();
        let request = requests.iter().skip(tested).find(|request| is_there(request)).unwrap();
        assert_eq!(request.header("authorization"), Some("Bearer a-secret-token"));
        let body = request.json();
        assert_eq!(body["clientid"], "emqx_c");
        let arrived: BTreeSet<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(arrived, keys.iter().copied().collect(), "{event}");
    }
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
