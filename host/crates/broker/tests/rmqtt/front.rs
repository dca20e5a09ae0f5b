//! What the relay in front of RMQTT adds: DISCONNECT with its code, exact keep alive, refusals that no hook tells, and the
//! addresses of clients.

use hookhost_listener::{Kind, ListenerSettings};
use tokio::time::Instant;

use super::client::{Client, Connect, clean, packet, persistent};
use super::*;

/// Reads the DISCONNECT that ends a connection; returns its code, which is 0 if it is left out.
async fn disconnect_code(client: &mut Client) -> u8 {
    let (first, body) = client.read().await;
    assert_eq!(first, 0xe0, "DISCONNECT");
    assert!(client.closed().await.is_empty());
    body.first().copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_mqtt_5_learns_why_its_connection_ends() {
    let limits = Limits {
        max_packet_size: 10_000,
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    for (bytes, code) in [
        (packet(0x30, &vec![0; 20_000]), 149),
        (packet(0x30, b"\0\x09t"), 129),
        (packet(0x30, b"\0\x03a/+\0x"), 144),
        (packet(0x36, b"\0\x01t\0\x01\0x"), 129),
        (packet(0xf0, b""), 130),
        (clean(5, "c").bytes(), 130),
    ] {
        let mut c = clean(5, "c").join(host.address()).await;
        c.write(&bytes).await;
        assert_eq!(disconnect_code(&mut c).await, code, "{:?}", &bytes[..2]);
    }

    let mut kicked = clean(5, "k").join(host.address()).await;
    assert!(host.running.disconnect("k").await);
    assert_eq!(disconnect_code(&mut kicked).await, 152);

    let mut old = persistent(5, "t").join(host.address()).await;
    let (_new, found) = persistent(5, "t").open(host.address()).await;
    assert!(found);
    assert_eq!(disconnect_code(&mut old).await, 142);

    // A client of 3.1.1 has no such packet.
    let mut three = clean(4, "three").join(host.address()).await;
    assert!(host.running.disconnect("three").await);
    assert!(three.closed().await.is_empty());

    let mut last = clean(5, "last").join(host.address()).await;
    let (code, ()) = tokio::join!(disconnect_code(&mut last), host.running.stop(DEADLINE));
    assert_eq!(code, 139);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_mqtt_5_gets_an_id_without_clean_start() {
    let host = Host::start(Limits::default()).await;
    let mut c = Client::raw(host.address(), 5).await;
    c.write(&persistent(5, "").bytes()).await;
    let (first, body) = c.read().await;
    assert_eq!((first, &body[..2]), (0x20, &[0, 0][..]), "accepted, without a session");
    let is_connected = |event: &Event| event.detail.hook() == Hook::ClientConnected;
    let events = host
        .until(|events| events.iter().any(|event| is_connected(event)))
        .await;
    let connected = events.iter().find(|event| is_connected(event)).unwrap();
    let Detail::ClientConnected(connack) = &connected.detail else {
        panic!("{connected:?}")
    };
    let id = connack.connection.client.id.to_string();
    assert!(!id.is_empty());
    assert_eq!(connack.connection.session_expiry, 3600);
    assert_eq!(connected.extras, [("client_id_assigned".into(), "true".into())]);
    // It is in CONNACK, and the session outlives the connection.
    assert!(body.windows(id.len()).any(|bytes| bytes == id.as_bytes()));
    c.disconnect().await;
    let (_c, found) = persistent(5, &id).open(host.address()).await;
    assert!(found);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_passes_after_a_disconnect_that_asks_for_the_will() {
    let host = Host::start(Limits::default()).await;
    let mut watcher = clean(4, "w").join(host.address()).await;
    watcher.subscribe("#", 0).await;
    let connect = Connect {
        will: Some(("gone".into(), "c".into(), false)),
        ..clean(5, "c")
    };
    let mut c = connect.join(host.address()).await;
    let publish = c.publish_bytes("t", b"x", 0, false, [0; 2]);
    c.write(&[&packet(0xe0, &[4]), &publish[..]].concat()).await;
    c.write(&publish).await;
    c.half_close().await;
    assert_eq!(watcher.message().await.topic, "gone");
    host.sees("client.disconnected c Disconnect 4").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_alive_ends_after_exactly_one_and_a_half_times() {
    let host = Host::start(Limits::default()).await;
    for version in [4, 5] {
        let connect = Connect {
            keep_alive: 1,
            ..clean(version, "c")
        };
        let start = Instant::now();
        let mut c = connect.join(host.address()).await;
        if version == 5 {
            assert_eq!(disconnect_code(&mut c).await, 141);
        } else {
            c.closed().await;
        }
        // RMQTT itself counts whole seconds and would end it after two.
        let silent = start.elapsed();
        assert!(silent >= Duration::from_millis(1500), "{silent:?}");
        host.sees("client.disconnected c KeepAliveTimeout 141").await;
        host.sees("session.terminated c KeepAliveTimeout 141").await;
        host.forget();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_that_no_hook_tells() {
    let limits = Limits {
        max_sessions: 1,
        ..Limits::default()
    };
    let host = Host::start(limits).await;
    let _first = clean(4, "first").join(host.address()).await;
    let mut level = clean(4, "level").bytes();
    level[8] = 9;
    let mut bridge = clean(4, "bridge").bytes();
    bridge[8] |= 0x80;
    let nameless = Connect {
        clean: false,
        ..clean(4, "")
    };
    for (bytes, code, told) in [
        (level, 1, "client.connack level 132 new"),
        (bridge, 1, "client.connack bridge 132 new"),
        (nameless.bytes(), 2, "client.connack  133 new"),
        (clean(4, "second").bytes(), 3, "client.connack second 136 new"),
    ] {
        let mut c = Client::raw(host.address(), 4).await;
        c.write(&bytes).await;
        assert_eq!(c.read().await, (0x20, vec![0, code]), "{told}");
        assert!(c.closed().await.is_empty());
        let event = host.sees(told).await;
        let Detail::ClientConnack(connack) = &event.detail else {
            panic!("{event:?}")
        };
        assert_eq!(&*connack.connection.listener, "tcp:default");
        assert!(connack.connection.client.peer.is_some());
    }
    let told = |line: &str| {
        host.events()
            .iter()
            .filter(|event| super::line(event).starts_with(line))
            .count()
    };
    assert_eq!(told("client.connack second"), 1);
    // What a hook tells is not told again.
    let mut c = Client::raw(host.address(), 5).await;
    let with_method = Connect {
        properties: b"\x15\0\x01m".to_vec(),
        ..clean(5, "m")
    };
    c.write(&with_method.bytes()).await;
    c.closed().await;
    host.sees("client.connack m 140 new").await;
    assert_eq!(told("client.connack m"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_has_the_clients_own_address() {
    let host = Host::start(Limits::default()).await;
    let mut subscriber = clean(5, "s").join(host.address()).await;
    subscriber.subscribe("t/#", 1).await;
    let mut publisher = clean(4, "p").join(host.address()).await;
    let from = publisher.address();
    publisher.publish("t/now", "x", 1, true).await;
    subscriber.receive().await;
    publisher.disconnect().await;
    host.sees("session.terminated p Disconnect 0").await;
    // Retained: its publisher is gone.
    let mut late = clean(4, "late").join(host.address()).await;
    late.subscribe("t/now", 0).await;
    late.receive().await;
    host.sees("message.delivered late t/now q0 retain retained \"x\"").await;
    let mut checked = 0;
    for event in host.events() {
        let client = event.detail.client().unwrap();
        if client.id == "p" {
            assert_eq!(client.peer, Some(from), "{}", line(&event));
            checked += 1;
        }
        if let Some(message) = event.detail.message() {
            assert_eq!(message.publisher.peer, Some(from), "{}", line(&event));
            checked += 1;
        }
    }
    assert!(checked >= 10, "{checked}");
    let state = host.running.clients().await;
    let found = state.iter().find(|state| state.client.id == "late").unwrap();
    assert_eq!(found.client.peer, Some(late.address()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_says_everything_and_leaves_at_once() {
    let host = Host::start(Limits::default()).await;
    for version in [4, 5] {
        let mut c = Client::raw(host.address(), version).await;
        let publish = c.publish_bytes("t", b"x", 0, false, [0, 0]);
        c.write(&[clean(version, "c").bytes(), publish, vec![0xe0, 0]].concat())
            .await;
        drop(c);
        host.sees("message.publish c Client t q0 \"x\"").await;
        host.sees("session.terminated c Disconnect 0").await;
        host.forget();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_has_several_listeners() {
    let web = ListenerSettings {
        kind: Kind::WebSocket,
        ..ListenerSettings::tcp("web", ([127, 0, 0, 1], 0).into())
    };
    let mut settings = settings(Limits::default());
    settings.listeners.push(web);
    let host = Host::with(&Hook::ALL, async |bus| start(&settings, Some(bus)).await).await;
    let states = host.running.listeners();
    assert_eq!(states.len(), 2);
    assert_eq!((&*states[1].name, states[1].kind), ("web", Kind::WebSocket));
    // The first one is the one that clients of tests use.
    let mut c = clean(4, "c").join(host.address()).await;
    c.ping().await;
    let event = host.sees("client.connect c").await;
    let Detail::ClientConnect(connection) = &event.detail else {
        panic!("{event:?}")
    };
    assert_eq!(
        (&*connection.listener, connection.local),
        ("tcp:default", Some(host.address()))
    );
}

/// RMQTT itself would disconnect the client.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_mqtt_3_client_gets_a_code_for_each_invalid_filter() {
    let host = Host::start(Limits::default()).await;
    let mut c = clean(4, "c").join(host.address()).await;
    let filters = ["a", "$share/g", "a/#/b", "$exclusive/x", "b"];
    let mut body = vec![0, 9];
    for filter in filters {
        body.extend(super::client::text(filter));
        body.push(1);
    }
    // Between two other packets, in one piece.
    let bytes = [vec![0xc0, 0], packet(0x82, &body), vec![0xc0, 0]].concat();
    c.write(&bytes).await;
    assert_eq!(c.read().await.0, 0xd0);
    assert_eq!(c.read().await, (0x90, vec![0, 9, 1, 0x80, 0x80, 0x80, 1]));
    assert_eq!(c.read().await.0, 0xd0);
    let mut p = clean(5, "p").join(host.address()).await;
    p.publish("b", "x", 1, false).await;
    assert_eq!(c.receive().await.payload, "x");
}
