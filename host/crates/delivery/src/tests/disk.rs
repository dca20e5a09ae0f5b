//! Requests on disk: restarts, more requests than the memory may have, damage.

use super::*;
use hookhost_outbox::{FileError, Flush, StoreError};

pub(super) fn store(dir: &tempfile::TempDir) -> Store {
    Store::open(dir.path(), Flush::Always).unwrap()
}

/// Waits until a delivery that was stopped has closed its store.
pub(super) fn reopened(dir: &tempfile::TempDir) -> Store {
    let end = Clock::now() + Duration::from_secs(120);
    loop {
        match Store::open(dir.path(), Flush::Always) {
            Ok(store) => return store,
            Err(StoreError::File(FileError::InUse { .. })) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(Clock::now() < end, "the store is not closed");
        // Sleeps between two checks, so that the other threads can run.
        thread::sleep(Duration::from_millis(1));
    }
}

/// Every request is delivered, dropped or waits.
pub(super) fn is_balanced(counters: &Counters) -> bool {
    let ended = counters.delivered + counters.dead.total() + counters.dropped.total();
    counters.accepted == ended + counters.queued_requests as u64
}

fn with_sync(sync: Sync) -> Settings {
    Settings {
        disk: DiskSettings {
            sync,
            ..DiskSettings::default()
        },
        ..settings()
    }
}

#[test]
fn what_was_not_delivered_is_sent_after_a_restart_in_order() {
    for (sync, threads) in [(Sync::Always, 1), (Sync::Interval, 3)] {
        let dir = tempfile::tempdir().unwrap();
        let down = Sink::start(|_| Reply::Status(503));
        let (address, url) = (down.address, down.url("/"));
        let settings = Settings {
            threads,
            ..with_sync(sync)
        };
        let delivery = start(&settings, Some(store(&dir))).unwrap();
        for number in 0..10 {
            let batch = (0..4).map(|key| request(&url, &format!("k{key}"), &format!("k{key} {number}")));
            delivery.outbox().append(batch.collect()).unwrap();
        }
        down.wait_for(4);
        let counters = delivery.stop(Duration::ZERO);
        assert_eq!((counters.delivered, counters.queued_requests), (0, 40));
        assert!(is_balanced(&counters), "{counters:?}");
        down.stop();
        let sink = Sink::at(address, |_| Reply::Status(200));
        let delivery = start(&settings, Some(store(&dir))).unwrap();
        for number in 10..20 {
            let batch = (0..4).map(|key| request(&url, &format!("k{key}"), &format!("k{key} {number}")));
            delivery.outbox().append(batch.collect()).unwrap();
        }
        let counters = wait(&delivery, "all delivered", |counters| {
            // A request is counted as delivered a moment before it leaves the queue.
            counters.delivered == 80 && nothing_left(counters)
        });
        assert!(is_balanced(&counters), "{counters:?}");
        check_order(&sink.bodies(), 4, 20);
        delivery.stop(Duration::ZERO);
        assert!(store(&dir).range(0, 1).unwrap().is_empty(), "nothing is left on disk");
    }
}

#[test]
fn with_sync_always_a_request_is_on_disk_when_append_returns() {
    let dir = tempfile::tempdir().unwrap();
    let sink = Sink::start(|_| Reply::Silence);
    let delivery = start(&with_sync(Sync::Always), Some(store(&dir))).unwrap();
    for number in 0..20 {
        let body = format!("k {number}");
        delivery
            .outbox()
            .append(vec![request(&sink.url("/"), "k", &body)])
            .unwrap();
        // A copy of the file is what a crash would leave.
        let copy = tempfile::tempdir().unwrap();
        fs::copy(dir.path().join("outbox.redb"), copy.path().join("outbox.redb")).unwrap();
        let left = store(&copy).range(0, usize::MAX).unwrap();
        let bodies: Vec<_> = left
            .into_iter()
            .map(|(_, record)| String::from_utf8(record::decode(record.unwrap()).unwrap().body.to_vec()).unwrap())
            .collect();
        assert_eq!(
            bodies,
            (0..=number).map(|number| format!("k {number}")).collect::<Vec<_>>()
        );
    }
}

#[test]
fn more_requests_than_fit_into_memory_wait_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let sink = Sink::start(|_| Reply::Gated);
    let dead = "http://127.0.0.1:9/";
    let settings = Settings {
        queue_requests: 20,
        ..with_sync(Sync::Interval)
    };
    let delivery = start(&settings, Some(store(&dir))).unwrap();
    let (keys, each) = (5, 200);
    for number in 0..each {
        let batch = (0..keys).flat_map(|key| {
            let (key, body) = (format!("k{key}"), format!("k{key} {number}"));
            [request(&sink.url("/"), &key, &body), request(dead, &key, &body)]
        });
        delivery.outbox().append(batch.collect()).unwrap();
    }
    let counters = delivery.counters();
    assert_eq!((counters.accepted, counters.delivered), (2000, 0));
    assert_eq!(counters.queued_requests, 2000);
    sink.open_gate();
    // The dead destination keeps half of the requests, and costs the other nothing.
    let counters = wait(&delivery, "one destination", |counters| {
        counters.delivered == 1000 && counters.queued_requests == 1000
    });
    assert!(is_balanced(&counters), "{counters:?}");
    check_order(&sink.bodies(), keys, each);
    assert_eq!(delivery.stop(Duration::ZERO).queued_requests, 1000);
    assert_eq!(store(&dir).range(0, usize::MAX).unwrap().len(), 1000);
}

/// What a restart finds for a receiver that is down needs more memory than there is. New requests are accepted still.
#[test]
fn requests_of_a_receiver_that_is_down_do_not_hold_up_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        queue_requests: 200,
        ..with_sync(Sync::Interval)
    };
    let dead = "http://127.0.0.1:9/";
    let delivery = start(&settings, Some(store(&dir))).unwrap();
    for number in 0..650 {
        let batch = (0..2).map(|key| request(dead, &format!("k{key}"), &format!("k{key} {number}")));
        delivery.outbox().append(batch.collect()).unwrap();
    }
    assert_eq!(delivery.stop(Duration::ZERO).queued_requests, 1300);
    let sink = Sink::start(|_| Reply::Status(200));
    let delivery = start(&settings, Some(reopened(&dir))).unwrap();
    let (outbox, new) = (delivery.outbox(), request(&sink.url("/"), "k", "new"));
    // Not in this thread, so that the test ends if it fails.
    let appending = thread::spawn(move || outbox.append(vec![new]));
    wait(&delivery, "the new request", |counters| counters.delivered == 1);
    appending.join().unwrap().unwrap();
    assert_eq!(delivery.stop(Duration::ZERO).queued_requests, 1300);
}

#[test]
fn records_that_cannot_be_used_are_dropped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let sink = Sink::start(|_| Reply::Status(200));
    let good = |number: u64| {
        (
            number,
            record::encode(&request(&sink.url("/"), "k", &format!("k {number}"))),
        )
    };
    let mut records: std::collections::BTreeMap<_, _> = [good(0), good(2)].into();
    records.insert(1, bytes::Bytes::from_static(b"\xff a later version"));
    let file = store(&dir);
    file.write(&records, &[]).unwrap();
    drop(file);
    let delivery = start(&settings(), Some(reopened(&dir))).unwrap();
    let counters = wait(&delivery, "the good ones", |counters| {
        counters.delivered == 2 && nothing_left(counters)
    });
    assert_eq!(counters.dropped.damaged, 1);
    assert!(is_balanced(&counters), "{counters:?}");
    assert_eq!(sink.bodies(), ["k 0", "k 2"]);
    delivery.stop(Duration::ZERO);
    assert!(store(&dir).range(0, 1).unwrap().is_empty());
}

/// The counters balance after every way in which a request can end, with and without a disk.
#[test]
fn every_request_is_counted_once() {
    for is_on_disk in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let sink = Sink::start(|received| match received.body.split(' ').next() {
            Some("refused") => Reply::Status(422),
            Some("gone") => Reply::Status(410),
            Some("silent") => Reply::Silence,
            Some("broken") => Reply::Raw(b"nonsense"),
            _ => Reply::Status(200),
        });
        let settings = settings_with(|terms| {
            terms.retry.gone_pause = Duration::from_millis(10);
            terms.retry.max_elapsed_time = Duration::from_millis(50);
            terms.http_timeout = Duration::from_millis(500);
        });
        let delivery = start(&settings, is_on_disk.then(|| store(&dir))).unwrap();
        let kinds = [
            "good", "refused", "gone", "silent", "broken", "invalid", "barred", "expired",
        ];
        for number in 0..5 {
            let batch = kinds.iter().map(|kind| {
                let mut request = request(&sink.url("/"), kind, &format!("{kind} {number}"));
                match *kind {
                    "invalid" => request.url = "nonsense".into(),
                    "barred" => request.reach = Reach::Public,
                    "expired" => request.expires = Some(SystemTime::UNIX_EPOCH),
                    _ => {}
                }
                request
            });
            delivery.outbox().append(batch.collect()).unwrap();
        }
        let counters = wait(&delivery, "all ended", nothing_left);
        let dead = Dead {
            refused: 10,
            gave_up: 10,
            expired: 5,
            invalid: 5,
            barred: 5,
        };
        assert_eq!((counters.accepted, counters.delivered, counters.dead), (40, 5, dead));
        assert_eq!(delivery.dead_letters().usage().records, 35);
        assert!(is_balanced(&counters), "{counters:?}");
        let destinations = delivery.monitor().destinations();
        let sum = |of: fn(&Counters) -> u64| destinations.iter().map(|one| of(&one.counters)).sum::<u64>();
        assert!(
            destinations.iter().all(|one| is_balanced(&one.counters)),
            "{destinations:?}"
        );
        assert_eq!(sum(|counters| counters.accepted), 40);
        assert_eq!(sum(|counters| counters.delivered), 5);
        assert_eq!(sum(|counters| counters.dead.total()), 35);
        // One request never ends. It is dropped at the stop, or stays on the disk.
        delivery
            .outbox()
            .append(vec![request(&sink.url("/"), "silent", "silent")])
            .unwrap();
        let counters = delivery.stop(Duration::ZERO);
        let left = (counters.dropped.closed, counters.queued_requests);
        assert_eq!(left, if is_on_disk { (0, 1) } else { (1, 0) });
        assert!(is_balanced(&counters), "{counters:?}");
    }
}
