//! Connections that send nothing, read nothing, or open and close all the time.

use std::time::{Duration, Instant};

use hookhost_tests::client::Client;
use hookhost_tests::flow::Flow;
use hookhost_tests::host::Setup;
use hookhost_tests::packet::{self, Connect, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::Sink;
use hookhost_tests::{Version, raise_file_limit};
use tokio::task::JoinSet;

use crate::Town;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections() {
    let limit = raise_file_limit();
    // Each connection needs one descriptor here and one in the host. Both sides need more for other uses.
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
            // Nothing at all, one byte, or all of CONNECT except its last byte.
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
    // New clients connect while all of these are open.
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
    // Messages for a client that does not read are queued up to a limit. The host then disconnects the client.
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
        // Those that are not disconnected because of their queue are when their keep alive expires.
        let connect = Connect {
            keep_alive: 25,
            ..Connect::new(version, &format!("deaf-{number}"))
        };
        let mut raw = Raw::connect(to, &connect).await;
        raw.subscribe(version, "flood/#", qos).await;
        deaf.push(raw);
    }
    let mut hearing = Client::connect(to, Version::V311, "hearing").await;
    hearing.subscribe("flood/#", 1).await;
    let before = town.host.resident();
    let mut publisher = Raw::client(to, Version::V311, "publisher").await;
    // 160 MB for each of the four clients, as fast as the host reads them: far more than it may queue for them.
    let payload = vec![b'x'; 64 << 10];
    let (rounds, batch) = (100, 25);
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
    println!("160 MB to each of four clients that never read: grown by at most {grown} kB");
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
            // The same few client ids, so that the connections take over from each other. Some send DISCONNECT and some
            // do not.
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
