//! NATS that is away, loses servers, is full, or has a stream of another form.

use std::sync::Arc;

use hookhost_tests::flow::Flow;
use hookhost_tests::host::Setup;
use hookhost_tests::nats::Nats;
use hookhost_tests::packet::{self, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::{Answer, Received, Sink};
use hookhost_tests::{PATIENCE, Version};

use super::{assert_all_in_order, config, host, payloads};

#[tokio::test]
async fn nothing_is_lost_while_nats_is_away() {
    let Some(mut nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let mut host = host(&nats, &sink, "").await;
    let flow = Flow::start(host.address, "f", 10, 200, "t").await;
    flow.go_on(100).await;
    nats.kill(0).await;
    let lapses = |line: &str| line.contains("NATS did not confirm the lease");
    host.log().wait("the end of the lease", PATIENCE, lapses).await;
    nats.restart(0).await;
    flow.go_on(200).await;
    let sent = flow.stop().await;
    assert_all_in_order(&sink, &sent).await;
    host.stop().await;
}

#[tokio::test]
async fn a_stream_of_another_form_is_refused_and_not_changed() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    host(&nats, &sink, "").await.stop().await;
    let setup = Setup::new().config(&config(&nats, &sink, "partitions = 8\nmax_bytes = \"1GiB\""));
    let ended = setup.ended().await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let expected = "the stream hookhost-outbox of NATS does not match the settings, and hookhost does not change it: \
                    max_bytes is 10737418240, not 1073741824; hookhost-partitions is \"64\", not \"8\"";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    host(&nats, &sink, "").await.stop().await;
}

#[tokio::test]
async fn a_cluster_survives_the_loss_of_a_server() {
    let Some(mut nats) = Nats::start(3).await else { return };
    let sink = Sink::start().await;
    let mut host = host(&nats, &sink, "replicas = 3").await;
    let flow = Flow::start(host.address, "f", 10, 200, "t").await;
    for number in 0..3 {
        flow.go_on(100).await;
        nats.kill(number).await;
        flow.go_on(100).await;
        nats.restart(number).await;
    }
    let sent = flow.stop().await;
    assert_all_in_order(&sink, &sent).await;
    host.stop().await;
}

#[tokio::test]
async fn publishes_wait_while_most_servers_of_a_cluster_are_away() {
    let Some(mut nats) = Nats::start(3).await else { return };
    let sink = Sink::start().await;
    let mut host = host(&nats, &sink, "replicas = 3").await;
    let flow = Flow::start(host.address, "f", 10, 200, "t").await;
    flow.go_on(100).await;
    nats.kill(0).await;
    nats.kill(1).await;
    let waits = |line: &str| line.contains("requests cannot be written to NATS; trying again");
    host.log().wait("the outage", PATIENCE, waits).await;
    nats.restart(0).await;
    nats.restart(1).await;
    flow.go_on(100).await;
    let sent = flow.stop().await;
    assert_all_in_order(&sink, &sent).await;
    host.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_deleted_by_mistake_is_created_again() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let mut host = host(&nats, &sink, "").await;
    let flow = Flow::start(host.address, "f", 10, 200, "t").await;
    flow.go_on(100).await;
    let mut sent = flow.stop().await;
    assert_all_in_order(&sink, &sent).await;
    for stream in ["hookhost-outbox", "KV_hookhost-outbox-hosts"] {
        let answer = nats.ask(&format!("$JS.API.STREAM.DELETE.{stream}"), "").await;
        assert!(answer.contains("\"success\":true"), "{answer}");
        let flow = Flow::start(host.address, stream, 10, 200, "t").await;
        flow.go_on(100).await;
        sent.extend(flow.stop().await);
        assert_all_in_order(&sink, &sent).await;
    }
    host.stop().await;
}

#[tokio::test]
async fn publishes_wait_while_the_stream_is_full() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::Status(503));
    let mut host = host(&nats, &sink, "max_bytes = \"1MiB\"").await;
    let mut client = Raw::client(host.address, Version::V311, "c").await;
    let count = 15;
    for number in 1..=count {
        let payload = format!("{number} {}", "x".repeat(100_000));
        let packet = packet::publish(Version::V311, "t", 1, number, payload.as_bytes());
        client.send(&packet).await;
    }
    let waits = |line: &str| line.contains("requests cannot be written to NATS; trying again");
    host.log().wait("a full stream", PATIENCE, waits).await;
    sink.answer(|_, _| Answer::Status(200));
    for _ in 1..=count {
        client.expect(kind::PUBACK).await;
    }
    let accepted = |all: &[Arc<Received>]| -> Vec<u16> {
        let accepted: Vec<_> = all.iter().filter(|request| request.accepted()).cloned().collect();
        let number = |text: &String| text.split(' ').next().unwrap().parse().unwrap();
        payloads(&accepted).iter().map(number).collect()
    };
    let all = sink
        .wait_until("all of them", PATIENCE, |all| accepted(all).len() >= usize::from(count))
        .await;
    assert_eq!(accepted(&all), (1..=count).collect::<Vec<_>>());
    host.stop().await;
}

#[tokio::test]
async fn a_request_of_a_later_version_stays_in_the_stream() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let mut host = host(&nats, &sink, "").await;
    // A record begins with the version of its form.
    let stored = nats.ask("hookhost-outbox.5", "\u{7f} a record of the future").await;
    assert!(stored.contains("\"seq\""), "{stored}");
    let is_kept = |line: &str| line.contains("a request is kept for a later version of hookhost");
    host.log().wait("the record", PATIENCE, is_kept).await;
    let flow = Flow::start(host.address, "f", 10, 200, "t").await;
    flow.go_on(50).await;
    let sent = flow.stop().await;
    assert_all_in_order(&sink, &sent).await;
    host.stop().await;
    let info = nats.ask("$JS.API.STREAM.INFO.hookhost-outbox", "").await;
    assert!(info.contains("\"messages\":1,"), "{info}");
}
