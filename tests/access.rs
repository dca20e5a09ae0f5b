//! Authentication and access control with the real binary: password files, access rules and anonymous clients.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use hookhost_tests::host::{Ended, Host, Setup, command, ended};
use hookhost_tests::packet::{self, Connect, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::{Answer, Sink};
use hookhost_tests::{PATIENCE, Version};
use serde_json::{Value, json};

const VERSIONS: [Version; 2] = [Version::V311, Version::V5];

/// Runs `hookhost users` with a password on standard input.
fn users(dir: &Path, args: &[&str], password: &str) -> Ended {
    let mut command = command(dir);
    command.arg("users").args(args).args(["--file", "users"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn add(dir: &Path, name: &str, password: &str) {
    let ended = users(dir, &["add", name], &format!("{password}\n"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// A host with these settings, a password file with alice and bob, and a record of its events.
async fn host(settings: &str) -> Host {
    let setup = Setup::new();
    add(setup.dir(), "alice", "secret");
    add(setup.dir(), "bob", "hidden");
    let setup = setup.config(&format!("[webhook.rule]\n{settings}"));
    setup.recording().start().await
}

/// The events of a hook, once there are as many as expected.
async fn events(host: &Host, hook: &str, count: usize) -> Vec<Value> {
    host.recorded(hook, count, |_| true).await
}

fn login(version: Version, id: &str, credentials: Option<(&str, &str)>) -> Connect {
    Connect {
        username: credentials.map(|(name, _)| name.as_bytes().to_vec()),
        password: credentials.map(|(_, password)| password.as_bytes().to_vec()),
        ..Connect::new(version, id)
    }
}

/// The code of CONNACK.
async fn connack(host: &Host, connect: &Connect) -> u8 {
    let mut client = Raw::open(host.address).await;
    client.send(&connect.encode()).await;
    client.expect(kind::CONNACK).await.body[1]
}

/// The code of CONNACK for an MQTT 5 code.
fn code(version: Version, code: u8) -> u8 {
    match (version, code) {
        (Version::V5, code) => code,
        (_, 134) => 4,
        (_, 135) => 5,
        (_, code) => code,
    }
}

const PASSWORDS: &str = "[[authentication]]\nsource = \"password\"\nfile = \"users\"\n";

#[tokio::test]
async fn users_are_added_removed_and_listed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    add(dir, "alice", "secret");
    add(dir, "bob", "hidden");
    add(dir, "alice", "changed");
    assert_eq!(users(dir, &["list"], "").stdout, "alice\nbob\n");
    let file = std::fs::read_to_string(dir.join("users")).unwrap();
    assert_eq!(file.lines().count(), 2);
    assert!(
        !file.contains("changed") && file.starts_with("alice:$argon2id$"),
        "{file}"
    );
    assert_eq!(users(dir, &["remove", "alice"], "").code, Some(0));
    assert_eq!(users(dir, &["list"], "").stdout, "bob\n");
    let missing = users(dir, &["remove", "alice"], "");
    assert_eq!(
        (missing.code, &*missing.stderr),
        (Some(1), "error: there is no user alice in users\n")
    );
    let empty = users(dir, &["add", "carol"], "\n");
    assert_eq!(
        (empty.code, &*empty.stderr),
        (Some(1), "error: a password has 1 to 65,535 bytes\n")
    );
    let invalid = users(dir, &["add", "#carol"], "x\n");
    assert_eq!(invalid.code, Some(1), "{invalid:?}");
    let left: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["users"], "no temporary file is left");
}

/// Who gets in with a password file, in the engine that `settings` select.
async fn passwords_are_checked(settings: &str) {
    let host = host(&format!("{PASSWORDS}{settings}")).await;
    for version in VERSIONS {
        for (credentials, expected) in [
            (Some(("alice", "secret")), 0),
            (Some(("alice", "secret")), 0),
            (Some(("bob", "hidden")), 0),
            (Some(("alice", "hidden")), 134),
            (Some(("carol", "secret")), 134),
            (None, 135),
        ] {
            let connect = login(version, "c", credentials);
            assert_eq!(
                connack(&host, &connect).await,
                code(version, expected),
                "{version:?} {credentials:?}"
            );
        }
        let bytes = Connect {
            password: Some(vec![0xff; 65_535]),
            ..login(version, "c", Some(("alice", "")))
        };
        assert_eq!(connack(&host, &bytes).await, code(version, 134));
    }
    let authenticated = events(&host, "client-authenticated", 14).await;
    let codes: Vec<(&Value, &Value, &Value)> = authenticated
        .iter()
        .take(7)
        .map(|event| {
            let record = &event["authentication"];
            (&record["code"], &record["anonymous"], &record["source"])
        })
        .collect();
    let shown = serde_json::to_string(&codes).unwrap();
    let expected = "[[0,false,\"password\"],[0,false,\"password\"],[0,false,\"password\"],[134,false,\"password\"],\
                    [134,false,\"default\"],[135,false,\"default\"],[134,false,\"password\"]]";
    assert_eq!(shown, expected);
    let refused = events(&host, "client-connack", 14).await;
    let refused = refused.iter().filter(|event| event["connack"]["code"] != 0).count();
    assert_eq!(refused, 8);
}

#[tokio::test]
async fn passwords_are_checked_by_the_built_in_broker() {
    passwords_are_checked("").await;
}

/// A broker that accepts everybody, and the settings of a gateway in front of it.
async fn open_broker() -> (Host, String) {
    let upstream = Setup::new().config("[webhook.rule]\n").start().await;
    let settings = format!(
        "[broker]\nengine = \"gateway\"\nupstream = \"mqtt://{}\"\n",
        upstream.address
    );
    (upstream, settings)
}

#[tokio::test]
async fn passwords_are_checked_by_the_gateway() {
    let (_upstream, settings) = open_broker().await;
    passwords_are_checked(&settings).await;
}

const RULES: &str = r##"
[access]
file = "acl.toml"
"##;

const ACL: &str = r##"
[[rule]]
permit = "deny"
action = "publish"
topics = ["a/locked"]

[[rule]]
permit = "allow"
username = "alice"
topics = ["a/#"]

[[rule]]
permit = "allow"
topics = ["own/${clientid}/#", "users/${username}"]
"##;

/// A host with access rules and these further settings.
async fn ruled(settings: &str) -> Host {
    let setup = Setup::new();
    add(setup.dir(), "alice", "secret");
    add(setup.dir(), "bob", "hidden");
    std::fs::write(setup.dir().join("acl.toml"), ACL).unwrap();
    let setup = setup.config(&format!("[webhook.rule]\n{PASSWORDS}{RULES}{settings}"));
    setup.recording().start().await
}

async fn connect(host: &Host, version: Version, id: &str, name: &str, password: &str) -> Raw {
    Raw::connect(host.address, &login(version, id, Some((name, password)))).await
}

/// The codes of SUBACK for these filters.
async fn suback(client: &mut Raw, version: Version, filters: &[(&str, u8)]) -> Vec<u8> {
    client.send(&packet::subscribe(version, 9, filters, None)).await;
    let body = client.expect(kind::SUBACK).await.body;
    assert_eq!(body[..2], [0, 9]);
    body[if version == Version::V5 { 3 } else { 2 }..].to_vec()
}

/// What the rules allow and deny, in the engine that `settings` select. `allowed_by`: what events name as the source of
/// what is allowed.
async fn rules_are_enforced(settings: &str, allowed_by: &str) {
    let mut host = ruled(settings).await;
    for version in VERSIONS {
        let denied = if version == Version::V5 { 135 } else { 128 };
        let mut alice = connect(&host, version, "c1", "alice", "secret").await;
        let mut bob = connect(&host, version, "c2", "bob", "hidden").await;
        let filters = [
            ("a/#", 1),
            ("#", 0),
            ("own/c1/x", 1),
            ("own/+/x", 1),
            ("$share/g/a/b", 1),
            ("users/alice", 2),
        ];
        assert_eq!(
            suback(&mut alice, version, &filters).await,
            [1, denied, 1, denied, 1, 2]
        );
        assert_eq!(suback(&mut bob, version, &[("a/b", 1)]).await, [denied]);
        assert_eq!(suback(&mut bob, version, &[("own/c2/#", 1)]).await, [1]);

        // Nothing of what is denied arrives; what is allowed does.
        bob.send(&packet::publish(version, "a/x", 0, 0, b"denied")).await;
        bob.send(&packet::publish(version, "a/x", 1, 7, b"denied")).await;
        let puback = bob.expect(kind::PUBACK).await;
        assert_eq!(
            (puback.id(), puback.body.get(2).copied().unwrap_or(0)),
            (7, if denied == 135 { 135 } else { 0 })
        );
        bob.send(&packet::publish(version, "a/x", 2, 8, b"denied")).await;
        let pubrec = bob.expect(kind::PUBREC).await;
        assert_eq!(
            (pubrec.id(), pubrec.body.get(2).copied().unwrap_or(0)),
            (8, if denied == 135 { 135 } else { 0 })
        );
        if version == Version::V311 {
            bob.send(&packet::ack(kind::PUBREL, 8)).await;
            assert_eq!(bob.expect(kind::PUBCOMP).await.id(), 8);
        }
        alice.send(&packet::publish(version, "a/locked", 0, 0, b"denied")).await;
        alice.send(&packet::publish(version, "a/x", 0, 0, b"allowed")).await;
        let publish = alice.expect(kind::PUBLISH).await;
        assert!(publish.body.ends_with(b"allowed"), "{publish:?}");
        bob.send(&packet::publish(version, "own/c2/y", 0, 0, b"own")).await;
        assert!(bob.expect(kind::PUBLISH).await.body.ends_with(b"own"));
        alice.ping().await;
        bob.ping().await;

        // A will is a publish.
        let will = |topic: &str| Connect {
            will: Some((topic.to_owned(), b"will".to_vec(), 1, false)),
            ..login(version, "c3", Some(("bob", "hidden")))
        };
        assert_eq!(connack(&host, &will("a/x")).await, code(version, 135));
        assert_eq!(connack(&host, &will("own/c3/x")).await, 0);
        alice.disconnect().await;
        bob.disconnect().await;
    }
    let refused: Vec<Value> = events(&host, "message-refused", 8).await;
    assert_eq!(refused.len(), 8);
    assert_eq!(refused[0]["message_drop"]["reason"], "not-authorized");
    let authorized = events(&host, "client-authorized", 20).await;
    let of = |source: &str, allowed: bool| {
        authorized
            .iter()
            .map(|event| &event["authorization"])
            .filter(|authorization| authorization["source"] == source && authorization["allowed"] == allowed)
            .count()
    };
    assert!(
        of(allowed_by, true) > 0 && of("file", false) > 0 && of("default", false) > 0,
        "{authorized:#?}"
    );

    // New rules and users are in force for connected clients, too, without a restart.
    let mut bob = connect(&host, Version::V5, "c2", "bob", "hidden").await;
    assert_eq!(suback(&mut bob, Version::V5, &[("a/b", 1)]).await, [135]);
    let mark = host.process.stderr.mark();
    let acl = ACL.replace("\"alice\"", "[\"alice\", \"bob\"]");
    std::fs::write(host.dir().join("acl.toml"), acl).unwrap();
    add(host.dir(), "dave", "new");
    let is_reloaded = |line: &str| line.contains("users and access rules reloaded");
    host.process
        .stderr
        .wait_after(mark, "the reload", PATIENCE, is_reloaded)
        .await;
    let deadline = std::time::Instant::now() + PATIENCE;
    while connack(&host, &login(Version::V5, "c4", Some(("dave", "new")))).await != 0 {
        assert!(std::time::Instant::now() < deadline, "dave never gets in");
    }
    assert_eq!(suback(&mut bob, Version::V5, &[("a/b", 1)]).await, [1]);

    // Invalid rules change nothing.
    let mark = host.process.stderr.mark();
    std::fs::write(host.dir().join("acl.toml"), "[[rule]]\npermit = \"alow\"\n").unwrap();
    let is_reported = |line: &str| line.contains("acl.toml:2: rule[0].permit: should be \"allow\" or \"deny\"");
    host.process
        .stderr
        .wait_after(mark, "the problem", PATIENCE, is_reported)
        .await;
    assert_eq!(suback(&mut bob, Version::V5, &[("a/c", 1), ("b", 1)]).await, [1, 135]);
    host.stop().await;
}

#[tokio::test]
async fn rules_are_enforced_by_the_built_in_broker() {
    rules_are_enforced("", "file").await;
}

#[tokio::test]
async fn rules_are_enforced_by_the_gateway() {
    let (_upstream, settings) = open_broker().await;
    rules_are_enforced(&settings, "upstream").await;
}

/// A denied publish ends the connection if the settings say so.
async fn a_denied_publish_disconnects(settings: &str) {
    let host = ruled(&format!("deny_action = \"disconnect\"\n{settings}")).await;
    for version in VERSIONS {
        let mut bob = connect(&host, version, "c2", "bob", "hidden").await;
        bob.send(&packet::publish(version, "own/c2/x", 0, 0, b"allowed")).await;
        bob.ping().await;
        bob.send(&packet::publish(version, "a/x", 0, 0, b"denied")).await;
        bob.closed().await;
    }
}

#[tokio::test]
async fn a_denied_publish_disconnects_from_the_built_in_broker() {
    a_denied_publish_disconnects("").await;
}

#[tokio::test]
async fn a_denied_publish_disconnects_from_the_gateway() {
    let (_upstream, settings) = open_broker().await;
    a_denied_publish_disconnects(&settings).await;
}

/// mosquitto_pub with a right and with a wrong password, if it is installed.
#[tokio::test]
async fn mosquitto_clients_authenticate() {
    let host = host(PASSWORDS).await;
    for (password, is_accepted) in [("secret", true), ("wrong", false)] {
        let mut publish = std::process::Command::new("mosquitto_pub");
        let port = host.address.port().to_string();
        publish.args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-u",
            "alice",
            "-P",
            password,
            "-t",
            "t",
            "-m",
            "x",
            "-q",
            "1",
        ]);
        match publish.output() {
            Ok(output) => assert_eq!(output.status.success(), is_accepted, "{output:?}"),
            Err(error) => eprintln!("mosquitto_pub is not installed: {error}"),
        }
    }
}

#[tokio::test]
async fn an_address_that_others_can_reach_needs_authentication() {
    let dir = tempfile::tempdir().unwrap();
    add(dir.path(), "alice", "secret");
    let check = async |settings: &str, listen: &str| {
        std::fs::write(dir.path().join("hookhost.toml"), settings).unwrap();
        let mut command = command(dir.path());
        command.args(["check", "--listen", listen]);
        let Ended { code, stdout, stderr } = ended(command).await;
        (code, stdout, stderr)
    };
    let (code, _, stderr) = check("", "0.0.0.0:1883").await;
    let expected = "error: --listen: other machines can reach 0.0.0.0:1883, and every client would be accepted: add \
                    [[authentication]], or set mqtt.allow_anonymous = true to accept clients without credentials";
    assert_eq!((code, stderr.trim_end()), (Some(2), expected));
    for (settings, listen, access) in [
        ("", "127.0.0.1:1883", "every client is accepted; all topics are allowed"),
        (
            "mqtt.allow_anonymous = true\n",
            "0.0.0.0:1883",
            "every client is accepted; all topics are allowed",
        ),
        (
            PASSWORDS,
            "[::]:1883",
            "clients are checked by password; all topics are allowed",
        ),
    ] {
        let (code, stdout, stderr) = check(settings, listen).await;
        assert_eq!(code, Some(0), "{settings}: {stderr}");
        assert!(stdout.contains(&format!("access:  {access}")), "{stdout}");
    }
}

/// A token for a shared secret.
fn token(claims: &Value) -> String {
    let key = jsonwebtoken::EncodingKey::from_secret(b"a secret that only the issuer knows");
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
}

/// Tokens in the engine that `settings` select.
async fn tokens_are_checked(settings: &str) {
    let source = "[[authentication]]\nsource = \"jwt\"\nsecret = \"a secret that only the issuer knows\"\n\
                  claims = { sub = \"${username}\" }\n";
    let host = host(&format!("{source}{settings}")).await;
    for version in VERSIONS {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let claims = json!({"sub": "alice", "exp": now + 3600, "client_attrs": {"site": "hall 3"},
            "acl": {"pub": ["a/#"], "sub": ["b/#"]}});
        let good = token(&claims);
        let (head, signature) = good.rsplit_once('.').unwrap();
        let none = format!("eyJhbGciOiJub25lIn0.{}.", head.split_once('.').unwrap().1);
        let wrong: String = signature.chars().rev().collect();
        for (name, password, expected) in [
            ("alice", good.clone(), 0),
            ("bob", good.clone(), 134),
            ("alice", format!("{head}.{wrong}"), 134),
            ("alice", none, 134),
            ("alice", token(&json!({"sub": "alice", "exp": now - 60})), 134),
            ("alice", "secret".to_owned(), 134),
        ] {
            let connect = login(version, &format!("c{expected}"), Some((name, &password)));
            assert_eq!(
                connack(&host, &connect).await,
                code(version, expected),
                "{name} {password}"
            );
        }
        let mut alice = connect(&host, version, "c1", "alice", &good).await;
        let denied = if version == Version::V5 { 135 } else { 128 };
        assert_eq!(
            suback(&mut alice, version, &[("b/x", 1), ("a/x", 1)]).await,
            [1, denied]
        );
        alice.disconnect().await;
        // The connection ends with its token.
        let short = token(&json!({"sub": "dave", "exp": now + 4}));
        let mut dave = connect(&host, version, "c2", "dave", &short).await;
        dave.closed().await;
    }
    let ended = events(&host, "client-disconnected", 6).await;
    let expired = ended
        .iter()
        .filter(|event| event["disconnection"]["end"]["reason"] == "expired");
    assert_eq!(expired.count(), 2, "{ended:#?}");
    let connected = events(&host, "client-connected", 4).await;
    let attributes = &connected[0]["connack"]["connection"]["client"]["attributes"];
    assert_eq!(*attributes, json!([["site", "hall 3"]]), "{connected:#?}");
}

#[tokio::test]
async fn tokens_are_checked_by_the_built_in_broker() {
    tokens_are_checked("").await;
}

#[tokio::test]
async fn tokens_are_checked_by_the_gateway() {
    let (_upstream, settings) = open_broker().await;
    tokens_are_checked(&settings).await;
}

/// A web service that answers with JSON as EMQX 5 asks.
fn answer(json: &Value) -> Answer {
    let body = json.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Answer::Bytes(format!("{head}{body}").into_bytes())
}

#[tokio::test]
async fn web_services_decide_about_logins_and_operations() {
    let service = Sink::start().await;
    service.answer(|request, _| {
        let sent = request.json();
        match (request.path.as_str(), sent["username"].as_str()) {
            ("/auth", Some("alice")) if sent["password"] == "secret" => answer(&json!({"result": "allow"})),
            ("/auth", Some("root")) => answer(&json!({"result": "allow", "is_superuser": true})),
            ("/auth", Some("own")) => answer(&json!({"result": "allow", "acl": [
                {"permission": "deny", "action": "publish", "topic": "a/x"}]})),
            ("/auth", Some("hang")) => Answer::Hang,
            ("/auth", Some("endless")) => Answer::Endless,
            ("/auth", Some("lies")) => Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nallow".to_vec()),
            ("/auth", _) => answer(&json!({"result": "deny"})),
            ("/acl", _) if sent["topic"].as_str().is_some_and(|topic| topic.starts_with("a/")) => Answer::Status(204),
            ("/acl", _) if sent["topic"] == "hang" => Answer::Hang,
            _ => answer(&json!({"result": "deny"})),
        }
    });
    let settings = format!(
        "[[authentication]]\nsource = \"http\"\nurl = \"{}\"\ntimeout = \"500ms\"\n\
         [access.http]\nurl = \"{}\"\ntimeout = \"500ms\"\n",
        service.url("/auth"),
        service.url("/acl")
    );
    let host = host(&settings).await;
    for version in VERSIONS {
        let denied = if version == Version::V5 { 135 } else { 128 };
        for (name, password, expected) in [
            ("alice", "secret", 0),
            ("alice", "wrong", 134),
            ("hang", "x", 135),
            ("endless", "x", 135),
            ("lies", "x", 135),
        ] {
            let connect = login(version, "c", Some((name, password)));
            assert_eq!(
                connack(&host, &connect).await,
                code(version, expected),
                "{name} {password}"
            );
        }
        let mut alice = connect(&host, version, "c1", "alice", "secret").await;
        assert_eq!(
            suback(&mut alice, version, &[("a/x", 1), ("b", 1), ("hang", 1)]).await,
            [1, denied, denied]
        );
        let before = service.count();
        for _ in 0..3 {
            alice.send(&packet::publish(version, "a/x", 0, 0, b"allowed")).await;
            alice.expect(kind::PUBLISH).await;
        }
        assert_eq!(service.count(), before + 1, "the connection keeps the decision");
        let mut own = connect(&host, version, "c2", "own", "x").await;
        own.send(&packet::publish(version, "a/x", 1, 7, b"denied")).await;
        let puback = own.expect(kind::PUBACK).await;
        assert_eq!(
            puback.body.get(2).copied().unwrap_or(0),
            if denied == 135 { 135 } else { 0 }
        );
        let mut root = connect(&host, version, "c3", "root", "x").await;
        assert_eq!(suback(&mut root, version, &[("#", 1)]).await, [1]);
    }
}

#[tokio::test]
async fn a_denied_subscription_need_not_say_why() {
    let setup = Setup::new().config(
        "[access]\ndefault = \"allow\"\ndenied_subscription_code = 128\n\
         [[access.rule]]\npermit = \"deny\"\ntopics = [\"closed\"]\n",
    );
    let host = setup.start().await;
    for version in VERSIONS {
        let mut client = Raw::client(host.address, version, "c").await;
        assert_eq!(
            suback(&mut client, version, &[("closed", 1), ("open", 1)]).await,
            [128, 1]
        );
    }
}
