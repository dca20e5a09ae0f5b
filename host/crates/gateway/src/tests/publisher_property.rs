//! Messages that say who published them: two gateways before one broker, which share nothing.

use super::client::{Connect, clean, packet, text};
use super::*;
use crate::Publishers;

const NAME: &str = "hookhost-publisher";

/// A gateway that has messages say it.
async fn stamping(upstream: SocketAddr, limits: Limits) -> Host {
    let gateway = GatewaySettings {
        publishers: Publishers::UserProperty,
        ..GatewaySettings::new(vec![at(upstream)])
    };
    through(limits, gateway).await
}

fn user(name: &str, value: &str) -> Vec<u8> {
    [vec![0x26], text(name), text(value)].concat()
}

/// A PUBLISH of MQTT 5 at QoS 0 with these properties.
fn publish(topic: &str, properties: &[u8], payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(properties.len()).unwrap();
    assert!(length < 128);
    packet(0x30, &[&text(topic)[..], &[length], properties, payload].concat())
}

/// The publisher's id and the message's, as a delivery of this payload tells them.
async fn delivered(host: &Host, receiver: &str, payload: &str) -> (String, hookhost_event::Id) {
    let found = |events: &[Arc<Event>]| {
        events.iter().find_map(|event| match &event.detail {
            Detail::MessageDelivered(delivery)
                if delivery.receiver.id == *receiver && delivery.message.payload == payload.as_bytes() =>
            {
                Some((delivery.message.publisher.id.to_string(), delivery.message.id))
            }
            _ => None,
        })
    };
    let events = host.until(|events| found(events).is_some()).await;
    found(&events).unwrap()
}

/// The id that message.publish told for a payload.
fn published(host: &Host, payload: &str) -> hookhost_event::Id {
    let events = host.events();
    let ids = events.iter().find_map(|event| match &event.detail {
        Detail::MessagePublish(message) if message.payload == payload.as_bytes() => Some(message.id),
        _ => None,
    });
    ids.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_gateway_knows_who_published_and_no_client_sees_how() {
    let upstream = start(&settings(Limits::default()), None).await.unwrap();
    let (here, there) = (
        stamping(upstream.address(), Limits::default()).await,
        stamping(upstream.address(), Limits::default()).await,
    );
    let mut s = clean(5, "s").join(there.address()).await;
    s.subscribe("#", 0).await;
    let mut old = clean(4, "old").join(there.address()).await;
    old.subscribe("#", 0).await;
    let mut direct = clean(5, "direct").join(upstream.address()).await;
    direct.subscribe("#", 0).await;
    let mut p = clean(5, "p").join(here.address()).await;
    // What the client says about itself goes, and everything else stays.
    let mine = [user("k", "v"), user(NAME, "{\"id\":\"1\"}")].concat();
    p.write(&publish("t", &mine, b"x")).await;
    let (first, body) = s.read().await;
    let shown = String::from_utf8_lossy(&body).into_owned();
    assert!(first == 0x30 && !shown.contains(NAME), "{shown}");
    // RMQTT puts an expiry before it.
    assert!(body.ends_with(&[user("k", "v"), b"x".to_vec()].concat()), "{body:?}");
    assert_eq!(old.receive().await.payload, "x");
    let (_, body) = direct.read().await;
    let shown = String::from_utf8_lossy(&body).into_owned();
    assert!(
        shown.contains(NAME) && shown.contains("\"publisher\":{\"id\":\"p\",\"peer\":"),
        "{shown}"
    );
    here.sees("message.publish p Client t q0 \"x\"").await;
    let id = published(&here, "x");
    assert_eq!(delivered(&there, "s", "x").await, ("p".to_owned(), id));
    // MQTT 3.1.1 has no properties, and the content did not pass there.
    assert_eq!(delivered(&there, "old", "x").await.0, "");

    // The same of a will, whose own property goes as well.
    let connect = Connect {
        will: Some(("gone".into(), "w".into(), false)),
        will_properties: mine.clone(),
        ..clean(5, "w")
    };
    drop(connect.join(here.address()).await);
    let (first, body) = s.read().await;
    assert_eq!(first & 0xf0, 0x30);
    let shown = String::from_utf8_lossy(&body).into_owned();
    assert!(shown.contains("gone") && !shown.contains(NAME), "{shown}");
    here.sees("message.publish w Will gone q1 \"w\"").await;
    assert_eq!(
        delivered(&there, "s", "w").await,
        ("w".to_owned(), published(&here, "w"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_of_each_size_come_whole_and_too_long_ones_end_their_connection() {
    let limits = |longest| Limits {
        max_packet_size: longest,
        ..Limits::default()
    };
    let upstream = start(&settings(limits(1 << 20)), None).await.unwrap();
    let host = stamping(upstream.address(), limits(100_000)).await;
    let mut s = clean(5, "s").join(host.address()).await;
    s.subscribe("t", 0).await;
    let mut p = clean(5, "p").join(host.address()).await;
    for length in [0, 100, 127, 128, 16_000, 16_383, 65_536, 99_990] {
        let payload = "x".repeat(length);
        let bytes = p.publish_bytes("t", payload.as_bytes(), 0, false, [0, 0]);
        // In pieces, as the network may cut it.
        for piece in bytes.chunks(30_011) {
            p.write(piece).await;
            tokio::task::yield_now().await;
        }
        assert_eq!(s.receive().await.payload.len(), length);
    }
    // From elsewhere it passes unseen.
    let mut direct = clean(5, "direct").join(upstream.address()).await;
    let long = "y".repeat(300_000);
    direct.publish("t", &long, 0, false).await;
    direct.publish("t", "short", 0, false).await;
    assert_eq!(s.receive().await.payload, long);
    assert_eq!(s.receive().await.payload, "short");
    let bytes = p.publish_bytes("t", &[b'x'; 200_000], 0, false, [0, 0]);
    drop(p.write_unchecked(&bytes).await);
    let kinds = p.closed().await;
    assert!(kinds.iter().all(|kind| *kind == 0xe0), "{kinds:02x?}");
    host.sees("client.disconnected p ProtocolError 149").await;
    s.ping().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publish_in_which_nobody_can_look_is_not_let_in() {
    let upstream = start(&settings(Limits::default()), None).await.unwrap();
    let host = stamping(upstream.address(), Limits::default()).await;
    let mut s = clean(5, "s").join(host.address()).await;
    s.subscribe("t", 0).await;
    let mut p = clean(5, "p").join(host.address()).await;
    // A session expiry interval is no property of a PUBLISH, but some brokers read over it.
    p.write(&packet(0x30, b"\0\x01t\x05\x11\0\0\0\x09x")).await;
    assert_eq!(p.read().await, (0xe0, vec![129, 0]));
    host.sees("client.disconnected p ProtocolError 129").await;
    s.ping().await;
    assert!(
        host.events()
            .iter()
            .all(|event| event.detail.hook() != Hook::MessageDelivered)
    );
}
