//! The attempts of a request go on where the host that made the last one has stopped, whatever the clocks of the hosts show.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Instant;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::nats::Nats;
use hookhost_tests::sink::{Answer, Received, Sink};
use hookhost_tests::{PATIENCE, Version};
use rustix::process::Signal;
use serde_json::Value;

use super::clocks::{can_change_clocks, with_clock};
use super::{config, payloads};

/// A host that waits as long as `delays` say, and whose clock shows another time: such as `+60s`, or ``.
async fn host(nats: &Nats, sink: &Sink, delays: &str, clock: &str) -> Host {
    let config = config(nats, sink, "").replace(
        "[delivery]\n",
        &format!("[delivery]\nattempt_header = \"webhook-attempt\"\nretry_delays = {delays}\n"),
    );
    with_clock(Setup::new().config(&config), clock).start().await
}

/// The state of the bucket that has the attempts.
async fn kept(nats: &Nats) -> Value {
    let info = nats.ask("$JS.API.STREAM.INFO.KV_hookhost-outbox-attempts", "").await;
    let mut info: Value = serde_json::from_str(&info).unwrap();
    info["state"].take()
}

/// Waits until this number of changes was written to the bucket.
async fn until_kept(nats: &Nats, changes: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state = kept(nats).await;
        if state["last_seq"].as_u64() >= Some(changes) {
            return;
        }
        assert!(Instant::now() < deadline, "not {changes} changes: {state}");
    }
}

async fn letters(host: &Host) -> Vec<Value> {
    let answer: Value = serde_json::from_str(&host.ask(&["dead-letters", "list", "--json"]).await).unwrap();
    answer["letters"].as_array().unwrap().clone()
}

fn attempts<'a>(requests: impl IntoIterator<Item = &'a Arc<Received>>) -> Vec<&'a str> {
    let requests = requests.into_iter();
    requests.filter_map(|one| one.header("webhook-attempt")).collect()
}

async fn kill(host: &mut Host) {
    host.process.signal(Signal::KILL);
    host.process.wait(PATIENCE).await;
}

/// Two attempts fail, the third one is under way when its host is killed.
async fn the_attempts_go_on(clocks: [&str; 2]) {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let is_killed = Arc::new(AtomicBool::new(false));
    let killed = Arc::clone(&is_killed);
    sink.answer(move |request, _| match request.header("webhook-attempt") {
        Some("3") if !killed.load(SeqCst) => Answer::Hang,
        _ => Answer::Status(503),
    });
    let delays = "[\"10ms\", \"10ms\", \"10ms\"]";
    let mut one = host(&nats, &sink, delays, clocks[0]).await;
    let mut client = Client::connect(one.address, Version::V5, "c").await;
    client.publish("t", 1, "1").await;
    sink.wait_for(3, PATIENCE).await;
    until_kept(&nats, 2).await;
    kill(&mut one).await;
    is_killed.store(true, SeqCst);

    let mut two = host(&nats, &sink, delays, clocks[1]).await;
    let all = sink.wait_for(5, PATIENCE).await;
    assert_eq!(attempts(&all), ["1", "2", "3", "3", "4"]);
    let deadline = Instant::now() + PATIENCE;
    let letter = loop {
        if let [letter] = &letters(&two).await[..] {
            break letter.clone();
        }
        assert!(Instant::now() < deadline, "no dead letter");
    };
    let shown = two.ask(&["dead-letters", "show", &letter["id"].to_string()]).await;
    assert!(shown.contains("attempts: 4\n"), "{shown}");
    assert_eq!(shown.matches(" ms: answered with status 503").count(), 4, "{shown}");
    // Three failed attempts were followed by another one, and then the key was deleted.
    until_kept(&nats, 4).await;
    let left = kept(&nats).await["messages"].as_u64();
    assert!(left <= Some(1), "at most the mark of the deleted key: {left:?}");
    two.stop().await;
}

#[tokio::test]
async fn another_host_makes_the_next_attempt_of_a_killed_host() {
    the_attempts_go_on(["", ""]).await;
}

#[tokio::test]
async fn the_attempts_go_on_if_the_clocks_of_the_hosts_differ() {
    if can_change_clocks() {
        the_attempts_go_on(["+60s", "-60s"]).await;
    }
}

#[tokio::test]
async fn another_host_waits_for_the_time_of_the_next_attempt() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    sink.answer(|request, _| match payloads([&Arc::new(request.clone())])[..] {
        [ref payload] if payload == "waits" => Answer::Status(503),
        _ => Answer::Status(200),
    });
    let delays = "[\"1h\"]";
    let mut one = host(&nats, &sink, delays, "").await;
    let mut client = Client::connect(one.address, Version::V5, "c").await;
    client.publish("t", 1, "waits").await;
    until_kept(&nats, 1).await;
    kill(&mut one).await;
    let mut two = host(&nats, &sink, delays, "").await;
    let all = |line: &str| line.contains("partitions=64");
    two.log().wait("all partitions", PATIENCE, all).await;
    // Others are sent meanwhile, and those that succeed at once have no key.
    let mut client = Client::connect(two.address, Version::V5, "d").await;
    for number in 0..20 {
        client.publish("t", 1, number.to_string()).await;
    }
    let requests = sink.wait_for(21, PATIENCE).await;
    assert_eq!(payloads(&requests)[..2], ["waits", "0"]);
    let deadline = Instant::now() + PATIENCE;
    while two.waiting_requests().await != 1 {
        assert!(Instant::now() < deadline, "not only the first one waits");
    }
    assert_eq!(kept(&nats).await["last_seq"], 1);
    two.stop().await;
}
