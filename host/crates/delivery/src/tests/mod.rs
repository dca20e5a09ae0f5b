//! The sender threads with a real HTTP receiver.

mod batches;
mod dead;
mod disk;
mod failures;
mod http;
mod outages;
mod sink;
mod when_full;

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant as Clock, SystemTime};

use super::*;
use hookhost_contract::Method;
use hookhost_dead_letters::{Collection, Kind, Limits};
use hookhost_outbox::Store;
use sink::{Reply, Sink};

/// Short waits, a long time for retries, and a long timeout of one attempt.
fn settings() -> Settings {
    Settings {
        threads: 1,
        terms: Terms {
            concurrency_limit: 16,
            http_timeout: Duration::from_secs(60),
            retry: RetryPolicy {
                initial_interval: Duration::from_millis(1),
                multiplier: 1.5,
                max_interval: Duration::from_millis(50),
                ..RetryPolicy::default()
            },
            // Retries go on however many attempts fail.
            breaker: None,
            ..Terms::default()
        },
        ..Settings::default()
    }
}

/// Dead letters in memory.
fn letters() -> Collection {
    let store = hookhost_dead_letters::Store::in_memory(|_| Limits {
        records: 1000,
        bytes: 1 << 20,
        age: None,
    });
    store.collection(Kind::Requests)
}

fn start(settings: &Settings, store: Option<Store>) -> Result<Delivery, StartError> {
    Delivery::start(settings, store, letters(), None)
}

/// Returns the settings of these tests with other terms.
fn settings_with(change: impl FnOnce(&mut Terms)) -> Settings {
    let mut settings = settings();
    change(&mut settings.terms);
    settings
}

fn request(url: &str, key: &str, body: &str) -> OutboxRequest {
    OutboxRequest {
        id: "00112233445566778899AABBCCDDEEFF".into(),
        event: EventSummary::default(),
        source: "test".into(),
        generation: 1,
        method: Method::Post,
        url: url.into(),
        receivers: None,
        via: DestinationSelector::Url,
        reach: Reach::Anywhere,
        headers: vec![
            ("content-type".into(), "application/json".into()),
            ("accept".into(), "*/*".into()),
        ],
        body: body.to_owned().into(),
        ordering_key: key.into(),
        batching: None,
        expires: None,
        republishes: 0,
        span: None,
        ticket: None,
    }
}

/// Waits until the counters satisfy the condition.
fn wait(delivery: &Delivery, what: &str, condition: impl Fn(&Counters) -> bool) -> Counters {
    let end = Clock::now() + Duration::from_secs(120);
    loop {
        let counters = delivery.counters();
        if condition(&counters) {
            return counters;
        }
        assert!(Clock::now() < end, "not in time: {what}; {counters:?}");
        // Sleeps between two checks, so that the other threads can run.
        thread::sleep(Duration::from_millis(1));
    }
}

fn nothing_left(counters: &Counters) -> bool {
    counters.accepted > 0 && counters.queued_requests == 0
}

/// Bodies are `key number`. Returns the numbers of each key in order of arrival, without duplicates.
fn numbers_by_key(bodies: &[String]) -> BTreeMap<String, Vec<usize>> {
    let mut all = BTreeMap::<String, Vec<usize>>::new();
    for body in bodies {
        let (key, number) = body.split_once(' ').unwrap();
        let (list, number) = (all.entry(key.into()).or_default(), number.parse().unwrap());
        if list.last() != Some(&number) {
            list.push(number);
        }
    }
    all
}

fn check_order(bodies: &[String], keys: usize, each: usize) {
    let all = numbers_by_key(bodies);
    assert_eq!(all.len(), keys);
    for (key, numbers) in all {
        assert_eq!(numbers, (0..each).collect::<Vec<_>>(), "{key}");
    }
}

#[test]
fn delivers_what_was_asked_for_over_kept_connections() {
    let sink = Sink::start(|_| Reply::Body(20));
    let delivery = start(&settings(), None).unwrap();
    let url = sink.url("/hook?a=1").replace("http://", "http://me:p%40ss@");
    let mut first = request(&url, "k", "{\"a\":1}");
    first.headers.push(("X-One".into(), "1".into()));
    let mut second = request(&sink.url("/put"), "k", "");
    (second.method, second.headers) = (Method::Put, Vec::new());
    delivery.outbox().append(vec![first, second]).unwrap();
    for number in 0..30 {
        delivery
            .outbox()
            .append(vec![request(&sink.url("/"), "k", &number.to_string())])
            .unwrap();
    }
    let list = sink.wait_for(32);
    assert_eq!((list[0].method.as_str(), list[0].path.as_str()), ("POST", "/hook?a=1"));
    assert_eq!(list[0].body, "{\"a\":1}");
    for line in [
        "content-type: application/json\r\n",
        "accept: */*\r\n",
        "x-one: 1\r\n",
        "content-length: 7\r\n",
        "authorization: basic bwu6cebzcw==\r\n",
        &format!("host: {}\r\n", sink.address),
    ] {
        assert_eq!(list[0].head.matches(line).count(), 1, "{line} in {}", list[0].head);
    }
    assert!(!list[0].head.contains("user-agent"));
    assert!(
        !list[1].head.contains("accept"),
        "no header that the request does not have"
    );
    assert_eq!((list[1].method.as_str(), list[1].path.as_str()), ("PUT", "/put"));
    // One key allows one request at a time. A connection may not be back in the pool when the next request needs one.
    assert!(
        list.iter().all(|received| received.connection < 3),
        "connections are used again"
    );
    let counters = delivery.stop(Duration::from_secs(20));
    assert_eq!(
        counters,
        Counters {
            accepted: 32,
            delivered: 32,
            ..Counters::default()
        }
    );
}

#[test]
fn what_http_forbids_is_dropped_at_once() {
    let sink = Sink::start(|_| Reply::Status(200));
    let delivery = start(&settings(), None).unwrap();
    let mut batch = Vec::new();
    for url in [
        "",
        "nonsense",
        "http://",
        "gopher://x/",
        "http://a b/",
        "https://{{host}}/",
        "file:x",
        "stdout:x",
    ] {
        batch.push(request(url, "k", "bad"));
    }
    for (name, value) in [("a b", "1"), ("a", "1\r\nb: 2"), ("a\r\nb", "1"), ("", "1")] {
        let mut bad = request(&sink.url("/"), "k", "bad");
        bad.headers.push((name.into(), value.into()));
        batch.push(bad);
    }
    batch.push(request(&sink.url("/"), "k", "good"));
    let bad = batch.len() as u64 - 1;
    delivery.outbox().append(batch).unwrap();
    let counters = wait(&delivery, "all ended", nothing_left);
    assert_eq!(
        (counters.dead.invalid, counters.delivered, counters.retried),
        (bad, 1, 0)
    );
    assert_eq!(sink.bodies(), ["good"]);
}

#[test]
fn long_answers_cost_the_connection_not_the_request() {
    let sink = Sink::start(|_| Reply::Body(1 << 20));
    let delivery = start(&settings(), None).unwrap();
    delivery
        .outbox()
        .append(
            (0..4)
                .map(|n| request(&sink.url("/"), "k", &format!("k {n}")))
                .collect(),
        )
        .unwrap();
    let counters = wait(&delivery, "all delivered", nothing_left);
    assert_eq!((counters.delivered, counters.retried), (4, 0));
    let connections: Vec<_> = sink.received().iter().map(|received| received.connection).collect();
    assert_eq!(connections, [0, 1, 2, 3]);
}

#[test]
fn no_more_than_the_limit_is_under_way_at_a_receiver() {
    let busy = Sink::start(|_| Reply::Gated);
    let other = Sink::start(|_| Reply::Status(200));
    let delivery = start(&settings_with(|terms| terms.concurrency_limit = 3), None).unwrap();
    let batch = (0..50).map(|n| request(&busy.url("/"), &format!("k{}", n / 2), &format!("k{} {}", n / 2, n % 2)));
    delivery.outbox().append(batch.collect()).unwrap();
    busy.wait_for(3);
    // The other receiver is served in the meantime. After that, the busy receiver has had time to get more requests.
    delivery
        .outbox()
        .append(
            (0..50)
                .map(|n| request(&other.url("/"), "", &format!("x {n}")))
                .collect(),
        )
        .unwrap();
    wait(&delivery, "the other receiver", |counters| counters.delivered == 50);
    assert_eq!(busy.received().len(), 3);
    busy.open_gate();
    wait(&delivery, "all delivered", nothing_left);
    check_order(&busy.bodies(), 25, 2);
}

#[test]
fn a_full_outbox_blocks_until_there_is_room_or_no_more() {
    let sink = Sink::start(|_| Reply::Gated);
    let delivery = start(
        &Settings {
            queue_requests: 4,
            ..settings()
        },
        None,
    )
    .unwrap();
    let (outbox, url) = (delivery.outbox(), sink.url("/"));
    outbox
        .append((0..4).map(|n| request(&url, "k", &format!("k {n}"))).collect())
        .unwrap();
    let (second, third) = (Arc::clone(&outbox), Arc::clone(&outbox));
    let (to, body) = (url.clone(), "k 4");
    let blocked = thread::spawn(move || second.append(vec![request(&to, "k", body)]));
    sink.wait_for(1);
    assert!(!blocked.is_finished() && delivery.counters().accepted == 4);
    sink.open_gate();
    assert_eq!(blocked.join().unwrap(), Ok(()));
    wait(&delivery, "all delivered", nothing_left);
    check_order(&sink.bodies(), 1, 5);
    let down = "http://127.0.0.1:9/";
    outbox
        .append((0..4).map(|n| request(down, "k", &format!("k {n}"))).collect())
        .unwrap();
    let blocked = thread::spawn(move || third.append(vec![request(down, "k", "k 4")]));
    let counters = delivery.stop(Duration::ZERO);
    assert_eq!(blocked.join().unwrap(), Err(OutboxClosed));
    assert_eq!(outbox.append(Vec::new()), Err(OutboxClosed));
    assert_eq!((counters.dropped.closed, counters.accepted), (4, 9));
}

#[test]
fn stopping_finishes_what_can_be_finished_in_time() {
    let sink = Sink::start(|received| match received.body.as_str() {
        "bad 0" => Reply::With(503, "retry-after: 3600\r\n"),
        _ => Reply::Gated,
    });
    let settings = settings_with(|terms| {
        terms.retry.max_interval = Duration::from_secs(3600);
        terms.concurrency_limit = 2;
        terms.retry.max_elapsed_time = Duration::from_secs(3600);
    });
    let delivery = start(&settings, None).unwrap();
    let url = sink.url("/");
    let batch = [("bad", 0), ("bad", 1), ("a", 0), ("a", 1), ("b", 0), ("c", 0)];
    delivery
        .outbox()
        .append(batch.map(|(k, n)| request(&url, k, &format!("{k} {n}"))).to_vec())
        .unwrap();
    sink.wait_for(3);
    wait(&delivery, "the refusal", |counters| counters.retried == 1);
    let start = Clock::now();
    let stopping = thread::spawn(move || delivery.stop(Duration::from_secs(60)));
    sink.open_gate();
    let counters = stopping.join().unwrap();
    assert_eq!((counters.delivered, counters.dropped.closed), (4, 2));
    assert!(
        start.elapsed() < Duration::from_secs(30),
        "does not wait for what comes too late"
    );
}

#[test]
fn files_keep_the_order_and_their_errors_are_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join("in the way");
    fs::write(&blocked, "a file where a folder must be").unwrap();
    let delivery = start(
        &Settings {
            threads: 2,
            ..settings()
        },
        None,
    )
    .unwrap();
    let url = format!("file://{}/a%20b/hook.log", folder.path().display());
    let later = format!("file://{}/hook.log", blocked.display().to_string().replace(' ', "%20"));
    for number in 0..50 {
        let keys = (0..4)
            .map(|key| (&url, format!("k{key}")))
            .chain([(&later, "late".into())]);
        let batch = keys.map(|(url, key)| request(url, &key, &format!("{key} {number}")));
        delivery.outbox().append(batch.collect()).unwrap();
    }
    wait(&delivery, "retries", |counters| {
        counters.delivered == 200 && counters.retried >= 3
    });
    fs::remove_file(&blocked).unwrap();
    let counters = wait(&delivery, "all written", nothing_left);
    assert_eq!(counters.delivered, 250);
    let lines = |path: &std::path::Path| {
        fs::read_to_string(path)
            .unwrap()
            .lines()
            .map(String::from)
            .collect::<Vec<_>>()
    };
    let (early, late) = (
        lines(&folder.path().join("a b/hook.log")),
        lines(&blocked.join("hook.log")),
    );
    assert_eq!((early.len(), late.len()), (200, 50));
    check_order(&early, 4, 50);
    check_order(&late, 1, 50);
}

#[test]
fn dropping_delivery_ends_it() {
    let delivery = start(&settings(), None).unwrap();
    let outbox = delivery.outbox();
    drop(delivery);
    assert_eq!(
        outbox.append(vec![request("http://127.0.0.1:9/", "k", "k 0")]),
        Err(OutboxClosed)
    );
}

#[test]
fn a_destination_has_terms_and_signatures_of_its_own() {
    let refusing = Sink::start(|_| Reply::Status(500));
    // The signed request needs two attempts, and the second one succeeds.
    let seen = AtomicUsize::new(0);
    let signed = Sink::start(move |received| {
        let first = received.body == "2" && seen.fetch_add(1, SeqCst) == 0;
        Reply::Status(if first { 503 } else { 200 })
    });
    let mut once = destination::tests::destination("once", &[&refusing.url("/")]);
    once.terms.retry.max_elapsed_time = Duration::ZERO;
    let mut own = destination::tests::destination("own", &[&signed.url("/hook")]);
    own.terms.retry.initial_interval = Duration::from_millis(1);
    own.signing = vec![SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap(); 2];
    own.headers = vec![("authorization".into(), Secret::new("Bearer hidden"))];
    let settings = Settings {
        destinations: [once, own].into_iter().collect(),
        ..settings()
    };
    let delivery = start(&settings, None).unwrap();
    let mut batch = vec![
        request(&refusing.url("/x"), "k", "1"),
        request(&signed.url("/hook/x"), "k", "2"),
    ];
    batch.push(OutboxRequest {
        via: DestinationSelector::Nothing,
        ..request(&signed.url("/hook/x"), "k", "3")
    });
    delivery.outbox().append(batch).unwrap();
    let counters = wait(&delivery, "all of them", nothing_left);
    assert_eq!((counters.delivered, counters.dead.gave_up), (2, 1));
    assert_eq!(refusing.wait_for(1).len(), 1, "no second attempt");

    let list = signed.wait_for(3);
    let value = |received: &sink::Received, name: &str| {
        let mut lines = received
            .head
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        lines.next().map(str::to_owned)
    };
    let ours: Vec<_> = list.iter().filter(|received| received.body == "2").collect();
    assert_eq!(ours.len(), 2);
    let id = value(ours[0], "webhook-id").unwrap();
    assert!(id.starts_with("msg_00112233445566778899aabbccddeeff_"), "{id}");
    assert_eq!(value(ours[1], "webhook-id"), Some(id), "the same request");
    for received in ours {
        assert_eq!(value(received, "webhook-signature").unwrap().split(' ').count(), 2);
        assert_eq!(value(received, "authorization").unwrap(), "bearer hidden");
    }
    let other = list.iter().find(|received| received.body == "3").unwrap();
    assert!(
        !other.head.contains("webhook-") && !other.head.contains("authorization"),
        "{}",
        other.head
    );
}

#[test]
fn a_host_that_a_module_chose_is_reached_only_if_it_is_public() {
    let sink = Sink::start(|_| Reply::Status(200));
    let delivery = start(&settings(), None).unwrap();
    let port = sink.address.port();
    let chosen = |host: &str| OutboxRequest {
        reach: Reach::Public,
        ..request(&format!("http://{host}:{port}/"), "k", "chosen")
    };
    let hosts = [
        "127.0.0.1",
        "localhost",
        "127.1",
        "0x7f000001",
        "2130706433",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ];
    let named = || request(&sink.url("/"), "k", "named");
    // A connection kept for one kind of request is not used for the other.
    let mut batch = vec![named()];
    for host in hosts {
        batch.extend([chosen(host), named()]);
    }
    batch.push(OutboxRequest {
        url: format!("https://127.0.0.1:{port}/"),
        ..chosen("")
    });
    delivery.outbox().append(batch).unwrap();
    let counters = wait(&delivery, "all of them", nothing_left);
    assert_eq!((counters.delivered, counters.retried), (1 + hosts.len() as u64, 0));
    let barred = Dead {
        barred: 1 + hosts.len() as u64,
        ..Dead::default()
    };
    assert_eq!(counters.dead, barred);
    assert!(sink.bodies().iter().all(|body| body == "named"));
    // A name that is not found is retried, because a later lookup may find it.
    let unknown = format!("http://does-not-exist.invalid:{port}/");
    let lost = OutboxRequest {
        reach: Reach::Public,
        ..request(&unknown, "k", "")
    };
    delivery.outbox().append(vec![lost]).unwrap();
    wait(&delivery, "a retry", |counters| counters.retried > 0);
    assert_eq!(delivery.stop(Duration::ZERO).dead.barred, barred.barred);
}
