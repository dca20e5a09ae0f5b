//! Modules that come through the admin API: uploaded, disabled, enabled.

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::http::{Answer, ask_with_bytes};
use hookhost_tests::sink::Sink;
use hookhost_tests::{PATIENCE, Version, binary, http};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The settings of the probe.
const SETTINGS: &str = "[config]\nurl = \"stdout:\"\ntag = \"\"\ntopic = \"t/#\"\n";

async fn upload(host: &Host, name: &str, headers: &str, content: impl Into<Vec<u8>>) -> Answer {
    let what = format!("PUT /api/v1/module-files/{name}");
    ask_with_bytes(host.admin.unwrap(), &what, headers, content.into()).await
}

/// The names and states of the modules, and the names of the disabled ones.
async fn modules(host: &Host) -> (Vec<(String, String)>, Value) {
    let all = http::ask(host.admin.unwrap(), "GET /api/v1/modules", "").await.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = all["modules"].as_array().unwrap().iter();
    let list = list.map(|module| (text(&module["name"]), text(&module["state"])));
    (list.collect(), all["disabled"].clone())
}

fn named(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(name, state)| ((*name).to_owned(), (*state).to_owned()))
        .collect()
}

#[tokio::test]
async fn a_module_is_uploaded_disabled_and_enabled() {
    let host = Setup::new().modules().module_file("probe.toml", SETTINGS).start().await;
    let admin = host.admin.unwrap();
    let probe = std::fs::read(binary::probe_module()).unwrap();
    let answer = upload(&host, "probe", "", probe.clone()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // The host may have seen the new file before it was asked to scan the folder.
    let running = named(&[("probe", "running"), ("webhook", "running")]);
    assert_eq!(modules(&host).await, (running.clone(), json!([])));
    assert_eq!(std::fs::read(host.dir().join("modules/probe.wasm")).unwrap(), probe);

    for (what, expected) in [
        ("POST /api/v1/module-files/probe/enable", 404),
        ("POST /api/v1/module-files/probe/disable", 200),
        ("POST /api/v1/module-files/probe/disable", 404),
        ("POST /api/v1/module-files/webhook/disable", 404),
    ] {
        let answer = http::ask(admin, what, "").await;
        assert_eq!(answer.status, expected, "{what}: {answer:?}");
    }
    // The module handles the rest of its queue first.
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while modules(&host).await.0 != named(&[("webhook", "running")]) {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", modules(&host).await);
    }
    assert_eq!(modules(&host).await.1, json!(["probe"]));
    let answer = http::ask(admin, "POST /api/v1/module-files/probe/enable", "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(modules(&host).await, (running, json!([])));
}

#[tokio::test]
async fn a_module_is_rolled_back_to_its_previous_generation() {
    let sink = Sink::start().await;
    let settings = |tag: &str| format!("[config]\nurl = {:?}\ntag = {tag:?}\ntopic = \"t/#\"\n", sink.url("/"));
    let host = Setup::new()
        .modules()
        .module_file("probe.toml", settings("one"))
        .module_file("probe.wasm", std::fs::read(binary::probe_module()).unwrap())
        .start()
        .await;
    let admin = host.admin.unwrap();
    let roll_back = async |name: &str| http::ask(admin, &format!("POST /api/v1/modules/{name}/roll-back"), "").await;
    for (name, status, words) in [
        ("probe", 409, "no previous generation"),
        ("webhook", 409, "built-in"),
        ("missing", 404, "not running"),
    ] {
        let answer = roll_back(name).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains(words), "{answer:?}");
    }
    std::fs::write(host.dir().join("modules/probe.toml"), settings("two")).unwrap();
    let state = async || http::ask(admin, "GET /api/v1/modules/probe", "").await.json();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while state().await["generation"]["number"] != 2 {
        assert!(tokio::time::Instant::now() < deadline, "{:#}", state().await);
    }
    assert_eq!(state().await["can_roll_back"], true);
    let text = host.ask(&["modules", "roll-back", "probe"]).await;
    assert_eq!(text, "probe: generation 1 is active again\n");
    let probe = state().await;
    assert_eq!(
        (&probe["state"], &probe["can_roll_back"]),
        (&json!("rolled back"), &json!(false))
    );
    let mut client = Client::connect(host.address, Version::V5, "c").await;
    client.publish("t/1", 1, "x").await;
    sink.wait_for(1, PATIENCE).await;
    assert_eq!(sink.requests()[0].json()["tag"], "one");
    assert_eq!(roll_back("probe").await.status, 409);
    // A rescan loads the files again.
    http::ask(admin, "POST /api/v1/modules/rescan", "").await;
    assert_eq!(state().await["generation"]["number"], 3);
    client.disconnect().await;
}

#[tokio::test]
async fn what_is_no_module_is_refused_and_changes_nothing() {
    let host = Setup::new()
        .modules()
        .env("HOOKHOST_ADMIN__TOKEN", "admin-admin-admin")
        .env("HOOKHOST_ADMIN__VIEWER_TOKEN", "viewer-viewer-viewer")
        .start()
        .await;
    let admin = "\r\nAuthorization: Bearer admin-admin-admin";
    let viewer = "\r\nAuthorization: Bearer viewer-viewer-viewer";
    let wasm = b"\0asm\x0d\0\x01\0".to_vec();
    for (name, headers, content, status, words) in [
        ("m", admin, b"<html>".repeat(100_000), 400, "not a WebAssembly file"),
        ("m", admin, vec![], 400, "not a WebAssembly file"),
        ("a.b", admin, wasm.clone(), 400, "letters, digits"),
        ("..%2fm", admin, wasm.clone(), 400, "letters, digits"),
        ("m", viewer, wasm.clone(), 403, "viewer"),
        ("m", "", wasm.clone(), 401, "token"),
    ] {
        let answer = upload(&host, name, headers, content).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.body.contains(words), "{answer:?}");
    }
    let files = || std::fs::read_dir(host.dir().join("modules")).unwrap().count();
    assert_eq!(files(), 0, "nothing is left behind");
    // It is WebAssembly, but not a module: as a file in the folder it is rejected.
    let answer = upload(&host, "m", admin, wasm.clone()).await;
    assert_eq!(
        (answer.status, &answer.json()["rejected"][0]["name"]),
        (200, &json!("m")),
        "{answer:?}"
    );
    assert_eq!(files(), 1);
}

/// Begins an upload of a module, and sends only its first bytes.
async fn begin_upload(host: &Host) -> TcpStream {
    let mut stream = TcpStream::connect(host.admin.unwrap()).await.unwrap();
    let head = "PUT /api/v1/module-files/slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n\0asm";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn the_number_of_uploads_at_a_time_is_limited() {
    let host = Setup::new().modules().start().await;
    let files = || std::fs::read_dir(host.dir().join("modules")).unwrap().count();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut uploads = Vec::new();
    while uploads.len() < 4 {
        uploads.push(begin_upload(&host).await);
        while files() < uploads.len() {
            assert!(tokio::time::Instant::now() < deadline, "the upload does not begin");
            tokio::task::yield_now().await;
        }
    }
    let wasm = b"\0asm\x0d\0\x01\0";
    let refused = upload(&host, "m", "", wasm.to_vec()).await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.body.contains("4 modules are being uploaded"), "{refused:?}");
    drop(uploads);
    while upload(&host, "m", "", wasm.to_vec()).await.status != 200 {
        assert!(tokio::time::Instant::now() < deadline, "the uploads do not end");
    }
    while files() != 1 {
        assert!(
            tokio::time::Instant::now() < deadline,
            "a temporary file is left behind"
        );
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn without_a_modules_folder_nothing_can_be_uploaded() {
    let host = Setup::new().start().await;
    let answer = upload(&host, "m", "", b"\0asm".to_vec()).await;
    assert_eq!(answer.status, 409, "{answer:?}");
    assert!(answer.body.contains("--modules DIR"), "{answer:?}");
}
