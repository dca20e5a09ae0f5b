//! The command line: the features that work without any configuration, and the reports of errors.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use hookhost_tests::client::Client;
use hookhost_tests::host::{self, Ended, Setup, ended};
use hookhost_tests::process::Process;
use hookhost_tests::{PATIENCE, Version};
use rustix::process::Signal;
use tempfile::TempDir;

const V: Version = Version::V311;

/// Runs the binary to its end in a directory.
async fn run(dir: &TempDir, args: &[&str]) -> Ended {
    let mut command = host::command(dir.path());
    command.args(args);
    ended(command).await
}

/// Expects exit code 2 and every one of these words on standard error.
async fn refused(dir: &TempDir, args: &[&str], words: &[&str]) {
    let ended = run(dir, args).await;
    assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
    for word in words {
        assert!(
            ended.stderr.contains(word),
            "{args:?}: {word} is not in: {}",
            ended.stderr
        );
    }
}

fn write(dir: &TempDir, name: &str, text: &str) -> String {
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn dir() -> TempDir {
    TempDir::with_prefix("hookhost-test-").unwrap()
}

#[tokio::test]
async fn without_configuration_webhooks_go_to_the_terminal_with_a_hint() {
    let mut host = Setup::new().start().await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t/1", 1, "hello").await;
    for action in [
        "client_connect",
        "session_created",
        "client_connack",
        "client_connected",
        "message_publish",
    ] {
        let quoted = format!("\"action\":\"{action}\"");
        host.process
            .stdout
            .wait(&quoted, PATIENCE, |line| line.contains(&quoted))
            .await;
    }
    let lines = host.process.stdout.lines();
    let bodies = lines.iter().filter(|line| line.contains("\"action\""));
    for line in bodies {
        let start = line.find('{').unwrap_or_else(|| panic!("no body in: {line}"));
        serde_json::from_str::<serde_json::Value>(&line[start..]).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    let said = [host.process.stdout.lines(), host.log().lines()].concat().join("\n");
    assert!(said.contains("--webhook-url"), "no hint how to give a URL:\n{said}");
    client.disconnect().await;
    host.stop().await;
}

#[tokio::test]
async fn the_listener_may_be_given_by_the_environment() {
    let dir = dir();
    let mut command = host::command(dir.path());
    command.env("HOOKHOST_MQTT__LISTEN", "127.0.0.1:0");
    let mut process = Process::start(command);
    process
        .stderr
        .wait("line `ready mqtt=`", PATIENCE, |line| {
            line.contains("ready") && line.contains("mqtt=127.0.0.1:")
        })
        .await;
    process.signal(Signal::TERM);
    assert_eq!(process.wait(PATIENCE).await, Some(0));
}

#[tokio::test]
async fn sigint_and_sigterm_end_with_0() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut host = Setup::new().start().await;
        let _client = Client::connect(host.address, V, "c1").await;
        host.process.signal(signal);
        assert_eq!(host.process.wait(PATIENCE).await, Some(0), "{signal:?}");
    }
}

#[tokio::test]
async fn check_says_that_all_is_well() {
    let dir = dir();
    let hooks = write(
        &dir,
        "hooks.toml",
        "urls = [\"http://127.0.0.1:1/\"]\nrule.message_publish = [{ action = \"x\" }]\n",
    );
    let ended = run(&dir, &["check", "--webhook-config", &hooks]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stdout.is_empty());
    let ended = run(&dir, &["check"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test]
async fn check_and_run_name_every_key_that_is_wrong() {
    let dir = dir();
    let hooks = write(
        &dir,
        "hooks.toml",
        "urls = [\"http://127.0.0.1:1/\"]\nhttp_timeout = \"soon\"\nrule.message_publsh = [{ action = \"x\" }]\n",
    );
    let config = write(
        &dir,
        "host.toml",
        "[deliverry]\nthreads = 1\n[mqtt]\nlisten = \"nowhere\"\n",
    );
    for command in ["check", "run"] {
        refused(&dir, &[command, "--webhook-config", &hooks], &["http_timeout"]).await;
        refused(
            &dir,
            &[command, "--config", &config],
            &["deliverry", "delivery", "mqtt.listen", "host.toml"],
        )
        .await;
    }
    let hooks = write(
        &dir,
        "rules.toml",
        "urls = [\"http://127.0.0.1:1/\"]\nrule.message_publsh = [{ action = \"x\" }]\nrule.client_connect = [{ topics = [] }]\n",
    );
    for command in ["check", "run"] {
        let words = ["message_publsh", "message_publish", "rule.client_connect", "action"];
        refused(
            &dir,
            &[command, "--webhook-config", &hooks, "--listen", "127.0.0.1:0"],
            &words,
        )
        .await;
    }
}

#[tokio::test]
async fn check_names_what_is_wrong_with_modules() {
    let dir = dir();
    std::fs::create_dir(dir.path().join("modules")).unwrap();
    write(&dir, "modules/broken.wasm", "hello");
    write(&dir, "modules/webhook.toml", "[config]\nurlz = []\n");
    refused(&dir, &["check", "--modules", "modules"], &["broken", "urlz", "urls"]).await;
}

#[tokio::test]
async fn options_that_do_not_exist_and_values_that_make_no_sense() {
    let dir = dir();
    refused(&dir, &["--nonsense"], &["--nonsense"]).await;
    refused(&dir, &["run", "--lisen", "127.0.0.1:0"], &["--lisen", "--listen"]).await;
    refused(&dir, &["nonsense"], &["nonsense"]).await;
    refused(&dir, &["run", "--listen", "nowhere"], &["--listen"]).await;
    refused(
        &dir,
        &["run", "--listen", "127.0.0.1:0", "--webhook-url", "gopher://x"],
        &["--webhook-url"],
    )
    .await;
    refused(&dir, &["run", "--webhook-config", "missing.toml"], &["missing.toml"]).await;
    refused(&dir, &["run", "--config", "missing.toml"], &["missing.toml"]).await;
    let ended = run(&dir, &["--version"]).await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("hookhost"), "{}", ended.stdout);
    let ended = run(&dir, &["run", "--help"]).await;
    assert_eq!(ended.code, Some(0));
    assert!(ended.stdout.contains("--webhook-url"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_password_in_a_url_is_never_shown() {
    let dir = dir();
    let hooks = write(
        &dir,
        "hooks.toml",
        "urls = [\"http://me:hunter2@127.0.0.1:1/\"]\nrule.message_publsh = [{ action = \"x\" }]\n",
    );
    let ended = run(&dir, &["check", "--webhook-config", &hooks]).await;
    assert!(
        !format!("{}{}", ended.stdout, ended.stderr).contains("hunter2"),
        "{}",
        ended.stderr
    );
    let mut host = Setup::new().url("http://me:hunter2@127.0.0.1:1/").start().await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t", 1, "the payload").await;
    client.disconnect().await;
    host.stop().await;
    let log = host.log().lines().join("\n");
    assert!(!log.contains("hunter2") && !log.contains("the payload"), "{log}");
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(&dir(), &["run", "--listen", &address]).await;
    assert!(ended.code.is_some_and(|code| code != 0), "{:?}", ended.code);
    assert!(ended.stderr.contains(&address), "{}", ended.stderr);
}

#[tokio::test]
async fn the_sink_prints_what_it_gets() {
    let dir = dir();
    let mut command = host::command(dir.path());
    command.args(["sink", "--listen", "127.0.0.1:0"]);
    let mut sink = Process::start(command);
    let line = sink
        .stdout
        .wait("its address", PATIENCE, |line| line.contains("http://127.0.0.1:"))
        .await;
    let address = line.split("http://").nth(1).unwrap().trim_end_matches('/').to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let body = r#"{"action":"shown"}"#;
        write!(
            stream,
            "POST /some/path HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    })
    .await
    .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    sink.stdout
        .wait("the path", PATIENCE, |line| line.contains("/some/path"))
        .await;
    sink.stdout
        .wait("the body", PATIENCE, |line| line.contains("shown"))
        .await;
    sink.signal(Signal::TERM);
    assert_eq!(sink.wait(PATIENCE).await, Some(0));
}

#[tokio::test]
async fn starting_is_quick_once_the_module_is_compiled() {
    let mut times = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        let mut host = Setup::new().start().await;
        times.push(start.elapsed());
        host.stop().await;
    }
    // The goal is one second on an idle machine. Other tests keep this machine busy, and other machines are slower.
    println!("start-up: {times:?}");
    assert!(
        times.iter().min().is_some_and(|time| *time < Duration::from_secs(20)),
        "{times:?}"
    );
}
