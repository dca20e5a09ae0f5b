//! Clients that break the rules harm themselves only.

use super::client::{Client, Connect, clean, packet, persistent};
use super::*;

/// A pair of well-behaved clients, and proof that they notice nothing.
struct Bystanders(Client, Client);

impl Bystanders {
    async fn join(host: &Host) -> Bystanders {
        let mut subscriber = clean(4, "by-s").join(host.address()).await;
        subscriber.subscribe("by", 1).await;
        Bystanders(subscriber, clean(5, "by-p").join(host.address()).await)
    }

    async fn are_well(&mut self) {
        self.1.publish("by", "fine", 1, false).await;
        assert_eq!(self.0.receive().await.payload, "fine");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_connect() {
    let host = Host::start(Limits::default()).await;
    let mut bystanders = Bystanders::join(&host).await;
    let fine = clean(4, "c").bytes();
    let mut wrong_level = fine.clone();
    wrong_level[8] = 9;
    let mut reserved = fine.clone();
    reserved[9] |= 1;
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 64],
        vec![0xff; 64],
        packet(0x30, b"\0\x01tx"),
        packet(0x10, b"\0\x04MQTT\x04"),
        packet(0x10, b"\0\x04MQTT\x04\x02\0\x3c\0\xffc"),
        packet(
            0x10,
            &[b"\0\x04MQTT\x04\x02\0\x3c\0\x02".as_slice(), &[0xc3, 0x28]].concat(),
        ),
        wrong_level,
        reserved,
        packet(0x10, &vec![0; 2 * 1024 * 1024]),
        Connect {
            clean: false,
            id: String::new(),
            ..clean(4, "")
        }
        .bytes(),
    ] {
        let mut c = Client::raw(host.address(), 4).await;
        // RMQTT may close before it has read everything.
        drop(c.write_unchecked(&bytes).await);
        c.half_close().await;
        c.closed().await;
        bystanders.are_well().await;
    }
    for cut in 1..fine.len() {
        let mut c = Client::raw(host.address(), 4).await;
        c.write(&fine[..cut]).await;
    }
    bystanders.are_well().await;
    assert!(
        host.events()
            .iter()
            .all(|event| !line(event).starts_with("client.connect c"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_a_connection() {
    let host = Host::start(Limits {
        max_packet_size: 10_000,
        ..Limits::default()
    })
    .await;
    let mut bystanders = Bystanders::join(&host).await;
    let body = |topic: &[u8]| [&(topic.len() as u16).to_be_bytes(), topic, b"x".as_slice()].concat();
    for (version, bytes, ending) in [
        (4, packet(0x30, &vec![0; 20_000]), "ProtocolError 149"),
        (5, packet(0x30, &vec![0; 20_000]), "ProtocolError 149"),
        (4, packet(0x30, &body(&[0xc3, 0x28])), "ProtocolError 129"),
        (4, packet(0x30, b"\0\x09t"), "ProtocolError 129"),
        (4, packet(0x36, b"\0\x01t\0\x01x"), "ProtocolError 155"),
        (5, packet(0x36, b"\0\x01t\0\x01\0x"), "ProtocolError 155"),
        (4, packet(0x82, b"\0\x01\0\x03a\0b\0"), "ProtocolError 129"),
        (5, packet(0x82, b"\0\x01\0\0\x03a\0b\0"), "ProtocolError 129"),
        (4, packet(0x32, b"\0\x01t\0\0x"), "ProtocolError 129"),
        (4, packet(0x30, &body(b"")), "ProtocolError 144"),
        (4, packet(0x30, &body(b"a/+")), "ProtocolError 144"),
        (4, packet(0x30, &body(b"a\0b")), "ProtocolError 144"),
        (4, packet(0x30, &body("/".repeat(500).as_bytes())), "ProtocolError 144"),
        (4, packet(0x82, b"\0\x01"), "ProtocolError 143"),
        (4, packet(0x80, b"\0\x01\0\x01t\0"), "ProtocolError 130"),
        (5, packet(0xf0, b""), "ProtocolError 130"),
        (4, clean(4, "hostile").bytes(), "ProtocolError 130"),
        (5, clean(5, "hostile").bytes(), "ProtocolError 130"),
        (4, vec![0x30, 0xff, 0xff, 0xff, 0xff, 0xff], "ProtocolError 129"),
        (4, vec![0x30, 10, 0], "Closed"),
    ] {
        let id = "hostile";
        let mut c = clean(version, id).join(host.address()).await;
        c.write(&bytes).await;
        c.half_close().await;
        c.closed().await;
        host.sees(&format!("client.disconnected {id} {ending}")).await;
        host.sees(&format!("session.terminated {id} {ending}")).await;
        bystanders.are_well().await;
        host.forget();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_none_is_refused_and_never_published() {
    let host = Host::start(Limits::default()).await;
    let mut c = clean(5, "c").join(host.address()).await;
    c.write(&c.publish_bytes("a/#", b"x", 1, false, [0, 1])).await;
    c.closed().await;
    host.sees("message.refused c Client a/# q1 \"x\" Invalid 144").await;
    host.sees("session.terminated c ProtocolError 144").await;
    assert!(
        host.events()
            .iter()
            .all(|event| event.detail.hook() != Hook::MessagePublish)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_names_are_just_names() {
    let host = Host::start(Limits::default()).await;
    let long = "x".repeat(60_000);
    for id in ["+", "#", "a/b", "$SYS", "ключ", "🦀", " ", "\u{1}", long.as_str()] {
        for version in [4, 5] {
            let mut c = clean(version, id).join(host.address()).await;
            for topic in ["температура/水", "$app/x", "a b", "/", "//", "🦀", "\u{1}"] {
                assert!(c.subscribe(topic, 1).await < 128, "{topic}");
                c.publish(topic, topic, 0, false).await;
                let received = c.receive().await;
                assert_eq!((received.topic.as_str(), received.payload.as_str()), (topic, topic));
                c.unsubscribe(topic).await;
            }
            c.disconnect().await;
            host.sees(&format!("session.terminated {id} Disconnect 0")).await;
            host.forget();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_that_are_none_are_refused() {
    let host = Host::start(Limits::default()).await;
    let mut c = clean(5, "c").join(host.address()).await;
    let deep = "a/".repeat(20_000);
    for filter in [
        "a#",
        "#/a",
        "a/+b",
        "$share/g",
        "$share//",
        "$share//t",
        "$share/+/t",
        deep.as_str(),
    ] {
        assert!(c.subscribe(filter, 0).await >= 128, "{filter}");
    }
    assert_eq!(c.subscribe("a/+/#", 0).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deep_topics_end_nothing_but_their_connection() {
    let host = Host::start(Limits::default()).await;
    let mut bystanders = Bystanders::join(&host).await;
    let deep = "/".repeat(60_000);
    let will = Some((deep.clone(), "x".into(), true));
    drop(Connect { will, ..clean(4, "w") }.join(host.address()).await);
    host.sees("session.terminated w Closed").await;
    let mut p = clean(4, "p").join(host.address()).await;
    p.write(&p.publish_bytes(&deep, b"x", 0, true, [0, 0])).await;
    p.closed().await;
    let mut all = clean(4, "all").join(host.address()).await;
    all.subscribe("#", 0).await;
    all.ping().await;
    bystanders.are_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_that_says_nothing_keeps_nobody_out() {
    let host = Host::start(Limits::default()).await;
    let mut crowd = Vec::new();
    for n in 0..300 {
        let mut c = Client::raw(host.address(), 4).await;
        c.write(&clean(4, "crowd").bytes()[..n % 12]).await;
        crowd.push(c);
    }
    let mut bystanders = Bystanders::join(&host).await;
    bystanders.are_well().await;
    drop(crowd);
    bystanders.are_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_given_up() {
    let limits = Limits {
        send_timeout: Duration::from_millis(300),
        ..Limits::default()
    };
    let host = Host::interested(limits, &[Hook::ClientDisconnected, Hook::SessionTerminated]).await;
    let mut bystanders = Bystanders::join(&host).await;
    let mut slow = clean(4, "slow").join(host.address()).await;
    slow.subscribe("flood", 0).await;
    let mut p = clean(4, "p").join(host.address()).await;
    let payload = "x".repeat(100_000);
    let flood = async {
        loop {
            p.publish("flood", &payload, 1, false).await;
        }
    };
    tokio::select! {
        () = flood => {}
        _ = host.sees("client.disconnected slow TooSlow") => {}
    }
    host.sees("session.terminated slow TooSlow").await;
    bystanders.are_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_client_that_never_reads_is_bounded() {
    let limits = Limits {
        max_mqueue_bytes: 4_000_000,
        send_timeout: Duration::ZERO,
        ..Limits::default()
    };
    let host = Host::interested(limits, &[Hook::DeliveryDropped]).await;
    let mut slow = clean(4, "slow").join(host.address()).await;
    slow.subscribe("flood", 1).await;
    let mut p = clean(4, "p").join(host.address()).await;
    // Far more than the sockets and four megabytes hold.
    let payload = "x".repeat(100_000);
    for _ in 0..200 {
        p.publish("flood", &payload, 1, false).await;
    }
    let dropped = host.until(|events| events.len() >= 50).await;
    assert!(line(&dropped[0]).ends_with("QueueFull 151"));
    // It gets what waited as soon as it reads.
    assert_eq!(slow.receive().await.payload.len(), 100_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_vanishes_while_it_is_accepted_is_forgotten() {
    let host = Host::start(Limits::default()).await;
    for n in 0..50 {
        let mut c = Client::raw(host.address(), 5).await;
        // A limit of one byte makes CONNACK impossible.
        let connect = Connect {
            properties: vec![0x27, 0, 0, 0, 1],
            ..persistent(5, &format!("v{n}"))
        };
        let connect = Connect {
            properties: [connect.properties, vec![0x11, 0, 0, 14, 16]].concat(),
            ..connect
        };
        c.write(&connect.bytes()).await;
        c.closed().await;
    }
    let ended = |events: &[Arc<Event>]| {
        let count = |hook| events.iter().filter(|event| event.detail.hook() == hook).count();
        (count(Hook::ClientDisconnected), count(Hook::SessionTerminated))
    };
    host.until(|events| ended(events) == (50, 50)).await;
    assert_eq!(host.running.clients().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_bytes_after_connect() {
    let host = Host::start(Limits::default()).await;
    let mut bystanders = Bystanders::join(&host).await;
    // A linear congruential generator: the same bytes in every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    };
    for round in 0..200 {
        let version = if round % 2 == 0 { 4 } else { 5 };
        let mut c = clean(version, "noise").join(host.address()).await;
        let kind = [0x30, 0x32, 0x40, 0x50, 0x62, 0x70, 0x82, 0xa2, 0xc0, 0xe0, 0x10, 0xf0][round % 12];
        let body: Vec<u8> = (0..next() / 4).map(|_| next() % 16).collect();
        c.write(&packet(kind, &body)).await;
        c.half_close().await;
        c.closed().await;
    }
    bystanders.are_well().await;
    let balance = |events: &[Arc<Event>]| {
        let count = |hook| events.iter().filter(|event| event.detail.hook() == hook).count();
        count(Hook::ClientConnected) - 2 == count(Hook::ClientDisconnected)
    };
    host.until(balance).await;
}
