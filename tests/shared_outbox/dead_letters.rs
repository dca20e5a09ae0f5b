//! Dead letters that all hosts see, and any host sends again or drops.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::nats::Nats;
use hookhost_tests::packet::{self, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::{Answer, Received, Sink};
use hookhost_tests::{PATIENCE, Version, body};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::Instant;

use super::config;

/// The configuration of a host that sends the ids of requests.
fn with_ids(nats: &Nats, sink: &Sink) -> String {
    config(nats, sink, "").replace("[delivery]\n", "[delivery]\nid_header = \"webhook-id\"\n")
}

async fn host(nats: &Nats, sink: &Sink) -> Host {
    Setup::new().config(&with_ids(nats, sink)).start().await
}

/// Refuses payloads that begin with "bad".
fn refuse_bad(sink: &Sink) {
    sink.answer(|request, _| match body::payload(&request.json()).starts_with(b"bad") {
        true => Answer::Status(422),
        false => Answer::Status(200),
    });
}

/// Waits until the host shows this number of letters, and returns them, newest first.
async fn until_letters(host: &Host, count: usize) -> Vec<Value> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ended = host.try_ask(&["dead-letters", "list", "--json"]).await;
        let letters: Vec<Value> = match serde_json::from_str::<Value>(&ended.stdout) {
            Ok(answer) => answer["letters"].as_array().unwrap().clone(),
            // NATS is away.
            Err(_) => Vec::new(),
        };
        if ended.code == Some(0) && letters.len() == count {
            return letters;
        }
        assert!(Instant::now() < deadline, "not {count} letters: {ended:?}");
    }
}

async fn destinations(host: &Host) -> Value {
    serde_json::from_str(&host.ask(&["destinations", "--json"]).await).unwrap()
}

/// Waits until the host has given up at least one request.
async fn until_some_are_dead(host: &Host) {
    let deadline = Instant::now() + PATIENCE;
    while destinations(host).await["all"]["dead"]["total"] == 0 {
        assert!(Instant::now() < deadline, "no dead letter of this host");
    }
}

/// The sequence of the last request in the outbox.
async fn last_sequence(nats: &Nats) -> u64 {
    let info = nats.ask("$JS.API.STREAM.INFO.hookhost-outbox", "").await;
    let info: Value = serde_json::from_str(&info).unwrap();
    info["state"]["last_seq"].as_u64().unwrap()
}

#[tokio::test]
async fn every_host_shows_drops_and_sends_again_the_letters_of_all_also_of_a_killed_one() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    refuse_bad(&sink);
    let (mut one, mut two) = (host(&nats, &sink).await, host(&nats, &sink).await);
    two.log()
        .wait("its share", PATIENCE, |line| line.contains("partitions=32"))
        .await;
    // So many that both hosts have some of them.
    let count = 40;
    for number in 0..count {
        let mut client = Client::connect(one.address, Version::V5, &format!("c{number}")).await;
        client.publish("t", 1, format!("bad {number}")).await;
    }
    let letters = until_letters(&one, count).await;
    assert_eq!(until_letters(&two, count).await, letters);
    for host in [&one, &two] {
        assert_eq!(destinations(host).await["dead_letters"]["letters"], count);
        until_some_are_dead(host).await;
    }

    one.process.signal(Signal::KILL);
    one.process.wait(PATIENCE).await;
    assert_eq!(until_letters(&two, count).await, letters);
    let id = letters[3]["id"].to_string();
    let shown = two.ask(&["dead-letters", "show", &id]).await;
    assert!(
        shown.contains("answered with status 422") && shown.contains("attempts: 1"),
        "{shown}"
    );
    let exported = two.ask(&["dead-letters", "export", "--client", "c5"]).await;
    let exported: Value = serde_json::from_str(&exported).unwrap();
    assert_eq!(
        (&exported["event"]["client"], &exported["status"]),
        (&"c5".into(), &422.into())
    );

    sink.answer(|_, _| Answer::Status(200));
    let mut three = host(&nats, &sink).await;
    assert_eq!(until_letters(&three, count).await, letters);
    two.ask(&["dead-letters", "drop", "--client", "c0"]).await;
    let before = last_sequence(&nats).await;
    let again = ["dead-letters", "resend", "--all"];
    // Two hosts at once: each request is in the outbox once.
    let (first, second) = tokio::join!(two.try_ask(&again), three.try_ask(&again));
    assert_eq!((first.code, second.code), (Some(0), Some(0)), "{first:?} {second:?}");
    let accepted = |all: &[Arc<Received>]| -> BTreeSet<String> {
        let accepted = all.iter().filter(|request| request.accepted());
        accepted
            .map(|request| request.header("webhook-id").unwrap().to_owned())
            .collect()
    };
    let others = letters.iter().filter(|letter| letter["event"]["client"] != "c0");
    let expected: BTreeSet<String> = others
        .map(|letter| letter["webhook_id"].as_str().unwrap().to_owned())
        .collect();
    sink.wait_until("those that are sent again", PATIENCE, |all| accepted(all) == expected)
        .await;
    until_letters(&two, 0).await;
    assert_eq!(
        last_sequence(&nats).await,
        before + expected.len() as u64,
        "each request is stored once"
    );
    two.stop().await;
    three.stop().await;
}

#[tokio::test]
async fn a_request_that_was_refused_while_nats_was_away_becomes_one_letter() {
    let Some(mut nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    // NATS is killed before the answer is sent.
    let server = Pid::from_raw(nats.process_id(0)).unwrap();
    let is_killed = AtomicBool::new(false);
    sink.answer(move |_, _| {
        if !is_killed.swap(true, SeqCst) {
            kill_process(server, Signal::KILL).unwrap();
        }
        Answer::Status(422)
    });
    let mut host = host(&nats, &sink).await;
    let mut client = Raw::client(host.address, Version::V311, "c").await;
    client.send(&packet::publish(Version::V311, "t", 1, 1, b"bad")).await;
    sink.wait_for(1, PATIENCE).await;
    nats.kill(0).await;
    let waits = |line: &str| line.contains("a dead letter cannot be written to NATS");
    host.log().wait("a letter that waits", PATIENCE, waits).await;
    let away = host.try_ask(&["dead-letters", "list"]).await;
    assert!(
        away.code == Some(1) && away.stderr.contains("NATS cannot be used now"),
        "{away:?}"
    );
    nats.restart(0).await;
    client.expect(kind::PUBACK).await;
    until_letters(&host, 1).await;
    // Its record has left the outbox: the next request of this client is sent.
    sink.answer(|_, _| Answer::Status(200));
    client.send(&packet::publish(Version::V311, "t", 1, 2, b"good")).await;
    sink.wait_until("the next one", PATIENCE, |all| {
        all.iter().any(|request| request.accepted())
    })
    .await;
    until_letters(&host, 1).await;
    host.stop().await;
}
