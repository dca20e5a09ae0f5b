//! A gateway in front of several brokers: one is killed under load, and one is removed by a reload.

use std::collections::BTreeMap;
use std::time::Duration;

use hookhost_tests::flow;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::http;
use hookhost_tests::metrics::Metrics;
use hookhost_tests::mosquitto::Mosquitto;
use hookhost_tests::packet::{self, kind};
use hookhost_tests::publishers::{Plan, Publishers, Tally};
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::Sink;
use hookhost_tests::{PATIENCE, Version};
use rustix::process::Signal;
use serde_json::Value;

/// A broker that the gateway can use. Its queue for one subscriber is never full here.
async fn broker() -> Host {
    let settings = "[mqtt]\nmax_mqueue_len = 100000\n[webhook.rule]\n";
    Setup::new().config(settings).start().await
}

/// `[broker]` of a gateway to these brokers.
fn settings(upstreams: &[&Host], more: &str) -> String {
    let list: Vec<String> = upstreams
        .iter()
        .map(|host| format!("\"mqtt://{}\"", host.address))
        .collect();
    let list = list.join(", ");
    format!("[broker]\nengine = \"gateway\"\nupstream = [{list}]\n{more}\n")
}

/// Waits until the upstreams have these states and connections.
async fn states_are(gateway: &Host, expected: &[(&Host, &str, u64)]) {
    let list = expected
        .iter()
        .map(|(host, status, connections)| (format!("mqtt://{}", host.address), (*status).to_owned(), *connections));
    let expected: Vec<(String, String, u64)> = list.collect();
    let is_expected = |answer: &http::Answer| states(&answer.json()) == expected;
    http::ask_until(gateway.admin.unwrap(), "GET /api/v1/broker", is_expected).await;
}

/// Address, status and connections of each upstream in an answer.
fn states(answer: &Value) -> Vec<(String, String, u64)> {
    let upstreams = answer["upstreams"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    upstreams
        .iter()
        .map(|one| {
            (
                text(&one["address"]),
                text(&one["status"]),
                one["connections"].as_u64().unwrap(),
            )
        })
        .collect()
}

/// The numbers that a subscriber gets, by client, until the last number of each client has come.
async fn received(subscriber: &mut Raw, last: &BTreeMap<String, u32>) -> BTreeMap<String, Vec<u32>> {
    let mut payloads = Vec::new();
    let mut left = last.clone();
    while !left.is_empty() {
        let packet = subscriber.expect(kind::PUBLISH).await;
        subscriber.send(&packet::ack(kind::PUBACK, packet.id())).await;
        let topic = usize::from(packet.body[0]) << 8 | usize::from(packet.body[1]);
        // Lengths of the topic and of the packet identifier.
        let payload = String::from_utf8(packet.body[2 + topic + 2..].to_vec()).unwrap();
        let (client, number) = payload.split_once(' ').unwrap();
        if left.get(client).is_some_and(|last| last.to_string() == number) {
            left.remove(client);
        }
        payloads.push(payload);
    }
    flow::numbers_in(payloads)
}

#[tokio::test]
async fn an_upstream_is_killed_under_load() {
    let (dying, staying) = (broker().await, broker().await);
    let mut subscriber = Raw::client(staying.address, Version::V311, "all").await;
    subscriber.subscribe(Version::V311, "d/#", 1).await;
    let sink = Sink::start().await;
    let rule = format!(
        "[webhook]\nurls = [\"{}\"]\n[webhook.rule]\nmessage_publish = [{{ action = \"a\" }}]\n",
        sink.url("/hook")
    );
    let gateway = Setup::new()
        .config(&format!("{}{rule}", settings(&[&dying, &staying], "")))
        .start()
        .await;
    let plan = Plan {
        clients: 8,
        window: 10,
        pause: Duration::from_millis(20),
        ..Plan::default()
    };
    let publishers = Publishers::start(gateway.address, &plan);
    publishers.go_on(300).await;
    // Each in turn.
    states_are(&gateway, &[(&dying, "up", 4), (&staying, "up", 4)]).await;

    dying.process.signal(Signal::KILL);
    states_are(&gateway, &[(&dying, "down", 0), (&staying, "up", 8)]).await;
    let sample = |name: &str, host: &Host| {
        format!(
            "hookhost_broker_upstream_{name}{{upstream=\"mqtt://{}\"}}",
            host.address
        )
    };
    let metrics = Metrics::read(&gateway).await;
    assert_eq!(metrics.sum(&sample("up", &dying)), 0.0);
    assert_eq!(metrics.sum(&sample("up", &staying)), 1.0);
    assert!(metrics.sum(&sample("failures_total", &dying)) >= 1.0);
    assert_eq!(metrics.sum(&sample("failures_total", &staying)), 0.0);
    publishers.go_on(500).await;
    let published = publishers.stop().await;
    let total: usize = published.iter().map(|client| client.count as usize).sum();
    // The broker that stays has every message of a client from the first one that it got.
    let last = published
        .iter()
        .map(|client| (client.id.clone(), client.count))
        .collect();
    let numbers = received(&mut subscriber, &last).await;
    for client in &published {
        let got = &numbers[&client.id];
        let expected: Vec<u32> = (got[0]..=client.count).collect();
        assert_eq!(*got, expected, "{}", client.id);
    }
    let stayed = numbers.values().filter(|numbers| numbers[0] == 1).count();
    assert!((4..8).contains(&stayed), "{stayed} clients were there from the start");
    // The gateway has an event for each message that was acknowledged.
    sink.wait_until("all webhooks", PATIENCE, |requests| {
        let tally = Tally::of(&published, &flow::numbers(requests));
        tally.received - tally.doubled == total
    })
    .await;
    let tally = Tally::of(&published, &flow::numbers(&sink.requests()));
    println!(
        "{tally}; at the broker that stays: {}",
        numbers.values().map(Vec::len).sum::<usize>()
    );
    tally.assert_complete();
    let repeated = 4 * plan.window;
    assert!(tally.doubled <= repeated, "{tally}");
    let log = gateway.log().lines().join("\n");
    let has = |host: &Host| {
        let address = host.address.to_string();
        log.lines()
            .any(|line| line.contains("is down") && line.contains(&address))
    };
    assert!(has(&dying) && !has(&staying), "{log}");
}

#[tokio::test]
async fn a_reload_drains_the_upstream_that_it_removes() {
    let (old, staying) = (broker().await, broker().await);
    let more = "drain_timeout = \"0s\"\n[webhook.rule]";
    let gateway = Setup::new().config(&settings(&[&old, &staying], more)).start().await;
    let mut clients = Vec::new();
    for number in 0..4 {
        clients.push(Raw::client(gateway.address, Version::V5, &format!("c-{number}")).await);
    }
    let file = gateway.dir().join("hookhost.toml");
    let beside = gateway.dir().join("hookhost.new");
    std::fs::write(&beside, settings(&[&staying], more)).unwrap();
    std::fs::rename(&beside, &file).unwrap();
    // The clients of the removed upstream get a reason, and come back to the other one; the others notice nothing.
    for (number, client) in clients.iter_mut().enumerate() {
        if number % 2 == 0 {
            assert_eq!(client.expect(kind::DISCONNECT).await.body, [139, 0]);
            client.closed().await;
            *client = Raw::client(gateway.address, Version::V5, &format!("c-{number}")).await;
        } else {
            client.ping().await;
        }
    }
    states_are(&gateway, &[(&staying, "up", 4)]).await;
    for client in &mut clients {
        client.ping().await;
    }
}

/// The same with brokers of another kind.
#[tokio::test]
async fn clients_of_a_killed_mosquitto_come_back_to_another_one() {
    let (Some(mut dying), Some(staying)) = (
        Mosquitto::start("persistence false").await,
        Mosquitto::start("persistence false").await,
    ) else {
        return;
    };
    let upstream = format!("[\"mqtt://{}\", \"mqtt://{}\"]", dying.address, staying.address);
    let gateway = Setup::new()
        .config(&format!(
            "[broker]\nengine = \"gateway\"\nupstream = {upstream}\nbalance = \"failover\"\n[webhook.rule]\n"
        ))
        .start()
        .await;
    let mut client = Raw::client(gateway.address, Version::V5, "c").await;
    dying.process.signal(Signal::KILL);
    dying.process.wait(PATIENCE).await;
    assert_eq!(client.expect(kind::DISCONNECT).await.body, [128, 0]);
    client.closed().await;
    let mut client = Raw::client(gateway.address, Version::V5, "c").await;
    client.subscribe(Version::V5, "t", 1).await;
    let mut other = Raw::client(staying.address, Version::V311, "other").await;
    other.publish(Version::V311, "t", 1, b"from the other one").await;
    assert!(client.expect(kind::PUBLISH).await.body.ends_with(b"from the other one"));
}
