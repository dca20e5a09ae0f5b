//! The tools for module authors: a new project builds and serves, files are inspected, modules are tested with events.

mod projects;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hookhost_tests::client::Client;
use hookhost_tests::host::{self, Setup};
use hookhost_tests::languages::{C, Example, JAVASCRIPT, PYTHON};
use hookhost_tests::sink::Sink;
use hookhost_tests::{PATIENCE, Version, binary};
use serde_json::{Value, json};
use tempfile::TempDir;

const V: Version = Version::V311;

fn dir() -> TempDir {
    TempDir::with_prefix("hookhost-test-").unwrap()
}

fn write(dir: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// Runs the binary to its end.
fn hookhost(dir: &Path, args: &[&str]) -> Output {
    host::command(dir).args(args).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Expects an exit code and words on one of the streams.
fn expect(output: &Output, code: i32, words: &[&str]) {
    let said = stdout(output) + &stderr(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word} is not in:\n{said}");
    }
}

#[test]
fn what_is_no_module_is_explained() {
    let temp = dir();
    let builtin = std::fs::read(binary::builtin_module()).unwrap();
    let exchange = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = builtin.clone();
        let places: Vec<usize> = (0..bytes.len() - from.len())
            .filter(|at| bytes[*at..].starts_with(from.as_bytes()))
            .collect();
        assert!(!places.is_empty(), "{from}");
        for at in places {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        }
        bytes
    };
    for (name, content, code, words) in [
        (
            "core.wasm",
            b"\0asm\x01\0\0\0".to_vec(),
            1,
            &["kind         core module", "wasm32-wasip2"][..],
        ),
        ("text.wasm", b"(component)".to_vec(), 1, &["WebAssembly text"]),
        ("empty.wasm", vec![], 1, &["an empty file"]),
        (
            "half.wasm",
            builtin[..builtin.len() / 2].to_vec(),
            1,
            &["cannot be compiled"],
        ),
        (
            "later.wasm",
            exchange("hookhost:hook/handler@0.1.0", "hookhost:hook/handler@0.2.0"),
            1,
            &[
                "kind         component",
                "built for hookhost:hook/handler@0.2.0; this host serves hookhost:hook@0.1.0",
            ],
        ),
        (
            "other.wasm",
            b"\0asm\x0d\0\x01\0".to_vec(),
            1,
            &["does not export hookhost:hook/handler@0.1.0 or anything else"],
        ),
        (
            "probe.wasm",
            std::fs::read(binary::probe_module()).unwrap(),
            1,
            &[
                "settings     none",
                "probe.wasm refuses its configuration: missing field `url`",
            ],
        ),
    ] {
        write(temp.path(), name, content);
        expect(&hookhost(temp.path(), &["module", "inspect", name]), code, words);
    }
    expect(
        &hookhost(temp.path(), &["module", "inspect", "nowhere.wasm"]),
        2,
        &["nowhere.wasm cannot be read"],
    );
    // Settings may be beside the module or be named, and may be JSON.
    write(temp.path(), "good.wasm", &builtin);
    write(
        temp.path(),
        "good.toml",
        "[config]\nurls = ['http://h/a']\nrule.client_connected = [{ action = 'x' }]\n",
    );
    let words = [
        "settings     good.toml",
        "interests    client-connected",
        "may send to  http://h:80/a",
        "memory = 256MiB",
    ];
    expect(&hookhost(temp.path(), &["module", "inspect", "good.wasm"]), 0, &words);
    write(
        temp.path(),
        "c.json",
        r#"{"urls":["http://h/b"],"rule":{"client_connected":[{"action":"x"}]}}"#,
    );
    let words = ["settings     c.json", "may send to  http://h:80/b"];
    expect(
        &hookhost(temp.path(), &["module", "inspect", "good.wasm", "--config", "c.json"]),
        0,
        &words,
    );
    // Errors have no line numbers: the lines of the JSON file differ from those of the settings made from it.
    write(temp.path(), "wrong.json", "{\n\"urlz\":[]}");
    expect(
        &hookhost(
            temp.path(),
            &["module", "inspect", "good.wasm", "--config", "wrong.json"],
        ),
        1,
        &["good.wasm refuses its configuration: wrong.json: config.urlz: is not known; is 'urls' meant?"],
    );
    write(temp.path(), "wrong.toml", "[limit]\nmemory = '1MiB'\n");
    let words = [
        "wrong.toml:2: limit.memory: unknown key",
        "the nearest known one is limits.memory",
    ];
    expect(
        &hookhost(
            temp.path(),
            &["module", "inspect", "good.wasm", "--config", "wrong.toml"],
        ),
        2,
        &words,
    );
}

/// A folder with the probe and its settings.
fn probe(limits: &str) -> TempDir {
    let temp = dir();
    std::fs::copy(binary::probe_module(), temp.path().join("probe.wasm")).unwrap();
    let settings = format!("[config]\nurl = 'http://h/a'\ntag = 't'\ntopic = 't/#'\n[limits]\n{limits}\n");
    write(temp.path(), "probe.toml", settings);
    temp
}

fn publishes(payloads: &[&str]) -> String {
    let line = |payload: &&str| {
        json!({"hook": "message-publish", "message": {"topic": "t/1", "payload": payload}}).to_string() + "\n"
    };
    payloads.iter().map(line).collect()
}

#[test]
fn what_a_module_does_wrong_is_shown_as_a_host_would_treat_it() {
    let temp = probe("deadline = '500ms'\nmemory = '16MiB'");
    let payloads = ["good", "panic", "fail", "loop", "grow", "url http://elsewhere/", "good"];
    write(temp.path(), "events.ndjson", publishes(&payloads));
    let args = [
        "module",
        "test",
        "probe.wasm",
        "--events",
        "events.ndjson",
        "--format",
        "json",
    ];
    let output = hookhost(temp.path(), &args);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    let lines: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let outcomes: Vec<&str> = lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(
        outcomes,
        ["deliver", "trap", "fail", "timeout", "trap", "deliver", "deliver"]
    );
    assert!(
        lines[1]["text"].as_str().unwrap().contains("told to panic"),
        "{}",
        lines[1]
    );
    assert!(
        lines[2]["text"].as_str().unwrap().contains("told to fail"),
        "{}",
        lines[2]
    );
    assert!(lines[4]["text"].as_str().unwrap().contains("memory"), "{}", lines[4]);
    let refused = lines[5]["requests"][0]["refused"].as_str().unwrap();
    assert!(
        refused.contains("http://elsewhere:80") && refused.contains("is not granted"),
        "{refused}"
    );
    assert_eq!(lines[6]["requests"][0]["url"], "http://h/a");
    assert!(lines[6]["requests"][0].get("refused").is_none());
    for line in [&lines[0], &lines[2], &lines[6]] {
        assert!(
            line["micros"].as_f64().unwrap() > 0.0 && line["fuel"].as_u64().unwrap() > 100,
            "{line}"
        );
    }

    let output = hookhost(temp.path(), &args[..5]);
    let words = [
        "2 message-publish t/1 (publisher)\n  TRAPPED, also in a new instance: a host would put it into the quarantine",
        "TOO SLOW, also in a new instance",
        "    REFUSED: http://elsewhere:80",
        "7 events: 3 delivered, 0 ignored, 0 not wanted, 4 quarantined; 3 requests, 1 refused",
    ];
    expect(&output, 1, &words);
}

#[test]
fn what_comes_is_compared_with_what_is_expected() {
    let temp = probe("");
    write(temp.path(), "events.ndjson", publishes(&["one", "fail"]));
    let test = |more: &[&str]| {
        let args = [&["module", "test", "probe.wasm", "--events", "events.ndjson"], more].concat();
        hookhost(temp.path(), &args)
    };
    expect(&test(&["--write-expected", "written.ndjson"]), 0, &[]);
    expect(&test(&["--expect", "written.ndjson"]), 0, &["2 events: 1 delivered"]);
    let written = std::fs::read_to_string(temp.path().join("written.ndjson")).unwrap();
    assert_eq!(written.lines().count(), 2);
    write(
        temp.path(),
        "written.ndjson",
        written.replace("\"http://h/a\"", "\"http://h/b\""),
    );
    let words = [
        "NOT AS EXPECTED",
        "requests.0.url",
        "expected  \"http://h/b\"",
        "got       \"http://h/a\"",
        "1 not as expected",
    ];
    expect(&test(&["--expect", "written.ndjson"]), 1, &words);

    write(
        temp.path(),
        "expected.ndjson",
        "{\"outcome\":\"deliver\"}\n{\"outcome\":\"ignore\"}\n",
    );
    expect(
        &test(&["--expect", "expected.ndjson"]),
        1,
        &["expected  \"ignore\"", "got       \"fail\""],
    );
    write(temp.path(), "expected.ndjson", "{\"outcome\":\"deliver\"}\n");
    expect(
        &test(&["--expect", "expected.ndjson"]),
        2,
        &["expected.ndjson: has 1 lines for 2 events"],
    );
    write(temp.path(), "expected.ndjson", "{\"outcome\":\"delivr\"}\n");
    expect(
        &test(&["--expect", "expected.ndjson"]),
        2,
        &["expected.ndjson: line 1: outcome", "did you mean deliver?"],
    );
    write(
        temp.path(),
        "events.ndjson",
        "\n{\"hook\":\"message-publish\",\"message\":{\"topik\":\"t\"}}\n",
    );
    // A line reports its first mistake.
    let words = ["events.ndjson: line 2: message.topik: unknown key `topik`; did you mean `topic`?"];
    expect(&test(&[]), 2, &words);
    write(
        temp.path(),
        "events.ndjson",
        "\n{\"hook\":\"message-publish\",\"message\":{}}\n",
    );
    let words = ["events.ndjson: line 2: message: missing field `topic`"];
    expect(&test(&[]), 2, &words);
    expect(
        &hookhost(temp.path(), &["module", "test", "probe.wasm", "--events", "nowhere"]),
        2,
        &["cannot read nowhere"],
    );
}

#[tokio::test]
async fn recorded_events_can_be_tried() {
    let temp = probe("");
    let file = temp.path().join("recorded.ndjson");
    let mut host = Setup::new()
        .arg("--record")
        .arg(&file)
        .arg("--record-hook")
        .arg("message-publish")
        .arg("--record-hook")
        .arg("client-connected")
        .start()
        .await;
    let mut client = Client::connect(host.address, V, "k7").await;
    for payload in ["one", "two"] {
        client.publish("t/1", 1, payload).await;
    }
    client.disconnect().await;
    host.stop().await;
    let recorded = std::fs::read_to_string(&file).unwrap();
    let events: Vec<Value> = recorded
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<(&str, &str)> = events
        .iter()
        .map(|event| {
            (
                event["hook"].as_str().unwrap(),
                event["message"]["payload"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("client-connected", ""),
            ("message-publish", "one"),
            ("message-publish", "two")
        ]
    );
    assert_eq!(events[0]["connack"]["connection"]["client"]["id"], "k7");

    let args = [
        "module",
        "test",
        "probe.wasm",
        "--events",
        "recorded.ndjson",
        "--format",
        "json",
    ];
    let output = hookhost(temp.path(), &args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let lines: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let outcomes: Vec<&str> = lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["not-wanted", "deliver", "deliver"]);
    assert_eq!(lines[1]["event"], events[1]["id"]);
    assert_eq!(lines[1]["requests"][0]["ordering_key"], "k7");
}
