//! Bytes that are not packets, and packets that make no sense.

use std::net::SocketAddr;
use std::time::Duration;

use hookhost_tests::Version;
use hookhost_tests::packet::{self, Connect, Publish, kind};
use hookhost_tests::raw::Raw;
use tokio::task::JoinSet;

use crate::Town;

/// Sends bytes on a separate connection. Closes it after the host has closed or has sent its last answer.
async fn throw(to: SocketAddr, before: &[u8], bytes: &[u8]) {
    let mut raw = Raw::open(to).await;
    if !before.is_empty() {
        raw.send(before).await;
        raw.expect(kind::CONNACK).await;
    }
    // The host may close after any byte. The rest cannot be sent then.
    if raw.try_send(bytes).await.is_ok() && raw.try_send(&packet::ping()).await.is_ok() {
        // The host answers, closes, or waits for the rest of a packet.
        while let Some(Some(packet)) = raw.read_within(Duration::from_millis(50)).await {
            if packet.kind() == kind::PINGRESP {
                break;
            }
        }
    }
}

/// Pseudo-random numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // xorshift64*: random enough to hit unusual places, and no dependency.
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

/// First packets that are not a valid CONNECT.
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
    // Every truncation of a CONNECT with all fields.
    let rich = Connect {
        username: Some(b"user".to_vec()),
        ..will(1)
    }
    .encode();
    list.extend((1..rich.len()).map(|end| rich[..end].to_vec()));
    list
}

/// Packets that are invalid after a valid CONNECT.
fn bad_packets(version: Version) -> Vec<Vec<u8>> {
    let publish = Publish {
        topic: b"t/x",
        qos: 1,
        id: 1,
        retain: false,
        dup: false,
        properties: &[],
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
        // Properties that are invalid here, duplicated, too short, or out of range.
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

/// Sends each input on its own connection, some at the same time.
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
            // Valid bytes with a few changed, cut or repeated.
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
