//! Modules that fail on every event, and what happens to these events. The module is `tests/guests/probe`.

use std::sync::Arc;

use hookhost_tests::client::Client;
use hookhost_tests::flow::{self, Flow};
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::sink::{Received, Sink};
use hookhost_tests::{PATIENCE, Version, binary};
use serde_json::Value;

const V: Version = Version::V311;

fn settings(sink: &Sink, tag: &str) -> String {
    format!(
        "[config]\nurl = {:?}\ntag = {tag:?}\ntopic = \"t/#\"\n",
        sink.url("/hook")
    )
}

/// A host with the probe as its only module, with a tag. It fails on every event with the tag `always`.
async fn probe(sink: &Sink, tag: &str) -> Host {
    Setup::new()
        .modules()
        .module_file("webhook.toml", settings(sink, tag))
        .module_file("webhook.wasm", std::fs::read(binary::probe_module()).unwrap())
        .start()
        .await
}

/// The state of the host's only module.
async fn module(host: &Host) -> Value {
    let answer: Value = serde_json::from_str(&host.ask(&["modules", "--json"]).await).unwrap();
    answer["modules"][0].clone()
}

/// Waits until the module is in a state, and returns its full state.
async fn until_state(host: &Host, state: &str) -> Value {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let module = module(host).await;
        if module["state"] == state {
            return module;
        }
        assert!(tokio::time::Instant::now() < deadline, "never {state}: {module}");
    }
}

/// The entries of the quarantine, newest first.
async fn entries(host: &Host) -> Vec<Value> {
    let answer: Value = serde_json::from_str(&host.ask(&["quarantine", "list", "--json"]).await).unwrap();
    answer["entries"].as_array().unwrap().clone()
}

async fn until_entries(host: &Host, count: usize) -> Vec<Value> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let entries = entries(host).await;
        if entries.len() == count {
            return entries;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "never {count} entries: {entries:?}"
        );
    }
}

/// The payloads that the probe sent to the sink.
fn told(requests: &[Arc<Received>]) -> Vec<String> {
    let payload = |request: &Arc<Received>| Some(request.json()["payload"].as_str()?.to_owned());
    requests.iter().filter_map(payload).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_generation_that_fails_on_everything_is_rolled_back_and_nothing_is_lost() {
    let sink = Sink::start().await;
    let host = probe(&sink, "good").await;
    let flow = Flow::start(host.address, "flow", 4, 1000, "t").await;
    flow.go_on(200).await;
    let mark = host.log().mark();
    host.drop_module("webhook.toml", settings(&sink, "always"));
    let line = host
        .log()
        .wait_after(mark, "the rollback", PATIENCE, |line| {
            line.contains("module rolled back")
        })
        .await;
    assert!(
        line.contains("told to panic always") && line.contains("generation=1"),
        "{line}"
    );
    flow.go_on(200).await;
    let state = module(&host).await;
    assert_eq!(
        (&state["state"], &state["generation"]["number"]),
        (&"rolled back".into(), &1.into())
    );
    let problem = state["problem"].as_str().unwrap();
    assert!(problem.contains("generation 2 was rolled back"), "{problem}");
    let shown = host.ask(&["modules"]).await;
    assert!(
        shown.contains("rolled back") && shown.contains("told to panic"),
        "{shown}"
    );

    // A request retries it, with the same result.
    let found = host.ask(&["modules", "rescan"]).await;
    assert!(found.contains("webhook: generation 3 is active"), "{found}");
    let state = until_state(&host, "rolled back").await;
    assert_eq!(state["generation"]["number"], 1);
    // A change is loaded without a request.
    host.drop_module("webhook.toml", settings(&sink, "better"));
    let state = until_state(&host, "running").await;
    assert_eq!(state["generation"]["number"], 4);
    flow.go_on(200).await;
    let sent = flow.stop().await;
    let requests = sink.wait_for(flow::total(&sent), PATIENCE).await;
    flow::assert_once_in_order(&sent, &flow::numbers_in(told(&requests)));
    assert!(entries(&host).await.is_empty());
    assert_eq!(requests.last().unwrap().json()["tag"], "better");
    assert!(requests.iter().all(|request| request.json()["tag"] != "always"));
}

#[tokio::test]
async fn without_a_predecessor_the_module_pauses_and_its_events_wait() {
    const EVENTS: usize = 60;
    let sink = Sink::start().await;
    let host = probe(&sink, "always").await;
    let mut client = Client::connect(host.address, V, "c1").await;
    for number in 0..EVENTS {
        client.publish("t/1", 1, format!("c1 {number}")).await;
    }
    let state = until_state(&host, "backing off").await;
    assert!(
        state["problem"].as_str().unwrap().contains("5 events in a row"),
        "{state}"
    );
    host.log()
        .wait("the pause", PATIENCE, |line| line.contains("module backs off"))
        .await;
    host.drop_module("webhook.toml", settings(&sink, "mended"));
    until_state(&host, "running").await;
    client.publish("t/1", 1, format!("c1 {EVENTS}")).await;
    let last = format!("c1 {EVENTS}");
    let requests = sink
        .wait_until("the last", PATIENCE, |all| told(all).last() == Some(&last))
        .await;
    // The few events of its attempts are quarantined. All others have waited.
    let aside = entries(&host).await;
    assert!((5..EVENTS).contains(&aside.len()), "{}", aside.len());
    assert_eq!(aside.len() + requests.len(), EVENTS + 1);
    assert_eq!(
        flow::numbers_in(told(&requests))["c1"],
        (aside.len() as u32..=EVENTS as u32).collect::<Vec<_>>()
    );
    let replayed = host.ask(&["quarantine", "replay", "--module", "webhook"]).await;
    assert_eq!(replayed.lines().count(), aside.len(), "{replayed}");
    let requests = sink.wait_for(EVENTS + 1, PATIENCE).await;
    let mut all = flow::numbers_in(told(&requests))["c1"].clone();
    all.sort_unstable();
    assert_eq!(all, (0..=EVENTS as u32).collect::<Vec<_>>());
    assert!(entries(&host).await.is_empty());
}

#[tokio::test]
async fn events_are_listed_shown_replayed_and_dropped() {
    let sink = Sink::start().await;
    let host = probe(&sink, "1").await;
    let mut client = Client::connect(host.address, V, "c1").await;
    for payload in ["panic", "good", "fail", "loop"] {
        client.publish("t/1", 1, payload).await;
    }
    let entries = until_entries(&host, 3).await;
    let field = |name: &str| entries.iter().map(|entry| entry[name].clone()).collect::<Vec<_>>();
    assert_eq!(field("id"), [3, 2, 1]);
    assert_eq!(field("fault"), ["timed out", "failed", "trapped"]);
    for (name, expected) in [
        ("module", "webhook"),
        ("hook", "message-publish"),
        ("client", "c1"),
        ("topic", "t/1"),
    ] {
        assert_eq!(field(name), [expected; 3], "{name}");
    }
    assert_eq!(field("generation"), [1, 1, 1]);
    assert_eq!(entries[1]["text"], "told to fail");
    let panic = entries[2]["text"].as_str().unwrap();
    assert!(panic.contains("told to panic") && panic.contains("lib.rs"), "{panic}");
    let list = host
        .ask(&["quarantine", "list", "--module", "webhook", "--limit", "2"])
        .await;
    assert!(list.contains("told to fail") && list.contains("--before 2"), "{list}");
    assert!(!list.contains("told to panic"), "{list}");
    assert_eq!(
        host.ask(&["quarantine", "list", "--module", "other"])
            .await
            .lines()
            .count(),
        1
    );

    let shown = host.ask(&["quarantine", "show", "2"]).await;
    assert!(shown.contains("told to fail"), "{shown}");
    let event: Value = serde_json::from_str(&host.ask(&["quarantine", "show", "2", "--events"]).await).unwrap();
    assert_eq!(event["hook"], "message-publish");
    assert_eq!(event["message"]["payload"], "fail");
    assert_eq!(event["id"], entries[1]["event_id"]);
    // Neither the log nor the list contains a payload.
    let log = host.log().lines().join("\n");
    assert!(
        log.contains("event quarantined; for details run: hookhost quarantine show 1") && !log.contains("payload"),
        "{log}"
    );

    // The replayed event fails again and is back under another number.
    assert_eq!(
        host.ask(&["quarantine", "replay", "2"]).await,
        "2: passed to its module\n"
    );
    let again = until_entries(&host, 3).await;
    assert_eq!(
        (&again[0]["id"], &again[0]["event_id"]),
        (&4.into(), &entries[1]["event_id"])
    );
    let unknown = host.try_ask(&["quarantine", "replay", "2", "99"]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(1), ""));
    assert!(
        unknown.stderr.contains("no event 2") && unknown.stderr.contains("no event 99"),
        "{unknown:?}"
    );

    assert_eq!(host.ask(&["quarantine", "drop", "1"]).await, "1: dropped\n");
    assert_eq!(
        host.ask(&["quarantine", "drop", "--all"]).await,
        "3: dropped\n4: dropped\n"
    );
    assert_eq!(module(&host).await["quarantine"]["events"], 0);
    assert_eq!(told(&sink.requests()), ["good"]);
}

#[tokio::test]
async fn the_quarantine_is_bounded() {
    let sink = Sink::start().await;
    let host = Setup::new()
        .env("HOOKHOST_QUARANTINE__EVENTS", "3")
        .modules()
        .module_file("webhook.toml", settings(&sink, "1"))
        .module_file("webhook.wasm", std::fs::read(binary::probe_module()).unwrap())
        .start()
        .await;
    let mut client = Client::connect(host.address, V, "c1").await;
    for _ in 0..5 {
        client.publish("t/1", 1, "fail").await;
    }
    client.publish("t/1", 1, "last").await;
    sink.wait_for(1, PATIENCE).await;
    let ids: Vec<_> = entries(&host).await.iter().map(|entry| entry["id"].clone()).collect();
    assert_eq!(ids, [5, 4, 3]);
    assert_eq!(module(&host).await["quarantine"]["evicted"], 2);
}

/// With a data folder the quarantine survives a restart, and its events can be replayed.
#[tokio::test]
async fn the_quarantine_survives_a_restart() {
    let sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    let start = async |tag: &str| {
        let setup = Setup::new().arg("--data").arg(data.path()).modules();
        setup
            .module_file("webhook.toml", settings(&sink, tag))
            .module_file("webhook.wasm", std::fs::read(binary::probe_module()).unwrap())
            .start()
            .await
    };
    let mut first = start("1").await;
    let mut client = Client::connect(first.address, V, "c1").await;
    client.publish("t/1", 1, "fail").await;
    let before = until_entries(&first, 1).await;
    first.stop().await;
    let second = start("1").await;
    assert_eq!(entries(&second).await, before);
    // It fails again, under a number that was never used.
    assert_eq!(
        second.ask(&["quarantine", "replay", "--all"]).await,
        "1: passed to its module\n"
    );
    let again = until_entries(&second, 1).await;
    assert_eq!(
        (&again[0]["id"], &again[0]["event_id"]),
        (&2.into(), &before[0]["event_id"])
    );
}

/// A client whose events the module cannot handle loses only its own events. Other clients lose nothing.
#[tokio::test]
async fn one_client_cannot_stop_a_module_that_works() {
    let sink = Sink::start().await;
    let host = probe(&sink, "1").await;
    let mut good = Client::connect(host.address, V, "good").await;
    let mut bad = Client::connect(host.address, V, "bad").await;
    good.publish("t/1", 1, "good 0").await;
    sink.wait_for(1, PATIENCE).await;
    for _ in 0..30 {
        bad.publish("t/1", 1, "panic").await;
    }
    good.publish("t/1", 1, "good 1").await;
    assert_eq!(told(&sink.wait_for(2, PATIENCE).await), ["good 0", "good 1"]);
    until_entries(&host, 30).await;
    assert_eq!(module(&host).await["state"], "running");
    assert!(!host.log().lines().iter().any(|line| line.contains("backs off")));
}
