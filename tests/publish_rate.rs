//! Limits of what one client may publish, in both engines.

use hookhost_tests::Version;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::http;
use hookhost_tests::packet::{self, kind};
use hookhost_tests::raw::Raw;

/// The counter `publish_rate_exceeded`.
async fn exceeded(host: &Host) -> u64 {
    let state = http::ask(host.admin.unwrap(), "GET /api/v1/broker", "").await.json();
    state["counters"]["publish_rate_exceeded"].as_u64().unwrap()
}

/// A client that publishes more than it may is disconnected; another one is not affected.
async fn a_client_that_publishes_too_much(settings: &str) {
    let setup = Setup::new().config(&format!(
        "[webhook.rule]\n[access]\npublish_rate = \"5/1h\"\npublish_bytes = \"1KiB/1h\"\n{settings}"
    ));
    let host = setup.recording().start().await;
    for (version, id) in [(Version::V311, "a"), (Version::V5, "b")] {
        let mut other = Raw::client(host.address, version, "other").await;
        let mut client = Raw::client(host.address, version, id).await;
        for number in 1..=5 {
            client.publish(version, "t", number, b"x").await;
        }
        client.send(&packet::publish(version, "t", 1, 6, b"x")).await;
        if version == Version::V5 {
            let mut last = client.read().await.unwrap();
            while last.kind() != kind::DISCONNECT {
                last = client.read().await.unwrap();
            }
            assert_eq!(last.body[0], 150);
        }
        client.closed().await;
        other.publish(version, "t", 1, b"x").await;
        other.send(&packet::publish(version, "t", 0, 0, &[0; 2_000])).await;
        other.closed().await;
    }
    assert_eq!(exceeded(&host).await, 4);
    let ended = host.recorded("client-disconnected", 4, |_| true).await;
    for event in &ended {
        assert_eq!(event["disconnection"]["end"]["code"], 150, "{event}");
    }
}

#[tokio::test]
async fn a_client_publishes_too_much_to_the_built_in_broker() {
    a_client_that_publishes_too_much("").await;
}

#[tokio::test]
async fn a_client_publishes_too_much_through_the_gateway() {
    let upstream = Setup::new().config("[webhook.rule]\n").start().await;
    let settings = format!(
        "[broker]\nengine = \"gateway\"\nupstream = \"mqtt://{}\"\n",
        upstream.address
    );
    a_client_that_publishes_too_much(&settings).await;
}
