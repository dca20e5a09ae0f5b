//! An outbox on NATS JetStream that several hosts share, over kills, pauses and outages.

mod attempts;
mod clocks;
mod data_folder;
mod dead_letters;
mod faults;
mod hosts;
mod modules;
mod network;
mod security;
mod webhooks;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use hookhost_tests::flow::{self, Sent};
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::nats::Nats;
use hookhost_tests::sink::{Received, Sink};
use hookhost_tests::{PATIENCE, body};

/// The configuration of a host that sends every publish to the sink and shares the outbox. `more` are lines of
/// `[delivery.nats]`. The lease is short, so that others take over soon; a busy machine may miss it, which is survived.
fn config(nats: &Nats, sink: &Sink, more: &str) -> String {
    format!(
        "[delivery]\noutbox = {:?}\nretry_max_elapsed_time = \"1h\"\nretry_max_interval = \"1s\"\nbreaker = false\n\
         [delivery.nats]\nlease = \"1s\"\n{more}\n\
         [webhook]\nurls = [{:?}]\nacknowledge = \"durable\"\n[webhook.rule]\nmessage_publish = [{{ action = \"a\" }}]\n",
        nats.url(),
        sink.url("/hook")
    )
}

async fn host(nats: &Nats, sink: &Sink, more: &str) -> Host {
    Setup::new().config(&config(nats, sink, more)).start().await
}

/// The same with a data folder. Publishes are acknowledged at once.
async fn host_with_data(nats: &Nats, sink: &Sink, data: &Path) -> Host {
    let config = config(nats, sink, "").replace("acknowledge = \"durable\"\n", "");
    Setup::new().config(&config).arg("--data").arg(data).start().await
}

fn payloads<'a>(requests: impl IntoIterator<Item = &'a Arc<Received>>) -> Vec<String> {
    let payload = |request: &Arc<Received>| String::from_utf8(body::payload(&request.json())).unwrap();
    requests.into_iter().map(payload).collect()
}

/// The numbers of each client in the order in which they first arrived with an accepting answer.
fn first_arrivals(requests: &[Arc<Received>]) -> BTreeMap<String, Vec<u32>> {
    let mut all = flow::numbers(requests.iter().filter(|request| request.accepted()));
    for numbers in all.values_mut() {
        let mut seen = BTreeSet::new();
        numbers.retain(|number| seen.insert(*number));
    }
    all
}

/// Waits until everything has arrived. Nothing may be lost, and a repetition is allowed, but no other order.
async fn assert_all_in_order(sink: &Sink, sent: &[Sent]) {
    // Each request is parsed once, however often the condition is checked.
    let known = RefCell::new((0, BTreeSet::new()));
    let is_complete = |all: &[Arc<Received>]| {
        let (next, arrived) = &mut *known.borrow_mut();
        let new = all[*next..].iter().filter(|request| request.accepted());
        for (client, numbers) in flow::numbers(new) {
            arrived.extend(numbers.into_iter().map(|number| (client.clone(), number)));
        }
        *next = all.len();
        arrived.len() >= flow::total(sent)
    };
    let all = sink.wait_until("all of them", PATIENCE, is_complete).await;
    flow::assert_once_in_order(sent, &first_arrivals(&all));
}
