//! What the engine does as the broker whose conventions it follows, and what events say that RMQTT does not pass on.

use hookhost_broker::Conventions;
use hookhost_event::Property;

use super::client::{Client, Connect, clean, packet, persistent, text};
use super::*;

/// An engine with these conventions, and interest in these hooks.
async fn host(conventions: Conventions, hooks: &[Hook]) -> Host {
    let settings = BrokerSettings {
        conventions,
        ..settings(Limits::default())
    };
    Host::with(hooks, async |bus| start(&settings, Some(bus)).await).await
}

/// A SUBSCRIBE of MQTT 3.1.1 to these filters, with QoS 0.
fn subscribe(filters: &[&str]) -> Vec<u8> {
    let mut body = vec![0, 9];
    for filter in filters {
        body.extend(text(filter));
        body.push(0);
    }
    packet(0x82, &body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emqx_4_reports_subscriptions_after_all_filters_of_a_packet() {
    let hooks = [Hook::ClientSubscribe, Hook::SessionSubscribed, Hook::MessagePublish];
    let host = host(Conventions::Emqx4, &hooks).await;
    let mut c = clean(4, "c").join(host.address()).await;
    let publish = c.publish_bytes("t", b"x", 0, false, [0; 2]);
    let packets = [subscribe(&["a", "a/#/b", "b"]), publish, subscribe(&["c"])];
    c.write(&packets.concat()).await;
    host.told(&[
        "client.subscribe c a q0 0 new",
        "client.subscribe c b q0 0 new",
        "session.subscribed c a q0 0 new",
        "session.subscribed c b q0 0 new",
        "message.publish c Client t q0 \"x\"",
        "client.subscribe c c q0 0 new",
        "session.subscribed c c q0 0 new",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conventions_differ_in_what_a_refused_connect_causes() {
    let mut level = clean(4, "level").bytes();
    level[8] = 9;
    let nameless = Connect {
        clean: false,
        ..clean(4, "")
    };
    let mut bridge = clean(4, "bridge").bytes();
    bridge[8] |= 0x80;
    for (conventions, expected) in [
        (
            Conventions::Hookhost,
            &[
                "client.connack level 132 new",
                "client.connack  133 new",
                "client.connack bridge 132 new",
            ][..],
        ),
        (
            Conventions::Emqx4,
            &[
                "client.connect level",
                "client.connack level 132 new",
                "client.connect ",
                "client.connack  133 new",
                "client.connect bridge",
                "client.connack bridge 132 new",
            ],
        ),
        (Conventions::Nanomq, &["client.connack  133 new"]),
        (Conventions::Rmqtt, &[]),
    ] {
        let host = host(conventions, &[Hook::ClientConnect, Hook::ClientConnack]).await;
        for (bytes, code) in [(&level, 1), (&nameless.bytes(), 2), (&bridge, 1)] {
            let mut c = Client::raw(host.address(), 4).await;
            c.write(bytes).await;
            assert_eq!(c.read().await, (0x20, vec![0, code]), "{conventions:?}");
            assert!(c.closed().await.is_empty());
        }
        // What comes after them ends the list.
        clean(4, "last").join(host.address()).await;
        let last = ["client.connect last", "client.connack last 0 new"];
        host.told(&[expected, &last].concat()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forbidden_connect_is_reported_as_it_was_sent() {
    let forbidden = Connect {
        clean: false,
        keep_alive: 30,
        properties: b"\x11\0\0\0\x09".to_vec(),
        will: Some(("w/#".into(), "x".into(), false)),
        ..clean(5, "c")
    };
    for conventions in [Conventions::Hookhost, Conventions::Emqx4, Conventions::Rmqtt] {
        let host = host(conventions, &[Hook::ClientConnect, Hook::ClientConnack]).await;
        let mut c = Client::raw(host.address(), 5).await;
        c.write(&forbidden.bytes()).await;
        assert_eq!(c.read().await, (0x20, vec![0, 144, 0]), "{conventions:?}");
        clean(4, "last").join(host.address()).await;
        let is_last = |event: &Event| line(event) == "client.connack last 0 new";
        let events = host.until(|events| events.iter().any(|event| is_last(event))).await;
        let refusals: Vec<_> = events
            .iter()
            .filter_map(|event| match &event.detail {
                Detail::ClientConnack(connack) if connack.code == 144 => Some(&connack.connection),
                _ => None,
            })
            .collect();
        let connected = events.iter().filter(|event| line(event) == "client.connect c").count();
        assert_eq!(connected, 0, "{conventions:?}");
        if conventions == Conventions::Rmqtt {
            assert!(refusals.is_empty());
            continue;
        }
        let [connection] = refusals[..] else {
            panic!("{events:?}")
        };
        assert_eq!((connection.session_expiry, connection.keep_alive), (9, 30));
        assert_eq!(
            connection.properties.as_ref().unwrap().standard,
            [Property::SessionExpiryInterval(9)]
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nanomq_reports_a_will_after_the_end_of_its_connection() {
    let hooks = [Hook::ClientDisconnected, Hook::MessagePublish];
    for (conventions, expected) in [
        (
            Conventions::Hookhost,
            ["message.publish c Will w q1 \"gone\"", "client.disconnected c Closed"],
        ),
        (
            Conventions::Nanomq,
            ["client.disconnected c Closed", "message.publish c Will w q1 \"gone\""],
        ),
    ] {
        let host = host(conventions, &hooks).await;
        let connect = Connect {
            will: Some(("w".into(), "gone".into(), false)),
            ..clean(4, "c")
        };
        drop(connect.join(host.address()).await);
        host.told(&expected).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nanomq_reports_the_will_of_a_client_that_is_replaced() {
    let hooks = [Hook::ClientDisconnected, Hook::MessagePublish];
    let host = host(Conventions::Nanomq, &hooks).await;
    let connect = Connect {
        will: Some(("w".into(), "gone".into(), false)),
        ..clean(4, "c")
    };
    let mut c = connect.join(host.address()).await;
    for _ in 0..50 {
        let next = connect.join(host.address()).await;
        drop(std::mem::replace(&mut c, next));
        host.told(&[
            "client.disconnected c Discarded 142",
            "message.publish c Will w q1 \"gone\"",
        ])
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_is_a_shared_group() {
    for version in [4, 5] {
        let host = Host::start(Limits::default()).await;
        let mut p = clean(4, "p").join(host.address()).await;
        p.publish("t/1", "kept", 1, true).await;
        let mut a = clean(version, "a").join(host.address()).await;
        let mut b = persistent(version, "b").join(host.address()).await;
        assert_eq!(a.subscribe("$queue/t/+", 0).await, 0);
        assert_eq!(b.subscribe("$queue/t/+", 1).await, 1);
        host.sees("client.authorized a Subscribe t/+ allowed").await;
        host.sees("client.subscribe a t/+ of $queue q0 0 new").await;
        host.sees("session.subscribed b t/+ of $queue q1 1 new").await;
        for n in 0..10 {
            p.publish("t/1", &n.to_string(), 0, false).await;
        }
        for _ in 0..5 {
            a.receive().await;
            b.receive().await;
        }
        let delivered =
            |events: &[Arc<Event>]| ids(events).iter().filter(|(h, _)| *h == Hook::MessageDelivered).count();
        for event in host.until(|events| delivered(events) == 10).await {
            if let Detail::MessageDelivered(delivery) = &event.detail {
                assert_eq!(delivery.group.as_deref(), Some("$queue"));
            }
        }
        a.unsubscribe("$queue/t/+").await;
        host.sees("client.unsubscribe a t/+ q0 0").await;
        host.sees("session.unsubscribed a t/+ q0 0").await;
        // It is part of the session.
        drop(b);
        let (mut b, found) = persistent(version, "b").open(host.address()).await;
        assert!(found);
        b.ping().await;
        for payload in ["alone", "still alone"] {
            p.publish("t/1", payload, 1, false).await;
            assert_eq!(b.receive().await.payload, payload);
        }
        let literal = Host::start(Limits {
            shared_subscription: false,
            ..Limits::default()
        })
        .await;
        let mut c = clean(version, "c").join(literal.address()).await;
        c.subscribe("$queue/t/+", 0).await;
        literal.sees("session.subscribed c $queue/t/+ q0 0 new").await;
        c.publish("$queue/t/1", "literal", 0, false).await;
        assert_eq!(c.receive().await.payload, "literal");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rmqtt_has_no_queues_and_keeps_connections_that_publish_to_wildcards() {
    let hooks = [Hook::SessionSubscribed, Hook::MessagePublish, Hook::MessageRefused];
    let host = host(Conventions::Rmqtt, &hooks).await;
    let mut c = clean(4, "c").join(host.address()).await;
    assert_eq!(c.subscribe("$queue/q/#", 0).await, 0);
    c.publish("q/1", "not delivered", 1, false).await;
    c.publish("a/#", "x", 1, false).await;
    c.publish("$queue/q/1", "delivered", 1, false).await;
    assert_eq!(c.message().await.topic, "$queue/q/1");
    host.told(&[
        "session.subscribed c $queue/q/# q0 0 new",
        "message.publish c Client q/1 q1 \"not delivered\"",
        "message.refused c Client a/# q1 \"x\" Invalid 144",
        "message.publish c Client $queue/q/1 q1 \"delivered\"",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_have_the_properties_that_packets_have() {
    let host = host(Conventions::Hookhost, &Hook::ALL).await;
    let connect = Connect {
        // Request Problem Information 1, which is its default.
        properties: b"\x17\x01".to_vec(),
        ..clean(5, "")
    };
    let mut c = connect.join(host.address()).await;
    let user = b"\x07\x26\0\x01k\0\x01v";
    c.subscribe_with("$share/g/t/#", 0, user).await;
    c.subscribe("u", 0).await;
    let is_new = |event: &Event| match &event.detail {
        Detail::SessionSubscribed(subscription) => &*subscription.filter == "u",
        _ => false,
    };
    let events = host.until(|events| events.iter().any(|event| is_new(event))).await;
    let (mut connects, mut subscriptions) = (0, Vec::new());
    for event in &events {
        let connection = match &event.detail {
            Detail::ClientConnect(connection) => connection,
            Detail::ClientConnack(connack) | Detail::ClientConnected(connack) => &connack.connection,
            Detail::SessionSubscribed(subscription) => {
                let properties = subscription.properties.as_ref();
                subscriptions.push(properties.map(|properties| properties.user.clone()));
                continue;
            }
            _ => continue,
        };
        let properties = &connection.properties.as_ref().unwrap().standard;
        assert_eq!(*properties, [Property::RequestProblemInformation(true)]);
        assert_eq!(event.extras, [("client_id_assigned".into(), "true".into())]);
        connects += 1;
    }
    assert_eq!(connects, 3);
    assert_eq!(subscriptions, [Some(vec![("k".into(), "v".into())]), None]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_is_repeated_says_so() {
    let host = host(Conventions::Hookhost, &[Hook::ClientAuthorized]).await;
    let mut c = clean(4, "c").join(host.address()).await;
    for (qos, retain) in [(1, false), (1, false), (0, false), (1, true), (1, true)] {
        c.publish("t", "x", qos, retain).await;
    }
    c.subscribe("t", 1).await;
    let events = host.until(|events| events.len() >= 6).await;
    let repeated: Vec<bool> = events.iter().map(|event| !event.extras.is_empty()).collect();
    assert_eq!(repeated, [false, true, false, false, true, false]);
}
