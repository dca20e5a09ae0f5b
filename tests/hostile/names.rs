//! Arbitrary topics, client ids and payloads.

use std::sync::Arc;

use hookhost_tests::client::Client;
use hookhost_tests::packet::{Connect, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::Received;
use hookhost_tests::{PATIENCE, Version, body};

use crate::Town;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_in_any_script() {
    let town = Town::start().await;
    let topics = [
        "温度/传感器/1",
        "датчик/температура",
        "حرارة/غرفة",
        "θερμό/α",
        "🌡️/🏠/👩‍👩‍👧",
        "e\u{301}/é",
        "with space/ and tab\t",
        "quote\"/back\\slash/'",
        "/",
        "//",
        "a//b",
        "a/",
        "\u{7f}/\u{85}",
        "\u{feff}bom",
        "\u{fffd}",
        "\u{10ffff}",
        "%2F/{x}/<b>&",
    ];
    let mut subscriber = Client::connect(town.host.address, Version::V5, "subscriber").await;
    subscriber.subscribe("#", 1).await;
    let mut publisher = Raw::client(town.host.address, Version::V311, "scripts").await;
    for (topic, id) in topics.iter().zip(1..) {
        publisher.publish(Version::V311, topic, id, topic.as_bytes()).await;
    }
    publisher.disconnect().await;
    for topic in topics {
        let message = loop {
            let message = subscriber.message().await;
            if !message.topic.starts_with("bystander/") {
                break message;
            }
        };
        assert_eq!(
            (message.topic.as_str(), message.payload.as_slice()),
            (topic, topic.as_bytes())
        );
    }
    let events = |all: &[Arc<Received>]| -> Vec<String> {
        let of_scripts = |body: &serde_json::Value| body["from_clientid"] == "scripts" && body["clientid"].is_null();
        let bodies = all.iter().map(|request| request.json()).filter(of_scripts);
        bodies
            .map(|body| body["topic"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let all = town
        .sink
        .wait_until("all topics", PATIENCE, |all| events(all).len() == topics.len())
        .await;
    assert_eq!(events(&all), topics);
    subscriber.disconnect().await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_begin_with_a_dollar() {
    let town = Town::start().await;
    let mut all = Client::connect(town.host.address, Version::V311, "all").await;
    all.subscribe("#", 1).await;
    all.subscribe("+/x", 1).await;
    let mut publisher = Client::connect(town.host.address, Version::V311, "dollar").await;
    let topics = ["$x", "$x/x", "$SYS/x", "$SYS/broker/version", "$queue/x", "$"];
    for topic in topics {
        publisher.publish(topic, 1, "x").await;
    }
    publisher.publish("plain", 1, "x").await;
    let message = loop {
        let message = all.message().await;
        if !message.topic.starts_with("bystander/") {
            break message;
        }
    };
    assert_eq!(
        message.topic, "plain",
        "a leading wildcard matches no topic that begins with $"
    );
    let told = |all: &[Arc<Received>]| -> Vec<String> {
        let of_dollar = |body: &serde_json::Value| body["from_clientid"] == "dollar" && body["clientid"].is_null();
        let bodies = all.iter().map(|request| request.json()).filter(of_dollar);
        bodies
            .map(|body| body["topic"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let requests = town
        .sink
        .wait_until("all topics", PATIENCE, |all| told(all).len() > topics.len())
        .await;
    assert_eq!(told(&requests)[..topics.len()], topics);
    publisher.disconnect().await;
    all.disconnect().await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_ids_of_any_kind() {
    let town = Town::start().await;
    let long = "l".repeat(20_000);
    let ids = [
        "+",
        "#",
        "/",
        "$",
        "$SYS",
        "a/b",
        "a b",
        " ",
        "\"",
        "\\",
        "\\u0041",
        "\n",
        "\r\nready mqtt=1.2.3.4:5",
        "\t",
        "\u{1}",
        "\u{1b}[31mred",
        "%s%n",
        "{}",
        "../../etc/passwd",
        "温度",
        "🌡️",
        "\u{202e}reversed",
        "undefined",
        "null",
        &long,
    ];
    for version in [Version::V311, Version::V5] {
        for id in ids {
            let mut raw = Raw::open(town.host.address).await;
            raw.send(&Connect::new(version, id).encode()).await;
            // A broker may reject control characters. If it accepts them, it must report them unchanged.
            let accepted = raw
                .read()
                .await
                .is_some_and(|packet| packet.kind() == kind::CONNACK && packet.body[1] == 0);
            let must = !id.chars().any(char::is_control);
            assert!(accepted || !must, "{id:?} was refused");
            if accepted {
                raw.publish(version, "ids", 1, id.as_bytes()).await;
                raw.disconnect().await;
                let publish = |body: &serde_json::Value| body["topic"] == "ids" && body["from_clientid"] == id;
                let of = |all: &[Arc<Received>]| all.iter().filter(|request| publish(&request.json())).count();
                let enough = if version == Version::V311 { 1 } else { 2 };
                town.sink
                    .wait_until(&format!("{enough} events of {id:?}"), PATIENCE, |all| of(all) == enough)
                    .await;
            }
        }
    }
    let forged = town
        .host
        .log()
        .lines()
        .iter()
        .filter(|line| line.starts_with("ready mqtt=1.2.3.4"))
        .count();
    assert_eq!(forged, 0, "a client forged a line of the log");
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishes_that_are_almost_too_large() {
    let town = Town::start().await;
    let mut publisher = Raw::client(town.host.address, Version::V311, "large").await;
    let payload = vec![7u8; 1_000_000];
    publisher.publish(Version::V311, "large", 1, &payload).await;
    let large = |all: &[Arc<Received>]| all.iter().any(|request| request.body.len() > 1_300_000);
    let all = town.sink.wait_until("the large one", PATIENCE, large).await;
    let request = all
        .iter()
        .find(|request| request.body.len() > 1_300_000)
        .expect("it was waited for");
    assert_eq!(body::payload(&request.json()), payload);
    publisher.disconnect().await;
    town.end().await;
}
