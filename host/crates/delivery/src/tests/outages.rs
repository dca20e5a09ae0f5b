//! Destinations that are down, and what that costs the others.

use super::*;

/// Settings with a breaker of short pauses.
fn breaking(change: impl FnOnce(&mut Terms)) -> Settings {
    settings_with(|terms| {
        terms.breaker = Some(BreakerPolicy {
            pause: Duration::from_millis(200),
            max_pause: Duration::from_millis(400),
            ..BreakerPolicy::default()
        });
        terms.retry.max_elapsed_time = Duration::from_secs(3600);
        change(terms);
    })
}

/// Returns the state of a destination; `None` before its first request.
fn known(delivery: &Delivery, url: &str) -> Option<DestinationState> {
    let all = delivery.monitor().destinations();
    all.into_iter().find(|state| url.starts_with(&state.url))
}

fn state(delivery: &Delivery, url: &str) -> DestinationState {
    known(delivery, url).unwrap()
}

#[test]
fn a_dead_destination_gets_a_probe_now_and_then_and_everything_once_it_works() {
    for threads in [1, 3] {
        let sink = Sink::start(|_| Reply::Status(200));
        let (address, url) = (sink.address, sink.url("/"));
        sink.stop();
        let settings = Settings {
            threads,
            ..breaking(|_| {})
        };
        let delivery = start(&settings, None).unwrap();
        let batch = (0..300).map(|n| request(&url, &format!("k{}", n % 100), &format!("k{} {}", n % 100, n / 100)));
        delivery.outbox().append(batch.collect()).unwrap();
        wait(&delivery, "an open breaker", |_| {
            delivery
                .monitor()
                .destinations()
                .iter()
                .any(|state| state.breaker == BreakerState::Open)
        });
        // Probes alone: a hundred keys make no attempts of their own.
        let before = delivery.counters().retried;
        let counters = wait(&delivery, "probes", |counters| counters.retried >= before + 4);
        assert!(counters.retried < 300, "{counters:?}");
        let sink = Sink::at(address, |_| Reply::Status(200));
        let counters = wait(&delivery, "all delivered", nothing_left);
        assert_eq!((counters.delivered, counters.dead.total()), (300, 0));
        check_order(&sink.bodies(), 100, 3);
        assert_eq!(state(&delivery, &url).breaker, BreakerState::Closed);
    }
}

#[test]
fn a_destination_that_works_for_some_stays_open() {
    let asked = AtomicUsize::new(0);
    let sink = Sink::start(move |_| {
        Reply::Status(if asked.fetch_add(1, SeqCst).is_multiple_of(2) {
            500
        } else {
            200
        })
    });
    let delivery = start(&breaking(|_| {}), None).unwrap();
    let batch = (0..200).map(|n| request(&sink.url("/"), &format!("k{}", n % 20), "x"));
    delivery.outbox().append(batch.collect()).unwrap();
    let counters = wait(&delivery, "all delivered", nothing_left);
    assert_eq!(counters.delivered, 200);
    assert_eq!(state(&delivery, &sink.url("/")).breaker, BreakerState::Closed);
}

#[test]
fn a_dead_destination_leaves_memory_to_the_others() {
    let other = Sink::start(|_| Reply::Status(200));
    let dead = "http://127.0.0.1:9/";
    let settings = Settings {
        queue_requests: 200,
        ..breaking(|terms| {
            let policy = terms.breaker.as_mut().unwrap();
            (policy.pause, policy.max_pause) = (Duration::from_secs(3600), Duration::from_secs(3600));
        })
    };
    let delivery = start(&settings, None).unwrap();
    for round in 0..50 {
        for n in 0..20 {
            let keys = request(dead, &format!("k{n}"), &format!("k{n} {round}"));
            delivery.outbox().append(vec![keys]).unwrap();
        }
        if round == 0 {
            wait(&delivery, "an open breaker", |_| {
                known(&delivery, dead).is_some_and(|state| state.breaker == BreakerState::Open)
            });
        }
        delivery
            .outbox()
            .append(vec![request(&other.url("/"), "k", &format!("k {round}"))])
            .unwrap();
    }
    let counters = wait(&delivery, "the other destination", |counters| counters.delivered == 50);
    check_order(&other.bodies(), 1, 50);
    assert!(counters.dropped.full >= 800, "{counters:?}");
    let held = state(&delivery, dead).counters;
    // Requests on their way to the sender thread count as taken, so it may be less than half.
    assert!((1..=101).contains(&held.queued_requests), "{held:?}");
    assert_eq!(held.dropped.full, counters.dropped.full);
    assert_eq!(counters.accepted, 1050);
}

#[test]
fn a_receiver_that_is_gone_pauses_its_destination_in_all_threads() {
    let gone = Sink::start(|received| Reply::Status(if received.body == "first" { 410 } else { 200 }));
    let pause = Duration::from_secs(2);
    let settings = Settings {
        threads: 4,
        ..settings_with(|terms| terms.retry.gone_pause = pause)
    };
    let delivery = start(&settings, None).unwrap();
    delivery
        .outbox()
        .append(vec![request(&gone.url("/"), "first", "first")])
        .unwrap();
    wait(&delivery, "the answer", |counters| counters.dead.refused == 1);
    let start = Clock::now();
    // Requests without a key take turns through the threads.
    let batch = (0..40).map(|n| request(&gone.url("/"), "", &n.to_string()));
    delivery.outbox().append(batch.collect()).unwrap();
    let counters = wait(&delivery, "all ended", nothing_left);
    assert_eq!(counters.delivered, 40);
    assert!(
        start.elapsed() >= pause - Duration::from_millis(200),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_rate_limit_holds_over_all_threads() {
    let sink = Sink::start(|_| Reply::Status(200));
    let settings = Settings {
        threads: 3,
        ..settings_with(|terms| {
            terms.rate_limit = Some(RateLimit {
                per_second: 50.0,
                burst: 10,
            });
        })
    };
    let delivery = start(&settings, None).unwrap();
    let start = Clock::now();
    let batch = (0..60).map(|n| request(&sink.url("/"), &format!("k{}", n % 6), &format!("k{} {}", n % 6, n / 6)));
    delivery.outbox().append(batch.collect()).unwrap();
    wait(&delivery, "all delivered", nothing_left);
    // Ten at once, fifty at 50 per second.
    assert!(start.elapsed() >= Duration::from_millis(990), "{:?}", start.elapsed());
    check_order(&sink.bodies(), 6, 10);
}

#[test]
fn a_destination_that_never_answers_is_asked_less_and_less() {
    let silent = Sink::start(|_| Reply::Silence);
    let settings = settings_with(|terms| {
        terms.http_timeout = Duration::from_millis(200);
        terms.concurrency_limit = 64;
        terms.retry.max_elapsed_time = Duration::from_secs(3600);
    });
    let delivery = start(&settings, None).unwrap();
    let batch = (0..500).map(|n| request(&silent.url("/"), "", &n.to_string()));
    delivery.outbox().append(batch.collect()).unwrap();
    wait(&delivery, "one request at once", |_| {
        known(&delivery, &silent.url("/")).is_some_and(|state| state.concurrency == 1)
    });
}
