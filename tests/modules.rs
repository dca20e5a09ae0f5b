//! An error of a module affects only the event that caused it. The module is `tests/guests/probe`.

use std::sync::Arc;

use hookhost_tests::client::Client;
use hookhost_tests::flow::{self, Flow};
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::sink::{Received, Sink};
use hookhost_tests::{PATIENCE, Version, binary};

const V: Version = Version::V311;

fn settings(url: &str, tag: &str, more: &str) -> String {
    format!("[config]\nurl = {url:?}\ntag = {tag:?}\ntopic = \"t/#\"\n{more}\n")
}

/// A host with the probe as its only module: it replaces the built-in module.
async fn probe(sink: &Sink, more: &str) -> Host {
    Setup::new()
        .modules()
        .module_file("webhook.toml", settings(&sink.url("/hook"), "1", more))
        .module_file("webhook.wasm", std::fs::read(binary::probe_module()).unwrap())
        .start()
        .await
}

/// The payloads that the probe sent to the sink, in order.
fn told(requests: &[Arc<Received>]) -> Vec<String> {
    requests
        .iter()
        .filter_map(|request| Some(request.json()["payload"].as_str()?.to_owned()))
        .collect()
}

/// Publishes a bad payload between good ones and expects exactly the good ones. Returns the host's log.
async fn only_the_bad_one_is_lost(bad: &str, more: &str) -> String {
    let sink = Sink::start().await;
    let mut host = probe(&sink, more).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    let mut good = Vec::new();
    for round in 0..3 {
        for number in 0..20 {
            let payload = format!("{round}.{number}");
            client.publish("t/1", 1, payload.clone()).await;
            good.push(payload);
        }
        client.publish("t/1", 1, bad).await;
    }
    client.publish("t/1", 1, "last").await;
    good.push("last".into());
    client.disconnect().await;
    let count = good.len();
    let requests = sink
        .wait_until("the good ones", PATIENCE, |all| all.len() >= count)
        .await;
    assert_eq!(told(&requests), good, "after {bad}");
    host.stop().await;
    assert_eq!(told(&sink.requests()), good, "after {bad}");
    host.log().lines().join("\n")
}

#[tokio::test]
async fn a_panic() {
    let log = only_the_bad_one_is_lost("panic", "").await;
    assert!(log.contains("told to panic"), "the log says why:\n{log}");
}

#[tokio::test]
async fn an_endless_loop() {
    only_the_bad_one_is_lost("loop", "[limits]\ndeadline = \"200ms\"").await;
}

#[tokio::test]
async fn hunger_for_memory() {
    only_the_bad_one_is_lost("grow", "[limits]\nmemory = \"16MiB\"").await;
}

#[tokio::test]
async fn a_module_that_says_that_it_failed() {
    let log = only_the_bad_one_is_lost("fail", "").await;
    assert!(log.contains("told to fail"), "the log says why:\n{log}");
}

#[tokio::test]
async fn a_url_that_was_not_granted() {
    let elsewhere = Sink::start().await;
    only_the_bad_one_is_lost(&format!("url {}", elsewhere.url("/stolen")), "").await;
    assert_eq!(elsewhere.count(), 0);
}

#[tokio::test]
async fn what_a_module_prints_is_logged_and_cannot_forge_a_line() {
    let sink = Sink::start().await;
    let host = probe(&sink, "").await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t/1", 1, "print").await;
    for text in ["printed", "printed err", "logged"] {
        host.log().wait(text, PATIENCE, |line| line.contains(text)).await;
    }
    assert_eq!(told(&sink.wait_for(1, PATIENCE).await), ["print"]);
    let stdout = host.process.stdout.lines();
    assert!(
        !stdout.iter().any(|line| line.contains("printed")),
        "standard output belongs to webhooks: {stdout:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_module_that_panics_under_load_loses_only_what_it_panicked_on() {
    let sink = Sink::start().await;
    let host = probe(&sink, "").await;
    let flow = Flow::start(host.address, "flow", 4, 1000, "t").await;
    let mut client = Client::connect(host.address, V, "bad").await;
    for _ in 0..20 {
        flow.go_on(50).await;
        client.publish("t/bad", 1, "panic").await;
    }
    let sent = flow.stop().await;
    let requests = sink.wait_for(flow::total(&sent), PATIENCE).await;
    let mut arrived: std::collections::BTreeMap<String, Vec<u32>> = Default::default();
    for payload in told(&requests) {
        let (client, number) = payload.split_once(' ').unwrap();
        arrived
            .entry(client.to_owned())
            .or_default()
            .push(number.parse().unwrap());
    }
    flow::assert_once_in_order(&sent, &arrived);
}

#[tokio::test]
async fn one_module_in_trouble_leaves_another_alone() {
    let sink = Sink::start().await;
    let webhook = format!(
        "[config]\nurls = [{:?}]\nrule.message_publish = [{{ action = \"x\" }}]\n",
        sink.url("/webhook")
    );
    let host = Setup::new()
        .modules()
        .module_file("webhook.toml", webhook)
        .module_file(
            "probe.toml",
            settings(&sink.url("/probe"), "1", "[limits]\ndeadline = \"1s\""),
        )
        .module_file("probe.wasm", std::fs::read(binary::probe_module()).unwrap())
        .start()
        .await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t/1", 1, "loop").await;
    let start = std::time::Instant::now();
    for number in 0..50 {
        client.publish("t/1", 1, number.to_string()).await;
    }
    let at = |all: &[Arc<Received>], path: &str| all.iter().filter(|request| request.path == path).count();
    sink.wait_until("51 at /webhook", PATIENCE, |all| at(all, "/webhook") == 51)
        .await;
    println!("the other module was done after {:?}", start.elapsed());
    sink.wait_until("50 at /probe", PATIENCE, |all| at(all, "/probe") == 50)
        .await;
}

#[tokio::test]
async fn a_refused_change_of_settings_leaves_the_old_ones_in_force() {
    let sink = Sink::start().await;
    let host = probe(&sink, "").await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t/1", 1, "1").await;
    let mark = host.log().mark();
    host.drop_module("webhook.toml", settings(&sink.url("/hook"), "refuse", ""));
    host.log()
        .wait_after(mark, "the module's own words", PATIENCE, |line| {
            line.contains("told to refuse")
        })
        .await;
    client.publish("t/1", 1, "2").await;
    let requests = sink.wait_for(2, PATIENCE).await;
    assert_eq!(
        requests
            .iter()
            .map(|request| request.json()["tag"].clone())
            .collect::<Vec<_>>(),
        ["1", "1"]
    );
    host.drop_module("webhook.toml", settings(&sink.url("/hook"), "2", ""));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while sink
        .requests()
        .last()
        .is_none_or(|request| request.json()["tag"] != "2")
    {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the new settings never came into force"
        );
        client.publish("t/1", 1, "3").await;
    }
}
