//! Requests while the receiver is down, slow or sends invalid answers. MQTT clients are never affected.

mod answers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hookhost_tests::client::Client;
use hookhost_tests::flow::{self, Flow};
use hookhost_tests::host::{Host, Setup};
use hookhost_tests::sink::{Answer, Received, Sink};
use hookhost_tests::{PATIENCE, Version, body};

const V: Version = Version::V311;

/// A host that sends every publish, and nothing else, to these URLs.
async fn host_for(urls: &[String]) -> Host {
    host_with(urls, "").await
}

async fn host_with(urls: &[String], keys: &str) -> Host {
    let config = format!("urls = {urls:?}\n{keys}\nrule.message_publish = [{{ action = \"message_publish\" }}]\n");
    Setup::new().webhook_config(&config).start().await
}

/// A host with these rules for publishes, without brackets, and these keys of `[delivery]`.
async fn host_of(rules: &str, delivery: &str) -> Host {
    let config = format!("[delivery]\n{delivery}\n[webhook.rule]\nmessage_publish = [{rules}]\n");
    Setup::new().config(&config).start().await
}

fn payload(request: &Received) -> String {
    String::from_utf8(body::payload(&request.json())).unwrap()
}

fn accepted(requests: &[Arc<Received>]) -> impl Iterator<Item = &Arc<Received>> {
    requests.iter().filter(|request| request.accepted())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_sink_is_down_for_ten_seconds() {
    let mut sink = Sink::start().await;
    let host = host_for(&[sink.url("/hook")]).await;
    let flow = Flow::start(host.address, "flow", 5, 300, "t").await;
    flow.go_on(300).await;
    sink.down().await;
    let while_down = sink.count();
    // The test is about these ten seconds, they are not a wait for a condition: 300 publishes per second continue all
    // the time.
    flow.go_on(3000).await;
    assert_eq!(sink.count(), while_down, "the sink was really down");
    sink.up();
    flow.go_on(300).await;
    let sent = flow.stop().await;
    let requests = sink.wait_for(flow::total(&sent), PATIENCE).await;
    flow::assert_once_in_order(&sent, &flow::numbers(accepted(&requests)));
    assert!(requests.iter().all(|request| request.accepted()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_is_kept_per_client_whatever_the_delays() {
    let sink = Sink::start().await;
    // Delays of 0 to 12 ms without a pattern. Every twentieth request needs a retry.
    sink.answer(|_, before| match before % 20 {
        19 => Answer::Status(503),
        _ => Answer::After(Duration::from_millis((before as u64 * 7919) % 13), 200),
    });
    let host = host_with(&[sink.url("/hook")], "concurrency_limit = 64").await;
    let flow = Flow::start(host.address, "flow", 10, 400, "t").await;
    flow.go_on(400).await;
    let sent = flow.stop().await;
    let total = flow::total(&sent);
    let enough = |all: &[Arc<Received>]| accepted(all).count() >= total;
    let requests = sink
        .wait_until(&format!("{total} accepted requests"), PATIENCE, enough)
        .await;
    flow::assert_once_in_order(&sent, &flow::numbers(accepted(&requests)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_never_answers_does_not_slow_mqtt_down() {
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::Hang);
    let host = host_with(&[sink.url("/hook")], "http_timeout = \"60s\"").await;
    let mut client = Client::connect(host.address, V, "c1").await;
    let mut times = Vec::new();
    for _ in 0..1000 {
        let start = Instant::now();
        client.publish("t", 1, "x").await;
        times.push(start.elapsed());
    }
    times.sort();
    println!(
        "PUBACK while the sink hangs: p50 {:?}, p99 {:?}, longest {:?}",
        times[500], times[990], times[999]
    );
    // The sink hangs for a minute. A publisher that waited for it even once would reveal it.
    assert!(
        times[990] < Duration::from_secs(5) && times[999] < Duration::from_secs(30),
        "{:?}",
        &times[980..]
    );
    sink.wait_for(1, PATIENCE).await;
}

#[tokio::test]
async fn a_failure_is_tried_again_after_a_while_with_the_same_body() {
    let sink = Sink::start().await;
    sink.answer(|_, before| Answer::Status([500, 429, 200][before.min(2)]));
    let host = host_for(&[sink.url("/hook")]).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t", 1, "once").await;
    let requests = sink.wait_for(3, PATIENCE).await;
    assert!(requests.iter().all(|request| request.body == requests[0].body));
    let pause = |index: usize| requests[index].at - requests[index - 1].at;
    // Half a second, plus or minus a half, then longer by the multiplier.
    assert!(pause(1) >= Duration::from_millis(100), "{:?}", pause(1));
    assert!(pause(2) >= Duration::from_millis(250), "{:?}", pause(2));
    client.publish("t", 1, "next").await;
    let requests = sink.wait_for(4, PATIENCE).await;
    assert_eq!(payload(&requests[3]), "next");
}

#[tokio::test]
async fn rules_choose_which_requests_keep_their_order() {
    let sink = Sink::start().await;
    // The first request of each path gets no answer. Only requests of the same key wait for it.
    sink.answer(|request, _| match payload(request).as_str() {
        "first" => Answer::Hang,
        _ => Answer::Status(200),
    });
    let rule = |path: &str, order: &str| format!("{{ action = \"a\", urls = [\"{}\"], {order} }}", sink.url(path));
    let rules = [
        rule("/client", ""),
        rule("/topic", "order = \"topic\""),
        rule("/key", "order = \"${qos}\""),
        rule("/none", "order = \"none\""),
    ];
    let host = host_of(&rules.join(", "), "http_timeout = \"60s\"").await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t", 1, "first").await;
    client.publish("t", 1, "same topic").await;
    client.publish("u", 1, "other topic").await;
    client.publish("t", 0, "other qos").await;
    let at = |all: &[Arc<Received>], path: &str| -> Vec<String> {
        let mut all: Vec<_> = all
            .iter()
            .filter(|request| request.path == path)
            .map(|request| payload(request))
            .collect();
        all.sort();
        all
    };
    let expected = [
        ("/client", vec!["first"]),
        ("/topic", vec!["first", "other topic"]),
        ("/key", vec!["first", "other qos"]),
        ("/none", vec!["first", "other qos", "other topic", "same topic"]),
    ];
    let complete = |all: &[Arc<Received>]| {
        expected
            .iter()
            .all(|(path, payloads)| at(all, path).len() >= payloads.len())
    };
    let requests = sink.wait_until("all that need not wait", PATIENCE, complete).await;
    for (path, payloads) in &expected {
        assert_eq!(at(&requests, path), *payloads, "{path}");
    }
}

#[tokio::test]
async fn a_request_that_is_too_old_is_not_sent() {
    let sink = Sink::start().await;
    sink.answer(|request, _| Answer::Status(if payload(request) == "old" { 503 } else { 200 }));
    let rule = format!(
        "{{ action = \"a\", urls = [\"{}\"], max_age = \"2s\" }}",
        sink.url("/hook")
    );
    let host = host_of(&rule, "retry_max_elapsed_time = \"1h\"").await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t", 1, "old").await;
    client.publish("t", 1, "new").await;
    let line = |line: &str| line.contains("request dropped: it has expired");
    host.log()
        .wait("a line about the expired request", PATIENCE, line)
        .await;
    let requests = sink
        .wait_until("the new one", PATIENCE, |all| accepted(all).count() == 1)
        .await;
    assert_eq!(payload(requests.last().unwrap()), "new");
}

#[tokio::test]
async fn a_rule_sends_its_events_in_batches_and_a_bad_event_fails_alone() {
    let sink = Sink::start().await;
    let payloads = |request: &Received| -> Vec<String> {
        let events = request.json();
        let events = events.as_array().expect("a JSON array").iter();
        events
            .map(|event| String::from_utf8(body::payload(event)).unwrap())
            .collect()
    };
    sink.answer(move |request, _| {
        let is_bad = payloads(request).iter().any(|payload| payload == "bad");
        Answer::Status(if is_bad { 422 } else { 200 })
    });
    let batch = "batch = { max_events = 8, max_delay = \"200ms\" }";
    let rule = format!("{{ action = \"a\", urls = [\"{}\"], {batch} }}", sink.url("/hook"));
    let host = host_of(&rule, "").await;
    let mut client = Client::connect(host.address, V, "c1").await;
    let sent: Vec<String> = (0..40)
        .map(|number| {
            if number == 21 {
                "bad".to_owned()
            } else {
                number.to_string()
            }
        })
        .collect();
    for payload in &sent {
        client.publish("t", 0, payload.as_str()).await;
    }
    let good: Vec<String> = sent.into_iter().filter(|payload| payload != "bad").collect();
    let arrived =
        |all: &[Arc<Received>]| -> Vec<String> { accepted(all).flat_map(|request| payloads(request)).collect() };
    let requests = sink
        .wait_until("all good events", PATIENCE, |all| arrived(all).len() >= good.len())
        .await;
    assert_eq!(arrived(&requests), good, "each once and in order");
    assert!(requests.len() < good.len(), "{} requests", requests.len());
    let content_type = |request: &Arc<Received>| request.header("content-type").map(str::to_owned);
    assert!(
        requests
            .iter()
            .all(|request| content_type(request).as_deref() == Some("application/json"))
    );
    let line = |line: &str| line.contains("request dropped: the answer of the receiver is final");
    host.log().wait("a line about the bad event", PATIENCE, line).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_url_holds_up_no_other() {
    let mut dead = Sink::start().await;
    dead.down().await;
    let hanging = Sink::start().await;
    hanging.answer(|_, _| Answer::Hang);
    let live = Sink::start().await;
    let host = host_for(&[dead.url("/"), hanging.url("/"), live.url("/")]).await;
    let flow = Flow::start(host.address, "flow", 5, 500, "t").await;
    flow.go_on(1000).await;
    let sent = flow.stop().await;
    let start = Instant::now();
    let requests = live.wait_for(flow::total(&sent), PATIENCE).await;
    println!(
        "the live url had everything {:?} after the last publish",
        start.elapsed()
    );
    flow::assert_once_in_order(&sent, &flow::numbers(&requests));
}

#[tokio::test]
async fn a_client_whose_requests_fail_holds_up_no_other() {
    let sink = Sink::start().await;
    let refuse = Arc::new(AtomicBool::new(true));
    let refusing = refuse.clone();
    sink.answer(move |request, _| match request.json()["from_clientid"] == "unlucky" {
        true if refusing.load(Ordering::Relaxed) => Answer::Status(500),
        _ => Answer::Status(200),
    });
    let host = host_for(&[sink.url("/hook")]).await;
    let mut unlucky = Client::connect(host.address, V, "unlucky").await;
    let mut lucky = Client::connect(host.address, V, "lucky").await;
    unlucky.publish("t", 1, "1").await;
    unlucky.publish("t", 1, "2").await;
    for number in 0..50 {
        lucky.publish("t", 1, number.to_string()).await;
    }
    let of = |all: &[Arc<Received>], client: &str| -> Vec<String> {
        accepted(all)
            .filter(|request| request.json()["from_clientid"] == client)
            .map(|request| payload(request))
            .collect()
    };
    let requests = sink
        .wait_until("the lucky ones", PATIENCE, |all| of(all, "lucky").len() == 50)
        .await;
    assert_eq!(of(&requests, "unlucky"), Vec::<String>::new());
    refuse.store(false, Ordering::Relaxed);
    let requests = sink
        .wait_until("the unlucky ones", PATIENCE, |all| of(all, "unlucky").len() == 2)
        .await;
    assert_eq!(of(&requests, "unlucky"), ["1", "2"]);
}

#[tokio::test]
async fn after_retry_max_elapsed_time_the_next_one_has_its_turn() {
    let sink = Sink::start().await;
    sink.answer(|request, _| Answer::Status(if payload(request) == "bad" { 500 } else { 200 }));
    let host = host_with(
        &[sink.url("/hook")],
        "retry_max_elapsed_time = \"2s\"\nhttp_timeout = \"1s\"",
    )
    .await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t", 1, "bad").await;
    client.publish("t", 1, "good").await;
    let good = |all: &[Arc<Received>]| accepted(all).any(|request| payload(request) == "good");
    let requests = sink.wait_until("the good one", PATIENCE, good).await;
    let attempts = requests.len() - 1;
    let took = requests[attempts].at - requests[0].at;
    assert!(attempts >= 2, "{attempts} attempts");
    assert!(took < Duration::from_secs(30), "gave up after {took:?}");
    host.log()
        .wait("a line about the lost one", PATIENCE, |line| {
            line.contains("WARN") || line.contains("ERROR")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_flushes() {
    let sink = Sink::start().await;
    sink.answer(|_, _| Answer::After(Duration::from_millis(10), 200));
    let urls = [sink.url("/hook")];
    let config = format!("urls = {urls:?}\nrule.message_publish = [{{ action = \"message_publish\" }}]\n");
    let setup = Setup::new().env("HOOKHOST_SHUTDOWN__GRACE", "100s");
    let mut host = setup.webhook_config(&config).start().await;
    let flow = Flow::start(host.address, "flow", 20, 2000, "t").await;
    flow.go_on(1000).await;
    let sent = flow.stop().await;
    let took = host.stop().await;
    println!("stopped within {took:?}");
    assert!(
        took < Duration::from_secs(90),
        "stopping took all of its time: {took:?}"
    );
    flow::assert_once_in_order(&sent, &flow::numbers(&sink.requests()));
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_dead_sink() {
    let mut sink = Sink::start().await;
    sink.down().await;
    let mut host = host_for(&[sink.url("/hook")]).await;
    let mut client = Client::connect(host.address, V, "c1").await;
    client.publish("t", 1, "x").await;
    let took = host.stop().await;
    assert!(took < Duration::from_secs(30), "stopping took {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_kept() {
    let sink = Sink::start().await;
    let host = host_for(&[sink.url("/hook")]).await;
    let flow = Flow::start(host.address, "flow", 10, 1000, "t").await;
    flow.go_on(1000).await;
    let sent = flow.stop().await;
    let requests = sink.wait_for(flow::total(&sent), PATIENCE).await;
    let mut per_connection: BTreeMap<usize, usize> = BTreeMap::new();
    for request in &requests {
        *per_connection.entry(request.connection).or_default() += 1;
    }
    assert!(
        per_connection.len() <= 128,
        "{} connections for {} requests",
        per_connection.len(),
        requests.len()
    );
}
