//! The rules of MQTT that RMQTT does not check, in packets that are too long to be collected.

use super::client::{clean, packet, text};
use super::*;

/// A user property of this many bytes, roughly.
fn filling(bytes: usize) -> Vec<u8> {
    [vec![0x26], text("filling"), text(&"x".repeat(bytes))].concat()
}

/// A PUBLISH of MQTT 5 with these properties, of which the last one comes after some kilobytes.
fn publish(first: u8, last: &[u8]) -> Vec<u8> {
    let properties = [filling(5000), filling(60_000), last.to_vec()].concat();
    let mut body = text("t");
    if first & 6 != 0 {
        body.extend([0, 7]);
    }
    hookhost_relay::frame::variable_length(&mut body, properties.len());
    body.extend(properties);
    body.extend([b'x'; 20_000]);
    packet(first, &body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forbidden_in_a_long_packet_ends_the_connection() {
    let host = Host::start(Limits {
        max_topic_aliases: 5,
        ..Limits::default()
    })
    .await;
    let filters: Vec<u8> = (0..500)
        .flat_map(|number| [text(&format!("a/{number:05}")), vec![1]].concat())
        .collect();
    let subscribe = |version: u8, filter: &[u8]| {
        let head: &[u8] = if version == 5 { b"\0\x09\0" } else { b"\0\x09" };
        packet(0x82, &[head, &filters, filter].concat())
    };
    for (version, bytes, code) in [
        (5, publish(0x32, b"\x08\0\x03a/#"), 130),
        (5, publish(0x30, b"\x0b\x07"), 130),
        (5, publish(0x30, b"\x23\0\x06"), 148),
        (5, subscribe(5, b"\0\x0a$share/g/t\x05"), 130),
        (5, subscribe(5, b"\0\x03a\0b\x01"), 129),
        (4, subscribe(4, b"\0\x01t\x41"), 129),
    ] {
        let mut c = clean(version, "c").join(host.address()).await;
        c.write(&[bytes, vec![0xc0, 0]].concat()).await;
        if version == 5 {
            assert_eq!(c.read().await, (0xe0, vec![code, 0]), "not accepted");
        }
        assert_eq!(c.closed().await, Vec::<u8>::new(), "not accepted");
        host.sees(&format!("client.disconnected c ProtocolError {code}")).await;
        host.forget();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_allowed_in_a_long_packet_passes() {
    let host = Host::start(Limits::default()).await;
    let mut c = clean(5, "c").join(host.address()).await;
    c.subscribe("t", 0).await;
    for round in 0..3 {
        c.write(&[publish(0x30, b"\x08\0\x03a/b"), vec![0xc0, 0]].concat())
            .await;
        let mut kinds = [c.read().await.0, c.read().await.0];
        kinds.sort_unstable();
        assert_eq!(kinds, [0x30, 0xd0], "{round}");
    }
}
