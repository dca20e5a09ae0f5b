//! The first start of a new user: the configuration that is read, the summary of it, and the output.

use hookhost_tests::client::Client;
use hookhost_tests::host::{self, Ended, Setup, ended};
use hookhost_tests::process::Process;
use hookhost_tests::{PATIENCE, Version};
use tempfile::TempDir;

const V: Version = Version::V311;

fn dir() -> TempDir {
    TempDir::with_prefix("hookhost-test-").unwrap()
}

/// Runs the binary to its end in a directory.
async fn run(dir: &TempDir, variables: &[(&str, &str)], args: &[&str]) -> Ended {
    let mut command = host::command(dir.path());
    command.args(args).envs(variables.iter().copied());
    ended(command).await
}

/// The error lines of `check` and of `run`, which must be the same.
async fn errors(dir: &TempDir, variables: &[(&str, &str)], args: &[&str]) -> Vec<String> {
    let mut reported = Vec::new();
    for command in ["check", "run"] {
        let args = [&[command], args].concat();
        let ended = run(dir, variables, &args).await;
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        reported.push(ended.stderr.lines().map(str::to_owned).collect::<Vec<_>>());
    }
    let of_run = reported.pop().unwrap();
    assert_eq!(reported, std::slice::from_ref(&of_run));
    of_run
}

const RULES: &str = "[webhook]\nurls = [\"http://me:hunter2@127.0.0.1:1/hook?key=secret\"]\n\
                     [webhook.rule]\nclient_connected = [{ action = \"a\" }]\n\
                     message_publish = [{ action = \"b\" }, { action = \"c\", urls = [\"stdout:\"] }]\n";

#[tokio::test]
async fn the_configuration_of_the_current_folder_is_read_and_summarised() {
    let dir = dir();
    std::fs::write(dir.path().join("hookhost.toml"), RULES).unwrap();
    let checked = run(&dir, &[], &["check"]).await;
    assert_eq!((checked.code, &*checked.stderr), (Some(0), ""));
    assert_eq!(
        checked.stdout,
        "the configuration is valid\n  files:   hookhost.toml\n  rules:   3, format rmqtt, from the configuration file\n  \
         URLs:    http://127.0.0.1:1/hook, stdout:\n  MQTT:    127.0.0.1:1883\n  \
         access:  every client is accepted; all topics are allowed\n  engine:  rmqtt\n  \
         modules: none but the built-in one\n  admin:   127.0.0.1:18083\n"
    );

    let setup = Setup::new();
    std::fs::write(setup.dir().join("hookhost.toml"), RULES).unwrap();
    let mut host = setup.start().await;
    host.stop().await;
    let log = host.log().lines().join("\n");
    for words in [
        "reading the configuration file of the current folder file=hookhost.toml",
        "configuration files=\"hookhost.toml\" rules=3 format=\"rmqtt\"",
        "urls=\"http://127.0.0.1:1/hook, stdout:\" access=\"every client is accepted; all topics are allowed\" engine=\"rmqtt\"",
    ] {
        assert!(log.contains(words), "{words} is not in\n{log}");
    }
    assert!(!log.contains("hunter2") && !log.contains("secret"), "{log}");
}

#[tokio::test]
async fn another_file_replaces_that_of_the_current_folder() {
    let dir = dir();
    std::fs::write(dir.path().join("hookhost.toml"), "nonsense").unwrap();
    std::fs::write(dir.path().join("other.toml"), "").unwrap();
    let variable = [("HOOKHOST_CONFIG", "other.toml")];
    for (variables, args) in [
        (&[][..], &["check", "--config", "other.toml"][..]),
        (&variable, &["check"]),
    ] {
        let checked = run(&dir, variables, args).await;
        assert_eq!(checked.code, Some(0), "{}", checked.stderr);
        assert!(checked.stdout.contains("files:   other.toml\n"), "{}", checked.stdout);
    }
    let [error] = &errors(&dir, &[], &[]).await[..] else {
        panic!("one error");
    };
    assert!(error.starts_with("error: hookhost.toml:1: "), "{error}");
}

#[tokio::test]
async fn a_variable_with_one_underscore_too_few_is_an_error() {
    assert_eq!(
        errors(&dir(), &[("HOOKHOST_MQTT_LISTEN", "127.0.0.1:0")], &[]).await,
        ["error: environment: HOOKHOST_MQTT_LISTEN: unknown variable; the nearest known one is HOOKHOST_MQTT__LISTEN"]
    );
}

#[tokio::test]
async fn a_modules_folder_that_is_missing_is_an_error() {
    assert_eq!(
        errors(&dir(), &[], &["--modules", "nosuch"]).await,
        ["error: --modules: there is no folder nosuch; make it first, or leave --modules out"]
    );
}

#[tokio::test]
async fn a_host_that_refuses_every_client_warns() {
    let dir = dir();
    std::fs::write(dir.path().join("hookhost.toml"), "[mqtt]\nallow_anonymous = false\n").unwrap();
    let checked = run(&dir, &[], &["check"]).await;
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    let warning = "hookhost.toml:2: mqtt.allow_anonymous: refuses every client, because there is no [[authentication]]";
    assert!(
        checked.stderr.starts_with(&format!("warning: {warning}")),
        "{}",
        checked.stderr
    );
    let mut host = Setup::new().config("[mqtt]\nallow_anonymous = false\n").start().await;
    host.stop().await;
    let log = host.log().lines();
    let warned = log
        .iter()
        .filter(|line| line.contains("WARN") && line.contains("refuses every client"));
    assert_eq!(warned.count(), 1, "{log:?}");
}

#[tokio::test]
async fn standard_output_is_text_for_people_when_asked() {
    let mut host = Setup::new().env("HOOKHOST_DELIVERY__STDOUT", "text").start().await;
    let mut client = Client::connect(host.address, V, "sensor-1").await;
    client.publish("devices/1/temp", 1, "21.5\x1b[31m").await;
    let line = host
        .process
        .stdout
        .wait("the publish", PATIENCE, |line| line.contains("message_publish"))
        .await;
    assert!(
        line.ends_with("  message_publish       sensor-1  devices/1/temp  21.5\\u{1b}[31m"),
        "{line}"
    );
    client.disconnect().await;
    host.stop().await;
}

#[tokio::test]
async fn an_address_in_use_is_all_that_a_refused_start_reports() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mqtt = format!(
        "listener tcp:default: cannot listen on {address}; stop the program that uses this port, or choose another address: \
         Address already in use"
    );
    let admin = format!("the admin API cannot listen on {address}");
    for (args, expected) in [
        (["run", "--admin", "off", "--listen", &address], mqtt),
        (["run", "--listen", "127.0.0.1:0", "--admin", &address], admin),
    ] {
        let ended = run(&dir(), &[], &args).await;
        assert_eq!(ended.code, Some(1));
        let mut lines: Vec<&str> = ended.stderr.lines().collect();
        // The summary of the configuration.
        lines.retain(|line| !line.contains(" INFO "));
        assert_eq!(lines.len(), 1, "{}", ended.stderr);
        assert!(lines[0].starts_with(&format!("error: {expected}")), "{}", ended.stderr);
        assert!(!ended.stderr.contains("module activated"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn a_start_that_is_refused_says_what_to_do() {
    let dir = dir();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let local = ["run", "--listen", "127.0.0.1:0", "--admin", "off"];
    for (more, code, words) in [
        (
            ["--data", "file/below"],
            1,
            "choose another one with --data or [data] dir",
        ),
        (["--modules", "missing"], 2, "make it first, or leave --modules out"),
        (
            ["--config", "missing.toml"],
            2,
            "cannot read missing.toml: No such file",
        ),
    ] {
        let ended = run(&dir, &[], &[&local[..], &more[..]].concat()).await;
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn too_few_file_descriptors_are_named_at_the_start() {
    let dir = dir();
    let mut command = std::process::Command::new("sh");
    let host = host::command(dir.path());
    command
        .args(["-c", "ulimit -n 300 && exec \"$0\" \"$@\""])
        .arg(host.get_program());
    command.args(["run", "--listen", "127.0.0.1:0", "--admin", "off"]);
    command.current_dir(dir.path()).env("XDG_CACHE_HOME", host::cache());
    let process = Process::start(command);
    let line = process
        .stderr
        .wait("the warning", PATIENCE, |line| line.contains("few files may be open"))
        .await;
    for words in ["maximum=300", "clients=100", "ulimit -n"] {
        assert!(line.contains(words), "{line}");
    }
}

#[tokio::test]
async fn help_lists_the_variables() {
    for args in [&["--help"][..], &["run", "--help"], &["check", "--help"]] {
        let help = run(&dir(), &[], args).await;
        assert_eq!(help.code, Some(0));
        for name in ["HOOKHOST_LOG", "HOOKHOST_CONFIG", "HOOKHOST_SECTION__KEY"] {
            assert!(help.stdout.contains(name), "{args:?}: {}", help.stdout);
        }
    }
}
