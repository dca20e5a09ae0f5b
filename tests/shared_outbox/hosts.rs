//! Several hosts: they share the work, and take over from hosts that are killed or paused.

use std::time::{Duration, Instant};

use hookhost_tests::client::Client;
use hookhost_tests::flow::Flow;
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::nats::Nats;
use hookhost_tests::sink::{Answer, Sink};
use hookhost_tests::{PATIENCE, Version};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{assert_all_in_order, config, host, payloads};

#[tokio::test]
async fn a_publish_reaches_its_receiver_once() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let mut first = host(&nats, &sink, "").await;
    let mut client = Client::connect(first.address, Version::V5, "c").await;
    for number in 0..20 {
        client.publish("t", 1, number.to_string()).await;
    }
    let all = sink.wait_for(20, PATIENCE).await;
    assert_eq!(
        payloads(&all),
        (0..20).map(|number| number.to_string()).collect::<Vec<_>>()
    );
    first.stop().await;
    // Nothing is left for the next host.
    let mut second = host(&nats, &sink, "").await;
    let mut client = Client::connect(second.address, Version::V5, "c").await;
    client.publish("t", 1, "20").await;
    let all = sink.wait_for(21, PATIENCE).await;
    assert_eq!(payloads(&all[20..]), ["20"]);
    second.stop().await;
}

#[tokio::test]
async fn another_host_delivers_in_order_what_a_killed_host_has_accepted() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::Status(503));
    let mut killed = host(&nats, &sink, "").await;
    let flow = Flow::start(killed.address, "f", 10, 500, "t").await;
    flow.go_on(300).await;
    let sent = flow.stop().await;
    killed.process.signal(Signal::KILL);
    killed.process.wait(PATIENCE).await;
    sink.answer(|_, _| Answer::Status(200));
    let mut next = host(&nats, &sink, "").await;
    assert_all_in_order(&sink, &sent).await;
    next.stop().await;
}

#[tokio::test]
async fn two_hosts_share_the_work_and_one_takes_over_when_the_other_is_killed_under_load() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let (mut one, mut two) = (host(&nats, &sink, "").await, host(&nats, &sink, "").await);
    let share = |line: &str| line.contains("partitions=32");
    two.log().wait("its share", PATIENCE, share).await;
    let flow = Flow::start(two.address, "f", 20, 400, "t").await;
    flow.go_on(400).await;
    one.process.signal(Signal::KILL);
    one.process.wait(PATIENCE).await;
    flow.go_on(400).await;
    let sent = flow.stop().await;
    assert_all_in_order(&sink, &sent).await;
    two.stop().await;
}

/// The hosts that one of them shows, with the number of partitions and the report of each.
async fn shown(host: &Host) -> Vec<(u64, Value)> {
    let answer: Value = serde_json::from_str(&host.ask(&["hosts", "--json"]).await).unwrap();
    let hosts = answer["hosts"].as_array().unwrap().iter();
    hosts
        .map(|host| (host["partitions"].as_u64().unwrap(), host["state"].clone()))
        .collect()
}

/// Asks a host until what it shows fulfils a condition.
async fn until_shown(host: &Host, what: &str, condition: impl Fn(&[(u64, Value)]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tick.tick().await;
        let hosts = shown(host).await;
        if condition(&hosts) {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {hosts:?}");
    }
}

#[tokio::test]
async fn each_host_shows_how_all_of_them_do() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let (mut one, mut two) = (host(&nats, &sink, "").await, host(&nats, &sink, "").await);
    let admins = [one.admin.unwrap().to_string(), two.admin.unwrap().to_string()];
    for asked in [&one, &two] {
        until_shown(asked, "both are ready and have their shares", |hosts| {
            hosts.len() == 2
                && hosts
                    .iter()
                    .all(|(partitions, state)| *partitions == 32 && state["problems"] == json!([]))
                && admins
                    .iter()
                    .all(|admin| hosts.iter().any(|(_, state)| state["admin"] == **admin))
        })
        .await;
    }
    let client = Client::connect(two.address, Version::V5, "c").await;
    until_shown(&one, "the client of the other host", |hosts| {
        hosts
            .iter()
            .any(|(_, state)| state["admin"] == *admins[1] && state["connected"] == 1)
    })
    .await;
    drop(client);
    let flow = Flow::start(two.address, "f", 10, 100, "t").await;
    until_shown(&one, "the rates of both", |hosts| {
        let rate = |name: &str| {
            hosts
                .iter()
                .map(|(_, state)| state[name].as_f64().unwrap_or(0.0))
                .sum::<f64>()
        };
        rate("events_per_second") > 0.0 && rate("webhooks_per_second") > 0.0
    })
    .await;
    flow.stop().await;
    two.process.signal(Signal::KILL);
    two.process.wait(PATIENCE).await;
    until_shown(
        &one,
        "only this host, with all partitions",
        |hosts| matches!(hosts, [(64, state)] if state["admin"] == *admins[0]),
    )
    .await;
    one.stop().await;
}

/// A receiver that fails has more requests than fit into the memory. They are read again from the stream.
async fn a_receiver_that_is_down_delays_no_other(more: &str) {
    let Some(nats) = Nats::start(1).await else { return };
    let (down, works) = (Sink::start().await, Sink::start().await);
    down.answer(|_, _| Answer::Status(503));
    let config = format!(
        "[delivery]\noutbox = {:?}\nretry_max_elapsed_time = \"1h\"\nretry_max_interval = \"1s\"\nbreaker = false\n\
         queue_requests = 50\n[webhook]\n{more}\n[webhook.rule]\nmessage_publish = [\n\
         {{ action = \"a\", topics = [\"down/#\"], urls = [{:?}] }},\n\
         {{ action = \"b\", topics = [\"works/#\"], urls = [{:?}] }}]\n",
        nats.url(),
        down.url("/hook"),
        works.url("/hook"),
    );
    let mut host = Setup::new().config(&config).start().await;
    let backlog = Flow::start(host.address, "d", 10, 500, "down").await;
    backlog.go_on(500).await;
    let waiting = backlog.stop().await;
    let flow = Flow::start(host.address, "w", 10, 500, "works").await;
    flow.go_on(300).await;
    assert_all_in_order(&works, &flow.stop().await).await;
    down.answer(|_, _| Answer::Status(200));
    assert_all_in_order(&down, &waiting).await;
    host.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_down_delays_no_other_one() {
    a_receiver_that_is_down_delays_no_other("").await;
}

#[tokio::test]
async fn a_receiver_of_batches_that_is_down_delays_no_other_one() {
    // Each batch of this receiver has one event, so that the sink reads it as a request.
    a_receiver_that_is_down_delays_no_other("batch = { format = \"ndjson\", max_events = 1 }").await;
}

#[tokio::test]
async fn a_host_that_was_paused_does_not_send_what_another_one_has_taken_over() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::Status(503));
    let mut paused = host(&nats, &sink, "").await;
    let flow = Flow::start(paused.address, "f", 10, 500, "t").await;
    flow.go_on(200).await;
    let sent = flow.stop().await;
    paused.process.signal(Signal::STOP);
    let mut next = host(&nats, &sink, "").await;
    let takes_over = |line: &str| line.contains("a host has stopped");
    next.log().wait("the take-over", PATIENCE, takes_over).await;
    sink.answer(|_, _| Answer::Status(200));
    assert_all_in_order(&sink, &sent).await;
    let before = sink.count();
    paused.process.signal(Signal::CONT);
    let lapses = |line: &str| line.contains("NATS did not confirm the lease");
    paused.log().wait("the end of its lease", PATIENCE, lapses).await;
    // It works on, under another id.
    let mut client = Client::connect(paused.address, Version::V5, "c").await;
    client.publish("t", 1, "last").await;
    let all = sink
        .wait_until("the last one", PATIENCE, |all| {
            payloads(all).contains(&"last".to_owned())
        })
        .await;
    assert_eq!(payloads(&all[before..]), ["last"]);
    paused.stop().await;
    next.stop().await;
}

#[tokio::test]
async fn all_hosts_are_restarted_one_after_another_under_load() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let (mut one, mut two) = (host(&nats, &sink, "").await, host(&nats, &sink, "").await);
    let flow = Flow::before(&sink, two.address, "f", 10, 200, "t").await;
    flow.go_on(100).await;
    one.stop().await;
    one = host(&nats, &sink, "").await;
    flow.go_on(100).await;
    let mut sent = flow.stop().await;
    let flow = Flow::before(&sink, one.address, "g", 10, 200, "t").await;
    flow.go_on(100).await;
    two.stop().await;
    two = host(&nats, &sink, "").await;
    flow.go_on(100).await;
    sent.extend(flow.stop().await);
    assert_all_in_order(&sink, &sent).await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn a_host_that_accepts_nothing_delivers_to_destinations_that_are_new_after_a_reload() {
    let Some(nats) = Nats::start(1).await else { return };
    let sink = Sink::start().await;
    let with_header = |value: &str| {
        let destination = format!(
            "[destinations.crm]\nurls = [{:?}]\nheaders = {{ x-from = {value:?} }}\n",
            sink.url("/hook")
        );
        config(&nats, &sink, "") + &destination
    };
    let accepting = Setup::new().config(&with_header("old")).start().await;
    let mut delivering = Setup::new().config(&with_header("old")).start().await;
    let share = |line: &str| line.contains("partitions=32");
    delivering.log().wait("its share", PATIENCE, share).await;
    for host in [&accepting, &delivering] {
        std::fs::write(host.dir().join("hookhost.toml"), with_header("new")).unwrap();
        host.ask(&["modules", "rescan"]).await;
    }
    let flow = Flow::before(&sink, accepting.address, "f", 50, 200, "t").await;
    flow.go_on(200).await;
    let sent = flow.stop().await;
    assert_all_in_order(&sink, &sent).await;
    let requests = sink.requests();
    let old = requests
        .iter()
        .filter(|request| request.header("x-from") != Some("new"));
    assert_eq!(old.count(), 0);
    delivering.stop().await;
}

#[tokio::test]
async fn a_host_that_stops_leaves_the_next_attempt_to_the_others() {
    let Some(nats) = Nats::start(1).await else { return };
    let mut sink = Sink::start().await;
    sink.answer(|_, _| Answer::Hang);
    // The next attempt comes after 250 s at the earliest, long before the end of the grace period.
    let slow = config(&nats, &sink, "").replace(
        "retry_max_interval = \"1s\"\n",
        "retry_initial_interval = \"500s\"\nretry_max_interval = \"500s\"\nhttp_timeout = \"10m\"\n",
    );
    let grace = "[shutdown]\ngrace = \"1h\"\n";
    let mut stops = Setup::new().config(&format!("{slow}{grace}")).start().await;
    let mut client = Client::connect(stops.address, Version::V5, "c").await;
    client.publish("t", 1, "1").await;
    sink.wait_for(1, PATIENCE).await;
    stops.process.signal(Signal::TERM);
    stops
        .log()
        .wait("the stop", PATIENCE, |line| line.contains("stopping"))
        .await;
    // The attempt that is under way fails.
    sink.down().await;
    // Ends within the time that the tests wait for a process.
    stops.stop().await;
    sink.up();
    sink.answer(|_, _| Answer::Status(200));
    let mut next = Setup::new().config(&slow).start().await;
    // It has the request, and knows the time of the next attempt.
    let deadline = Instant::now() + PATIENCE;
    while next.waiting_requests().await != 1 {
        assert!(Instant::now() < deadline, "the request does not wait");
    }
    assert_eq!(sink.count(), 1);
    next.stop().await;
}
