//! Messages that wait for a client, and messages that it cannot take.

use super::client::{clean, persistent};
use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_bounds_deliveries_and_not_the_publishes_of_a_client_that_does_not_know_it() {
    let host = Host::start(Limits {
        max_inflight: 1,
        ..Limits::default()
    })
    .await;
    let mut s = clean(4, "s").join(host.address()).await;
    s.subscribe("t", 1).await;
    let mut p = clean(4, "p").join(host.address()).await;
    for n in 1..=100 {
        p.write(&p.publish_bytes("t", &[n], 2, false, [0, n])).await;
    }
    for _ in 1..=100 {
        assert_eq!(p.read().await.0, 0x50);
    }
    p.ping().await;
    s.message().await;
    // PINGRESP is next, although more messages wait.
    s.ping().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_drops_the_oldest() {
    let host = Host::start(Limits {
        max_mqueue_len: 2,
        ..Limits::default()
    })
    .await;
    let mut s = persistent(4, "s").join(host.address()).await;
    s.subscribe("t", 1).await;
    s.disconnect().await;
    host.sees("client.disconnected s Disconnect 0").await;
    let mut p = clean(4, "p").join(host.address()).await;
    for n in 0..3 {
        p.publish("t", &n.to_string(), 1, false).await;
    }
    host.sees("delivery.dropped s t q1 \"0\" QueueFull 151").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_too_long_for_one_receiver_spares_its_connection() {
    let host = Host::start(Limits {
        max_packet_size: 4_096,
        ..Limits::default()
    })
    .await;
    let connect = client::Connect {
        properties: vec![0x27, 0, 0, 0, 200],
        ..clean(5, "small")
    };
    let mut small = connect.join(host.address()).await;
    let mut large = clean(5, "large").join(host.address()).await;
    let mut s = clean(4, "s").join(host.address()).await;
    for client in [&mut small, &mut large, &mut s] {
        client.subscribe("t", 0).await;
    }
    let mut p = clean(4, "p").join(host.address()).await;
    // The second fits into a packet of 3.1.1 and not into one of 5.0, which is one byte longer.
    let (middle, longest) = ("m".repeat(500), "l".repeat(4_096 - 3));
    for payload in [middle.as_str(), longest.as_str(), "end"] {
        p.publish("t", payload, 0, false).await;
    }
    for payload in [middle.as_str(), longest.as_str(), "end"] {
        assert_eq!(s.receive().await.payload, payload);
    }
    for payload in [middle.as_str(), "end"] {
        assert_eq!(large.receive().await.payload, payload);
    }
    assert_eq!(small.receive().await.payload, "end");
    host.sees(&format!("delivery.dropped small t q0 {middle:?} TooLarge 149"))
        .await;
    host.sees(&format!("delivery.dropped large t q0 {longest:?} TooLarge 149"))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_retained_messages_than_a_queue_holds_all_arrive() {
    let host = Host::interested(
        Limits {
            max_mqueue_len: 10,
            ..Limits::default()
        },
        &[Hook::DeliveryDropped],
    )
    .await;
    let mut p = clean(4, "p").join(host.address()).await;
    for n in 0..500 {
        p.publish(&format!("t/{n}"), "x", 1, true).await;
    }
    for version in [4, 5] {
        let mut s = clean(version, "s").join(host.address()).await;
        s.subscribe("t/+", 1).await;
        let mut topics = std::collections::HashSet::new();
        for _ in 0..500 {
            topics.insert(s.receive().await.topic);
        }
        assert_eq!(topics.len(), 500);
    }
    assert_eq!(host.events().len(), 0);
}
