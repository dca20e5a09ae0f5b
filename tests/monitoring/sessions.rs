//! Sessions of browsers, lists of clients and settings, and the log.

use hookhost_tests::client::Client;
use hookhost_tests::host::{self, Host, Setup};
use hookhost_tests::http::ask;
use hookhost_tests::process::Process;
use hookhost_tests::{PATIENCE, Version};
use serde_json::{Value, json};

use crate::V;

const TOKEN: &str = "a-token-that-is-long-enough";

#[tokio::test]
async fn clients_and_given_settings_are_listed() {
    let host = Setup::new()
        .config("[webhook]\nurls = [\"http://me:hidden@127.0.0.1:9/x?hidden\"]\nheaders = { x = \"hidden\" }\n")
        .start()
        .await;
    let admin = host.admin.unwrap();
    let one = Client::connect(host.address, V, "<b>one</b>").await;
    let two = Client::connect(host.address, Version::V5, "two").await;
    let all = ask(admin, "GET /api/v1/clients", "").await.json();
    assert_eq!(all["total"], 2);
    assert_eq!(all["clients"][0]["id"], "<b>one</b>");
    assert_eq!(all["clients"][1]["protocol_version"], 5);
    assert_eq!(all["clients"][1]["connected"], true);
    let found = ask(admin, "GET /api/v1/clients?search=TWO&limit=1", "").await.json();
    assert_eq!(
        (&found["total"], &found["clients"][0]["id"]),
        (&json!(1), &json!("two"))
    );
    for wrong in ["limit=0", "limit=1001", "limit=x", "serch=x"] {
        assert_eq!(
            ask(admin, &format!("GET /api/v1/clients?{wrong}"), "").await.status,
            400,
            "{wrong}"
        );
    }
    let configuration = ask(admin, "GET /api/v1/configuration", "").await;
    assert!(!configuration.body.contains("hidden"), "{configuration:?}");
    let settings = configuration.json()["settings"].as_array().unwrap().clone();
    let of = |key: &str| settings.iter().find(|setting| setting["key"] == key).unwrap().clone();
    assert_eq!(of("webhook.urls")["value"], json!(["http://127.0.0.1:9/x"]));
    assert!(
        of("webhook.urls")["source"]
            .as_str()
            .unwrap()
            .contains("hookhost.toml:2")
    );
    assert_eq!(of("webhook.headers.x")["value"], Value::Null);
    assert_eq!(of("mqtt.listen")["source"], "--listen");
    one.disconnect().await;
    two.disconnect().await;
}

#[tokio::test]
async fn a_browser_logs_in_once_and_repeats_a_second_secret_for_changes() {
    let host = Setup::new().env("HOOKHOST_ADMIN__TOKEN", TOKEN).start().await;
    let admin = host.admin.unwrap();
    let page = ask(admin, "GET /", "").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, Some("text/html; charset=utf-8"))
    );
    let policy = page.header("content-security-policy").unwrap();
    assert!(
        policy.contains("default-src 'none'") && policy.contains("script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(
        !page.body.contains("<script>") && !page.body.contains("style="),
        "no inline script or style"
    );
    assert_eq!(ask(admin, "GET /api/v1/session", "").await.status, 401);
    assert_eq!(ask(admin, "GET /metrics", "").await.status, 401);
    assert_eq!(
        ask(
            admin,
            "POST /api/v1/session",
            "\r\nAuthorization: Bearer wrong-wrong-wrong"
        )
        .await
        .status,
        401
    );

    let opened = ask(
        admin,
        "POST /api/v1/session",
        &format!("\r\nAuthorization: Bearer {TOKEN}"),
    )
    .await;
    let csrf = opened.json()["csrf"].as_str().unwrap().to_owned();
    let set = opened.header("set-cookie").unwrap();
    assert!(
        set.ends_with("; path=/; max-age=43200; httponly; samesite=strict"),
        "{set}"
    );
    let cookie = format!("\r\nCookie: {}", set.split(';').next().unwrap());
    assert_eq!(
        ask(admin, "GET /api/v1/session", &cookie).await.json()["csrf"],
        json!(csrf)
    );
    assert_eq!(ask(admin, "GET /api/v1/modules", &cookie).await.status, 200);
    for (headers, expected) in [
        (cookie.clone(), 403),
        (format!("{cookie}\r\nX-CSRF-Token: wrong"), 403),
        (format!("{cookie}\r\nX-CSRF-Token: {csrf}"), 200),
        (
            format!("{cookie}\r\nX-CSRF-Token: {csrf}\r\nOrigin: http://evil.example"),
            403,
        ),
        (format!("\r\nX-CSRF-Token: {csrf}"), 401),
    ] {
        let answer = ask(admin, "POST /api/v1/modules/rescan", &headers).await;
        assert_eq!(answer.status, expected, "{headers}");
    }
    let closed = ask(
        admin,
        "DELETE /api/v1/session",
        &format!("{cookie}\r\nX-CSRF-Token: {csrf}"),
    )
    .await;
    assert!(closed.header("set-cookie").unwrap().contains("max-age=0"), "{closed:?}");
    assert_eq!(ask(admin, "GET /api/v1/modules", &cookie).await.status, 401);
}

#[tokio::test]
async fn without_a_terminal_a_log_line_is_a_json_object() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = host::command(dir.path());
    command.env("HOOKHOST_LOG__FORMAT", "auto");
    command.args(["run", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let process = Process::start(command);
    let line = process
        .stderr
        .wait("the ready line", PATIENCE, |line| line.contains("\"ready\""))
        .await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["level"], &line["message"]), (&json!("INFO"), &json!("ready")));
    assert!(line["mqtt"].as_str().unwrap().starts_with("127.0.0.1:"), "{line}");
    assert!(line["timestamp"].is_string() && line["target"].is_string(), "{line}");
    for line in process.stderr.lines() {
        assert!(serde_json::from_str::<Value>(&line).is_ok(), "{line}");
    }
}

#[tokio::test]
async fn the_log_filter_changes_while_the_host_runs() {
    let setup = Setup::new();
    let file = setup.dir().join("hookhost.toml");
    let reload = async |host: &Host, url: &str| {
        std::fs::write(&file, format!("[webhook]\nurls = [{url:?}]\n")).unwrap();
        // The host may have seen the change by itself, with the same log filter.
        host.ask(&["modules", "rescan"]).await;
    };
    let host = setup.config("").start().await;
    assert_eq!(host.ask(&["log"]).await, "the default: info\n");
    assert_eq!(host.ask(&["log", "--filter", "error"]).await, "error\n");
    let refused = host.try_ask(&["log", "--filter", "hookhost=loud"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("is not a log filter"), "{refused:?}");
    reload(&host, "http://127.0.0.1:9/one").await;
    assert_eq!(host.ask(&["log", "--filter", ""]).await, "the default: info\n");
    reload(&host, "http://127.0.0.1:9/two").await;
    let wanted = |line: &str| line.contains("configuration reloaded");
    host.log().wait("the second reload", PATIENCE, wanted).await;
    let reloads = host.log().lines().iter().filter(|line| wanted(line)).count();
    assert_eq!(reloads, 1, "the first one was not logged");
}
