//! Access control of other brokers with the real binary: a client may do the same as in that broker.

use hookhost_tests::Version;
use hookhost_tests::host::{Host, Setup, command, ended};
use hookhost_tests::packet::{self, Connect, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::{Answer, Sink};

const ACL: &str = "{allow, {user, \"alice\"}, all, [\"plant/#\"]}.\n{deny, all}.\n";

fn login(id: &str, name: &str, password: &str) -> Connect {
    Connect {
        username: Some(name.as_bytes().to_vec()),
        password: Some(password.as_bytes().to_vec()),
        ..Connect::new(Version::V5, id)
    }
}

/// The code of CONNACK.
async fn connack(host: &Host, connect: &Connect) -> u8 {
    let mut client = Raw::open(host.address).await;
    client.send(&connect.encode()).await;
    client.expect(kind::CONNACK).await.body[1]
}

/// The code of SUBACK for a client that logs in.
async fn suback(host: &Host, connect: &Connect, filter: &str) -> u8 {
    let mut client = Raw::connect(host.address, connect).await;
    client
        .send(&packet::subscribe(Version::V5, 1, &[(filter, 1)], None))
        .await;
    *client.expect(kind::SUBACK).await.body.last().unwrap()
}

/// A host with a file of a broker, an `acl.conf` beside it, and these variables.
async fn host(name: &str, text: &str) -> Host {
    let setup = Setup::new();
    std::fs::write(setup.dir().join("acl.conf"), ACL).unwrap();
    setup.webhook_file(name, text).start().await
}

#[tokio::test]
async fn users_and_rules_of_emqx_4() {
    let text = "web.hook.url = http://127.0.0.1:1/\nweb.hook.rule.client.connected.1 = {\"action\": \"on_client_connected\"}\n\
        allow_anonymous = false\nacl_file = acl.conf\nacl_nomatch = deny\n\
        auth.user.1.username = alice\nauth.user.1.password = public\nauth.user.2.username = bob\nauth.user.2.password = hidden\n";
    let host = host("emqx.conf", text).await;
    assert_eq!(connack(&host, &login("c", "alice", "wrong")).await, 134);
    assert_eq!(connack(&host, &Connect::new(Version::V5, "c")).await, 135);
    assert_eq!(suback(&host, &login("a", "alice", "public"), "plant/#").await, 1);
    assert_eq!(suback(&host, &login("a", "alice", "public"), "other").await, 135);
    assert_eq!(suback(&host, &login("b", "bob", "hidden"), "plant/#").await, 135);
}

#[tokio::test]
async fn a_web_service_and_rules_of_emqx_5() {
    let service = Sink::start().await;
    service.answer(|request, _| match request.json()["name"] == "alice" {
        true => Answer::Status(204),
        false => Answer::Bytes(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 17\r\n\r\n{\"result\":\"deny\"}"
                .to_vec(),
        ),
    });
    let text = format!(
        "connectors.http.c {{ url = \"http://127.0.0.1:1/\" }}\nactions.http.a {{ connector = c }}\n\
         rule_engine.rules.r {{ sql = \"SELECT * FROM t\", actions = [\"http:a\"] }}\n\
         authentication {{ mechanism = password_based, backend = http, method = post, url = \"{}\", \
         body {{ name = \"${{username}}\" }}, headers {{ \"content-type\" = \"application/json\", x-key = k }} }}\n\
         authorization {{ no_match = deny, sources = [{{ type = file, path = \"acl.conf\" }}] }}\n",
        service.url("/auth")
    );
    let host = host("emqx.conf", &text).await;
    assert_eq!(connack(&host, &login("c", "eve", "x")).await, 134);
    assert_eq!(suback(&host, &login("a", "alice", "x"), "plant/1").await, 1);
    assert_eq!(suback(&host, &login("a", "alice", "x"), "#").await, 135);
    let asked = service.requests();
    assert!(
        asked
            .iter()
            .all(|request| request.path == "/auth" && request.header("x-key") == Some("k")),
        "{asked:?}"
    );
}

/// A host with `plugins/rmqtt-web-hook.toml`, and these files of RMQTT.
async fn rmqtt(files: &[(&str, &str)]) -> Host {
    let setup = Setup::new();
    let folder = setup.dir().join("plugins");
    std::fs::create_dir(&folder).unwrap();
    for (name, text) in files {
        std::fs::write(setup.dir().join(name), text).unwrap();
    }
    let text = "urls = [\"http://127.0.0.1:1/\"]\nrule.client_connected = [{ action = \"client_connected\" }]\n";
    setup.webhook_file("plugins/rmqtt-web-hook.toml", text).start().await
}

#[tokio::test]
async fn users_and_rules_of_rmqtt() {
    let acl = "rules = [\n[\"allow\", { user = \"alice\", password = \"public\" }, \"all\", [\"plant/%c/#\"]],\n\
        [\"deny\", \"all\"]\n]\n";
    let host = rmqtt(&[("plugins/rmqtt-acl.toml", acl)]).await;
    assert_eq!(connack(&host, &login("a", "alice", "wrong")).await, 134);
    assert_eq!(connack(&host, &login("a", "bob", "public")).await, 134);
    assert_eq!(connack(&host, &Connect::new(Version::V5, "a")).await, 135);
    assert_eq!(suback(&host, &login("a", "alice", "public"), "plant/a/#").await, 1);
    assert_eq!(suback(&host, &login("a", "alice", "public"), "plant/b/#").await, 128);
    // The rules that RMQTT has without a file. They permit this machine to subscribe to everything.
    let host = rmqtt(&[("rmqtt.toml", "plugins.default_startups = [\"rmqtt-web-hook\"]\n")]).await;
    assert_eq!(suback(&host, &login("a", "eve", "x"), "#").await, 1);
    let acl = "rules = [[\"deny\", \"all\", \"subscribe\", [{ eq = \"#\" }]], [\"allow\", \"all\"]]\n";
    let host = rmqtt(&[("plugins/rmqtt-acl.toml", acl)]).await;
    assert_eq!(suback(&host, &login("a", "eve", "x"), "#").await, 128);
    assert_eq!(suback(&host, &login("a", "eve", "x"), "a/#").await, 1);
}

#[tokio::test]
async fn the_web_service_of_rmqtt_decides_by_its_text() {
    let service = Sink::start().await;
    service.answer(|request, _| {
        let body = &request.body;
        let answer = match (
            request.path.as_str(),
            body.contains("user=alice") || body.contains("topic=plant"),
        ) {
            ("/auth" | "/acl", true) => "allow",
            ("/auth", _) => "deny",
            _ => "ignore",
        };
        let length = answer.len();
        Answer::Bytes(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{answer}").into_bytes())
    });
    let http = format!(
        "http_headers.User-Agent = \"RMQTT/0.4.0\"\nhttp_headers.Connection = \"keep-alive\"\n\
         http_auth_req = {{ url = \"{}\", method = \"post\", params = {{ user = \"%u\", id = \"%c\", password = \"%P\" }} }}\n\
         http_acl_req = {{ url = \"{}\", method = \"put\", params = {{ access = \"%A\", topic = \"%t\" }} }}\n",
        service.url("/auth"),
        service.url("/acl"),
    );
    let acl = "rules = [[\"allow\", \"all\", \"subscribe\", [\"open/#\"]], [\"deny\", \"all\"]]\n";
    let host = rmqtt(&[
        ("rmqtt.toml", "plugins.default_startups = [\"rmqtt-auth-http\"]\n"),
        ("plugins/rmqtt-auth-http.toml", &http),
        ("plugins/rmqtt-acl.toml", acl),
    ])
    .await;
    assert_eq!(connack(&host, &login("a", "eve", "x")).await, 134);
    assert_eq!(connack(&host, &Connect::new(Version::V5, "a")).await, 135);
    assert_eq!(suback(&host, &login("a", "alice", "x"), "plant/1").await, 1);
    assert_eq!(suback(&host, &login("a", "alice", "x"), "open/1").await, 1);
    assert_eq!(suback(&host, &login("a", "alice", "x"), "other").await, 135);
    let asked = service.requests();
    let is_of = |path: &str, method: &str| {
        asked
            .iter()
            .filter(|one| one.path == path)
            .all(|one| one.method == method)
    };
    assert!(is_of("/auth", "POST") && is_of("/acl", "PUT"), "{asked:?}");
    assert!(
        asked
            .iter()
            .all(|request| request.header("user-agent") == Some("RMQTT/0.4.0")),
        "{asked:?}"
    );
    assert_eq!(asked[0].body, "id=a&password=x&user=eve");
}

#[tokio::test]
async fn check_lists_the_imported_settings() {
    let dir = tempfile::tempdir().unwrap();
    let text = "webhook { url = \"http://h/\", events = [{ event = \"on_client_connack\" }] }\n\
        listeners.tcp { bind = \"127.0.0.1:1884\" }\nmqtt { max_packet_size = 64KB }\n\
        auth { allow_anonymous = false, no_match = deny, password { alice = public },\n\
        acl { rules = [{ permit = allow, username = alice, action = publish, topics = [\"a\"] }] } }\n";
    std::fs::write(dir.path().join("nanomq.conf"), text).unwrap();
    let mut check = command(dir.path());
    check.args(["check", "--webhook-config", "nanomq.conf"]);
    let ended = ended(check).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for line in [
        "  MQTT:    127.0.0.1:1884\n",
        "  access:  clients are checked by password; 1 access rule, other topics are denied\n",
        "  imports: [[authentication]] password (nanomq.conf:4: auth.password)\n",
        "[[listener]] tcp:default 127.0.0.1:1884 (nanomq.conf:2: listeners.tcp)\n",
        "mqtt.max_packet_size (nanomq.conf:3: mqtt.max_packet_size)\n",
    ] {
        assert!(ended.stdout.contains(line), "{line} {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("public"), "{}", ended.stdout);
}

/// Runs `check` for a host with these arguments and variables, and returns its exit code and standard error.
async fn check(setup_dir: &std::path::Path, variables: &[(&str, &str)], args: &[&str]) -> (Option<i32>, String) {
    let mut checked = command(setup_dir);
    checked.arg("check").args(args).envs(variables.iter().copied());
    let ended = ended(checked).await;
    (ended.code, ended.stderr)
}

#[tokio::test]
async fn a_restriction_without_users_is_an_error_unless_it_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let closed = [("EMQX_ALLOW_ANONYMOUS", "false")];
    let line = "environment: EMQX_ALLOW_ANONYMOUS: demands credentials, but this configuration does not name the users";
    let (code, text) = check(dir.path(), &closed, &[]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.starts_with(&format!("error: {line}")), "{text}");
    // The second is the flag's former name.
    for flag in ["--ignore-access-control", "--accept-open"] {
        let (code, text) = check(dir.path(), &closed, &[flag]).await;
        assert_eq!(code, Some(0), "{flag}: {text}");
        assert!(text.starts_with(&format!("warning: {line}")), "{flag}: {text}");
    }
    std::fs::write(
        dir.path().join("hookhost.toml"),
        "[webhook]\nignore_access_control = true\n",
    )
    .unwrap();
    assert_eq!(check(dir.path(), &closed, &[]).await.0, Some(0));
    // The broker behind a gateway keeps its restrictions.
    let gateway = "[broker]\nengine = \"gateway\"\nupstream = \"mqtt://127.0.0.1:1\"\n";
    std::fs::write(dir.path().join("hookhost.toml"), gateway).unwrap();
    assert_eq!(check(dir.path(), &closed, &[]).await, (Some(0), String::new()));

    std::fs::remove_file(dir.path().join("hookhost.toml")).unwrap();
    let mut refused = command(dir.path());
    refused
        .args(["run", "--listen", "127.0.0.1:0"])
        .env("EMQX_ALLOW_ANONYMOUS", "false");
    let refused = ended(refused).await;
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.starts_with(&format!("error: {line}")), "{refused:?}");

    let setup = Setup::new().env("EMQX_ALLOW_ANONYMOUS", "false");
    let mut host = setup.arg("--ignore-access-control").start().await;
    host.stop().await;
    let log = host.log().lines();
    let warned = log.iter().filter(|text| text.contains("WARN") && text.contains(line));
    assert_eq!(warned.count(), 1, "{log:?}");
}
