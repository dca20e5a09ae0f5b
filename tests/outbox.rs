//! Requests on disk, over restarts and crashes of the real binary.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use hookhost_tests::client::Client;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::sink::{Answer, Received, Sink};
use hookhost_tests::{PATIENCE, Version, body};
use rustix::process::Signal;

/// A host that sends every publish to the sink and keeps requests in `data`.
async fn host(sink: &Sink, data: &Path) -> Host {
    let config = format!(
        "[data]\ndir = {data:?}\n[outbox]\nsync = \"always\"\n[delivery]\nretry_max_elapsed_time = \"1h\"\n\
         [webhook]\nurls = [{:?}]\n[webhook.rule]\nmessage_publish = [{{ action = \"a\" }}]\n",
        sink.url("/hook")
    );
    Setup::new().config(&config).start().await
}

fn payload(request: &Received) -> String {
    String::from_utf8(body::payload(&request.json())).unwrap()
}

fn payloads<'a>(requests: impl IntoIterator<Item = &'a Arc<Received>>) -> Vec<String> {
    requests.into_iter().map(|request| payload(request)).collect()
}

#[tokio::test]
async fn what_a_host_has_not_delivered_at_its_stop_the_next_one_delivers_in_order() {
    let sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    sink.answer(|_, _| Answer::Status(503));
    let mut first = host(&sink, data.path()).await;
    let mut client = Client::connect(first.address, Version::V5, "c").await;
    for number in 0..50 {
        client.publish("t", 1, number.to_string()).await;
    }
    sink.wait_for(1, PATIENCE).await;
    first.stop().await;
    let line = |line: &str| line.contains("these requests wait on disk for the next start");
    first.log().wait("how many requests wait", PATIENCE, line).await;
    sink.answer(|_, _| Answer::Status(200));
    let mut second = host(&sink, data.path()).await;
    let mut client = Client::connect(second.address, Version::V5, "c").await;
    client.publish("t", 1, "50").await;
    let accepted = |all: &[Arc<Received>]| -> Vec<String> { payloads(all.iter().filter(|request| request.accepted())) };
    let all = sink
        .wait_until("all of them", PATIENCE, |all| accepted(all).len() == 51)
        .await;
    assert_eq!(
        accepted(&all),
        (0..=50).map(|number| number.to_string()).collect::<Vec<_>>()
    );
    second.stop().await;
    // Nothing is sent twice.
    let before = sink.count();
    let mut third = host(&sink, data.path()).await;
    let mut client = Client::connect(third.address, Version::V5, "c").await;
    client.publish("t", 1, "51").await;
    let all = sink.wait_for(before + 1, PATIENCE).await;
    assert_eq!(payloads(&all[before..]), ["51"]);
    third.stop().await;
}

#[tokio::test]
async fn what_a_killed_host_has_begun_to_send_the_next_one_sends() {
    let sink = Sink::start().await;
    let data = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let before = sink.count();
        sink.answer(|_, _| Answer::Hang);
        let mut killed = host(&sink, data.path()).await;
        for client in 0..20 {
            let mut client = Client::connect(killed.address, Version::V5, &format!("c{client}")).await;
            client.publish("t", 1, format!("{round}")).await;
        }
        sink.wait_for(before + 20, PATIENCE).await;
        killed.process.signal(Signal::KILL);
        assert_eq!(killed.process.wait(PATIENCE).await, None);
        sink.answer(|_, _| Answer::Status(200));
        let mut next = host(&sink, data.path()).await;
        let all = sink.wait_for(before + 40, PATIENCE).await;
        let id = |request: &Arc<Received>| request.json()["from_clientid"].as_str().unwrap().to_owned();
        let ids: BTreeSet<String> = all[before + 20..].iter().map(id).collect();
        assert_eq!(ids.len(), 20, "every request is sent again, once");
        next.stop().await;
    }
}
