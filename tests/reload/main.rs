//! A configuration that changes while the host runs: the parts that take effect, the parts that do not, and the events
//! meanwhile.

mod secrets;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookhost_tests::client::Client;
use hookhost_tests::flow::{self, Flow};
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::sink::{Received, Sink};
use hookhost_tests::{PATIENCE, Version};
use rustix::process::Signal;
use serde_json::{Value, json};

const V: Version = Version::V311;

/// Writes a file to its place in one step.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

async fn last_at(sink: &Sink, path: &str) {
    let what = format!("a request at {path}");
    let is_last = |all: &[Arc<Received>]| all.last().is_some_and(|request| request.path == path);
    sink.wait_until(&what, PATIENCE, is_last).await;
}

/// Waits for a line of the log and returns all lines since the mark.
async fn lines_until(host: &Host, mark: usize, text: &str) -> Vec<String> {
    let what = format!("line with {text:?}");
    host.log()
        .wait_after(mark, &what, PATIENCE, |line| line.contains(text))
        .await;
    host.log().lines().split_off(mark)
}

/// The numbers in the payloads of EMQX 4's bodies, by client: plain at `/a`, base64 elsewhere.
fn numbers(requests: &[Arc<Received>]) -> BTreeMap<String, Vec<u32>> {
    let payload = |request: &Arc<Received>| {
        let body = request.json();
        let payload = body["payload"].as_str().unwrap();
        let payload = match request.path.as_str() {
            "/a" => payload.to_owned(),
            _ => String::from_utf8(STANDARD.decode(payload).unwrap()).unwrap(),
        };
        let is_of_client = payload.starts_with(&format!("{} ", body["from_client_id"].as_str().unwrap()));
        assert!(is_of_client, "{body}");
        payload
    };
    flow::numbers_in(requests.iter().map(payload))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_emqx_4_changes_while_events_flow() {
    let sink = Sink::start().await;
    let text = |path: &str, encoding: &str, token: &str| {
        format!(
            "web.hook.url = {}\nweb.hook.headers.x-token = {token}\nweb.hook.body.encoding_of_payload_field = {encoding}\n\
             web.hook.rule.message.publish.1 = {{\"action\": \"on_message_publish\", \"topic\": \"t/#\"}}\n",
            sink.url(path)
        )
    };
    let setup = Setup::new();
    let file = setup.dir().join("emqx_web_hook.conf");
    std::fs::write(&file, text("/a", "plain", "one")).unwrap();
    let mut host = setup.arg("--webhook-config").arg(&file).start().await;
    let flow = Flow::start(host.address, "flow", 8, 2000, "t").await;
    flow.go_on(1000).await;
    last_at(&sink, "/a").await;

    replace(&file, &text("/b", "base64", "two"));
    last_at(&sink, "/b").await;
    flow.go_on(1000).await;

    // Every error is reported, and the active configuration stays.
    let mark = host.log().mark();
    replace(
        &file,
        "web.hook.url = 127.0.0.1/nothing\nweb.hook.rule.message.publsh.1 = {\"action\": \"on_message_publish\"}\n\
         web.hook.rule.message.publish.2 = {\"action\": \"on_message_publish\", \"topic\": \"a/#/b\"}\n\
         web.hook.rule.message.publish.3 = {\"action\"\nweb.hook.encode_paylod = base64\n",
    );
    let lines = lines_until(&host, mark, "configuration not reloaded; the previous one stays active").await;
    for line in 1..=5 {
        let place = format!("{}:{line}: web.hook.", file.display());
        assert!(
            lines.iter().any(|line| line.contains(&place)),
            "nothing about {place} in {lines:#?}"
        );
    }
    let state: Value = serde_json::from_str(&host.ask(&["modules", "--json"]).await).unwrap();
    let webhook = &state["modules"][0];
    assert_eq!(
        (&webhook["state"], &webhook["generation"]["number"]),
        (&json!("running"), &json!(2))
    );
    let problem = webhook["problem"].as_str().unwrap();
    assert!(problem.contains("message.publsh"), "{problem}");
    flow.go_on(1000).await;
    last_at(&sink, "/b").await;
    // A missing file is an error, too, and a request for a reload reports it.
    std::fs::remove_file(&file).unwrap();
    let ended = host.try_ask(&["modules", "rescan"]).await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("configuration: refused"), "{ended:?}");
    assert!(ended.stdout.contains("--webhook-config: cannot read"), "{ended:?}");
    let state: Value = serde_json::from_str(&host.ask(&["modules", "--json"]).await).unwrap();
    let webhook = &state["modules"][0];
    let problem = webhook["problem"].as_str().unwrap();
    assert!(problem.contains("cannot read"), "{problem}");
    assert_eq!(
        webhook["generation"]["number"], 2,
        "trying again what cannot be is no new generation"
    );
    flow.go_on(500).await;
    last_at(&sink, "/b").await;

    // Written in place, as some editors do.
    std::fs::write(&file, text("/c", "base64", "three")).unwrap();
    last_at(&sink, "/c").await;
    let state: Value = serde_json::from_str(&host.ask(&["modules", "--json"]).await).unwrap();
    assert_eq!(state["modules"][0]["problem"], Value::Null);
    flow.go_on(500).await;

    // Several changes in quick succession, and back to an earlier configuration.
    for round in 0..4 {
        replace(&file, &text(&format!("/d{round}"), "base64", "four"));
        flow.go_on(200).await;
    }
    replace(&file, &text("/c", "base64", "three"));
    last_at(&sink, "/c").await;
    let sent = flow.stop().await;
    host.stop().await;
    let requests = sink.requests();
    flow::assert_once_in_order(&sent, &numbers(&requests));
    // A request carries the credentials of the configuration under which it was made.
    for request in &requests {
        let token = match request.path.as_str() {
            "/a" => "one",
            "/b" => "two",
            "/c" => "three",
            _ => "four",
        };
        assert_eq!(request.header("x-token"), Some(token), "{}", request.path);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_modules_get_the_new_destinations_and_rules_with_mistakes_change_nothing() {
    let sink = Sink::start().await;
    let config = |token: &str, action: &str| {
        format!(
            "[webhook]\nurls = [\"{a}\"]\nrule.message_publish = [{{ action = {action} }}]\n\
             [destinations.own]\nurls = [\"{all}\"]\nheaders = {{ x-token = \"{token}\" }}\n",
            a = sink.url("/a"),
            all = sink.url("/"),
        )
    };
    let second = format!(
        "[config]\nurls = ['{}']\n[[config.rule.message_publish]]\naction = 'second'\n",
        sink.url("/second")
    );
    let builtin = std::fs::read(hookhost_tests::binary::builtin_module()).unwrap();
    let setup = Setup::new().modules().module_file("second.wasm", builtin);
    let host = setup
        .module_file("second.toml", second)
        .config(&config("one", "\"x\""))
        .start()
        .await;
    let mut client = Client::connect(host.address, V, "c1").await;
    let tokens = |requests: &[Arc<Received>]| -> Vec<(String, String)> {
        let mut tokens: Vec<_> = requests
            .iter()
            .map(|request| {
                (
                    request.path.clone(),
                    request.header("x-token").unwrap_or("none").to_owned(),
                )
            })
            .collect();
        tokens.sort();
        tokens
    };
    let both = |token: &str| {
        vec![
            ("/a".to_owned(), token.to_owned()),
            ("/second".to_owned(), token.to_owned()),
        ]
    };
    client.publish("t", 1, "1").await;
    assert_eq!(tokens(&sink.wait_for(2, PATIENCE).await), both("one"));

    // The module reports the errors in its rules. Nothing of that configuration takes effect, including its
    // destinations.
    let path = host.dir().join("hookhost.toml");
    let mark = host.log().mark();
    replace(&path, &config("two", "5"));
    let lines = lines_until(&host, mark, "configuration not reloaded; the previous one stays active").await;
    let place = format!("{}:3: webhook.rule.message_publish[0].action: ", path.display());
    assert!(lines.iter().any(|line| line.contains(&place)), "{lines:#?}");
    client.publish("t", 1, "2").await;
    assert_eq!(tokens(&sink.wait_for(4, PATIENCE).await[2..]), both("one"));

    let mark = host.log().mark();
    replace(&path, &config("three", "\"x\""));
    lines_until(&host, mark, "configuration reloaded").await;
    let generation_of = async |name: &str| -> Value {
        let state: Value = serde_json::from_str(&host.ask(&["modules", "--json"]).await).unwrap();
        let all = state["modules"].as_array().unwrap();
        all.iter().find(|module| module["name"] == name).unwrap()["generation"]["number"].clone()
    };
    // The answer comes after the reload.
    host.ask(&["modules", "rescan"]).await;
    assert_eq!(
        (generation_of("second").await, generation_of("webhook").await),
        (json!(2), json!(2))
    );
    client.publish("t", 1, "3").await;
    assert_eq!(tokens(&sink.wait_for(6, PATIENCE).await[4..]), both("three"));

    // The same if the module's new file does not load.
    let mark = host.log().mark();
    host.drop_module("second.wasm", "no module");
    lines_until(&host, mark, "module not loaded").await;
    replace(&path, &config("four", "\"x\""));
    let given = async { while generation_of("second").await != json!(3) {} };
    tokio::time::timeout(PATIENCE, given).await.unwrap();
    client.publish("t", 1, "4").await;
    assert_eq!(tokens(&sink.wait_for(8, PATIENCE).await[6..]), both("four"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_a_brokers_file_includes_is_watched() {
    let sink = Sink::start().await;
    let setup = Setup::new();
    let (file, included) = (setup.dir().join("emqx.conf"), setup.dir().join("webhooks.hocon"));
    let webhook = |path: &str| {
        format!(
            "bridges.webhook.b {{ url = \"{}\" }}\n\
             rule_engine.rules.r {{ sql = \"SELECT * FROM \\\"t\\\"\", actions = [\"webhook:b\"] }}\n",
            sink.url(path)
        )
    };
    std::fs::write(
        &file,
        "rule_engine.ignore_sys_message = true\ninclude \"webhooks.hocon\"\n",
    )
    .unwrap();
    // The included file appears later.
    let host = setup.arg("--webhook-config").arg(&file).start().await;
    let mut client = Client::connect(host.address, V, "c1").await;
    for path in ["/a", "/b"] {
        let mark = host.log().mark();
        replace(&included, &webhook(path));
        lines_until(&host, mark, "configuration reloaded").await;
        client.publish("t", 1, "1").await;
        last_at(&sink, path).await;
    }
    let mark = host.log().mark();
    replace(&included, "include \"emqx.conf\"\n");
    let lines = lines_until(&host, mark, "configuration not reloaded; the previous one stays active").await;
    assert!(
        lines.iter().any(|line| line.contains("a file must not include itself")),
        "{lines:?}"
    );
    let mark = host.log().mark();
    replace(&included, &webhook("/c"));
    lines_until(&host, mark, "configuration reloaded").await;
    client.publish("t", 1, "2").await;
    last_at(&sink, "/c").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configuration_that_was_refused_is_in_force_when_its_module_can_take_it() {
    let sink = Sink::start().await;
    let config = |path: &str| {
        let url = sink.url(path);
        format!("[webhook]\nurls = [\"{url}\"]\nrule.message_publish = [{{ action = \"x\" }}]\n")
    };
    let host = Setup::new().modules().config(&config("/a")).start().await;
    let mut client = Client::connect(host.address, V, "c1").await;
    let settings = host.dir().join("modules").join("webhook.toml");
    let mark = host.log().mark();
    replace(&settings, "[limits]\nmemory = \"much\"\n");
    lines_until(&host, mark, "memory").await;
    let mark = host.log().mark();
    replace(&host.dir().join("hookhost.toml"), &config("/b"));
    lines_until(&host, mark, "configuration not reloaded; the previous one stays active").await;
    client.publish("t", 1, "1").await;
    last_at(&sink, "/a").await;

    let mark = host.log().mark();
    replace(&settings, "[limits]\nmemory = \"64 MiB\"\n");
    lines_until(&host, mark, "configuration reloaded").await;
    client.publish("t", 1, "2").await;
    last_at(&sink, "/b").await;
    // The answer comes after the reload.
    host.ask(&["modules", "rescan"]).await;
    let state: Value = serde_json::from_str(&host.ask(&["modules", "--json"]).await).unwrap();
    assert_eq!(state["modules"][0]["problem"], Value::Null);

    // Errors of a configuration stay reported, whatever else changes.
    let mark = host.log().mark();
    replace(&host.dir().join("hookhost.toml"), "[webhook]\nurls = 1\n");
    lines_until(&host, mark, "configuration not reloaded; the previous one stays active").await;
    let mark = host.log().mark();
    replace(&settings, "[limits]\nmemory = \"65 MiB\"\n");
    lines_until(&host, mark, "module activated").await;
    let said = async {
        loop {
            let state: Value = serde_json::from_str(&host.ask(&["modules", "--json"]).await).unwrap();
            if state["modules"][0]["problem"]
                .as_str()
                .is_some_and(|problem| problem.contains("urls"))
            {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, said).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_file_that_does_not_load_keeps_no_configuration_from_taking_effect() {
    let sink = Sink::start().await;
    let config = |path: &str| {
        let url = sink.url(path);
        format!("[webhook]\nurls = [\"{url}\"]\nrule.message_publish = [{{ action = \"x\" }}]\n")
    };
    // As at a start: the built-in module replaces a file that has never been active.
    let setup = Setup::new().modules().module_file("webhook.wasm", "no module");
    let mut host = setup.config(&config("/a")).start().await;
    let path = host.dir().join("hookhost.toml");
    let mut client = Client::connect(host.address, V, "c1").await;
    let state = async |host: &Host| -> Value {
        // The answer comes after the reload. The exit code reports a module that does not load.
        host.try_ask(&["modules", "rescan"]).await;
        let state: Value = serde_json::from_str(&host.ask(&["modules", "--json"]).await).unwrap();
        state["modules"][0].clone()
    };
    client.publish("t", 1, "1").await;
    last_at(&sink, "/a").await;
    let mark = host.log().mark();
    replace(&path, &config("/b"));
    let lines = lines_until(&host, mark, "configuration reloaded").await;
    for words in [
        "module loaded from its previous files, because its files in the folder do not load",
        "webhook.wasm cannot be loaded",
    ] {
        assert!(lines.iter().any(|line| line.contains(words)), "{words}: {lines:#?}");
    }
    client.publish("t", 1, "2").await;
    last_at(&sink, "/b").await;
    let shown = state(&host).await;
    assert!(
        shown["problem"]
            .as_str()
            .unwrap()
            .contains("webhook.wasm cannot be loaded"),
        "{shown}"
    );
    assert_eq!(shown["generation"]["origin"], "built-in", "{shown}");

    // An active file keeps running when an invalid file replaces it. The configuration takes effect in the active code.
    let builtin = std::fs::read(hookhost_tests::binary::builtin_module()).unwrap();
    let mark = host.log().mark();
    host.drop_module("webhook.wasm", &builtin);
    lines_until(&host, mark, "module activated").await;
    let mark = host.log().mark();
    host.drop_module("webhook.wasm", "no module again");
    lines_until(&host, mark, "module not loaded").await;
    let mark = host.log().mark();
    replace(&path, &config("/c"));
    lines_until(&host, mark, "configuration reloaded").await;
    client.publish("t", 1, "3").await;
    last_at(&sink, "/c").await;
    assert_eq!(state(&host).await["generation"]["origin"], "file");

    // A configuration that this code rejects is rejected as usual, and the file is not blamed for it.
    let mark = host.log().mark();
    replace(&path, &config("/d").replace("\"x\"", "5"));
    let lines = lines_until(&host, mark, "configuration not reloaded; the previous one stays active").await;
    let place = format!("{}:3: webhook.rule.message_publish[0].action: ", path.display());
    assert!(lines.iter().any(|line| line.contains(&place)), "{lines:#?}");
    client.publish("t", 1, "4").await;
    last_at(&sink, "/c").await;

    host.drop_module("webhook.wasm", &builtin);
    let mark = host.log().mark();
    replace(&path, &config("/e"));
    lines_until(&host, mark, "configuration reloaded").await;
    assert_eq!(state(&host).await["problem"], Value::Null);
    client.publish("t", 1, "5").await;
    last_at(&sink, "/e").await;
    client.disconnect().await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_in_the_place_of_a_configuration_file_is_not_waited_for() {
    let sink = Sink::start().await;
    let config = |path: &str| {
        let url = sink.url(path);
        format!("[webhook]\nurls = [\"{url}\"]\nrule.message_publish = [{{ action = \"x\" }}]\n")
    };
    let host = Setup::new().config(&config("/a")).start().await;
    let path = host.dir().join("hookhost.toml");
    let pipe = host.dir().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    let mark = host.log().mark();
    // No program will ever write to it.
    std::fs::rename(&pipe, &path).unwrap();
    let lines = lines_until(&host, mark, "configuration not reloaded; the previous one stays active").await;
    let words = format!("cannot read {}: it is not a regular file", path.display());
    assert!(lines.iter().any(|line| line.contains(&words)), "{lines:#?}");
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t", 1, "1").await;
    last_at(&sink, "/a").await;
    let mark = host.log().mark();
    replace(&path, &config("/b"));
    lines_until(&host, mark, "configuration reloaded").await;
    client.publish("t", 1, "2").await;
    last_at(&sink, "/b").await;
}
