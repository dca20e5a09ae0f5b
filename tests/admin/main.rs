//! The admin API as programs and browsers use it, and the commands and the signal that act on modules.

mod addresses;
mod clients;
mod modules;
mod openapi;
mod schemathesis;
mod streams;

use hookhost_tests::host::{Host, Setup};
use hookhost_tests::{PATIENCE, binary, http};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "a token that is long enough";

/// A request as programs on this machine send it, with more headers.
async fn ask(host: &Host, what: &str, headers: &str) -> (u16, Value) {
    let answer = http::ask(host.admin.unwrap(), what, headers).await;
    let (status, body) = (answer.status, answer.json());
    assert_eq!(
        answer.header("content-type"),
        Some("application/json"),
        "{what}: {answer:?}"
    );
    if status != 200 {
        assert!(
            body["error"].is_string() && body.as_object().unwrap().len() == 1,
            "{what}: {body}"
        );
    }
    (status, body)
}

#[tokio::test]
async fn what_is_asked_is_answered_in_json() {
    let host = Setup::new().start().await;
    let (status, health) = ask(&host, "GET /api/v1/health", "").await;
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    let (_, modules) = ask(&host, "GET /api/v1/modules", "").await;
    let webhook = &modules["modules"][0];
    assert_eq!(
        (&webhook["name"], &webhook["state"]),
        (&json!("webhook"), &json!("running"))
    );
    assert_eq!(webhook["generation"]["origin"], "built-in");
    assert_eq!(webhook["generation"]["egress"], json!(["stdout:"]));
    let hooks = webhook["generation"]["hooks"].as_array().unwrap();
    assert!(hooks.contains(&json!("message-publish")), "{hooks:?}");
    let (_, one) = ask(&host, "GET /api/v1/modules/webhook", "").await;
    assert_eq!(one["name"], "webhook");
    let (_, found) = ask(&host, "POST /api/v1/modules/rescan", "").await;
    assert_eq!(found["folder"], Value::Null);
    let (_, quarantine) = ask(&host, "GET /api/v1/quarantine?module=webhook&limit=5&before=10", "").await;
    assert_eq!(quarantine, json!({"entries": [], "more": false}));
    for (what, expected) in [
        ("GET /api/v1/modules/none", 404),
        ("GET /api/v1/modules/rescan", 404),
        ("GET /api/v1/quarantine/1", 404),
        ("POST /api/v1/quarantine/1/replay", 404),
        ("DELETE /api/v1/quarantine/1", 404),
        ("GET /api/v1/quarantine/x", 400),
        ("GET /api/v1/quarantine?limit=0", 400),
        ("GET /api/v1/quarantine?limit=1001", 400),
        ("GET /api/v1/quarantine?modul=x", 400),
        ("DELETE /api/v1/quarantine", 400),
        ("DELETE /api/v1/quarantine?module=x&all=true", 400),
        ("POST /api/v1/quarantine/replay", 400),
        ("POST /api/v1/quarantine/replay?all=true", 200),
        ("DELETE /api/v1/quarantine?module=x", 200),
        ("DELETE /api/v1/modules", 405),
        ("GET /dashboard/none.js", 404),
        ("GET /api/v2/modules", 404),
    ] {
        let (status, body) = ask(&host, what, "").await;
        assert_eq!(status, expected, "{what}: {body}");
    }
}

#[tokio::test]
async fn pages_of_other_places_cannot_ask_through_a_browser() {
    let host = Setup::new().start().await;
    let address = host.admin.unwrap();
    let with_host = |host: &str| http::send(address, format!("GET /api/v1/modules HTTP/1.1\r\nHost: {host}"));
    for (name, expected) in [
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost", 200),
        ("[::1]:5", 200),
    ] {
        assert_eq!(with_host(name).await.status, expected, "{name}");
    }
    assert_eq!(
        ask(&host, "POST /api/v1/modules/rescan", "\r\nOrigin: http://evil.example")
            .await
            .0,
        403
    );
    let own = format!("\r\nOrigin: http://{address}");
    assert_eq!(ask(&host, "POST /api/v1/modules/rescan", &own).await.0, 200);
}

#[tokio::test]
async fn a_token_is_asked_for_and_never_shown() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n").replace(' ', "-")).unwrap();
    let token = TOKEN.replace(' ', "-");
    let mut host = Setup::new()
        .env("HOOKHOST_ADMIN__TOKEN_FILE", file.to_str().unwrap())
        .start()
        .await;
    assert_eq!(ask(&host, "GET /api/v1/health", "").await.0, 200);
    for (headers, expected) in [
        ("".to_owned(), 401),
        ("\r\nAuthorization: Bearer wrong".to_owned(), 401),
        (format!("\r\nAuthorization: Basic {token}"), 401),
        (format!("\r\nAuthorization: Bearer {token}"), 200),
    ] {
        assert_eq!(
            ask(&host, "GET /api/v1/modules", &headers).await.0,
            expected,
            "{headers}"
        );
    }
    let refused = host.try_ask(&["modules"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("a token is needed"), "{refused:?}");
    let list = host.ask(&["modules", "--token-file", file.to_str().unwrap()]).await;
    assert!(list.contains("webhook"), "{list}");
    host.stop().await;
    let log = host.log().lines().join("\n");
    assert!(!log.contains(&token), "{log}");
}

#[tokio::test]
async fn a_viewer_may_read_and_change_nothing() {
    // printf %s viewer-viewer-viewer | sha256sum
    let hash = "sha256:a3fa9c380085f6da025455058a83601bbf684f0791a622348b780be8a9b4fba3";
    let mut host = Setup::new()
        .env("HOOKHOST_ADMIN__TOKEN", "admin-admin-admin")
        .env("HOOKHOST_ADMIN__VIEWER_TOKEN", hash)
        .start()
        .await;
    let viewer = "\r\nAuthorization: Bearer viewer-viewer-viewer";
    for (what, expected) in [
        ("GET /api/v1/modules", 200),
        ("GET /api/v1/webhooks", 200),
        ("POST /api/v1/modules/rescan", 403),
        ("DELETE /api/v1/clients/c", 403),
        ("POST /api/v1/webhooks", 403),
    ] {
        let (status, body) = ask(&host, what, viewer).await;
        assert_eq!(status, expected, "{what}: {body}");
    }
    let (_, session) = ask(&host, "POST /api/v1/session", viewer).await;
    assert_eq!(session["role"], "viewer");
    let admin = "\r\nAuthorization: Bearer admin-admin-admin";
    assert_eq!(ask(&host, "POST /api/v1/modules/rescan", admin).await.0, 200);
    // A viewer tries saved webhooks. A draft names files, and its errors would tell which of them exist.
    let draft = json!({"name": "d", "url": "http://h/", "bearer_file": "/etc/shadow"});
    for (body, expected) in [
        (json!({"event": {"hook": "client-connected"}}), 200),
        (json!({"event": {"hook": "client-connected"}, "webhook": draft}), 403),
    ] {
        let answer = http::ask_with(host.admin.unwrap(), "POST /api/v1/event-trials", viewer, &body).await;
        assert_eq!(answer.status, expected, "{body}: {answer:?}");
    }
    // Requests of anybody cannot fill the log: 20 lines in a second.
    for _ in 0..100 {
        assert_eq!(ask(&host, "POST /api/v1/modules/rescan", "").await.0, 401);
    }
    let as_hash = format!("\r\nAuthorization: Bearer {hash}");
    assert_eq!(
        ask(&host, "GET /api/v1/modules", &as_hash).await.0,
        401,
        "the hash is not a token"
    );
    host.stop().await;
    let log = host.log().lines().join("\n");
    for line in [
        "audit: admin request method=POST path=\"/api/v1/modules/rescan\" by=\"token\" role=\"viewer\" status=403",
        "audit::refused: admin request method=POST path=\"/api/v1/modules/rescan\" by=\"unknown\" role=\"none\" status=401",
        "method=POST path=\"/api/v1/modules/rescan\" by=\"token\" role=\"admin\" status=200",
    ] {
        assert!(log.contains(line), "{line} is not in {log}");
    }
}

#[tokio::test]
async fn the_folder_is_looked_at_when_asked_and_on_sighup() {
    let host = Setup::new().modules().start().await;
    let builtin = std::fs::read(binary::builtin_module()).unwrap();
    host.drop_module(
        "other.toml",
        "[config]\nurls = [\"stdout:\"]\nrule.message_publish = [{ action = \"x\" }]\n",
    );
    host.drop_module("other.wasm", &builtin);
    host.drop_module("bad.wasm", "no module");
    let found = host.try_ask(&["modules", "rescan", "--json"]).await;
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    // The host may have noticed the change itself. It then retries what did not load.
    assert_eq!(found["rejected"][0]["name"], "bad");
    let list = host.ask(&["modules"]).await;
    for (name, state) in [("other", "running"), ("webhook", "running"), ("bad", "rejected")] {
        let line = list
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{list}"));
        assert!(line.contains(state), "{line}");
    }
    assert!(list.contains("bad: ") && list.contains("not WebAssembly"), "{list}");

    let mark = host.log().mark();
    host.process.signal(Signal::HUP);
    let line = host
        .log()
        .wait_after(mark, "what was found", PATIENCE, |line| {
            line.contains("modules folder rescanned")
        })
        .await;
    assert!(
        line.contains("rejected=\"bad\"") && line.contains("other,webhook"),
        "{line}"
    );
    assert!(host.process.is_running());
}

#[tokio::test]
async fn sighup_without_a_folder_is_harmless() {
    let mut host = Setup::new().start().await;
    host.process.signal(Signal::HUP);
    host.log()
        .wait("an answer", PATIENCE, |line| line.contains("no modules folder"))
        .await;
    host.stop().await;
}
