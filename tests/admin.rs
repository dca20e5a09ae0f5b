//! The admin API as programs and browsers use it, and the commands and the signal that act on modules.

use std::net::SocketAddr;
use std::net::TcpListener;

use hookhost_tests::client::{Client, Options};
use hookhost_tests::host::{self, Ended, Host, Setup, ended};
use hookhost_tests::http;
use hookhost_tests::process::Process;
use hookhost_tests::raw::Raw;
use hookhost_tests::tls::{Authority, Subject};
use hookhost_tests::{PATIENCE, Version, binary};
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

async fn run(dir: &TempDir, args: &[&str]) -> Ended {
    let mut command = host::command(dir.path());
    command.args(args);
    ended(command).await
}

#[tokio::test]
async fn addresses_that_cannot_be() {
    let dir = TempDir::new().unwrap();
    for (args, words) in [
        (vec!["check", "--admin", "nowhere"], vec!["--admin", "\"off\""]),
        (vec!["check", "--admin", "0.0.0.0:0"], vec!["--admin", "admin.token"]),
    ] {
        let ended = run(&dir, &args).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
        for word in words {
            assert!(
                ended.stderr.contains(word),
                "{args:?}: {word} is not in {}",
                ended.stderr
            );
        }
    }
    assert_eq!(run(&dir, &["check", "--admin", "off"]).await.code, Some(0));
    let config = dir.path().join("c.toml");
    for (text, word) in [
        ("[admin]\ntoken = \"short\"", "16 characters"),
        ("[admin]\ntoken_file = \"missing\"", "missing"),
        (
            "[admin]\ntoken_file = \"c.toml\"\ntoken = \"0123456789abcdef\"",
            "one of them",
        ),
        ("[admin]\ntokenn = \"x\"", "admin.token"),
        ("[admin]\nviewer_token = \"0123456789abcdef\"", "needs admin.token"),
        ("[admin]\ntoken = \"sha256:12\"", "64 hex digits"),
        ("[admin]\nkey = \"c.toml\"", "needs `certificate` and `key`"),
        (
            "[admin]\ncertificate = \"c.toml\"\nkey = \"c.toml\"",
            "holds no certificate",
        ),
    ] {
        std::fs::write(&config, text).unwrap();
        let ended = run(&dir, &["check", "--config", "c.toml"]).await;
        assert_eq!(ended.code, Some(2), "{text}: {ended:?}");
        assert!(
            ended.stderr.contains(word) && !ended.stderr.contains("short"),
            "{text}: {}",
            ended.stderr
        );
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(&dir, &["run", "--listen", "127.0.0.1:0", "--admin", &address]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains(&address) && ended.stderr.contains("--admin"),
        "{}",
        ended.stderr
    );
}

#[tokio::test]
async fn a_default_address_in_use_keeps_no_host_from_starting() {
    // The address may be in use by this test or another program.
    let _taken = TcpListener::bind("127.0.0.1:18083");
    let dir = TempDir::new().unwrap();
    let mut command = host::command(dir.path());
    command.args(["run", "--listen", "127.0.0.1:0"]);
    let mut process = Process::start(command);
    let ready = process
        .stderr
        .wait("ready", PATIENCE, |line| line.contains("ready mqtt="))
        .await;
    assert!(
        ready.contains("admin=\"off\"") || ready.contains("admin=off"),
        "{ready}"
    );
    let log = process.stderr.lines().join("\n");
    assert!(log.contains("127.0.0.1:18083") && log.contains("--admin"), "{log}");
    process.signal(Signal::TERM);
    assert_eq!(process.wait(PATIENCE).await, Some(0));
}

#[tokio::test]
async fn commands_say_where_they_have_looked_for_a_host() {
    let dir = TempDir::new().unwrap();
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let ended = run(&dir, &["quarantine", "list", "--admin", &free]).await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains(&free) && ended.stderr.contains("--admin"),
        "{}",
        ended.stderr
    );
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_broker_says_how_it_is_doing() {
    let host = Setup::new().start().await;
    let persistent = Options::persistent(Version::V311, "away");
    Client::open(host.address, persistent).await.disconnect().await;
    let _here = Raw::client(host.address, Version::V5, "here").await;
    let listeners =
        |address: SocketAddr| json!([{"name": "tcp:default", "kind": "tcp", "address": address.to_string()}]);
    let expected = json!({
        "engine": "rmqtt", "listen": host.address.to_string(), "listeners": listeners(host.address),
        "sessions": 2, "connected": 1,
        "counters": {
            "accepted": 2, "connections_refused": 0, "connections_refused_per_address": 0, "connection_rate_waits": 0,
            "accept_errors": 0, "handshakes_timed_out": 0, "proxy_headers_invalid": 0, "tls_handshakes_failed": 0,
            "websocket_upgrades_failed": 0, "not_mqtt": 0, "connects_timed_out": 0,
            "sessions.queued_messages": 0, "sessions.queued_bytes": 0, "sessions.dropped_messages": 0,
            "retained.messages": 0, "retained.bytes": 0, "retained.refused": 0,
            "refused_logins": 0, "denied_publishes": 0, "denied_subscriptions": 0, "publish_rate_exceeded": 0,
            "subscriptions.refused": 0,
        },
    });
    // DISCONNECT has no answer, so the host may need a moment.
    let asked = async { while ask(&host, "GET /api/v1/broker", "").await != (200, expected.clone()) {} };
    let seen = tokio::time::timeout(PATIENCE, asked).await;
    assert!(seen.is_ok(), "{:?}", ask(&host, "GET /api/v1/broker", "").await);

    let gateway = Setup::new()
        .env("HOOKHOST_BROKER__ENGINE", "gateway")
        .env("HOOKHOST_BROKER__UPSTREAM", "rumqttd")
        .start()
        .await;
    let mut stranger = Raw::open(gateway.address).await;
    stranger.send(b"GET / HTTP/1.1\r\n\r\n").await;
    stranger.closed().await;
    let _here = Raw::client(gateway.address, Version::V5, "here").await;
    let (status, broker) = ask(&gateway, "GET /api/v1/broker", "").await;
    assert_eq!(
        (status, broker),
        (
            200,
            json!({
                "engine": "gateway", "listen": gateway.address.to_string(), "listeners": listeners(gateway.address),
                "sessions": 1, "connected": 1,
                "counters": {
                    "accepted": 2, "connections_refused": 0, "connections_refused_per_address": 0,
                    "connection_rate_waits": 0, "accept_errors": 0, "handshakes_timed_out": 0,
                    "proxy_headers_invalid": 0, "tls_handshakes_failed": 0, "websocket_upgrades_failed": 0,
                    "not_mqtt": 1, "unanswered": 0, "unreadable": 0, "too_long": 0, "unexpected": 0,
                    "forgotten": 0, "deaths_of_rumqttd": 0,
                    "refused_logins": 0, "denied_publishes": 0, "denied_subscriptions": 0, "publish_rate_exceeded": 0,
                },
            })
        )
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_kicked_whatever_their_ids_are() {
    for upstream in [None, Some("rumqttd")] {
        let mut setup = Setup::new();
        if let Some(upstream) = upstream {
            setup = setup
                .env("HOOKHOST_BROKER__ENGINE", "gateway")
                .env("HOOKHOST_BROKER__UPSTREAM", upstream);
        }
        let host = setup.start().await;
        for (version, id) in [(Version::V5, "a/b c+%2Fü"), (Version::V311, ".."), (Version::V311, "x")] {
            let mut client = Raw::client(host.address, version, id).await;
            assert_eq!(host.ask(&["clients", "kick", id]).await, format!("{id}: kicked\n"));
            client.closed().await;
        }
        let ended = host.try_ask(&["clients", "kick", "nobody"]).await;
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("there is no client \"nobody\""), "{ended:?}");

        // The session of a disconnected client.
        let persistent = || Options::persistent(Version::V311, "away");
        Client::open(host.address, persistent()).await.disconnect().await;
        let (status, body) = ask(&host, "DELETE /api/v1/clients/aw%61y", "").await;
        assert_eq!((status, body), (200, json!({"kicked": "away"})));
        if upstream.is_none() {
            assert!(!Client::open(host.address, persistent()).await.session_present);
        }
        for (what, expected) in [
            ("DELETE /api/v1/clients/%ff", 400),
            ("DELETE /api/v1/clients/", 404),
            ("DELETE /api/v1/clients", 400),
            ("DELETE /api/v1/clients?id=nobody", 404),
            ("GET /api/v1/clients/x", 405),
        ] {
            assert_eq!(ask(&host, what, "").await.0, expected, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_with_a_certificate_that_is_renewed() {
    let setup = Setup::new();
    let dir = setup.dir().to_owned();
    let write_certificate = |authority: &Authority| {
        let server = authority.issue(Subject::Local);
        let files = [
            ("ca.pem", authority.pem()),
            ("server.pem", &server.certificate),
            ("server.key", &server.key),
        ];
        for (name, content) in files {
            std::fs::write(dir.join(name), content).unwrap();
        }
    };
    write_certificate(&Authority::new("authority"));
    let config = "[admin]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";
    let host = setup.config(config).start().await;
    let ready = |address: String, arguments: &[&str]| {
        let mut command = host::command(host.dir());
        command.arg("ready").args(arguments).env("HOOKHOST_ADMIN", address);
        ended(command)
    };
    let address = host.admin.unwrap();
    let trusted = || ready(format!("https://{address}"), &["--ca-file", "ca.pem"]);
    let first = trusted().await;
    assert_eq!((first.code, first.stdout.as_str()), (Some(0), "ready\n"), "{first:?}");
    for (address, text) in [
        (format!("https://{address}"), "--ca-file FILE"),
        (address.to_string(), "the admin API expects https: at this address"),
    ] {
        let refused = ready(address, &[]).await;
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(text), "{refused:?}");
    }
    write_certificate(&Authority::new("renewed"));
    let renewed = |line: &str| line.contains("TLS files reloaded") && line.contains("listener=\"admin\"");
    host.log().wait("the new certificate", PATIENCE, renewed).await;
    let later = trusted().await;
    assert_eq!(
        later.code,
        Some(0),
        "the command trusts the new authority only: {later:?}"
    );
}
