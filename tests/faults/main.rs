//! What can go wrong around the outbox, one test for each: receivers that misbehave, disks that fail, clocks that jump.
//! In the middle of each fault the module is replaced. Publishers count what they send and what is acknowledged, the
//! receiver counts what arrives, and no acknowledged message is lost or out of order. In the end the counters of the host
//! contain each event and each request once.

mod clock;
mod counted;
mod disk;
mod modules;
mod receivers;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use hookhost_tests::flow::numbers;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::metrics::{Metrics, until};
use hookhost_tests::publishers::{Plan, Published, Publishers, Tally};
use hookhost_tests::sink::{Answer, Received, Sink};
use hookhost_tests::{PATIENCE, Version, body};
use rustix::process::Signal;

/// Messages before and after the fault.
const BEFORE: u32 = 200;
const AFTER: u32 = 200;

/// The settings of a host with its state in `data`. Publishes to `d/#` are durable; those to `p/#` are not.
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

/// A host with a modules folder, in which [`replace_module`](modules::replace_module) replaces the module.
fn setup(data: &Path, urls: &[String], rest: &str) -> Setup {
    Setup::new().config(&config(data, urls, rest)).modules()
}

async fn host(data: &Path, urls: &[String], rest: &str) -> Host {
    setup(data, urls, rest).start().await
}

/// Waits until every message was accepted at least once, and counts. Only requests that `counts` are considered.
async fn tally(sink: &Sink, published: &[Published], counts: impl Fn(&Received) -> bool) -> Tally {
    let total: usize = published.iter().map(|client| client.count as usize).sum();
    let accepted = |request: &Received| request.accepted() && counts(request);
    // Each request is parsed once, however many arrive.
    let parsed = Cell::new(0);
    let distinct = RefCell::new(BTreeSet::new());
    let all = sink
        .wait_until("every message", PATIENCE, |all| {
            let new = all[parsed.replace(all.len())..].iter();
            let new = new.filter(|request| accepted(request));
            let mut distinct = distinct.borrow_mut();
            distinct.extend(new.map(|request| body::payload(&request.json())));
            distinct.len() >= total
        })
        .await;
    Tally::of(published, &numbers(all.iter().filter(|request| accepted(request))))
}

/// Waits until no event and only this number of requests waits, and everything else is counted once. Stops the host.
async fn stop_balanced(mut host: Host, waiting: u32) -> Metrics {
    let wanted = |metrics: &Metrics| {
        let is_over = metrics.sum("hookhost_module_queue_events") == 0.0;
        is_over && metrics.waiting() == f64::from(waiting) && metrics.are_balanced()
    };
    let metrics = until(&host, "balanced", wanted).await;
    host.stop().await;
    metrics
}

/// Ends the host as a crash does.
async fn kill(host: &mut Host) {
    host.process.signal(Signal::KILL);
    assert_eq!(host.process.wait(PATIENCE).await, None);
}
