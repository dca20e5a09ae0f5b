//! Requests that wait in the data folder of a host while NATS is away.

use hookhost_tests::flow::Flow;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::metrics::Metrics;
use hookhost_tests::nats::Nats;
use hookhost_tests::packet::{self, kind};
use hookhost_tests::raw::Raw;
use hookhost_tests::sink::{Answer, Sink};
use hookhost_tests::{PATIENCE, Version};
use rustix::process::Signal;
use serde_json::Value;

use super::{assert_all_in_order, config, host_with_data};

/// A line of the log that says that requests wait in the data folder.
fn waits(line: &str) -> bool {
    line.contains("requests wait in the data folder until NATS can be used")
}

/// The number of requests that wait in the data folder, as the admin API and the metrics say.
async fn waiting_for_nats(host: &Host) -> u64 {
    let answer: Value = serde_json::from_str(&host.ask(&["destinations", "--json"]).await).unwrap();
    let metrics = Metrics::read(host).await;
    let (requests, bytes) = (
        metrics.sum("hookhost_nats_waiting_requests"),
        metrics.sum("hookhost_nats_waiting_bytes"),
    );
    assert_eq!(requests > 0.0, bytes > 0.0);
    answer["waiting_for_nats"]["requests"].as_u64().unwrap()
}

#[tokio::test]
async fn unsent_requests_of_a_host_go_to_the_shared_outbox_when_it_is_switched_on() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    sink.answer(|_, _| Answer::Status(503));
    let alone = format!(
        "[webhook]\nurls = [{:?}]\nacknowledge = \"durable\"\n[webhook.rule]\nmessage_publish = [{{ action = \"a\" }}]\n",
        sink.url("/hook")
    );
    let setup = Setup::new().config(&alone).arg("--data").arg(data.path());
    let mut alone = setup.start().await;
    let flow = Flow::start(alone.address, "f", 10, 500, "t").await;
    flow.go_on(200).await;
    let mut sent = flow.stop().await;
    alone.stop().await;
    sink.answer(|_, _| Answer::Status(200));
    let mut shared = host_with_data(&nats, &sink, data.path()).await;
    let flow = Flow::start(shared.address, "g", 10, 500, "t").await;
    flow.go_on(100).await;
    sent.extend(flow.stop().await);
    assert_all_in_order(&sink, &sent).await;
    shared.stop().await;
}

#[tokio::test]
async fn a_host_starts_without_nats_and_its_requests_go_over_in_order() {
    let Some(mut nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    nats.kill(0).await;
    let mut first = host_with_data(&nats, &sink, data.path()).await;
    let flow = Flow::start(first.address, "f", 10, 500, "t").await;
    flow.go_on(200).await;
    let mut sent = flow.stop().await;
    first.stop().await;
    let mut next = host_with_data(&nats, &sink, data.path()).await;
    let flow = Flow::start(next.address, "g", 10, 500, "t").await;
    flow.go_on(200).await;
    nats.restart(0).await;
    flow.go_on(200).await;
    sent.extend(flow.stop().await);
    assert_all_in_order(&sink, &sent).await;
    next.stop().await;
}

#[tokio::test]
async fn requests_wait_in_the_data_folder_during_an_outage() {
    let Some(mut nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    let mut host = host_with_data(&nats, &sink, data.path()).await;
    let flow = Flow::start(host.address, "f", 10, 200, "t").await;
    for _ in 0..2 {
        let mark = host.log().mark();
        flow.go_on(100).await;
        nats.kill(0).await;
        host.log().wait_after(mark, "the outage", PATIENCE, waits).await;
        flow.go_on(200).await;
        assert!(waiting_for_nats(&host).await > 0);
        let shown = host.ask(&["destinations"]).await;
        assert!(
            shown.contains("wait in the data folder until NATS can be used"),
            "{shown}"
        );
        nats.restart(0).await;
        let is_over = |line: &str| line.contains("no requests wait in the data folder anymore");
        host.log()
            .wait_after(mark, "the end of the outage", PATIENCE, is_over)
            .await;
    }
    let sent = flow.stop().await;
    assert_all_in_order(&sink, &sent).await;
    assert_eq!(waiting_for_nats(&host).await, 0);
    host.stop().await;
}

#[tokio::test]
async fn a_durable_publish_is_not_acknowledged_while_its_request_is_on_one_machine_only() {
    let Some(mut nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    nats.kill(0).await;
    let setup = || {
        Setup::new()
            .config(&config(&nats, &sink, ""))
            .arg("--data")
            .arg(data.path())
    };
    let publish = packet::publish(Version::V311, "t", 1, 1, b"1");
    let mut killed = setup().start().await;
    let mut client = Raw::client(killed.address, Version::V311, "c").await;
    client.send(&publish).await;
    killed.log().wait("the request", PATIENCE, waits).await;
    killed.process.signal(Signal::KILL);
    killed.process.wait(PATIENCE).await;
    assert!(client.read().await.is_none(), "no PUBACK");
    let mut next = setup().start().await;
    let mut client = Raw::client(next.address, Version::V311, "c").await;
    client.send(&publish).await;
    nats.restart(0).await;
    client.expect(kind::PUBACK).await;
    // The request of the killed host, and that of the repeated publish.
    sink.wait_for(2, PATIENCE).await;
    next.stop().await;
}
