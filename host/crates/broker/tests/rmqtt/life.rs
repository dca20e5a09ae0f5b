//! Connections, sessions and subscriptions.

use super::client::{Client, Connect, clean, packet, persistent, text};
use super::*;
use hookhost_access::{AccessControl, Settings, Surroundings};
use hookhost_event::{EndReason, Property};
use hookhost_testing::scripts;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_life_without_messages() {
    for version in [3, 4, 5] {
        let host = Host::start(Limits::default()).await;
        let mut c = scripts::comes_and_subscribes(&host, version).await;
        c.unsubscribe("t/2").await;
        host.told(&["client.unsubscribe c t/2 q0 17"]).await;
        scripts::pings_and_leaves(&host, c).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_socket_publishes_the_will() {
    for version in [4, 5] {
        let host = Host::start(Limits::default()).await;
        let connect = Connect {
            will: Some(("gone".into(), "c".into(), false)),
            ..clean(version, "c")
        };
        let mut watcher = clean(4, "w").join(host.address()).await;
        watcher.subscribe("gone", 0).await;
        let c = connect.join(host.address()).await;
        host.sees("client.connected c 0 new").await;
        host.forget();
        drop(c);
        watcher.receive().await;
        let events = host.until(|events| events.len() >= 5).await;
        let lines: Vec<_> = events
            .iter()
            .map(|event| line(event))
            .filter(|line| !line.contains(" w "))
            .collect();
        assert_eq!(
            lines,
            [
                "client.authorized c Publish gone allowed",
                "message.publish c Will gone q1 \"c\"",
                "client.disconnected c Closed",
                "session.terminated c Closed"
            ]
        );
        let Detail::MessagePublish(message) = &events[1].detail else {
            panic!("{:?}", events[1])
        };
        assert_eq!(message.packet_id, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_will_has_its_delay() {
    let host = Host::start(Limits::default()).await;
    for (properties, expected) in [
        (vec![0x18, 0, 0, 0, 9], vec![Property::WillDelayInterval(9)]),
        (vec![0x18, 0, 0, 0, 0], vec![Property::WillDelayInterval(0)]),
        (
            [vec![0x03], text("text/plain"), vec![0x18, 0, 0, 0, 9]].concat(),
            vec![
                Property::ContentType("text/plain".into()),
                Property::WillDelayInterval(9),
            ],
        ),
        (vec![], vec![]),
    ] {
        // Its session ends with the connection, so the will does not wait.
        let connect = Connect {
            will: Some(("gone".into(), "c".into(), false)),
            will_properties: properties,
            ..clean(5, "c")
        };
        drop(connect.join(host.address()).await);
        let event = host.sees("message.publish c Will gone q1 \"c\"").await;
        let Detail::MessagePublish(message) = &event.detail else {
            panic!("{event:?}")
        };
        let properties = message.properties.as_ref();
        assert_eq!(properties.map_or(&[][..], |properties| &properties.standard), expected);
        host.sees("session.terminated c Closed").await;
        host.forget();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_reset() {
    for version in [4, 5] {
        let host = Host::start(Limits::default()).await;
        clean(version, "c").join(host.address()).await.reset();
        let event = host.sees("client.disconnected c SocketError").await;
        let Detail::ClientDisconnected(disconnection) = &event.detail else {
            panic!("{event:?}")
        };
        assert_eq!(disconnection.end.text.as_deref(), Some("econnreset"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_will_without_subscriber_is_dropped() {
    let host = Host::start(Limits::default()).await;
    let connect = Connect {
        will: Some(("gone".into(), "c".into(), false)),
        ..clean(4, "c")
    };
    drop(connect.join(host.address()).await);
    host.sees("session.terminated c Closed").await;
    host.sees("message.dropped c Will gone q1 \"c\" NoSubscribers 16").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_session_describes_its_last_connection() {
    for version in [4, 5] {
        let host = Host::start(Limits::default()).await;
        scripts::sessions_are_discarded(&host, version).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_successor_discards() {
    for version in [4, 5] {
        let host = Host::start(Limits::default()).await;
        let mut old = clean(version, "c").join(host.address()).await;
        host.lines(5).await;
        host.forget();
        let _new = clean(version, "c").join(host.address()).await;
        host.told(&[
            "client.connect c",
            "client.disconnected c Discarded 142",
            "session.discarded c",
            "client.authenticated c 0 anonymous",
            "session.created c",
            "client.connack c 0 new",
            "client.connected c 0 new",
        ])
        .await;
        old.closed().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_takes_the_session_over() {
    for version in [4, 5] {
        let host = Host::start(Limits::default()).await;
        let mut old = persistent(version, "c").join(host.address()).await;
        host.lines(5).await;
        host.forget();
        let (new, found) = persistent(version, "c").open(host.address()).await;
        assert!(found);
        host.told(&[
            "client.connect c",
            "client.disconnected c TakenOver 142",
            "session.taken-over c",
            "client.authenticated c 0 anonymous",
            "session.resumed c",
            "client.connack c 0 found",
            "client.connected c 0 found",
        ])
        .await;
        old.closed().await;
        new.disconnect().await;
        host.told(&["client.disconnected c Disconnect 0"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_away_is_found_or_discarded() {
    for version in [4, 5] {
        let host = Host::start(Limits::default()).await;
        persistent(version, "c").join(host.address()).await.disconnect().await;
        host.lines(6).await;
        host.forget();
        let (again, found) = persistent(version, "c").open(host.address()).await;
        assert!(found);
        host.told(&[
            "client.connect c",
            "client.authenticated c 0 anonymous",
            "session.resumed c",
            "client.connack c 0 found",
            "client.connected c 0 found",
        ])
        .await;
        again.disconnect().await;
        host.told(&["client.disconnected c Disconnect 0"]).await;
        let _clean = clean(version, "c").join(host.address()).await;
        host.told(&[
            "client.connect c",
            "session.discarded c",
            "client.authenticated c 0 anonymous",
            "session.created c",
            "client.connack c 0 new",
            "client.connected c 0 new",
        ])
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_ends_a_connection() {
    let host = Host::start(Limits::default()).await;
    scripts::is_silent(&host, 4).await;
}

/// RMQTT itself would end the connection with the shorter keep alive last, after 8 seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_keep_alive_ends_a_connection_no_later_than_a_longer_one() {
    let limits = Limits {
        keepalive_backoff: 0.5,
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    let mut clients = Vec::new();
    for (id, keep_alive) in [("short", 5), ("long", 6)] {
        let connect = Connect {
            keep_alive,
            ..clean(4, id)
        };
        clients.push(connect.join(host.address()).await);
    }
    let ended = |event: &Arc<Event>| event.detail.hook() == Hook::ClientDisconnected;
    let events = host.until(|events| events.iter().any(ended)).await;
    let first = events.iter().find(|event| ended(event)).unwrap();
    assert_eq!(line(first), "client.disconnected short KeepAliveTimeout 141");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disconnect_of_mqtt_5_says_why() {
    let host = Host::start(Limits::default()).await;
    let mut c = clean(5, "c").join(host.address()).await;
    let mut body = vec![4, 6, 0x1f];
    body.extend(text("bye"));
    c.write(&packet(0xe0, &body)).await;
    drop(c);
    let event = host.sees("client.disconnected c Disconnect 4").await;
    let Detail::ClientDisconnected(disconnection) = &event.detail else {
        panic!("{event:?}")
    };
    let properties = disconnection.end.properties.as_ref().unwrap();
    assert_eq!(properties.standard, [Property::ReasonString("bye".into())]);
    assert!(disconnection.connected_at.unwrap() <= disconnection.disconnected_at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_says_what_its_client_asked_for() {
    let host = Host::start(Limits {
        max_inflight: 20,
        ..Limits::default()
    })
    .await;
    let mut properties = vec![0x11, 0, 0, 0, 90, 0x21, 0, 30, 0x26];
    properties.extend(text("k"));
    properties.extend(text("v"));
    let connect = Connect {
        keep_alive: 33,
        username: Some("u".into()),
        properties,
        ..clean(5, "ид/+#$")
    };
    let _c = connect.join(host.address()).await;
    let events = host.until(|events| events.len() >= 5).await;
    let Detail::ClientConnected(connack) = &events[4].detail else {
        panic!("{:?}", events[4])
    };
    let connection = &connack.connection;
    assert_eq!(connection.client.id, "ид/+#$");
    assert_eq!(connection.client.username.as_deref(), Some("u"));
    assert_eq!(connection.client.protocol_version, 5);
    assert!(
        connection
            .client
            .peer
            .is_some_and(|peer| peer.ip().is_loopback() && peer.port() > 0)
    );
    assert_eq!(connection.local, Some(host.address()));
    assert_eq!(
        (
            connection.keep_alive,
            connection.session_expiry,
            connection.receive_maximum
        ),
        (33, 90, 20)
    );
    assert!(connection.clean_start && !connection.bridge);
    assert_eq!(connection.protocol_name, "MQTT");
    let sent = connection.properties.as_ref().unwrap();
    assert_eq!(
        sent.standard,
        [Property::SessionExpiryInterval(90), Property::ReceiveMaximum(30)]
    );
    assert_eq!(sent.user, [("k".into(), "v".into())]);
    let answer = connack.properties.as_ref().unwrap();
    assert!(answer.standard.contains(&Property::ServerKeepAlive(33)));
    assert!(connack.connected_at.is_some());
    let ids: std::collections::HashSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), events.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_that_can_be_known_are_told() {
    let limits = Limits {
        max_clientid_len: 5,
        min_keepalive: 10,
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    for (connect, code) in [
        (clean(4, "toolong"), 133),
        (
            Connect {
                keep_alive: 5,
                ..clean(4, "c")
            },
            136,
        ),
        (
            Connect {
                properties: [vec![0x15], text("SCRAM")].concat(),
                ..clean(5, "c")
            },
            140,
        ),
    ] {
        let mut c = Client::raw(host.address(), connect.version).await;
        c.write(&connect.bytes()).await;
        let (first, body) = c.read().await;
        assert!(first == 0x20 && body[1] != 0, "{first:#x} {body:?}");
        let id = connect.id;
        host.told(&[
            &format!("client.connect {id}"),
            &format!("client.connack {id} {code} new"),
        ])
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_without_credentials_unless_allowed() {
    let surroundings = Surroundings {
        allow_anonymous: Some(false),
        ..Surroundings::default()
    };
    let closed = Settings::parse("", &surroundings, &|_| panic!("it names no files")).unwrap();
    let settings = BrokerSettings {
        access: AccessControl::new(closed),
        ..settings(Limits::default())
    };
    let host = Host::with(&Hook::ALL, async |bus| start(&settings, Some(bus)).await).await;
    for connect in [
        clean(4, "c"),
        Connect {
            username: Some("u".into()),
            ..clean(5, "c")
        },
    ] {
        let mut c = Client::raw(host.address(), connect.version).await;
        c.write(&connect.bytes()).await;
        assert_ne!(c.read().await.1[1], 0);
        host.told(&[
            "client.connect c",
            "client.authenticated c 135 judged",
            "client.connack c 135 new",
        ])
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_administrator_can_ask_and_disconnect() {
    let host = Host::start(Limits::default()).await;
    scripts::is_kicked(&host, clean(4, "c")).await;
    host.sees("session.terminated c Kicked 152").await;
    scripts::is_kicked_while_away(&host).await;
    assert!(!host.running.disconnect("c").await);
    assert_eq!(host.running.clients().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_ends_everything() {
    let host = Host::start(Limits::default()).await;
    let told = [
        "client.disconnected a Shutdown 139",
        "client.disconnected b Shutdown 139",
        "client.disconnected d Shutdown 139",
        "session.terminated a Shutdown 139",
        "session.terminated away Shutdown 139",
        "session.terminated b Shutdown 139",
        "session.terminated d Shutdown 139",
    ];
    scripts::stops(host, &[clean(4, "a"), clean(5, "b"), clean(3, "d")], &told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_bus_clients_are_served_all_the_same() {
    let running = start(&settings(Limits::default()), None).await.unwrap();
    let mut c = clean(5, "c").join(running.address()).await;
    c.subscribe("t", 1).await;
    c.publish("t", "x", 0, false).await;
    assert_eq!(c.receive().await.payload, "x");
    running.stop(DEADLINE).await;
    c.closed().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_in_use_and_a_senseless_limit_are_reported() {
    let running = start(&settings(Limits::default()), None).await.unwrap();
    let taken = settings_at(running.address(), Limits::default());
    assert!(matches!(
        start(&taken, None).await,
        Err(hookhost_broker::StartError::Bind { .. })
    ));
    let limits = Limits {
        max_inflight: 0,
        ..Limits::default()
    };
    let refused = start(&settings(limits), None).await;
    assert!(matches!(
        refused,
        Err(hookhost_broker::StartError::Limit {
            key: "max_inflight",
            ..
        })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_comes_straight_back_is_let_in() {
    let host = Host::start(Limits::default()).await;
    for n in 0..100 {
        let version = 4 + n % 2;
        let connect = if n % 3 == 0 {
            persistent(version, "c")
        } else {
            clean(version, "c")
        };
        let (c, _) = connect.open(host.address()).await;
        if n % 5 == 0 { c.disconnect().await } else { drop(c) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_take_overs_leave_one_session_and_a_true_story() {
    let host = Host::start(Limits::default()).await;
    scripts::takes_over_again_and_again(&host, EndReason::Other).await;
}
