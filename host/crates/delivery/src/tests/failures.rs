//! Receivers that are down, reject requests, or are slow.

use super::*;

#[test]
fn order_per_key_survives_every_kind_of_failure() {
    for threads in [1, 3] {
        let asked = Arc::new(AtomicUsize::new(0));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&taken);
        let sink = Sink::start(move |received| match asked.fetch_add(1, SeqCst) % 23 {
            0 => Reply::Status(500),
            2 => Reply::Status(404),
            4 => Reply::With(302, "location: /elsewhere\r\n"),
            7 => Reply::Raw(b"220 smtp ready\r\n"),
            9 => Reply::Raw(b""),
            11 => Reply::Raw(b"HTTP/1.1 500 x\r\ncontent-length: 100\r\n\r\nhalf"),
            13 => Reply::Status(999),
            17 => Reply::With(204, "connection: close\r\n"),
            n => {
                record.lock().unwrap().push(received.body.clone());
                if n == 19 {
                    Reply::Raw(b"HTTP/1.1 200 x\r\ncontent-length: 100\r\n\r\nhalf")
                } else {
                    Reply::Status(200)
                }
            }
        });
        let settings = settings_with(|terms| terms.retry.on.statuses = Statuses::Any);
        let delivery = start(&Settings { threads, ..settings }, None).unwrap();
        for number in 0..20 {
            let batch = (0..10).map(|key| request(&sink.url("/"), &format!("k{key}"), &format!("k{key} {number}")));
            delivery.outbox().append(batch.collect()).unwrap();
        }
        wait(&delivery, "all delivered", nothing_left);
        check_order(&sink.bodies(), 10, 20);
        let list = sink.received();
        assert!(
            list.iter().all(|received| received.path == "/"),
            "redirects are not followed"
        );
        let counters = delivery.stop(Duration::ZERO);
        assert_eq!((counters.accepted, counters.delivered), (200, 200));
        assert_eq!(counters.retried as usize, list.len() - 200);
        let mut taken = taken.lock().unwrap().clone();
        let count = taken.len();
        taken.sort();
        taken.dedup();
        assert_eq!(taken.len(), count, "what was answered 2xx is not sent again");
    }
}

#[test]
fn nothing_is_lost_while_the_receiver_is_down() {
    let sink = Sink::start(|_| Reply::Status(200));
    let (address, url) = (sink.address, sink.url("/"));
    let delivery = start(&settings(), None).unwrap();
    let append = |numbers: std::ops::Range<usize>| {
        for number in numbers {
            let batch = (0..5).map(|key| request(&url, &format!("k{key}"), &format!("k{key} {number}")));
            delivery.outbox().append(batch.collect()).unwrap();
        }
    };
    append(0..10);
    wait(&delivery, "first part", nothing_left);
    let mut bodies = sink.bodies();
    sink.stop();
    append(10..20);
    wait(&delivery, "retries", |counters| counters.retried >= 50);
    let sink = Sink::at(address, |_| Reply::Status(200));
    append(20..30);
    let counters = wait(&delivery, "second part", nothing_left);
    bodies.extend(sink.bodies());
    check_order(&bodies, 5, 30);
    assert_eq!((counters.delivered, counters.dropped), (150, Dropped::default()));
}

#[test]
fn a_key_that_fails_holds_no_other() {
    let sink = Sink::start(|received| match received.body.split_once(' ') {
        Some(("silent", _)) => Reply::Silence,
        Some(("nonsense", _)) => Reply::Raw(b"\0\x01\x02 nonsense\r\n\r\n"),
        _ => Reply::Status(200),
    });
    let settings = settings_with(|terms| {
        terms.http_timeout = Duration::from_secs(60);
        terms.concurrency_limit = 2;
    });
    let delivery = start(&settings, None).unwrap();
    for number in 0..20 {
        let keys = ["silent", "nonsense", "good", ""];
        let batch = keys
            .iter()
            .map(|key| request(&sink.url("/"), key, &format!("{key} {number}")));
        delivery.outbox().append(batch.collect()).unwrap();
    }
    wait(&delivery, "the good ones", |counters| {
        counters.delivered == 40 && counters.retried >= 10
    });
    let all = numbers_by_key(&sink.bodies());
    assert_eq!(all["good"], (0..20).collect::<Vec<_>>());
    assert_eq!(all["silent"], [0]);
    assert_eq!(all["nonsense"], [0]);
    let counters = delivery.stop(Duration::ZERO);
    assert_eq!(
        counters.dropped,
        Dropped {
            closed: 40,
            ..Dropped::default()
        }
    );
}

#[test]
fn what_keeps_failing_is_given_up_and_its_successors_go_on() {
    let sink = Sink::start(|received| Reply::Status(if received.body == "k 0" { 500 } else { 200 }));
    let settings = settings_with(|terms| {
        // Long enough for a second attempt, even if the first one is slow.
        terms.retry.max_elapsed_time = Duration::from_secs(2);
    });
    let delivery = start(&settings, None).unwrap();
    let url = sink.url("/");
    delivery
        .outbox()
        .append((0..3).map(|n| request(&url, "k", &format!("k {n}"))).collect())
        .unwrap();
    let counters = wait(&delivery, "all ended", nothing_left);
    assert_eq!((counters.delivered, counters.dead.gave_up), (2, 1));
    assert!(counters.retried > 0);
    check_order(&sink.bodies(), 1, 3);
}

#[test]
fn a_late_answer_is_a_failure() {
    let sink = Sink::start(|_| Reply::Silence);
    let settings = settings_with(|terms| {
        // Each attempt must reach the receiver before the next step.
        terms.http_timeout = Duration::from_millis(500);
    });
    let delivery = start(&settings, None).unwrap();
    delivery
        .outbox()
        .append(vec![request(&sink.url("/"), "k", "k 0")])
        .unwrap();
    let list = sink.wait_for(3);
    assert_ne!(
        list[0].connection, list[1].connection,
        "a connection that owes an answer is not used again"
    );
    assert!(delivery.stop(Duration::ZERO).retried >= 2);
}

#[test]
fn a_receiver_without_tls_fails_over_https() {
    let sink = Sink::start(|_| Reply::Status(200));
    let settings = settings_with(|terms| {
        terms.retry.max_elapsed_time = Duration::ZERO;
        terms.http_timeout = Duration::from_millis(300);
    });
    let delivery = start(&settings, None).unwrap();
    let url = sink.url("/").replace("http://", "https://");
    delivery.outbox().append(vec![request(&url, "k", "k 0")]).unwrap();
    let counters = wait(&delivery, "given up", nothing_left);
    assert_eq!(counters.dead.gave_up, 1);
    assert!(sink.received().is_empty());
}

#[test]
fn a_final_answer_ends_the_request_and_its_successors_go_on_at_once() {
    let sink = Sink::start(|received| match received.body.as_str() {
        "k 0" => Reply::Status(422),
        "k 1" => Reply::With(302, "location: /elsewhere\r\n"),
        _ => Reply::Status(200),
    });
    let settings = settings_with(|terms| {
        // A retry would be noticed: it comes long after the test.
        terms.retry.initial_interval = Duration::from_secs(3600);
        terms.retry.max_interval = Duration::from_secs(3600);
    });
    let delivery = start(&settings, None).unwrap();
    let batch = (0..4).map(|n| request(&sink.url("/"), "k", &format!("k {n}")));
    delivery.outbox().append(batch.collect()).unwrap();
    let counters = wait(&delivery, "all ended", nothing_left);
    let refused = Dead {
        refused: 2,
        ..Dead::default()
    };
    assert_eq!((counters.delivered, counters.retried, counters.dead), (2, 0, refused));
    let list = sink.received();
    assert_eq!(list.len(), 4);
    assert!(
        list.iter().all(|received| received.path == "/"),
        "redirects are not followed"
    );
}

#[test]
fn a_receiver_that_is_gone_pauses_its_destination_and_no_other() {
    let gone = Sink::start(|received| Reply::Status(if received.body == "k 0" { 410 } else { 200 }));
    let other = Sink::start(|_| Reply::Status(200));
    let pause = Duration::from_secs(2);
    let settings = settings_with(|terms| terms.retry.gone_pause = pause);
    let delivery = start(&settings, None).unwrap();
    let start = Clock::now();
    let batch = (0..3).flat_map(|n| {
        let body = format!("k {n}");
        [
            request(&gone.url("/"), "k", &body),
            request(&other.url("/"), "k", &body),
        ]
    });
    delivery.outbox().append(batch.collect()).unwrap();
    // The order of these two shows that the other destination does not wait for the pause.
    other.wait_for(3);
    let before_pause = gone.wait_for(1).len();
    let counters = wait(&delivery, "all ended", nothing_left);
    assert!(start.elapsed() >= pause, "{:?}", start.elapsed());
    assert_eq!((before_pause, counters.delivered, counters.dead.refused), (1, 5, 1));
    assert_eq!(gone.bodies(), ["k 0", "k 1", "k 2"]);
}

#[test]
fn a_body_that_does_not_come_holds_up_no_request() {
    let sink = Sink::start(|_| Reply::LateBody(200));
    let delivery = start(&settings(), None).unwrap();
    let batch = (0..20).map(|n| request(&sink.url("/"), "k", &format!("k {n}")));
    delivery.outbox().append(batch.collect()).unwrap();
    let counters = wait(&delivery, "all delivered", nothing_left);
    assert_eq!((counters.delivered, counters.retried), (20, 0));
    check_order(&sink.bodies(), 1, 20);
    let connections = |list: &[sink::Received]| list.iter().map(|received| received.connection).max().unwrap();
    assert_eq!(connections(&sink.received()), 19, "each body keeps its connection busy");
    // The connections are used again once the bodies have come.
    sink.open_gate();
    let (mut sent, most) = (20, 19 + 5);
    loop {
        delivery
            .outbox()
            .append(vec![request(&sink.url("/"), "k", &format!("k {sent}"))])
            .unwrap();
        sent += 1;
        let list = sink.wait_for(sent);
        if list[sent - 1].connection < 19 {
            break;
        }
        assert!(connections(&list) <= most, "connections are not used again");
    }
}

#[test]
fn what_has_expired_is_not_sent() {
    let sink = Sink::start(|_| Reply::Status(503));
    let delivery = start(&settings(), None).unwrap();
    let expiring = |body: &str, expires: SystemTime| OutboxRequest {
        expires: Some(expires),
        ..request(&sink.url("/"), body, body)
    };
    let now = SystemTime::now();
    let batch = vec![
        expiring("long ago", SystemTime::UNIX_EPOCH),
        expiring("soon", now + Duration::from_secs(1)),
    ];
    delivery.outbox().append(batch).unwrap();
    let counters = wait(&delivery, "both ended", nothing_left);
    let expired = Dead {
        expired: 2,
        ..Dead::default()
    };
    assert_eq!((counters.delivered, counters.dead), (0, expired));
    let bodies = sink.bodies();
    assert!(
        !bodies.is_empty() && bodies.iter().all(|body| body == "soon"),
        "{bodies:?}"
    );
}

#[test]
fn redirects_are_followed_if_the_policy_says_so() {
    let other = Sink::start(|_| Reply::Status(200));
    let elsewhere = other.url("/elsewhere?x=1");
    let sink = Sink::start(move |received| match received.path.as_str() {
        "/loop" => Reply::Redirect("/loop".into()),
        "/start" => Reply::Redirect("next".into()),
        "/away" => Reply::Redirect(elsewhere.clone()),
        "/nowhere" => Reply::Redirect("http://".into()),
        _ => Reply::Status(200),
    });
    let mut own = destination::tests::destination("own", &[&sink.url("/")]);
    own.terms.retry.follow_redirects = true;
    own.terms.retry.max_elapsed_time = Duration::ZERO;
    own.headers = vec![("x-token".into(), Secret::new("hidden"))];
    let settings = Settings {
        destinations: [own].into_iter().collect(),
        ..settings()
    };
    let delivery = start(&settings, None).unwrap();
    let paths = ["/start", "/away", "/away", "/loop", "/nowhere"];
    let batch = paths.iter().map(|path| {
        let mut request = request(&sink.url(path), "k", path);
        request.headers.push(("authorization".into(), "hidden".into()));
        request
    });
    delivery.outbox().append(batch.collect()).unwrap();
    let counters = wait(&delivery, "all ended", nothing_left);
    assert_eq!((counters.delivered, counters.dead.gave_up), (3, 2));
    let list = sink.received();
    let at = |path: &str| list.iter().filter(|received| received.path == path).count();
    assert_eq!((at("/next"), at("/loop")), (1, 10));
    assert!(list.iter().all(|received| received.head.contains("x-token: hidden")));
    let list = other.received();
    assert_eq!(list.len(), 2);
    assert_eq!(list[0].connection, list[1].connection, "the connection is used again");
    for received in list {
        assert_eq!(
            (received.method.as_str(), received.path.as_str()),
            ("POST", "/elsewhere?x=1")
        );
        assert_eq!(received.body, "/away");
        assert!(
            received.head.contains("content-type: application/json"),
            "{}",
            received.head
        );
        assert!(!received.head.contains("hidden"), "{}", received.head);
        assert!(received.head.contains(&format!("host: {}\r\n", other.address)));
    }
}
