//! Changes of the modules folder while the host runs. New, changed and removed modules take effect without a lost or
//! repeated event. A module that does not load changes nothing, and the log reports why.

use std::sync::Arc;
use std::time::Duration;

use hookhost_tests::client::Client;
use hookhost_tests::flow::{self, Flow};
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::sink::{Received, Sink};
use hookhost_tests::{PATIENCE, Version, binary, body};

const V: Version = Version::V311;

/// `webhook.toml` for one URL and every publish.
fn to(url: &str) -> String {
    format!("[config]\nurls = [{url:?}]\nrule.message_publish = [{{ action = \"message_publish\" }}]\n")
}

/// On a machine that is too busy for the flow, a full queue blocks the flow, so that no counted event is dropped.
async fn host_with(config: &str) -> Host {
    let setup = Setup::new().env("HOOKHOST_HOOKS__OVERFLOW", "wait");
    setup.modules().module_file("webhook.toml", config).start().await
}

/// Publishes until a request with this payload arrives on a path: the change that leads there is then active. Accepts
/// bodies of any format, not only RMQTT's.
async fn until_served(client: &mut Client, sink: &Sink, path: &str, topic: &str, payload: &str) -> Arc<Received> {
    let from = sink.count();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        client.publish(topic, 1, payload).await;
        let all = sink.requests();
        let is_it = |request: &&Arc<Received>| {
            let body = request.json();
            request.path == path && (body["payload"].is_null() || body::payload(&body) == payload.as_bytes())
        };
        if let Some(request) = all[from..].iter().find(is_it) {
            return request.clone();
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "nothing arrived at {path}; the last: {:?}",
            all.last()
        );
    }
}

/// Waits for a line that reports an error in a file of the folder, and returns it.
async fn complaint(host: &Host, mark: usize, file: &str) -> String {
    let what = format!("complaint about {file}");
    let name = file.split('.').next().unwrap_or(file).to_owned();
    host.log()
        .wait_after(mark, &what, PATIENCE, |line| {
            (line.contains("ERROR") || line.contains("WARN")) && (line.contains(file) || line.contains(&name))
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_accounted_for_exactly_once_across_swaps() {
    let sink = Sink::start().await;
    let host = host_with(&to(&sink.url("/a"))).await;
    let builtin = std::fs::read(binary::builtin_module()).unwrap();
    let flow = Flow::before(&sink, host.address, "flow", 8, 2400, "t").await;
    let arrives_at = async |path: &str| {
        let path = path.to_owned();
        let what = format!("a request at {path}");
        sink.wait_until(&what, PATIENCE, |all| {
            all.last().is_some_and(|request| request.path == path)
        })
        .await;
    };
    flow.go_on(1200).await;
    arrives_at("/a").await;

    // Other settings for the built-in module.
    host.drop_module("webhook.toml", to(&sink.url("/b")));
    arrives_at("/b").await;
    flow.go_on(1200).await;

    // Another component, then other settings for that one.
    let mark = host.log().mark();
    host.drop_module("webhook.wasm", &builtin);
    host.log()
        .wait_after(mark, "line about webhook", PATIENCE, |line| line.contains("webhook"))
        .await;
    flow.go_on(1200).await;
    host.drop_module("webhook.toml", to(&sink.url("/c")));
    arrives_at("/c").await;
    flow.go_on(1200).await;

    // Both at once, and back to the built-in module.
    host.drop_module("webhook.toml", to(&sink.url("/d")));
    host.remove_module("webhook.wasm");
    arrives_at("/d").await;
    flow.go_on(1200).await;

    // Every change makes a new generation. Some changes follow each other closely.
    for round in 0..5 {
        host.drop_module("webhook.toml", to(&sink.url(&format!("/e{round}"))));
        flow.go_on(300).await;
    }
    arrives_at("/e4").await;
    let sent = flow.stop().await;
    let requests = sink.wait_for(flow::total(&sent), PATIENCE).await;
    flow::assert_once_in_order(&sent, &flow::numbers(&requests));
    let rate = flow::total(&sent) as f64 / (requests[requests.len() - 1].at - requests[0].at).as_secs_f64();
    println!("{} events over 10 changes at {rate:.0}/s", flow::total(&sent));
    for path in ["/a", "/b", "/c", "/d", "/e4"] {
        assert!(requests.iter().any(|request| request.path == path), "nothing at {path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_module_comes_and_goes_beside_the_first() {
    let sink = Sink::start().await;
    let host = host_with(&to(&sink.url("/first"))).await;
    let flow = Flow::start(host.address, "flow", 4, 1000, "t").await;
    flow.go_on(500).await;
    host.drop_module("second.toml", to(&sink.url("/second")));
    host.drop_module("second.wasm", std::fs::read(binary::builtin_module()).unwrap());
    let at = |all: &[Arc<Received>], path: &str| all.iter().filter(|request| request.path == path).count();
    sink.wait_until("500 at /second", PATIENCE, |all| at(all, "/second") >= 500)
        .await;
    let mark = host.log().mark();
    host.remove_module("second.wasm");
    host.log()
        .wait_after(mark, "line about second", PATIENCE, |line| line.contains("second"))
        .await;
    flow.go_on(500).await;
    let sent = flow.stop().await;
    let total = flow::total(&sent);
    let requests = sink
        .wait_until("all at /first", PATIENCE, |all| at(all, "/first") >= total)
        .await;
    let of = |path: &str| flow::numbers(requests.iter().filter(|request| request.path == path));
    flow::assert_once_in_order(&sent, &of("/first"));
    // The second module has one stretch without gaps for each client.
    for (client, numbers) in of("/second") {
        let gap = numbers.windows(2).find(|pair| pair[1] != pair[0] + 1);
        assert_eq!(gap, None, "{client} at /second");
        let last = sent.iter().find(|sent| sent.id == client).map_or(0, |sent| sent.count);
        assert!(
            numbers.last().is_some_and(|number| *number < last),
            "{client}: the second module is gone"
        );
    }
}

#[tokio::test]
async fn what_is_no_module_changes_nothing() {
    let sink = Sink::start().await;
    let host = host_with(&to(&sink.url("/hook"))).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    until_served(&mut client, &sink, "/hook", "t", "before").await;
    let builtin = std::fs::read(binary::builtin_module()).unwrap();
    let bad: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("a text", b"hello"),
        ("a core module", b"\0asm\x01\0\0\0"),
        ("a component without exports", b"\0asm\x0d\0\x01\0"),
        ("half a component", &builtin[..builtin.len() / 2]),
        ("a component and more", &[builtin.as_slice(), b"more"].concat()),
    ];
    for (what, content) in bad {
        let mark = host.log().mark();
        host.drop_module("webhook.wasm", content);
        let line = complaint(&host, mark, "webhook.wasm").await;
        println!("{what}: {line}");
        let request = until_served(&mut client, &sink, "/hook", "t", what).await;
        assert_eq!(body::payload(&request.json()), what.as_bytes());
    }
    // A good file after a bad one is loaded.
    host.drop_module("webhook.toml", to(&sink.url("/after")));
    host.drop_module("webhook.wasm", &builtin);
    until_served(&mut client, &sink, "/after", "t", "after").await;
}

#[tokio::test]
async fn settings_that_are_refused_change_nothing() {
    let sink = Sink::start().await;
    let host = host_with(&to(&sink.url("/hook"))).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    until_served(&mut client, &sink, "/hook", "t", "before").await;
    let bad = [
        ("[config\n", "webhook"),
        (
            "[config]\nurls = []\nrule.message_publsh = [{ action = \"x\" }]\n",
            "message_publish",
        ),
        ("[config]\nurlz = []\n", "urls"),
        (
            "[config]\nurls = [\"gopher://x\"]\nrule.message_publish = [{ action = \"x\" }]\n",
            "urls",
        ),
        ("[config]\nrule.message_publish = [{ action = 1 }]\n", "action"),
        (
            "[config]\nrule.message_publish = [{ action = \"x\", topics = [\"a/#/b\"] }]\n",
            "topics",
        ),
        ("[limits]\nmemry = \"1MiB\"\n", "memory"),
    ];
    for (toml, named) in bad {
        let mark = host.log().mark();
        host.drop_module("webhook.toml", toml);
        let line = complaint(&host, mark, "webhook.toml").await;
        assert!(line.contains(named), "{named} is not in: {line}");
        until_served(&mut client, &sink, "/hook", "t", "still").await;
    }
    host.drop_module("webhook.toml", to(&sink.url("/good")));
    until_served(&mut client, &sink, "/good", "t", "after").await;
}

#[tokio::test]
async fn a_file_that_is_still_being_written_is_taken_up_when_it_is_whole() {
    let sink = Sink::start().await;
    let host = host_with(&to(&sink.url("/hook"))).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    let builtin = std::fs::read(binary::builtin_module()).unwrap();
    std::fs::write(host.module_path("slow.toml"), to(&sink.url("/slow"))).unwrap();
    use std::io::Write;
    let mut file = std::fs::File::create(host.module_path("slow.wasm")).unwrap();
    for piece in builtin.chunks(builtin.len() / 8) {
        file.write_all(piece).unwrap();
        file.flush().unwrap();
        until_served(&mut client, &sink, "/hook", "t", "meanwhile").await;
    }
    drop(file);
    until_served(&mut client, &sink, "/slow", "t", "whole").await;
}

#[tokio::test]
async fn another_module_in_place_of_the_default_one_and_back() {
    // The build may take a minute. A sink of this runtime could not answer meanwhile.
    let module = std::fs::read(binary::example_module()).unwrap();
    let sink = Sink::start().await;
    let default = format!(
        "urls = [{:?}]\nrule.message_publish = [{{ action = \"message_publish\" }}]\n",
        sink.url("/default")
    );
    let host = Setup::new().webhook_config(&default).modules().start().await;
    let mut client = Client::connect(host.address, V, "c1").await;
    let (topic, payload) = ("devices/k7/temp", r#"{"celsius": 41.5}"#);
    until_served(&mut client, &sink, "/default", topic, payload).await;

    // Its settings appear first. The built-in module cannot read them and keeps running unchanged.
    let mark = host.log().mark();
    let settings = format!(
        "[config]\nurl = {:?}\nlimit = 40.0\ntopic = \"devices/{{device}}/temp\"\n",
        sink.url("/alerts")
    );
    host.drop_module("webhook.toml", settings);
    complaint(&host, mark, "webhook.toml").await;
    until_served(&mut client, &sink, "/default", topic, payload).await;

    host.drop_module("webhook.wasm", module);
    let alert = until_served(&mut client, &sink, "/alerts", topic, payload).await;
    let body = alert.json();
    assert_eq!(
        alert.body,
        format!(r#"{{"device":"k7","celsius":41.5,"at":{}}}"#, body["at"])
    );
    assert!(body["at"].as_u64().is_some_and(|at| body::now().abs_diff(at) < 600_000));

    host.remove_module("webhook.toml");
    host.remove_module("webhook.wasm");
    let request = until_served(&mut client, &sink, "/default", topic, payload).await;
    assert_eq!(request.json()["action"], "message_publish");
}

#[tokio::test]
async fn the_folder_itself_may_go_and_come_back() {
    let sink = Sink::start().await;
    let host = host_with(&to(&sink.url("/hook"))).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    until_served(&mut client, &sink, "/hook", "t", "before").await;
    let folder = host.dir().join("modules");
    let away = host.dir().join("away");
    std::fs::rename(&folder, &away).unwrap();
    for _ in 0..50 {
        client.publish("t", 1, "without folder").await;
    }
    std::fs::create_dir(&folder).unwrap();
    host.drop_module("webhook.toml", to(&sink.url("/again")));
    until_served(&mut client, &sink, "/again", "t", "after").await;
}

#[tokio::test]
async fn a_change_takes_effect_soon() {
    let sink = Sink::start().await;
    let host = host_with(&to(&sink.url("/a"))).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    until_served(&mut client, &sink, "/a", "t", "x").await;
    let start = std::time::Instant::now();
    host.drop_module("webhook.toml", to(&sink.url("/b")));
    until_served(&mut client, &sink, "/b", "t", "x").await;
    println!("a change took {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}
