//! Disks that are full, read-only or broken, and files that are damaged.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookhost_tests::host::{command, ended};
use hookhost_tests::packet::{self, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::system::FaultySystem;

use super::modules::replace_module;
use super::*;

/// A small file system, if this user may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(options: &str) -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(dir.path());
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: this user cannot mount a file system");
        }
        mounted.then_some(SmallDisk(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).output());
    }
}

/// While the disk is full, durable publishes are not acknowledged and all others are. When there is room again, nothing
/// has been lost.
#[tokio::test]
async fn a_full_disk() {
    let Some(disk) = SmallDisk::mount("size=16m") else {
        return;
    };
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::Status(503));
    let urls = [sink.url("/hook")];
    let mut host = host(disk.path(), &urls, "").await;
    let ballast = disk.path().join("ballast");
    // Fails when the disk is full.
    drop(std::fs::write(&ballast, vec![0; 32 << 20]));
    let mut durable = Raw::client(host.address, Version::V5, "durable").await;
    let mut plain = Raw::client(host.address, Version::V5, "plain").await;
    let payload = |client: &str, number: u16| {
        let mut text = format!("{client} {number} ");
        text.push_str(&"x".repeat(50_000));
        text.into_bytes()
    };
    // A part of the file is still free, so some are acknowledged.
    let mut sent = 0;
    loop {
        sent += 1;
        let publish = packet::publish(Version::V5, "d/0", 1, sent, &payload("durable", sent));
        durable.send(&publish).await;
        match durable.read_within(Duration::from_secs(2)).await {
            Some(Some(ack)) => assert_eq!((ack.kind(), ack.id()), (kind::PUBACK, sent)),
            Some(None) => panic!("the host closed the connection"),
            None => break,
        }
        assert!(sent < 400, "the disk is never full");
    }
    let full = |line: &str| line.contains("the outbox cannot be written");
    host.log().wait("that the disk is full", PATIENCE, full).await;
    for number in 1..=20 {
        if number == 10 {
            replace_module(&host, &urls).await;
        }
        plain
            .publish(Version::V5, "p/0", number, &payload("plain", number))
            .await;
    }
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(durable.expect(kind::PUBACK).await.id(), sent);
    kill(&mut host).await;
    sink.answer(|_, _| Answer::Status(200));
    let accepted = |all: &[std::sync::Arc<Received>], client: &str| {
        let accepted = all.iter().filter(|request| request.accepted());
        let payloads = accepted.map(|request| String::from_utf8(body::payload(&request.json())).unwrap());
        let numbers = payloads.filter_map(|text| text.strip_prefix(client)?.split(' ').nth(1)?.parse::<u16>().ok());
        numbers.collect::<BTreeSet<u16>>().len()
    };
    let next = super::host(disk.path(), &urls, "").await;
    sink.wait_until("every durable message", PATIENCE, |all| {
        accepted(all, "durable") == usize::from(sent)
    })
    .await;
    stop_balanced(next, 0).await;
}

#[tokio::test]
async fn a_disk_without_write_permission() {
    let Some(disk) = SmallDisk::mount("ro,size=1m") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let mut run = command(dir.path());
    run.args(["run", "--listen", "127.0.0.1:0", "--admin", "off", "--data"])
        .arg(disk.path());
    let ended = ended(run).await;
    assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
    let place = disk.path().display().to_string();
    assert!(ended.stderr.contains(&place), "{ended:?}");
    assert!(ended.stderr.contains("Read-only file system"), "{ended:?}");
}

/// A host does not start with a file that it cannot read, names it, and leaves it as it is.
#[tokio::test]
async fn a_damaged_file() {
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::Status(503));
    let data = tempfile::tempdir().unwrap();
    let mut host = host(data.path(), &[sink.url("/hook")], "").await;
    Raw::client(host.address, Version::V5, "c")
        .await
        .publish(Version::V5, "d/0", 1, b"c 1")
        .await;
    host.stop().await;
    let file = data.path().join("outbox.redb");
    let good = std::fs::read(&file).unwrap();
    let mut headless = good.clone();
    headless[..4096].fill(0);
    for bad in [&good[..5000], &headless] {
        std::fs::write(&file, bad).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hookhost.toml");
        std::fs::write(&path, config(data.path(), &[sink.url("/hook")], "")).unwrap();
        let mut run = command(dir.path());
        run.args(["run", "--listen", "127.0.0.1:0", "--admin", "off", "--config"])
            .arg(&path);
        let ended = ended(run).await;
        assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
        assert!(ended.stderr.contains("outbox.redb cannot be used"), "{ended:?}");
        assert!(ended.stderr.contains("move it away"), "{ended:?}");
        assert!(std::fs::read(&file).unwrap() == bad);
    }
    std::fs::write(&file, good).unwrap();
    sink.answer(|_, _| Answer::Status(200));
    let mut host = super::host(data.path(), &[sink.url("/hook")], "").await;
    sink.wait_until("the message", PATIENCE, |all| {
        all.iter().any(|request| request.accepted())
    })
    .await;
    host.stop().await;
}

/// While the disk cannot be flushed, durable publishes are not acknowledged and all others are.
#[tokio::test]
async fn a_disk_that_cannot_be_flushed() {
    let system = FaultySystem::new();
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::Status(503));
    let data = tempfile::tempdir().unwrap();
    let urls = [sink.url("/hook")];
    let mut host = system.below(setup(data.path(), &urls, "")).start().await;
    let mut durable = Raw::client(host.address, Version::V5, "durable").await;
    let mut plain = Raw::client(host.address, Version::V5, "plain").await;
    let payload = |client: &str, number: u16| format!("{client} {number}").into_bytes();
    durable.publish(Version::V5, "d/0", 1, &payload("durable", 1)).await;
    system.set_flush_fails(true);
    for number in 2..=20 {
        let publish = packet::publish(Version::V5, "d/0", 1, number, &payload("durable", number));
        durable.send(&publish).await;
    }
    let failed = |line: &str| line.contains("the outbox cannot be written");
    host.log().wait("that the disk fails", PATIENCE, failed).await;
    for number in 1..=20 {
        if number == 10 {
            replace_module(&host, &urls).await;
        }
        plain
            .publish(Version::V5, "p/0", number, &payload("plain", number))
            .await;
    }
    // The answer to PINGREQ comes after all acknowledgements that may be sent.
    durable.send(&packet::packet(kind::PINGREQ << 4, &[])).await;
    assert_eq!(durable.read().await.map(|packet| packet.kind()), Some(kind::PINGRESP));
    system.set_flush_fails(false);
    for number in 2..=20 {
        assert_eq!(durable.expect(kind::PUBACK).await.id(), number);
    }
    kill(&mut host).await;
    sink.answer(|_, _| Answer::Status(200));
    let host = super::host(data.path(), &urls, "").await;
    let all = sink
        .wait_until("every durable message", PATIENCE, |all| {
            let accepted = all.iter().filter(|request| request.accepted());
            numbers(accepted).get("durable").is_some_and(|list| list.len() >= 20)
        })
        .await;
    let accepted = numbers(all.iter().filter(|request| request.accepted()));
    assert_eq!(accepted["durable"], (1..=20).collect::<Vec<_>>());
    stop_balanced(host, 0).await;
}

/// One damaged record costs this request only, and is counted.
#[tokio::test]
async fn a_damaged_record() {
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::Status(503));
    let data = tempfile::tempdir().unwrap();
    let urls = [sink.url("/hook")];
    let mut host = host(data.path(), &urls, "").await;
    let mut client = Raw::client(host.address, Version::V5, "c").await;
    for number in 1..=50 {
        if number == 30 {
            replace_module(&host, &urls).await;
        }
        let payload = format!("c {number}");
        client.publish(Version::V5, "d/0", number, payload.as_bytes()).await;
    }
    host.stop().await;
    let file = data.path().join("outbox.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    let damaged = STANDARD.encode("c 25");
    let damaged = format!("\"payload\":\"{damaged}\"");
    let places: Vec<usize> = bytes
        .windows(damaged.len())
        .enumerate()
        .filter(|(_, window)| *window == damaged.as_bytes())
        .map(|(place, _)| place)
        .collect();
    assert!(!places.is_empty(), "the record is in the file");
    for place in places {
        bytes[place + damaged.len() - 2] ^= 1;
    }
    std::fs::write(&file, bytes).unwrap();
    sink.answer(|_, _| Answer::Status(200));
    let host = super::host(data.path(), &urls, "").await;
    let all = sink
        .wait_until("the other messages", PATIENCE, |all| {
            let accepted = all.iter().filter(|request| request.accepted());
            numbers(accepted).get("c").is_some_and(|list| list.len() == 49)
        })
        .await;
    let accepted = numbers(all.iter().filter(|request| request.accepted()));
    assert_eq!(
        accepted["c"],
        (1..=50).filter(|number| *number != 25).collect::<Vec<_>>()
    );
    let line = |line: &str| line.contains("its record on disk cannot be used");
    host.log().wait("the damaged record", PATIENCE, line).await;
    let metrics = stop_balanced(host, 0).await;
    assert_eq!(metrics.sum("hookhost_dropped_requests_total{reason=\"damaged\"}"), 1.0);
}
