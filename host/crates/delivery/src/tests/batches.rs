//! Requests that are sent together.

use serde_json::Value;

use super::*;

fn batching(format: BatchFormat, max_events: usize) -> Option<Batching> {
    Some(Batching {
        format,
        max_events,
        max_delay: Duration::from_millis(50),
        ..Batching::default()
    })
}

/// A request of a batch of up to five with the body `{"n":…}`.
fn event(url: &str, key: &str, number: usize) -> OutboxRequest {
    OutboxRequest {
        batching: batching(BatchFormat::JsonArray, 5),
        ..request(url, key, &format!("{{\"n\":{number}}}"))
    }
}

/// The numbers of each batch.
fn numbers(bodies: &[String]) -> Vec<Vec<u64>> {
    bodies
        .iter()
        .map(|body| {
            let list: Vec<Value> = serde_json::from_str(body).unwrap();
            list.iter().map(|event| event["n"].as_u64().unwrap()).collect()
        })
        .collect()
}

#[test]
fn requests_are_collected_up_to_a_number_or_a_time() {
    let sink = Sink::start(|_| Reply::Status(200));
    let delivery = start(&settings(), None).unwrap();
    let batch = (0..12).map(|n| event(&sink.url("/hook"), &format!("k{}", n % 3), n));
    delivery.outbox().append(batch.collect()).unwrap();
    let counters = wait(&delivery, "all delivered", nothing_left);
    assert_eq!((counters.accepted, counters.delivered), (12, 12));
    let list = sink.received();
    let batches = numbers(&sink.bodies());
    let mut lengths: Vec<usize> = batches.iter().map(Vec::len).collect();
    lengths.sort_unstable();
    assert_eq!(lengths.iter().sum::<usize>(), 12);
    assert!(
        lengths.len() <= 4 && lengths.iter().all(|length| *length <= 5),
        "{batches:?}"
    );
    for key in 0..3 {
        let of_key: Vec<u64> = batches.iter().flatten().copied().filter(|n| n % 3 == key).collect();
        assert!(of_key.is_sorted(), "{batches:?}");
    }
    for received in &list {
        assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/hook"));
        assert_eq!(received.head.matches("content-type: application/json\r\n").count(), 1);
        assert!(received.head.contains("accept: */*\r\n"));
    }
}

#[test]
fn each_format_has_its_body_and_content_type() {
    for (format, body, content_type) in [
        (BatchFormat::JsonArray, "[{\"n\":1},{\"n\":2}]", "application/json"),
        (BatchFormat::Ndjson, "{\"n\":1}\n{\"n\":2}\n", "application/x-ndjson"),
        (
            BatchFormat::CloudEvents,
            "[{\"n\":1},{\"n\":2}]",
            "application/cloudevents-batch+json",
        ),
    ] {
        let sink = Sink::start(|_| Reply::Status(200));
        let delivery = start(&settings(), None).unwrap();
        let batch = [1, 2].map(|n| OutboxRequest {
            batching: batching(format, 2),
            ..event(&sink.url("/"), "k", n)
        });
        delivery.outbox().append(batch.into()).unwrap();
        let list = sink.wait_for(1);
        assert_eq!(list[0].body, body);
        let line = format!("content-type: {content_type}\r\n");
        assert!(list[0].head.contains(&line), "{}", list[0].head);
    }
}

#[test]
fn only_requests_that_are_alike_share_a_batch() {
    let sink = Sink::start(|_| Reply::Status(200));
    let delivery = start(&settings(), None).unwrap();
    let alike = event(&sink.url("/a"), "k", 1);
    let other_method = OutboxRequest {
        method: Method::Put,
        ..alike.clone()
    };
    let mut other_header = alike.clone();
    other_header.headers.push(("x".into(), "1".into()));
    let other_url = event(&sink.url("/b"), "k", 1);
    let other_size = OutboxRequest {
        batching: batching(BatchFormat::JsonArray, 4),
        ..alike.clone()
    };
    let alone = OutboxRequest {
        batching: None,
        ..alike.clone()
    };
    let all = vec![
        alike.clone(),
        other_method,
        other_header,
        other_url,
        other_size,
        alone,
        alike,
    ];
    delivery.outbox().append(all).unwrap();
    let list = sink.wait_for(6);
    wait(&delivery, "all delivered", nothing_left);
    assert_eq!(sink.received().len(), 6);
    let mut bodies = sink.bodies();
    bodies.sort();
    let one = "[{\"n\":1}]";
    assert_eq!(bodies, ["[{\"n\":1},{\"n\":1}]", one, one, one, one, "{\"n\":1}"]);
    assert!(list.iter().any(|received| received.method == "PUT"));
}

#[test]
fn a_body_that_is_not_json_or_too_long_does_not_share_a_batch() {
    let sink = Sink::start(|_| Reply::Status(200));
    let delivery = start(&settings(), None).unwrap();
    let of = |body: &str| OutboxRequest {
        batching: Some(Batching {
            max_bytes: 1024,
            max_delay: Duration::from_millis(20),
            ..Batching::default()
        }),
        ..request(&sink.url("/"), "k", body)
    };
    let long = format!("\"{}\"", "x".repeat(600));
    let longer = format!("\"{}\"", "y".repeat(5000));
    let all = vec![
        of("1},{\"forged\":2"),
        of(&long),
        of(&long),
        of(&longer),
        of("1"),
        of("2"),
    ];
    delivery.outbox().append(all).unwrap();
    let counters = wait(&delivery, "all ended", nothing_left);
    assert_eq!((counters.delivered, counters.dead.invalid), (5, 1));
    let expected = [
        format!("[{long}]"),
        format!("[{long}]"),
        format!("[{longer}]"),
        "[1,2]".to_owned(),
    ];
    assert_eq!(sink.bodies(), expected);
}

/// Answers 422 to every batch that contains one of these numbers.
fn picky(bad: &'static [u64], status: u16) -> Sink {
    Sink::start(move |received| {
        let is_bad = numbers(std::slice::from_ref(&received.body))[0]
            .iter()
            .any(|n| bad.contains(n));
        Reply::Status(if is_bad { status } else { 200 })
    })
}

#[test]
fn a_refused_batch_is_split_until_only_the_bad_events_are_dead() {
    let sink = picky(&[3, 40, 41], 422);
    let settings = settings_with(|terms| {
        // A wait would be noticed: parts are sent again at once.
        terms.retry.initial_interval = Duration::from_secs(3600);
        terms.retry.max_interval = Duration::from_secs(3600);
    });
    let delivery = start(&settings, None).unwrap();
    let batch = (0..64).map(|n| OutboxRequest {
        batching: batching(BatchFormat::JsonArray, 16),
        ..event(&sink.url("/"), &format!("k{}", n % 7), n)
    });
    delivery.outbox().append(batch.collect()).unwrap();
    let counters = wait(&delivery, "all ended", nothing_left);
    assert_eq!(
        (counters.delivered, counters.dead.refused, counters.retried),
        (61, 3, 0)
    );
    let bodies = sink.bodies();
    assert!(bodies.len() <= 4 + 3 * 2 * 5, "{} requests", bodies.len());
    let mut accepted: Vec<u64> = Vec::new();
    for list in numbers(&bodies) {
        if !list.iter().any(|n| [3, 40, 41].contains(n)) {
            accepted.extend(list);
        }
    }
    for key in 0..7 {
        let of_key: Vec<u64> = accepted.iter().copied().filter(|n| n % 7 == key).collect();
        assert!(of_key.is_sorted(), "order of each key: {of_key:?}");
    }
    accepted.sort_unstable();
    let good: Vec<u64> = (0..64).filter(|n| ![3, 40, 41].contains(n)).collect();
    assert_eq!(accepted, good, "each good event once");
}

#[test]
fn a_batch_that_fails_is_retried_and_its_events_age_alone() {
    let bad = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&bad);
    let sink = Sink::start(move |_| match count.fetch_add(1, SeqCst) {
        0 => Reply::Raw(b""),
        1 => Reply::Status(503),
        2 => Reply::Raw(b"nonsense"),
        _ => Reply::Status(200),
    });
    let delivery = start(&settings(), None).unwrap();
    let expired = OutboxRequest {
        expires: Some(SystemTime::UNIX_EPOCH),
        ..event(&sink.url("/"), "k", 9)
    };
    let batch = (0..4).map(|n| event(&sink.url("/"), "k", n)).chain([expired]);
    delivery.outbox().append(batch.collect()).unwrap();
    let counters = wait(&delivery, "all ended", nothing_left);
    assert_eq!((counters.delivered, counters.dead.expired), (4, 1));
    assert!(counters.retried >= 4 && counters.dead.total() == 1);
    let batches = numbers(&sink.bodies());
    assert!(batches.iter().flatten().all(|n| *n != 9), "{batches:?}");
    let accepted: Vec<u64> = batches[3..].iter().flatten().copied().collect();
    assert_eq!(accepted, [0, 1, 2, 3]);
}

#[test]
fn an_event_that_always_fails_is_given_up_alone() {
    let sink = picky(&[2], 500);
    let settings = settings_with(|terms| terms.retry.max_elapsed_time = Duration::from_secs(2));
    let delivery = start(&settings, None).unwrap();
    let batch = (0..5).map(|n| event(&sink.url("/"), "", n));
    delivery.outbox().append(batch.collect()).unwrap();
    let counters = wait(&delivery, "all ended", nothing_left);
    assert_eq!((counters.delivered, counters.dead.gave_up), (4, 1));
}

#[test]
fn batches_are_signed_with_an_id_of_their_own() {
    let seen = AtomicUsize::new(0);
    let sink = Sink::start(move |_| Reply::Status(if seen.fetch_add(1, SeqCst) == 0 { 408 } else { 200 }));
    let mut own = destination::tests::destination("own", &[&sink.url("/")]);
    own.terms = settings().terms;
    own.signing = vec![SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap()];
    let settings = Settings {
        destinations: [own].into_iter().collect(),
        ..settings()
    };
    let delivery = start(&settings, None).unwrap();
    delivery.outbox().append(vec![event(&sink.url("/"), "k", 1)]).unwrap();
    let list = sink.wait_for(2);
    let id = |received: &sink::Received| {
        let mut lines = received
            .head
            .lines()
            .filter_map(|line| line.strip_prefix("webhook-id: "));
        lines.next().unwrap().to_owned()
    };
    assert!(id(&list[0]).starts_with("msg_batch_"), "{}", list[0].head);
    assert_eq!(id(&list[0]), id(&list[1]), "the same events");
    assert!(list[0].head.contains("webhook-signature: v1,"));
}

#[test]
fn what_is_collected_is_sent_at_shutdown() {
    let sink = Sink::start(|_| Reply::Status(200));
    let delivery = start(&settings(), None).unwrap();
    let slow = OutboxRequest {
        batching: Some(Batching {
            max_delay: Duration::from_secs(60),
            ..Batching::default()
        }),
        ..event(&sink.url("/"), "k", 1)
    };
    delivery.outbox().append(vec![slow.clone(), slow]).unwrap();
    let counters = delivery.stop(Duration::from_secs(30));
    assert_eq!((counters.delivered, counters.dropped.closed), (2, 0));
    assert_eq!(sink.bodies(), ["[{\"n\":1},{\"n\":1}]"]);
}

#[test]
fn many_keys_are_sent_at_once_and_in_order_each() {
    let sink = Sink::start(|_| Reply::Gated);
    let settings = settings_with(|terms| terms.concurrency_limit = 4);
    let delivery = start(&settings, None).unwrap();
    let batch = (0..60).map(|n| event(&sink.url("/"), &format!("k{}", n % 30), n));
    delivery.outbox().append(batch.collect()).unwrap();
    // Up to the limit at once, without waiting for an answer.
    sink.wait_for(4);
    sink.open_gate();
    let counters = wait(&delivery, "all delivered", nothing_left);
    assert_eq!(counters.delivered, 60);
    let mut sent: Vec<u64> = numbers(&sink.bodies()).into_iter().flatten().collect();
    sent.sort_unstable();
    assert_eq!(sent, (0..60).collect::<Vec<_>>());
}

/// A receiver that takes 100 ms for each batch of five holds a key with 600 requests back for 12 s.
#[test]
fn a_key_lags_if_its_batches_take_too_long() {
    let sink = Sink::start(|_| Reply::Gated);
    let delivery = start(&settings(), None).unwrap();
    let batch = (0..600).map(|n| event(&sink.url("/hook"), "k", n));
    delivery.outbox().append(batch.collect()).unwrap();
    sink.wait_for(1);
    thread::sleep(Duration::from_millis(100));
    sink.open_gate();
    wait(&delivery, "all delivered", nothing_left);
    let destinations = delivery.monitor().destinations();
    let lagging = destinations[0].lagging.as_ref().unwrap();
    assert_eq!((lagging.key.as_str(), lagging.at_once), ("k", 5));
    assert!(lagging.backlog() > Duration::from_secs(10), "{lagging:?}");
}
