//! New projects, from an empty folder to a running host.

use super::*;

/// The shell commands of the guide up to the start of a host, block by block.
fn guide() -> Vec<String> {
    let page = std::fs::read_to_string(binary::workspace().join("docs/modules.md")).unwrap();
    let blocks = page
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned());
    blocks.collect()
}

/// A shell with `hookhost` and cargo as for a user.
fn shell(dir: &Path, script: &str) -> Output {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let bin = binary::hookhost().parent().unwrap().to_owned();
    let path = std::env::join_paths(std::iter::once(bin).chain(std::env::split_paths(&path))).unwrap();
    let mut command = Command::new("sh");
    // A user does not have the variables that cargo sets for this test, especially the toolchain of rustup's proxy.
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

/// Runs the guide's commands unchanged until it starts a host. Hosts of the tests do the rest.
#[tokio::test]
async fn the_guide_leads_from_an_empty_folder_into_a_host() {
    let temp = dir();
    let root = temp.path();
    let blocks = guide();
    let (start, rest) = blocks.split_first().unwrap();
    assert_eq!(start, "hookhost module new too-hot\ncd too-hot\n");
    expect(&shell(root, start), 0, &["created too-hot"]);
    let project = root.join("too-hot");
    // Reuse the SDK's dependencies that other tests have built.
    let shared = binary::guests_dir();
    std::fs::create_dir_all(&shared).unwrap();
    std::os::unix::fs::symlink(&shared, project.join("target")).unwrap();

    let mut all = String::new();
    for block in rest {
        // From here on servers run in separate terminals.
        if block.starts_with("hookhost run") || block.starts_with("hookhost sink") {
            continue;
        }
        if block.starts_with("mosquitto_pub") {
            break;
        }
        // The guide shows the outcome of a module that fails on an event, which ends with 1.
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
        "5 events: 1 delivered, 1 ignored, 2 not wanted, 1 quarantined; 1 requests, 0 refused",
    ] {
        assert!(all.contains(words), "{words} is not in:\n{all}");
    }
    // The lock file is complete: the build added nothing to it.
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
            line.contains("the previous version keeps running")
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
        &["mine exists already"],
    );
    expect(
        &hookhost(temp.path(), &["module", "new", "file"]),
        2,
        &["file exists already"],
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

/// Creates a project in another language, builds it with the commands of its README, and tests it with its events.
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
    let words = ["5 events: 1 delivered, 1 ignored, 2 not wanted, 1 quarantined; 1 requests, 0 refused"];
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
