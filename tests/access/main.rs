//! Authentication and access control with the real binary: password files, access rules and anonymous clients.

mod rules;
mod services;

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
        (_, 136) => 3,
        (_, code) => code,
    }
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
