//! What any client does, through the gateway.

use std::time::Duration;

use super::client::{Client, Connect, clean, packet, persistent};
use super::*;
use crate::event::EndReason;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_without_messages() {
    for version in [3, 4, 5] {
        let pair = Pair::start().await;
        let host = &pair.host;
        let mut c = clean(version, "c").join(pair.address()).await;
        host.told(&[
            "client.connect c",
            "client.authenticated c 0 anonymous",
            "session.created c",
            "client.connack c 0 new",
            "client.connected c 0 new",
        ])
        .await;
        assert_eq!(c.subscribe("t/1", 1).await, 1);
        host.told(&[
            "client.authorized c Subscribe t/1 allowed",
            "client.subscribe c t/1 q1 1 new",
            "session.subscribed c t/1 q1 1 new",
        ])
        .await;
        c.subscribe("t/1", 2).await;
        host.told(&[
            "client.authorized c Subscribe t/1 allowed",
            "client.subscribe c t/1 q2 2 again",
            "session.subscribed c t/1 q2 2 again",
        ])
        .await;
        c.unsubscribe("t/1").await;
        host.told(&["client.unsubscribe c t/1 q2 0", "session.unsubscribed c t/1 q2 0"])
            .await;
        c.ping().await;
        host.told(&["other c client.ping"]).await;
        c.disconnect().await;
        host.told(&[
            "client.disconnected c Disconnect 0",
            "session.terminated c Disconnect 0",
        ])
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_each_size_pass_both_ways() {
    let limits = Limits {
        max_packet_size: 4 << 20,
        ..Limits::default()
    };
    let pair = Pair::with(limits, |_| {}).await;
    for version in [4, 5] {
        let mut c = clean(version, "c").join(pair.address()).await;
        c.subscribe("t", 2).await;
        for length in [0, 1, 127, 128, 16_383, 16_384, 65_535, 65_536, 70_000, 1 << 20, 3 << 20] {
            let payload = "x".repeat(length);
            for qos in [0, 1, 2] {
                let mut bytes = c.publish_bytes("t", payload.as_bytes(), qos, false, [1, qos]);
                bytes.extend([0xc0, 0]);
                c.write(&bytes).await;
                let mut seen = (false, false, qos == 0);
                while seen != (true, true, true) {
                    let (first, body) = c.read().await;
                    match first >> 4 {
                        3 => {
                            assert_eq!(&body[body.len() - length..], payload.as_bytes());
                            match qos {
                                1 => c.write(&packet(0x40, &body[3..5])).await,
                                2 => c.write(&packet(0x50, &body[3..5])).await,
                                _ => {}
                            }
                            seen.0 = true;
                        }
                        4 | 7 => seen.2 = true,
                        5 => c.write(&packet(0x62, &body[..2])).await,
                        6 => c.write(&packet(0x70, &body[..2])).await,
                        13 => seen.1 = true,
                        _ => panic!("{first:#x}"),
                    }
                }
            }
        }
        c.disconnect().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packet_longer_than_the_limit_passes_unseen() {
    let upstream = start(
        &settings(Limits {
            max_packet_size: 1 << 20,
            ..Limits::default()
        }),
        None,
    )
    .await
    .unwrap();
    let limits = Limits {
        max_packet_size: 1000,
        ..Limits::default()
    };
    let gateway = GatewaySettings::new(vec![at(upstream.address())]);
    let host = Host::with(
        &with_gateway(limits, gateway),
        &[Hook::MessagePublish, Hook::MessageDelivered],
    )
    .await;
    let mut c = clean(4, "c").join(host.address()).await;
    c.subscribe("t", 1).await;
    for payload in ["x".repeat(100_000), "short".to_owned()] {
        let bytes = c.publish_bytes("t", payload.as_bytes(), 0, false, [0, 0]);
        c.write(&bytes).await;
        assert_eq!(c.receive().await.payload, payload);
    }
    host.told(&[
        "message.publish c Client t q0 \"short\"",
        "message.delivered c t q0 \"short\"",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_that_come_in_the_smallest_pieces() {
    let pair = Pair::start().await;
    let mut c = clean(5, "c").join(pair.address()).await;
    c.subscribe("t", 0).await;
    let bytes = c.publish_bytes("t", b"hello", 0, false, [0, 0]);
    for byte in bytes {
        c.write(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(c.receive().await.payload, "hello");
    pair.host.sees("message.delivered c t q0 \"hello\"").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connect_and_more_in_one_write() {
    let pair = Pair::start().await;
    let mut c = Client::raw(pair.address(), 4).await;
    let mut bytes = clean(4, "c").bytes();
    bytes.extend(packet(0x82, b"\0\x01\0\x01t\0"));
    bytes.extend(packet(0x30, b"\0\x01thello"));
    bytes.extend([0xc0, 0]);
    c.write(&bytes).await;
    let mut kinds = Vec::new();
    for _ in 0..4 {
        kinds.push(c.read().await.0 >> 4);
    }
    kinds.sort();
    assert_eq!(kinds, [2, 3, 9, 13]);
    let events = pair.host.until(|events| events.len() >= 11).await;
    assert_eq!(
        lines_of(&events, "c"),
        [
            "client.connect c",
            "client.authenticated c 0 anonymous",
            "session.created c",
            "client.connack c 0 new",
            "client.connected c 0 new",
            "message.publish c Client t q0 \"hello\"",
            "other c client.ping",
            "client.authorized c Subscribe t allowed",
            "client.subscribe c t q0 0 new",
            "session.subscribed c t q0 0 new",
            "message.delivered c t q0 \"hello\"",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_ends_a_connection() {
    for version in [4, 5] {
        let pair = Pair::start().await;
        let mut c = Connect {
            keep_alive: 1,
            ..clean(version, "c")
        }
        .join(pair.address())
        .await;
        let kinds = c.closed().await;
        // MQTT 5 says why.
        assert_eq!(kinds, if version == 5 { vec![0xe0] } else { Vec::new() });
        pair.host.sees("client.disconnected c KeepAliveTimeout 141").await;
        pair.host.sees("session.terminated c KeepAliveTimeout 141").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_can_ask_and_disconnect() {
    let pair = Pair::start().await;
    let host = &pair.host;
    let mut c = persistent(5, "c").join(pair.address()).await;
    c.subscribe("t", 1).await;
    persistent(5, "away").join(pair.address()).await.disconnect().await;
    host.sees("client.disconnected away Disconnect 0").await;
    let mut states = host.running.clients().await;
    states.sort_by_key(|state| state.connected);
    assert_eq!((states[0].client.id.as_ref(), states[0].connected), ("away", false));
    assert_eq!(
        (
            states[1].client.id.as_ref(),
            states[1].connected,
            states[1].subscriptions
        ),
        ("c", true, 1)
    );
    assert!(host.running.disconnect("c").await);
    host.sees("client.disconnected c Kicked 152").await;
    assert_eq!(c.closed().await, [0xe0]);
    // The upstream was told to forget the session.
    let (_, found) = persistent(5, "c").open(pair.address()).await;
    assert!(!found);
    assert!(host.running.disconnect("away").await);
    host.sees("session.terminated away Kicked 152").await;
    assert!(!host.running.disconnect("nobody").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_publishes_too() {
    use crate::broker::{HostMessage, PublishError};
    use crate::event::Origin;
    let pair = Pair::start().await;
    let mut s = clean(4, "s").join(pair.address()).await;
    s.subscribe("t", 2).await;
    let message = |topic: &str, qos| HostMessage {
        sender: "admin".into(),
        origin: Origin::Admin,
        topic: topic.into(),
        payload: "x".into(),
        qos,
        retain: false,
    };
    for qos in [0, 1, 2] {
        pair.host.running.publish(message("t", qos)).await.unwrap();
        assert_eq!(s.receive().await.qos, qos);
        let events = pair
            .host
            .until(|events| lines_of(events, "admin").len() > usize::from(qos))
            .await;
        assert_eq!(
            lines_of(&events, "admin").last().unwrap(),
            &format!("message.publish admin Admin t q{qos} \"x\"")
        );
    }
    let refused = pair.host.running.publish(message("a/+", 0)).await;
    assert_eq!(refused, Err(PublishError::Topic));
    pair.upstream.stop(DEADLINE).await;
    assert_eq!(
        pair.host.running.publish(message("t", 1)).await,
        Err(PublishError::Engine)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_ends_everything() {
    let pair = Pair::start().await;
    let address = pair.address();
    let mut old = clean(4, "a").join(address).await;
    let mut new = clean(5, "b").join(address).await;
    let mut silent = Client::raw(address, 4).await;
    persistent(4, "away").join(address).await.disconnect().await;
    pair.host.sees("client.disconnected away Disconnect 0").await;
    pair.host.forget();
    pair.host.running.stop(DEADLINE).await;
    assert_eq!(old.closed().await, Vec::<u8>::new());
    assert_eq!(new.closed().await, [0xe0]);
    silent.closed().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    let told = || {
        pair.host
            .seen
            .events
            .lock()
            .unwrap()
            .iter()
            .map(|event| line(event))
            .collect::<Vec<_>>()
    };
    while told().len() < 4 {
        tokio::time::timeout(DEADLINE, pair.host.seen.more.notified())
            .await
            .unwrap();
    }
    let mut lines = told();
    lines.sort();
    assert_eq!(
        lines,
        [
            "client.disconnected a Shutdown 139",
            "client.disconnected b Shutdown 139",
            "session.terminated a Shutdown 139",
            "session.terminated b Shutdown 139",
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_sees_everybody_knows_who_is_missing() {
    let pair = Pair::with(Limits::default(), |gateway| gateway.sees_all_clients = true).await;
    let mut s = persistent(4, "s").join(pair.address()).await;
    s.subscribe("yes/+", 1).await;
    s.disconnect().await;
    pair.host.sees("client.disconnected s Disconnect 0").await;
    let mut p = clean(4, "p").join(pair.address()).await;
    pair.host.sees("client.connected p 0 new").await;
    pair.host.forget();
    for topic in ["no", "yes/1", "no"] {
        p.publish(topic, "x", 0, false).await;
    }
    p.ping().await;
    pair.host
        .told(&[
            "message.publish p Client no q0 \"x\"",
            "message.dropped p Client no q0 \"x\" NoSubscribers 16",
            "message.publish p Client yes/1 q0 \"x\"",
            "message.publish p Client no q0 \"x\"",
            "message.dropped p Client no q0 \"x\" NoSubscribers 16",
            "other p client.ping",
        ])
        .await;
    let connect = Connect {
        properties: vec![0x11, 0, 0, 0, 1],
        ..persistent(5, "brief")
    };
    connect.join(pair.address()).await.disconnect().await;
    pair.host.sees("session.terminated brief Expired").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_take_overs_leave_one_session_and_a_true_story() {
    let pair = Pair::start().await;
    let address = pair.address();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        tasks.spawn(async move {
            let connect = if n % 2 == 0 { clean(4, "c") } else { persistent(5, "c") };
            let mut c = Client::raw(address, connect.version).await;
            c.write(&connect.bytes()).await;
            c.closed().await;
        });
    }
    while !tasks.is_empty() {
        pair.host.running.disconnect("c").await;
        while let Some(ended) = tasks.try_join_next() {
            ended.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let balanced = |events: &[Arc<Event>]| {
        let count = |hook| events.iter().filter(|event| event.detail.hook() == hook).count();
        count(Hook::ClientConnected) == count(Hook::ClientDisconnected)
    };
    let events = pair.host.until(balanced).await;
    let mut connected = false;
    for event in &events {
        match &event.detail {
            Detail::ClientConnected(_) => {
                assert!(!connected, "two connections at a time");
                connected = true;
            }
            Detail::ClientDisconnected(disconnection) => {
                assert!(connected);
                connected = false;
                assert_ne!(disconnection.end.reason, EndReason::InternalError);
            }
            _ => {}
        }
    }
}
