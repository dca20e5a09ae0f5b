//! rumqttd behind the gateway: what it would die of never reaches it, what it cannot do is said, and when it dies all
//! the same another one takes its place.

mod sessions;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{Client, Connect, clean, packet, persistent, text};
use super::*;
use crate::rumqttd::Rumqttd;
use crate::rumqttd::connect::ShieldedConnect;
use crate::{Broker, Engine};

async fn host() -> Host {
    through(Limits::default(), GatewaySettings::rumqttd()).await
}

/// The gateway itself, where a test wants to look inside.
async fn broker() -> Broker {
    let settings = settings(Limits::default());
    let gateway = GatewaySettings::rumqttd();
    Broker::start(
        &settings,
        &gateway,
        &UpstreamControl::new(gateway.upstreams.clone()),
        None,
    )
    .await
    .unwrap()
}

/// Where rumqttd listens, and its password.
fn behind(broker: &Broker) -> (SocketAddr, String) {
    let look = |rumqttd: &Rumqttd| (rumqttd.address(), rumqttd.password().to_owned());
    broker.shared.upstreams.with_local(look).unwrap()
}

/// How often rumqttd has died.
fn deaths(broker: &Broker) -> u64 {
    let counters = broker.counters();
    counters
        .iter()
        .find(|(name, _)| *name == "deaths_of_rumqttd")
        .unwrap()
        .1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life() {
    for version in [3, 4, 5] {
        let host = host().await;
        let mut c = clean(version, "c").join(host.address()).await;
        assert_eq!(c.subscribe("t/1", 1).await, 1);
        c.publish("t/1", "x", 1, false).await;
        assert_eq!(c.receive().await.payload, "x");
        c.ping().await;
        c.unsubscribe("t/1").await;
        c.disconnect().await;
        host.told(&[
            "client.connect c",
            "client.authenticated c 0 anonymous",
            "session.created c",
            "client.connack c 0 new",
            "client.connected c 0 new",
            "client.authorized c Subscribe t/1 allowed",
            "client.subscribe c t/1 q1 1 new",
            "session.subscribed c t/1 q1 1 new",
            "message.publish c Client t/1 q1 \"x\"",
            "message.delivered c t/1 q1 \"x\"",
            "message.acked c t/1 q1 \"x\"",
            "other c client.ping",
            "client.unsubscribe c t/1 q1 0",
            "session.unsubscribed c t/1 q1 0",
            "client.disconnected c Disconnect 0",
            "session.terminated c Disconnect 0",
        ])
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_version_and_qos_to_each() {
    let host = host().await;
    for (publisher, subscriber) in [(4, 4), (5, 5), (4, 5), (5, 4)] {
        for qos in [0, 1, 2] {
            let mut s = clean(subscriber, "s").join(host.address()).await;
            s.subscribe("t/#", qos).await;
            let mut p = clean(publisher, "p").join(host.address()).await;
            for number in 0..30 {
                p.publish("t/1", &number.to_string(), qos, false).await;
                let received = s.receive().await;
                assert_eq!((received.payload, received.qos), (number.to_string(), qos));
            }
            s.disconnect().await;
            p.disconnect().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_would_die_of() {
    let broker = broker().await;
    let address = broker.address();
    let mut by = clean(4, "by").join(address).await;
    by.subscribe("#", 1).await;
    for version in [4, 5] {
        let refused = if version == 5 { 158 } else { 128 };
        let id = format!("{version}/+#$");
        let mut c = persistent(version, &id).open(address).await.0;
        // A topic that begins with no ASCII, with and without filters.
        for topic in ["温度/1", "ключ", "🦀", "$SYS/x", "$", "/", "a b"] {
            assert_eq!(c.subscribe(topic, 1).await, 1, "{topic}");
            c.publish(topic, topic, 1, false).await;
            assert_eq!(c.receive().await.topic, topic);
            if !topic.starts_with('$') {
                assert_eq!(by.receive().await.topic, topic);
            }
            c.unsubscribe(topic).await;
        }
        assert_eq!(c.subscribe("$SYS/#", 0).await, 0);
        assert_eq!(c.subscribe("$share/g/t", 1).await, refused);
        assert_eq!(c.subscribe("a/#/b", 1).await, if version == 5 { 143 } else { 128 });
        drop(c);
        let (mut c, found) = persistent(version, &id).open(address).await;
        assert!(found);
        c.ping().await;
        for id in [
            "+",
            "#",
            "/",
            "$SYS",
            "ключ",
            "🦀",
            " ",
            "%2b",
            "%watch",
            "watch",
            &"x".repeat(60_000),
        ] {
            let mut c = clean(version, id).join(address).await;
            c.ping().await;
            c.disconnect().await;
        }
    }
    by.ping().await;
    assert_eq!(deaths(&broker), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_filters_some_of_which_are_refused() {
    let host = host().await;
    for version in [4, 5] {
        let mut c = clean(version, "c").join(host.address()).await;
        let mut body = vec![0, 9];
        if version == 5 {
            body.push(0);
        }
        for (filter, options) in [("a", 1), ("$share/g/a", 0), ("b", 2), ("#/x", 0)] {
            body.extend(text(filter));
            body.push(options);
        }
        c.write(&packet(0x82, &body)).await;
        let (first, body) = c.read().await;
        assert_eq!(first, 0x90);
        let codes = if version == 5 {
            [1, 158, 2, 143]
        } else {
            [1, 128, 2, 128]
        };
        assert!(body.ends_with(&codes), "{body:?}");
        let id: &[u8] = if version == 5 { &[2, 0x0b, 7] } else { &[] };
        let code = c.subscribe_with("with/id", 1, id).await;
        assert_eq!(code, if version == 5 { 161 } else { 1 });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn properties_reach_those_who_can_read_them() {
    let host = host().await;
    let mut old = clean(4, "old").join(host.address()).await;
    let mut new = clean(5, "new").join(host.address()).await;
    old.subscribe("t", 0).await;
    new.subscribe("t", 0).await;
    let mut properties = vec![0x02, 0, 0, 0, 1, 0x03];
    properties.extend(text("text/plain"));
    properties.push(0x26);
    properties.extend(text("k"));
    properties.extend(text("v"));
    let mut body = text("t");
    body.push(properties.len() as u8);
    body.extend(&properties);
    body.extend(b"x");
    new.write(&packet(0x30, &body)).await;
    assert_eq!(old.receive().await.payload, "x");
    let (_, got) = new.read().await;
    let has = |what: &[u8]| got.windows(what.len()).any(|window| window == what);
    assert!(
        has(b"text/plain") && has(b"\x26\0\x01k\0\x01v") && !has(&[0x02, 0, 0, 0]),
        "{got:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmations_in_any_order() {
    let host = host().await;
    for qos in [1, 2] {
        let mut s = clean(4, "s").join(host.address()).await;
        s.subscribe("t", qos).await;
        let mut p = clean(4, "p").join(host.address()).await;
        for number in 0..20 {
            p.publish("t", &number.to_string(), qos, false).await;
        }
        let mut ids = Vec::new();
        for _ in 0..20 {
            ids.push(s.message().await.id.to_be_bytes());
        }
        s.write(&packet(0x40, &[0x77, 0x77])).await;
        for id in ids.iter().rev() {
            s.write(&packet(if qos == 1 { 0x40 } else { 0x50 }, id)).await;
        }
        if qos == 2 {
            for _ in 0..20 {
                assert_eq!(s.read().await.0, 0x62);
            }
            for id in ids.iter().rev() {
                s.write(&packet(0x70, id)).await;
            }
        }
        s.ping().await;
        p.publish("t", "end", qos, false).await;
        assert_eq!(s.receive().await.payload, "end");
        s.disconnect().await;
        host.sees("session.terminated s Disconnect 0").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_pass_ends_its_connection_only() {
    let broker = broker().await;
    let address = broker.address();
    let mut by = clean(4, "by").join(address).await;
    by.subscribe("by", 1).await;
    let body = |topic: &[u8]| [&(topic.len() as u16).to_be_bytes(), topic, b"\0x".as_slice()].concat();
    for (version, bytes) in [
        (4, packet(0x30, &body(&[0xc3, 0x28]))),
        (4, packet(0x30, &body(b""))),
        (4, packet(0x30, &body(b"a/+"))),
        (5, packet(0x30, &body(b"a\0b"))),
        (5, packet(0x30, b"\0\x01t\x03\x23\0\x01x")),
        (5, packet(0x30, b"\0\x01t\x02\x0b\x07x")),
        (4, packet(0x36, b"\0\x01t\0\x01x")),
        (4, packet(0x30, &vec![0; 2 << 20])),
        (4, vec![0x30, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (4, packet(0x82, b"\0\x01")),
        (5, packet(0xf0, b"")),
        (4, packet(0x10, b"")),
        (5, packet(0x90, &[0, 1, 0, 0])),
        (4, packet(0x20, &[0, 0])),
    ] {
        let mut c = clean(version, "c").join(address).await;
        drop(c.write_unchecked(&bytes).await);
        let kinds = c.closed().await;
        assert_eq!(
            kinds.contains(&0xe0),
            version == 5,
            "{version} {:?}",
            &bytes[..bytes.len().min(20)]
        );
        by.publish("by", "well", 1, false).await;
        assert_eq!(by.receive().await.payload, "well");
    }
    // A linear congruential generator: the same bytes in every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    for round in 0..300 {
        let version = if round % 2 == 0 { 4 } else { 5 };
        let mut c = clean(version, "noise").join(address).await;
        for _ in 0..4 {
            let kind =
                [0x30, 0x32, 0x34, 0x40, 0x50, 0x62, 0x70, 0x82, 0xa2, 0xc0, 0xe0, 0x10][usize::from(next()) % 12];
            let mut body = vec![0, 1, b't', 0, next() % 4, 0];
            body.extend((0..next() % 16).map(|_| next()));
            drop(c.write_unchecked(&packet(kind, &body)).await);
        }
        c.half_close().await;
        c.closed().await;
    }
    by.publish("by", "well", 1, false).await;
    assert_eq!(by.receive().await.payload, "well");
    assert_eq!(deaths(&broker), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_it_dies_another_one_is_started() {
    let broker = broker().await;
    let (address, password) = behind(&broker);
    let mut old = clean(5, "old").join(broker.address()).await;
    old.subscribe("t", 0).await;
    // Past the gateway: a filter, and then a topic that it cannot bear.
    let mut direct = TcpStream::connect(address).await.unwrap();
    let connect = crate::packet::connect(&clean(5, "direct").bytes()[2..]).unwrap();
    let opened = ShieldedConnect::new(&connect, &password, || "direct".into())
        .ok()
        .unwrap();
    direct.write_all(&opened.connect).await.unwrap();
    direct.read_u8().await.unwrap();
    direct
        .write_all(&packet(0x30, &[text("温度/1"), vec![0], b"x".to_vec()].concat()))
        .await
        .unwrap();
    // MQTT 5 says that the upstream has gone.
    assert_eq!(old.closed().await, [0xe0]);
    let back = async {
        loop {
            let mut c = Client::raw(broker.address(), 4).await;
            c.write(&clean(4, "new").bytes()).await;
            if c.read().await.1 == [0, 0] {
                return c;
            }
            c.closed().await;
        }
    };
    let mut c = tokio::time::timeout(DEADLINE, back).await.expect("another one");
    c.subscribe("t", 1).await;
    c.publish("t", "x", 1, false).await;
    assert_eq!(c.receive().await.payload, "x");
    assert_eq!(deaths(&broker), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_past_the_gateway() {
    let broker = broker().await;
    let (address, _) = behind(&broker);
    for connect in [
        clean(5, "c"),
        Connect {
            username: Some("hookhost".into()),
            ..clean(5, "c")
        },
    ] {
        let mut c = Client::raw(address, 5).await;
        c.write(&connect.bytes()).await;
        assert_eq!(c.closed().await, Vec::<u8>::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_publishes_to_it() {
    use hookhost_broker::HostMessage;
    use hookhost_event::{Origin, Properties};
    let host = host().await;
    let mut s = clean(4, "s").join(host.address()).await;
    s.subscribe("ключ", 2).await;
    for qos in [0, 1, 2] {
        let message = HostMessage {
            sender: "admin".into(),
            origin: Origin::Admin,
            topic: "ключ".into(),
            payload: "x".into(),
            qos,
            retain: false,
            properties: Properties::default(),
            republishes: 0,
        };
        host.running.publish(message).await.unwrap();
        assert_eq!(s.receive().await.payload, "x");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_name_their_publisher() {
    let gateway = GatewaySettings {
        publishers: crate::Publishers::UserProperty,
        ..GatewaySettings::rumqttd()
    };
    let host = through(Limits::default(), gateway).await;
    let mut s: Client = clean(5, "s").join(host.address()).await;
    s.subscribe("t", 0).await;
    // Equal messages of two clients, which the content alone could not tell apart.
    for id in ["a", "b"] {
        let mut p = clean(5, id).join(host.address()).await;
        p.publish("t", "same", 1, false).await;
        let (_, body) = s.read().await;
        assert!(!String::from_utf8_lossy(&body).contains("hookhost-publisher"));
        p.disconnect().await;
    }
    let publishers = |events: &[Arc<Event>]| -> Vec<String> {
        let publisher = |event: &Arc<Event>| match &event.detail {
            Detail::MessageDelivered(delivery) => Some(delivery.message.publisher.id.to_string()),
            _ => None,
        };
        events.iter().filter_map(publisher).collect()
    };
    let events = host.until(|events| publishers(events).len() == 2).await;
    assert_eq!(publishers(&events), ["a", "b"]);
}
