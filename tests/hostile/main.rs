//! Input that no honest client sends, and clients that behave like none: only the connection that did it suffers.
//!
//! In every test a bystander lives its life on the same host: its publishes are confirmed in time and all its events
//! are there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hookhost_tests::client::Client;
use hookhost_tests::flow::{self, Flow};
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::packet::{self, Connect, Publish, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::{Received, Sink};
use hookhost_tests::{PATIENCE, Version, body, raise_file_limit};
use tokio::task::JoinSet;

/// A host that sends all events but the flood's to a sink, and clients that must not notice anything.
struct Town {
    host: Host,
    sink: Sink,
    flow: Flow,
}

impl Town {
    async fn start() -> Town {
        let sink = Sink::start().await;
        let host = Setup::new().url(&sink.url("/hook")).start().await;
        let flow = Flow::start(host.address, "bystander", 2, 100, "bystander").await;
        Town { host, sink, flow }
    }

    /// Panics unless the host lives and the bystanders have lost nothing.
    async fn end(self) {
        let Town { mut host, sink, flow } = self;
        flow.go_on(50).await;
        let sent = flow.stop().await;
        let late = Client::connect(host.address, Version::V5, "late").await;
        late.disconnect().await;
        let slowest = sent.iter().map(|client| client.slowest).max().unwrap_or_default();
        println!("the slowest PUBACK of a bystander took {slowest:?}");
        assert!(
            slowest < Duration::from_secs(25),
            "a bystander waited {slowest:?} for a PUBACK"
        );
        assert!(host.process.is_running());
        host.stop().await;
        let log = host.log().lines().join("\n");
        assert!(!log.contains("panicked"), "something panicked:\n{log}");
        let requests = sink.requests();
        let mine = requests
            .iter()
            .filter(|request| body::subject(&request.json()).starts_with("bystander-"));
        flow::assert_once_in_order(&sent, &flow::numbers(mine));
    }
}

/// Sends bytes on a connection of their own and closes it, after the host has or when it has nothing more to say.
async fn throw(to: SocketAddr, before: &[u8], bytes: &[u8]) {
    let mut raw = Raw::open(to).await;
    if !before.is_empty() {
        raw.send(before).await;
        raw.expect(kind::CONNACK).await;
    }
    // The host may close at any byte; then the rest cannot be sent.
    if raw.try_send(bytes).await.is_ok() && raw.try_send(&packet::ping()).await.is_ok() {
        // It answers, closes, or waits for the rest of a packet.
        while let Some(Some(packet)) = raw.read_within(Duration::from_millis(50)).await {
            if packet.kind() == kind::PINGRESP {
                break;
            }
        }
    }
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // xorshift64*: good enough to hit odd places, and no dependency.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() as usize) % end
    }
}

fn will(qos: u8) -> Connect {
    Connect {
        will: Some(("w".into(), b"x".to_vec(), qos, true)),
        ..Connect::new(Version::V311, "will")
    }
}

/// First packets that are not a proper CONNECT.
fn bad_openings() -> Vec<Vec<u8>> {
    let v5 = |properties: &[u8]| {
        Connect {
            properties: properties.to_vec(),
            ..Connect::new(Version::V5, "odd")
        }
        .encode()
    };
    let connect = Connect::new(Version::V311, "odd");
    let mut list = vec![
        vec![],
        vec![0],
        vec![0x10, 0],
        vec![0x10, 0xff, 0xff, 0xff, 0xff, 0x7f],
        vec![0x10, 0xff, 0xff, 0xff, 0x7f],
        vec![0xff; 64],
        vec![0; 64],
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
        packet::ping(),
        packet::disconnect(),
        packet::publish(Version::V311, "t", 1, 1, b"x"),
        packet::subscribe(Version::V311, 1, &[("#", 1)], None),
        Connect {
            protocol: "MQTX",
            ..connect.clone()
        }
        .encode(),
        Connect {
            protocol: "",
            ..connect.clone()
        }
        .encode(),
        Connect {
            level: 0,
            ..connect.clone()
        }
        .encode(),
        Connect {
            level: 6,
            ..connect.clone()
        }
        .encode(),
        Connect {
            level: 255,
            ..connect.clone()
        }
        .encode(),
        Connect {
            id: vec![0xc3, 0x28],
            ..connect.clone()
        }
        .encode(),
        Connect {
            id: vec![0xed, 0xa0, 0x80],
            ..connect.clone()
        }
        .encode(),
        Connect {
            id: vec![0xff; 300],
            ..connect.clone()
        }
        .encode(),
        Connect {
            username: Some(vec![0xfe, 0xff]),
            ..connect.clone()
        }
        .encode(),
        Connect {
            id: Vec::new(),
            clean: false,
            ..connect.clone()
        }
        .encode(),
        will(3).encode(),
        v5(&[0xff]),
        v5(&[0x11, 0, 0]),
        v5(&[0x21, 0, 0]),
        v5(&[0x11, 0, 0, 0, 1, 0x11, 0, 0, 0, 1]),
        v5(&[0x26, 0, 1, b'k']),
        v5(&[0x26, 0, 1, 0xff, 0, 1, b'v']),
        v5(&[0x15, 0, 3, b'f', b'o', b'o']),
    ];
    // The reserved flag of CONNECT, and its type with flags.
    let mut flags = connect.encode();
    flags[9] |= 1;
    list.push(flags);
    let mut first = connect.encode();
    first[0] |= 3;
    list.push(first);
    // Every truncation of a rich one.
    let rich = Connect {
        username: Some(b"user".to_vec()),
        ..will(1)
    }
    .encode();
    list.extend((1..rich.len()).map(|end| rich[..end].to_vec()));
    list
}

/// Packets that are wrong after a proper CONNECT.
fn bad_packets(version: Version) -> Vec<Vec<u8>> {
    let publish = Publish {
        topic: b"t/x",
        qos: 1,
        id: 1,
        retain: false,
        dup: false,
        payload: b"payload",
    };
    let connect = Connect::new(version, "again").encode();
    let mut list = vec![
        connect,
        vec![0x20, 2, 0, 0],
        vec![0x00, 0],
        vec![0xf0, 0],
        vec![0xf0, 2, 0x18, 0],
        vec![0x30, 0],
        vec![0x30, 1, 0],
        vec![0x30, 2, 0xff, 0xff],
        vec![0x36, 4, 0, 1, b't', 0],
        vec![0x30, 0xff, 0xff, 0xff, 0xff, 0x01],
        vec![0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, b't'],
        vec![0x82, 2, 0, 1],
        vec![0x80, 6, 0, 1, 0, 1, b't', 0],
        vec![0x82, 6, 0, 1, 0, 1, b't', 7],
        vec![0x82, 6, 0, 0, 0, 1, b't', 0],
        vec![0xa2, 2, 0, 1],
        vec![0xa2, 4, 0, 1, 0, 9],
        vec![0x40, 0],
        vec![0x40, 1, 0],
        vec![0x40, 2, 0, 0],
        vec![0x40, 2, 0x12, 0x34],
        vec![0x50, 2, 0x12, 0x34],
        vec![0x60, 2, 0x12, 0x34],
        vec![0x62, 2, 0x12, 0x34],
        vec![0x70, 2, 0x12, 0x34],
        vec![0xc0, 1, 0],
        vec![0xe0, 200],
        Publish {
            qos: 3,
            ..publish.clone()
        }
        .encode(version),
        Publish {
            id: 0,
            ..publish.clone()
        }
        .encode(version),
        Publish {
            topic: b"",
            ..publish.clone()
        }
        .encode(version),
        Publish {
            topic: b"a/+/b",
            ..publish.clone()
        }
        .encode(version),
        Publish {
            topic: b"#",
            ..publish.clone()
        }
        .encode(version),
        Publish {
            topic: b"nul\0",
            ..publish.clone()
        }
        .encode(version),
        Publish {
            topic: &[b'a', 0xff, b'b'],
            ..publish.clone()
        }
        .encode(version),
        Publish {
            topic: &[0xed, 0xa0, 0x80],
            ..publish.clone()
        }
        .encode(version),
        Publish {
            topic: &[b'/'; 65_535],
            ..publish.clone()
        }
        .encode(version),
        Publish {
            topic: &[b't'; 65_535],
            ..publish.clone()
        }
        .encode(version),
        Publish {
            payload: &vec![0; 2 << 20],
            ..publish.clone()
        }
        .encode(version),
        packet::subscribe(version, 1, &[("", 0)], None),
        packet::subscribe(version, 1, &[("a/#/b", 0)], None),
        packet::subscribe(version, 1, &[("a+", 0), ("b#", 0)], None),
        packet::subscribe(
            version,
            1,
            &[("$share", 0), ("$share/", 0), ("$share/g", 0), ("$share/g/", 0)],
            None,
        ),
        packet::subscribe(version, 1, &[("$share/+/t", 0)], None),
        packet::subscribe(version, 1, &[(&"/".repeat(60_000), 0)], None),
        packet::subscribe(version, 1, &[(&"+/".repeat(30_000), 0)], None),
        packet::subscribe(version, 1, &vec![("t", 3); 2_000], None),
    ];
    let whole = publish.encode(version);
    list.extend((1..whole.len()).map(|end| whole[..end].to_vec()));
    let whole = packet::subscribe(version, 5, &[("a/b", 1), ("c/#", 2)], None);
    list.extend((1..whole.len()).map(|end| whole[..end].to_vec()));
    if version == Version::V5 {
        // Properties that do not belong there, are doubled, too short, or out of range.
        for properties in [
            &[1u8, 0xff][..],
            &[2, 0x01, 2],
            &[4, 0x01, 0, 0x01, 0],
            &[3, 0x23, 0, 0],
            &[3, 0x23, 0xff, 0xff],
            &[2, 0x0b, 1],
            &[0xff, 0xff, 0xff, 0xff],
            &[5, 0x08, 0, 2, b'a', b'#'],
            &[4, 0x03, 0, 1, 0xff],
        ] {
            let body = [&[0, 1, b't', 0, 1][..], properties, b"x"].concat();
            list.push(packet::packet(0x32, &body));
        }
        list.push(packet::packet(0xe0, &[0xff, 0]));
        list.push(packet::packet(0xe0, &[0, 5, 0x11, 0, 0, 0]));
    }
    list
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_openings() {
    let town = Town::start().await;
    throw_all(town.host.address, &[], bad_openings()).await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_packets_of_3_1_1() {
    malformed_packets(Version::V311).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_packets_of_5() {
    malformed_packets(Version::V5).await;
}

async fn malformed_packets(version: Version) {
    let town = Town::start().await;
    let before = town.host.resident();
    throw_all(
        town.host.address,
        &Connect::new(version, "").encode(),
        bad_packets(version),
    )
    .await;
    let grown = town.host.resident().saturating_sub(before);
    println!("grown by {grown} kB");
    assert!(grown < 100_000, "grown by {grown} kB");
    town.end().await;
}

/// Each of the inputs on a connection of its own, some at the same time.
async fn throw_all(to: SocketAddr, before: &[u8], inputs: Vec<Vec<u8>>) {
    let mut running = JoinSet::new();
    for bytes in inputs {
        let before = before.to_vec();
        running.spawn(async move { throw(to, &before, &bytes).await });
        if running.len() >= 16 {
            running
                .join_next()
                .await
                .expect("some run")
                .expect("throwing never fails");
        }
    }
    while let Some(done) = running.join_next().await {
        done.expect("throwing never fails");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_at_random() {
    let town = Town::start().await;
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for version in [Version::V311, Version::V5] {
        let mut inputs = Vec::new();
        let honest = [
            packet::publish(version, "r/t", 1, 7, b"payload"),
            packet::subscribe(version, 9, &[("r/#", 1)], None),
            packet::ack(kind::PUBREL, 3),
            packet::ping(),
        ]
        .concat();
        for _ in 0..150 {
            // Honest bytes with a few changed, cut or repeated.
            let mut bytes = honest.clone();
            for _ in 0..1 + dice.below(6) {
                let at = dice.below(bytes.len());
                match dice.below(4) {
                    0 => bytes.truncate(at.max(1)),
                    1 => bytes.insert(at, dice.next() as u8),
                    _ => bytes[at] = dice.next() as u8,
                }
            }
            inputs.push(bytes);
        }
        throw_all(town.host.address, &Connect::new(version, "").encode(), inputs).await;
        let noise = (0..100)
            .map(|_| (0..1 + dice.below(200)).map(|_| dice.next() as u8).collect())
            .collect();
        throw_all(town.host.address, &[], noise).await;
    }
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_in_any_script() {
    let town = Town::start().await;
    let topics = [
        "温度/传感器/1",
        "датчик/температура",
        "حرارة/غرفة",
        "θερμό/α",
        "🌡️/🏠/👩‍👩‍👧",
        "e\u{301}/é",
        "with space/ and tab\t",
        "quote\"/back\\slash/'",
        "/",
        "//",
        "a//b",
        "a/",
        "\u{7f}/\u{85}",
        "\u{feff}bom",
        "\u{fffd}",
        "\u{10ffff}",
        "%2F/{x}/<b>&",
    ];
    let mut subscriber = Client::connect(town.host.address, Version::V5, "subscriber").await;
    subscriber.subscribe("#", 1).await;
    let mut publisher = Raw::client(town.host.address, Version::V311, "scripts").await;
    for (topic, id) in topics.iter().zip(1..) {
        publisher.publish(Version::V311, topic, id, topic.as_bytes()).await;
    }
    publisher.disconnect().await;
    for topic in topics {
        let message = loop {
            let message = subscriber.message().await;
            if !message.topic.starts_with("bystander/") {
                break message;
            }
        };
        assert_eq!(
            (message.topic.as_str(), message.payload.as_slice()),
            (topic, topic.as_bytes())
        );
    }
    let events = |all: &[Arc<Received>]| -> Vec<String> {
        let of_scripts = |body: &serde_json::Value| body["from_clientid"] == "scripts" && body["clientid"].is_null();
        let bodies = all.iter().map(|request| request.json()).filter(of_scripts);
        bodies
            .map(|body| body["topic"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let all = town
        .sink
        .wait_until("all topics", PATIENCE, |all| events(all).len() == topics.len())
        .await;
    assert_eq!(events(&all), topics);
    subscriber.disconnect().await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_that_begin_with_a_dollar() {
    let town = Town::start().await;
    let mut all = Client::connect(town.host.address, Version::V311, "all").await;
    all.subscribe("#", 1).await;
    all.subscribe("+/x", 1).await;
    let mut publisher = Client::connect(town.host.address, Version::V311, "dollar").await;
    let topics = ["$x", "$x/x", "$SYS/x", "$SYS/broker/version", "$queue/x", "$"];
    for topic in topics {
        publisher.publish(topic, 1, "x").await;
    }
    publisher.publish("plain", 1, "x").await;
    let message = loop {
        let message = all.message().await;
        if !message.topic.starts_with("bystander/") {
            break message;
        }
    };
    assert_eq!(
        message.topic, "plain",
        "a leading wildcard matches no topic that begins with $"
    );
    let told = |all: &[Arc<Received>]| -> Vec<String> {
        let of_dollar = |body: &serde_json::Value| body["from_clientid"] == "dollar" && body["clientid"].is_null();
        let bodies = all.iter().map(|request| request.json()).filter(of_dollar);
        bodies
            .map(|body| body["topic"].as_str().unwrap_or_default().to_owned())
            .collect()
    };
    let requests = town
        .sink
        .wait_until("all topics", PATIENCE, |all| told(all).len() > topics.len())
        .await;
    assert_eq!(told(&requests)[..topics.len()], topics);
    publisher.disconnect().await;
    all.disconnect().await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_ids_of_any_kind() {
    let town = Town::start().await;
    let long = "l".repeat(20_000);
    let ids = [
        "+",
        "#",
        "/",
        "$",
        "$SYS",
        "a/b",
        "a b",
        " ",
        "\"",
        "\\",
        "\\u0041",
        "\n",
        "\r\nready mqtt=1.2.3.4:5",
        "\t",
        "\u{1}",
        "\u{1b}[31mred",
        "%s%n",
        "{}",
        "../../etc/passwd",
        "温度",
        "🌡️",
        "\u{202e}reversed",
        "undefined",
        "null",
        &long,
    ];
    for version in [Version::V311, Version::V5] {
        for id in ids {
            let mut raw = Raw::open(town.host.address).await;
            raw.send(&Connect::new(version, id).encode()).await;
            // A broker may refuse control characters; what it accepts it must report truly.
            let accepted = raw
                .read()
                .await
                .is_some_and(|packet| packet.kind() == kind::CONNACK && packet.body[1] == 0);
            let must = !id.chars().any(char::is_control);
            assert!(accepted || !must, "{id:?} was refused");
            if accepted {
                raw.publish(version, "ids", 1, id.as_bytes()).await;
                raw.disconnect().await;
                let publish = |body: &serde_json::Value| body["topic"] == "ids" && body["from_clientid"] == id;
                let of = |all: &[Arc<Received>]| all.iter().filter(|request| publish(&request.json())).count();
                let enough = if version == Version::V311 { 1 } else { 2 };
                town.sink
                    .wait_until(&format!("{enough} events of {id:?}"), PATIENCE, |all| of(all) == enough)
                    .await;
            }
        }
    }
    let forged = town
        .host
        .log()
        .lines()
        .iter()
        .filter(|line| line.starts_with("ready mqtt=1.2.3.4"))
        .count();
    assert_eq!(forged, 0, "a client forged a line of the log");
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections() {
    let limit = raise_file_limit();
    // One descriptor here and one in the host for each; both sides need some for other things.
    let count = usize::try_from(limit)
        .unwrap_or(usize::MAX)
        .saturating_sub(500)
        .min(10_000);
    let town = Town::start().await;
    let before = town.host.resident();
    let start = Instant::now();
    let mut open = Vec::with_capacity(count);
    let connect = Connect::new(Version::V311, "half").encode();
    let mut opening = JoinSet::new();
    let to = town.host.address;
    let mut next = 0;
    while open.len() < count {
        while opening.len() < 100 && next < count {
            // Nothing at all, one byte, or all of CONNECT but its last byte.
            let bytes = connect[..[0, 1, connect.len() - 1][next % 3]].to_vec();
            next += 1;
            opening.spawn(async move {
                let mut raw = Raw::open(to).await;
                raw.send(&bytes).await;
                raw
            });
        }
        open.push(
            opening
                .join_next()
                .await
                .expect("some are being opened")
                .expect("connecting works"),
        );
    }
    let opened = start.elapsed();
    // Newcomers get in while all of them are there.
    let start = Instant::now();
    let mut newcomer = Client::connect(to, Version::V5, "newcomer").await;
    newcomer.publish("t", 1, "x").await;
    let newcomer_took = start.elapsed();
    let grown = town.host.resident().saturating_sub(before);
    println!("{count} half-open connections in {opened:?}, {grown} kB; a newcomer was served in {newcomer_took:?}");
    assert!(
        newcomer_took < Duration::from_secs(25),
        "a newcomer waited {newcomer_took:?}"
    );
    assert!(grown < 300_000, "grown by {grown} kB");
    newcomer.disconnect().await;
    drop(open);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_read() {
    let sink = Sink::start().await;
    let setup = Setup::new();
    let config = format!(
        "urls = [{:?}]\nrule.message_publish = [{{ action = \"message_publish\", topics = [\"bystander/#\"] }}]\n",
        sink.url("/hook")
    );
    // Messages pile up for a client that does not read, up to a limit, until it is given up.
    let setup = setup
        .env("HOOKHOST_MQTT__MAX_MQUEUE_BYTES", "16MiB")
        .env("HOOKHOST_MQTT__SEND_TIMEOUT", "10s");
    let host = setup.webhook_config(&config).start().await;
    let flow = Flow::start(host.address, "bystander", 2, 100, "bystander").await;
    let town = Town { host, sink, flow };
    let to = town.host.address;
    let mut deaf = Vec::new();
    for (number, qos) in [0, 1, 2, 0].into_iter().enumerate() {
        let version = if number % 2 == 0 { Version::V311 } else { Version::V5 };
        let mut raw = Raw::client(to, version, &format!("deaf-{number}")).await;
        raw.subscribe(version, "flood/#", qos).await;
        deaf.push(raw);
    }
    let mut hearing = Client::connect(to, Version::V311, "hearing").await;
    hearing.subscribe("flood/#", 1).await;
    let before = town.host.resident();
    let mut publisher = Raw::client(to, Version::V311, "publisher").await;
    // 400 MB in all, as fast as they are taken: far more than may be kept for the four.
    let payload = vec![b'x'; 64 << 10];
    let (rounds, batch) = (250, 25);
    let mut highest = 0;
    for round in 0..rounds {
        let ids = (1..=batch).map(|number| round * batch + number);
        let bytes: Vec<u8> = ids
            .clone()
            .flat_map(|id| packet::publish(Version::V311, "flood/1", 1, id, &payload))
            .collect();
        publisher.send(&bytes).await;
        for id in ids {
            assert_eq!(publisher.expect(kind::PUBACK).await.id(), id);
            assert_eq!(hearing.message().await.payload.len(), payload.len());
        }
        highest = highest.max(town.host.resident());
    }
    let grown = highest.saturating_sub(before);
    println!("400 MB to four clients that never read: grown by at most {grown} kB");
    assert!(grown < 200_000, "grown by {grown} kB");
    for mut deaf in deaf {
        deaf.closed().await;
    }
    publisher.disconnect().await;
    hearing.disconnect().await;
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_come_and_go() {
    let town = Town::start().await;
    let to = town.host.address;
    let mut running = JoinSet::new();
    for number in 0..1_000u32 {
        running.spawn(async move {
            let version = if number % 2 == 0 { Version::V311 } else { Version::V5 };
            let mut raw = Raw::open(to).await;
            // The same few client ids, so that they take each other over; some say goodbye and some do not.
            raw.send(&Connect::new(version, &format!("churn-{}", number % 7)).encode())
                .await;
            if number % 3 != 0 && raw.read().await.is_some_and(|packet| packet.kind() == kind::CONNACK) {
                drop(raw.try_send(&packet::publish(version, "churn", 0, 0, b"x")).await);
                if number % 3 == 1 {
                    drop(raw.try_send(&packet::disconnect()).await);
                }
            }
        });
        if running.len() >= 50 {
            running.join_next().await.expect("some run").expect("nothing panics");
        }
    }
    while let Some(done) = running.join_next().await {
        done.expect("nothing panics");
    }
    town.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishes_that_are_almost_too_large() {
    let town = Town::start().await;
    let mut publisher = Raw::client(town.host.address, Version::V311, "large").await;
    let payload = vec![7u8; 1_000_000];
    publisher.publish(Version::V311, "large", 1, &payload).await;
    let large = |all: &[Arc<Received>]| all.iter().any(|request| request.body.len() > 1_300_000);
    let all = town.sink.wait_until("the large one", PATIENCE, large).await;
    let request = all
        .iter()
        .find(|request| request.body.len() > 1_300_000)
        .expect("it was waited for");
    assert_eq!(body::payload(&request.json()), payload);
    publisher.disconnect().await;
    town.end().await;
}
