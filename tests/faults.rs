//! What can go wrong around the outbox, one test for each: receivers that misbehave, disks that fail, modules that are
//! replaced. Publishers count what they send and what is acknowledged, the receiver counts what arrives, and no
//! acknowledged message is lost or out of order.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use hookhost_tests::flow::numbers;
use hookhost_tests::host::{Host, Setup, command, ended};
use hookhost_tests::packet::{self, kind};
use hookhost_tests::publishers::{Plan, Published, Publishers, Tally};
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::{Answer, Received, Sink};
use hookhost_tests::{PATIENCE, Version, body};
use rustix::process::Signal;

/// Messages before and after the fault.
const BEFORE: u32 = 200;
const AFTER: u32 = 200;

/// A host with its state in `data`. Publishes to `d/#` are durable; those to `p/#` are not.
fn config(data: &Path, urls: &[String], rest: &str) -> String {
    format!(
        "[data]\ndir = {data:?}\n\
         [delivery]\nretry_initial_interval = \"10ms\"\nretry_max_interval = \"100ms\"\nretry_max_elapsed_time = \"1h\"\n\
         http_timeout = \"500ms\"\nbreaker_pause = \"50ms\"\nbreaker_max_pause = \"200ms\"\nqueue_requests = 200\n{rest}\n\
         [webhook]\nurls = {urls:?}\n[webhook.rule]\nmessage_publish = [\n\
         {{ action = \"durable\", topics = [\"d/#\"], acknowledge = \"durable\" }},\n\
         {{ action = \"plain\", topics = [\"p/#\"] }},\n]\n"
    )
}

async fn host(data: &Path, urls: &[String], rest: &str) -> Host {
    Setup::new().config(&config(data, urls, rest)).start().await
}

/// Waits until every message was accepted at least once, and counts. Only requests that `counts` are considered.
async fn tally(sink: &Sink, published: &[Published], counts: impl Fn(&Received) -> bool) -> Tally {
    let total: usize = published.iter().map(|client| client.count as usize).sum();
    let accepted = |request: &Received| request.accepted() && counts(request);
    let all = sink
        .wait_until("every message", PATIENCE, |all| {
            let accepted = all.iter().filter(|request| accepted(request));
            if all.len() < total {
                return false;
            }
            let distinct: BTreeSet<Vec<u8>> = accepted.map(|request| body::payload(&request.json())).collect();
            distinct.len() >= total
        })
        .await;
    Tally::of(published, &numbers(all.iter().filter(|request| accepted(request))))
}

/// A receiver gives a wrong answer to some requests while clients publish, and is well afterwards. At the end the
/// counters of the host must agree with the receiver.
async fn survives(name: &str, fault: fn(&Received, usize) -> Answer) {
    let sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut host = host(data.path(), &[sink.url("/hook")], "").await;
    let publishers = Publishers::start(host.address, &Plan::default());
    publishers.go_on(BEFORE).await;
    sink.answer(fault);
    sink.wait_for(sink.count() + 50, PATIENCE).await;
    publishers.go_on(AFTER).await;
    // A crash in the middle of the fault changes nothing.
    host.process.signal(Signal::KILL);
    assert_eq!(host.process.wait(PATIENCE).await, None);
    let mut host = self::host(data.path(), &[sink.url("/hook")], "").await;
    publishers.move_to(host.address);
    publishers.go_on(AFTER).await;
    sink.answer(|_, _| Answer::Status(200));
    publishers.go_on(AFTER).await;
    let published = publishers.stop().await;
    let tally = tally(&sink, &published, |_| true).await;
    println!("{name}: {tally}");
    tally.assert_complete();
    host.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_slow() {
    survives("slow", |_, earlier| match earlier % 10 {
        0 => Answer::After(Duration::from_millis(200), 200),
        _ => Answer::Status(200),
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_fails_half_of_the_time() {
    survives("500", |_, earlier| {
        Answer::Status(if earlier % 2 == 0 { 500 } else { 200 })
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_closes_within_its_answer() {
    survives("half an answer", |_, earlier| match earlier % 3 {
        0 => Answer::Bytes(b"HTTP/1.1 20".to_vec()),
        1 => Answer::Close,
        _ => Answer::Status(200),
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_does_not_answer() {
    survives("no answer", |_, earlier| match earlier % 20 {
        0 => Answer::Hang,
        _ => Answer::Status(200),
    })
    .await;
}

#[tokio::test]
async fn a_receiver_whose_answer_never_ends() {
    // The status line decides, so these requests are delivered.
    survives("endless", |_, earlier| match earlier % 10 {
        0 => Answer::Endless,
        _ => Answer::Status(200),
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_does_not_speak_http() {
    survives("no HTTP", |_, earlier| match earlier % 3 {
        0 => Answer::Bytes(b"\x16\x03\x01\x00\xffnonsense\0\0".to_vec()),
        1 => Answer::Bytes(b"HTTP/1.1 abc\r\ncontent-length: -1\r\n\r\n".to_vec()),
        _ => Answer::Status(200),
    })
    .await;
}

#[tokio::test]
async fn a_receiver_that_is_down() {
    let mut sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut host = host(data.path(), &[sink.url("/hook")], "").await;
    let publishers = Publishers::start(host.address, &Plan::default());
    publishers.go_on(BEFORE).await;
    sink.down().await;
    // More than fits into memory.
    publishers.go_on(1000).await;
    host.process.signal(Signal::KILL);
    assert_eq!(host.process.wait(PATIENCE).await, None);
    let mut host = self::host(data.path(), &[sink.url("/hook")], "").await;
    publishers.move_to(host.address);
    publishers.go_on(AFTER).await;
    sink.up();
    let published = publishers.stop().await;
    let tally = tally(&sink, &published, |_| true).await;
    println!("down: {tally}");
    tally.assert_complete();
    host.stop().await;
}

#[tokio::test]
async fn a_receiver_that_refuses_one_client_for_ever() {
    let sink = Sink::start().await;
    sink.answer(|request, _| {
        let payload = String::from_utf8(body::payload(&request.json())).unwrap();
        Answer::Status(if payload.starts_with("p-0 ") { 422 } else { 200 })
    });
    let data = tempfile::tempdir().unwrap();
    let mut host = host(data.path(), &[sink.url("/hook")], "").await;
    let publishers = Publishers::start(host.address, &Plan::default());
    publishers.go_on(1000).await;
    let mut published = publishers.stop().await;
    let refused = published.remove(0);
    let tally = tally(&sink, &published, |_| true).await;
    println!("422 to one client: {tally}");
    tally.assert_complete();
    assert_eq!(tally.doubled, 0, "{tally}");
    // Each request of the refused client came once, in order: none was retried and none held up the next one.
    let all = sink
        .wait_until("the refused ones", PATIENCE, |all| {
            all.iter().filter(|request| !request.accepted()).count() >= refused.count as usize
        })
        .await;
    let of_refused = numbers(all.iter().filter(|request| !request.accepted()));
    assert_eq!(of_refused[&refused.id], (1..=refused.count).collect::<Vec<_>>());
    host.stop().await;
}

#[tokio::test]
async fn two_receivers_of_which_one_is_dead() {
    let (good, mut dead) = (Sink::start().await, Sink::start().await);
    dead.down().await;
    let urls = [good.url("/hook"), dead.url("/hook")];
    let data = tempfile::tempdir().unwrap();
    let mut host = host(data.path(), &urls, "").await;
    let publishers = Publishers::start(host.address, &Plan::default());
    publishers.go_on(600).await;
    host.process.signal(Signal::KILL);
    assert_eq!(host.process.wait(PATIENCE).await, None);
    let mut host = self::host(data.path(), &urls, "").await;
    publishers.move_to(host.address);
    publishers.go_on(AFTER).await;
    let published = publishers.stop().await;
    let of_good = tally(&good, &published, |_| true).await;
    dead.up();
    let of_dead = tally(&dead, &published, |_| true).await;
    println!("good: {of_good}\ndead: {of_dead}");
    of_good.assert_complete();
    of_dead.assert_complete();
    host.stop().await;
}

#[tokio::test]
async fn a_module_that_is_replaced_again_and_again() {
    let sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    let start = || {
        Setup::new()
            .config(&config(data.path(), &[sink.url("/hook")], ""))
            .modules()
            .start()
    };
    let settings = |number: u32| {
        format!(
            "[config]\nurls = [{:?}]\n[[config.rule.message_publish]]\naction = \"{number}\"\nacknowledge = \"durable\"\n\
             [limits]\ninstances = {}\n",
            sink.url("/hook"),
            1 + number % 3
        )
    };
    let mut host = start().await;
    let publishers = Publishers::start(host.address, &Plan::default());
    for round in 1..=2 {
        for number in 1..=4 {
            publishers.go_on(100).await;
            host.drop_module("webhook.toml", settings(number));
            host.ask(&["modules", "rescan"]).await;
        }
        if round == 1 {
            host.process.signal(Signal::KILL);
            assert_eq!(host.process.wait(PATIENCE).await, None);
            host = start().await;
            publishers.move_to(host.address);
        }
    }
    publishers.go_on(AFTER).await;
    let published = publishers.stop().await;
    let tally = tally(&sink, &published, |_| true).await;
    println!("replaced: {tally}");
    tally.assert_complete();
    host.stop().await;
}

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
    let mut host = host(disk.path(), &[sink.url("/hook")], "").await;
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
        plain
            .publish(Version::V5, "p/0", number, &payload("plain", number))
            .await;
    }
    std::fs::remove_file(&ballast).unwrap();
    assert_eq!(durable.expect(kind::PUBACK).await.id(), sent);
    host.process.signal(Signal::KILL);
    assert_eq!(host.process.wait(PATIENCE).await, None);
    sink.answer(|_, _| Answer::Status(200));
    let accepted = |all: &[std::sync::Arc<Received>], client: &str| {
        let accepted = all.iter().filter(|request| request.accepted());
        let payloads = accepted.map(|request| String::from_utf8(body::payload(&request.json())).unwrap());
        let numbers = payloads.filter_map(|text| text.strip_prefix(client)?.split(' ').nth(1)?.parse::<u16>().ok());
        numbers.collect::<BTreeSet<u16>>().len()
    };
    let mut next = self::host(disk.path(), &[sink.url("/hook")], "").await;
    sink.wait_until("every durable message", PATIENCE, |all| {
        accepted(all, "durable") == usize::from(sent)
    })
    .await;
    next.stop().await;
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
    let mut host = self::host(data.path(), &[sink.url("/hook")], "").await;
    sink.wait_until("the message", PATIENCE, |all| {
        all.iter().any(|request| request.accepted())
    })
    .await;
    host.stop().await;
}
