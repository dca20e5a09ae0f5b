//! What any client does, through the gateway.

use super::client::{Client, Connect, clean, packet, persistent};
use super::*;
use hookhost_event::EndReason;
use hookhost_testing::scripts;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_without_messages() {
    for version in [3, 4, 5] {
        let pair = Pair::start().await;
        let c = scripts::comes_and_subscribes(&pair.host, version).await;
        scripts::pings_and_leaves(&pair.host, c).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_session_describes_its_last_connection() {
    for version in [4, 5] {
        let pair = Pair::start().await;
        scripts::sessions_are_discarded(&pair.host, version).await;
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
    let settings = settings(limits);
    let host = Host::with(&[Hook::MessagePublish, Hook::MessageDelivered], async |bus| {
        crate::start(
            &settings,
            &gateway,
            &UpstreamControl::new(gateway.upstreams.clone()),
            Some(bus),
        )
        .await
    })
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
        let kinds = scripts::is_silent(&pair.host, version).await;
        // MQTT 5 says why.
        assert_eq!(kinds, if version == 5 { vec![0xe0] } else { Vec::new() });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_can_ask_and_disconnect() {
    let pair = Pair::start().await;
    let host = &pair.host;
    assert_eq!(scripts::is_kicked(host, persistent(5, "c")).await, [0xe0]);
    // The upstream was told to forget the session.
    let (_, found) = persistent(5, "c").open(pair.address()).await;
    assert!(!found);
    scripts::is_kicked_while_away(host).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_host_publishes_too() {
    use hookhost_broker::{HostMessage, PublishError};
    use hookhost_event::{Origin, Properties};
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
        properties: Properties::default(),
        republishes: 0,
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
    let told = [
        "client.disconnected a Shutdown 139",
        "client.disconnected b Shutdown 139",
        "session.terminated a Shutdown 139",
        "session.terminated b Shutdown 139",
    ];
    let (kinds, mut silent) = scripts::stops(pair.host, &[clean(4, "a"), clean(5, "b")], &told).await;
    assert_eq!(kinds, [vec![], vec![0xe0]]);
    silent.closed().await;
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
    scripts::takes_over_again_and_again(&pair.host, EndReason::InternalError).await;
}
