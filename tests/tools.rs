//! The tools of a module's author: a new project builds and serves, files are explained, modules are tried with events.

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

/// The shell commands of the guide up to the point where a host is started, block by block.
fn guide() -> Vec<String> {
    let page = std::fs::read_to_string(binary::workspace().join("docs/modules.md")).unwrap();
    let blocks = page
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect()
}

/// A shell that has `hookhost` and cargo as a user has them.
fn shell(dir: &Path, script: &str) -> Output {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let bin = binary::hookhost().parent().unwrap().to_owned();
    let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path))).unwrap();
    let mut command = Command::new("sh");
    // What cargo sets for this test is not there for a user, least of all the toolchain of rustup's proxy.
    for name in [
        "RUSTUP_TOOLCHAIN",
        "CARGO_TARGET_DIR",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WRAPPER",
    ] {
        command.env_remove(name);
    }
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "HOOKHOST_"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    let cache = binary::profile_dir().join("tmp-cache");
    command.args(["-e", "-c", script]).current_dir(dir);
    command.env("PATH", path).env("XDG_CACHE_HOME", cache);
    command.output().unwrap()
}

/// Follows the guide's commands word for word until it starts a host; the rest is done with hosts of the tests.
#[tokio::test]
async fn the_guide_leads_from_an_empty_folder_into_a_host() {
    let temp = dir();
    let root = temp.path();
    let blocks = guide();
    let (start, rest) = blocks.split_first().unwrap();
    assert_eq!(start, "hookhost module new too-hot\ncd too-hot\n");
    expect(&shell(root, start), 0, &["too-hot is made"]);
    let project = root.join("too-hot");
    // What other tests have built of the SDK's dependencies serves here as well.
    let shared = binary::guests_dir();
    std::fs::create_dir_all(&shared).unwrap();
    std::os::unix::fs::symlink(&shared, project.join("target")).unwrap();

    let mut all = String::new();
    for block in rest {
        // From here on servers run in terminals of their own.
        if block.starts_with("hookhost run") || block.starts_with("hookhost sink") {
            continue;
        }
        if block.starts_with("mosquitto_pub") {
            break;
        }
        // The guide shows the outcome of a module that sets an event aside, which ends with 1.
        let is_shown = block.contains("module test") && !block.contains("--expect");
        let output = shell(&project, block);
        let code = if is_shown { 1 } else { 0 };
        assert_eq!(
            output.status.code(),
            Some(code),
            "{block}\n{}\n{}",
            stdout(&output),
            stderr(&output)
        );
        all += &stdout(&output);
    }
    for words in [
        "test result: ok. 4 passed",
        "kind         component",
        "interests    message-publish on devices/+/temp",
        "may send to  http://127.0.0.1:5656/too-hot",
        "  POST http://127.0.0.1:5656/too-hot\n    content-type: application/json\n    {\"device\":\"k7\",\"celsius\":21.5,\"at\":1790000001000}",
        "devices/k7/temp is no temperature",
        "5 events: 1 delivered, 1 ignored, 2 not wanted, 1 set aside; 1 requests, 0 refused",
    ] {
        assert!(all.contains(words), "{words} is not in:\n{all}");
    }
    // The lock file is complete: nothing had to be added to it.
    let manifest = project.join("Cargo.toml");
    let mut locked = binary::cargo();
    locked
        .args([
            "metadata",
            "--locked",
            "--offline",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(manifest);
    let locked = locked.env_remove("RUSTUP_TOOLCHAIN").output().unwrap();
    assert!(locked.status.success(), "{}", stderr(&locked));

    let sink = Sink::start().await;
    let settings = std::fs::read_to_string(root.join("modules/too-hot.toml")).unwrap();
    let settings = settings.replace("http://127.0.0.1:5656/too-hot", &sink.url("/too-hot"));
    let host = Setup::new()
        .modules()
        .module_file("too-hot.toml", &settings)
        .module_file(
            "too-hot.wasm",
            std::fs::read(root.join("modules/too-hot.wasm")).unwrap(),
        )
        .start()
        .await;
    let mut client = Client::connect(host.address, V, "k7").await;
    for payload in ["21.5", "19", "hot", "35"] {
        client.publish("devices/k7/temp", 1, payload).await;
    }
    let requests = sink.wait_for(2, PATIENCE).await;
    let bodies: Vec<Value> = requests
        .iter()
        .map(|request| request.json()["celsius"].clone())
        .collect();
    assert_eq!(bodies, [json!(21.5), json!(35.0)]);
    // The two changes of the guide.
    assert!(blocks.contains(&"sed -i 's/above = 20.0/above = 30.0/' ../modules/too-hot.toml\n".to_owned()));
    let mark = host.log().mark();
    host.drop_module("too-hot.toml", settings.replace("above = 20.0", "above = 30.0"));
    host.log()
        .wait_after(mark, "generation 2", PATIENCE, |line| {
            line.contains("too-hot") && line.contains("generation=2")
        })
        .await;
    client.publish("devices/k7/temp", 1, "21.5").await;
    client.publish("devices/k7/temp", 1, "36").await;
    let requests = sink.wait_for(3, PATIENCE).await;
    assert_eq!(requests[2].json()["celsius"], json!(36.0));
    let mark = host.log().mark();
    host.drop_module("too-hot.toml", settings.replace("above =", "abov ="));
    host.log()
        .wait_after(mark, "the mistake", PATIENCE, |line| {
            line.contains("the generation in force stays")
                && line.contains("too-hot.toml:8: config.abov: unknown field `abov`")
        })
        .await;
}

#[test]
fn a_new_module_takes_no_place_and_no_name_of_another() {
    let temp = dir();
    std::fs::create_dir(temp.path().join("mine")).unwrap();
    write(temp.path(), "file", "");
    expect(
        &hookhost(temp.path(), &["module", "new", "mine"]),
        2,
        &["mine is already there"],
    );
    expect(
        &hookhost(temp.path(), &["module", "new", "file"]),
        2,
        &["file is already there"],
    );
    expect(
        &hookhost(temp.path(), &["module", "new", "Too_Hot"]),
        2,
        &["small letters", "too-hot"],
    );
    expect(
        &hookhost(temp.path(), &["module", "new", "serde"]),
        2,
        &["something else in Rust"],
    );
    expect(
        &hookhost(temp.path(), &["module", "new", "../x"]),
        2,
        &["small letters"],
    );
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 2, "nothing was made");
}

/// Makes a project in another language, builds it by the commands of its README, and tries it with its events.
fn project_in(language: &str, example: &Example) {
    let root = binary::guests_dir().join("new");
    let source = root.join(example.name);
    std::fs::create_dir_all(&root).unwrap();
    if source.exists() {
        std::fs::remove_dir_all(&source).unwrap();
    }
    let args = ["module", "new", example.name, "--lang", language];
    expect(&hookhost(&root, &args), 0, &[example.name]);
    let settings = format!("{}.toml", example.name);
    for file in [
        &settings,
        "README.md",
        "wit/hook.wit",
        "events.ndjson",
        "expected.ndjson",
    ] {
        assert!(source.join(file).is_file(), "{file}");
    }
    let Some(wasm) = example.module_of(&source) else { return };
    write(&source, example.wasm, wasm);
    let args = [
        "module",
        "test",
        example.wasm,
        "--events",
        "events.ndjson",
        "--expect",
        "expected.ndjson",
    ];
    let words = ["5 events: 1 delivered, 1 ignored, 2 not wanted, 1 set aside; 1 requests, 0 refused"];
    expect(&hookhost(&source, &args), 0, &words);
}

#[test]
fn a_new_module_in_javascript() {
    let example = Example {
        name: "new-in-js",
        wasm: "new-in-js.wasm",
        ..JAVASCRIPT
    };
    project_in("js", &example);
}

#[test]
fn a_new_module_in_python() {
    let example = Example {
        name: "new-in-python",
        test: &[
            "rm -rf build/bindings",
            "build/venv/bin/componentize-py -d wit -w hook-module bindings build/bindings",
            "PYTHONPATH=src:build/bindings build/venv/bin/python -m unittest discover tests",
        ],
        build: "build/venv/bin/componentize-py -d wit -w hook-module componentize -p src app -o new-in-python.wasm",
        wasm: "new-in-python.wasm",
        ..PYTHON
    };
    project_in("python", &example);
}

#[test]
fn a_new_module_in_c() {
    let example = Example {
        name: "new-in-c",
        wasm: "new-in-c.wasm",
        ..C
    };
    project_in("c", &example);
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
    // Settings may lie beside it or be named, and be JSON.
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
    // Its lines are not those of the settings that it becomes.
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
    let words = ["wrong.toml:1: limit: is not a key", "did you mean limits?"];
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
        "2 message-publish t/1 (publisher)\n  TRAPPED, also in a new instance: it would be set aside",
        "TOO SLOW, also in a new instance",
        "    REFUSED: http://elsewhere:80",
        "7 events: 3 delivered, 0 ignored, 0 not wanted, 4 set aside; 3 requests, 1 refused",
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
    let words = [
        "events.ndjson: line 2: message.topic: is missing",
        "events.ndjson: line 2: message.topik",
        "did you mean topic?",
    ];
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
