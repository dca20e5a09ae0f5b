//! What can go wrong around the outbox, one test for each: receivers that misbehave, disks that fail, clocks that jump,
//! modules that are replaced. Publishers count what they send and what is acknowledged, the receiver counts what arrives,
//! and no acknowledged message is lost or out of order.

mod clock;
mod disk;
mod modules;
mod receivers;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use hookhost_tests::flow::numbers;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::publishers::{Plan, Published, Publishers, Tally};
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

/// Ends the host as a crash does.
async fn kill(host: &mut Host) {
    host.process.signal(Signal::KILL);
    assert_eq!(host.process.wait(PATIENCE).await, None);
}
