//! What happens to requests when the outbox on disk is full.

use super::disk::{is_balanced, store};
use super::*;

#[test]
fn a_full_disk_space_holds_callers_back_or_drops_new_or_old_requests() {
    for (_, when_full) in WhenFull::NAMES {
        let dir = tempfile::tempdir().unwrap();
        let sink = Sink::start(|_| Reply::Gated);
        let one = request(&sink.url("/"), "k", "k 0");
        let settings = Settings {
            disk: DiskSettings {
                when_full,
                max_bytes: 4 * one.size(),
                ..DiskSettings::default()
            },
            ..settings()
        };
        let delivery = start(&settings, Some(store(&dir))).unwrap();
        let (outbox, url) = (delivery.outbox(), sink.url("/"));
        let appending = thread::spawn(move || {
            for number in 0..10 {
                outbox.append(vec![request(&url, "k", &format!("k {number}"))]).unwrap();
            }
        });
        sink.wait_for(1);
        match when_full {
            WhenFull::Wait => {
                wait(&delivery, "a full outbox", |counters| counters.accepted == 4);
                assert!(!appending.is_finished());
                sink.open_gate();
            }
            WhenFull::DropNewest | WhenFull::DropOldest => {
                wait(&delivery, "all accepted or dropped", |counters| counters.accepted == 10);
                sink.open_gate();
            }
        }
        appending.join().unwrap();
        let counters = wait(&delivery, "all ended", |counters| {
            counters.accepted == 10 && nothing_left(counters)
        });
        // The first request is being sent, so it is not dropped.
        let delivered = match when_full {
            WhenFull::Wait => (0..10).collect(),
            WhenFull::DropNewest => vec![0, 1, 2, 3],
            WhenFull::DropOldest => vec![0, 7, 8, 9],
        };
        assert_eq!(numbers_by_key(&sink.bodies())["k"], delivered);
        assert_eq!(counters.dropped.full, 10 - counters.delivered);
        assert!(is_balanced(&counters), "{counters:?}");
        let destinations = delivery.monitor().destinations();
        assert!(is_balanced(&destinations[0].counters), "{destinations:?}");
    }
}

/// While a receiver is down, its oldest requests are dropped: those that wait in memory, on disk and for a retry.
#[test]
fn the_oldest_requests_of_a_receiver_that_is_down_are_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let down = Sink::start(|_| Reply::Status(503));
    let (address, url) = (down.address, down.url("/"));
    let one = request(&url, "k0", "k0 0000");
    let settings = Settings {
        queue_requests: 20,
        disk: DiskSettings {
            when_full: WhenFull::DropOldest,
            max_bytes: 100 * one.size(),
            ..DiskSettings::default()
        },
        ..settings()
    };
    let delivery = start(&settings, Some(store(&dir))).unwrap();
    let (keys, each) = (5, 200);
    for number in 0..each {
        let batch = (0..keys).map(|key| request(&url, &format!("k{key}"), &format!("k{key} {number:04}")));
        delivery.outbox().append(batch.collect()).unwrap();
    }
    let counters = delivery.counters();
    assert_eq!(counters.accepted, 1000);
    assert!(counters.queued_requests <= 100, "{counters:?}");
    down.stop();
    let sink = Sink::at(address, |_| Reply::Status(200));
    let counters = wait(&delivery, "the rest", nothing_left);
    assert!(is_balanced(&counters), "{counters:?}");
    assert!((80..=100).contains(&counters.delivered), "{counters:?}");
    for (key, numbers) in numbers_by_key(&sink.bodies()) {
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
        assert_eq!(numbers.last(), Some(&(each - 1)), "{key}: {numbers:?}");
        // One request of each key can be an older one, because it was being sent.
        assert!(numbers[1] > each / 2, "{key}: {numbers:?}");
    }
    delivery.stop(Duration::ZERO);
    assert!(store(&dir).range(0, 1).unwrap().is_empty(), "nothing is left on disk");
}

/// A new request takes the place of the oldest one at once, and only of that one.
#[test]
fn new_requests_replace_the_oldest_without_waiting() {
    for threads in [1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let sink = Sink::start(|_| Reply::Gated);
        let url = sink.url("/");
        let size = request(&url, "k0", "k0 0000").size();
        let settings = Settings {
            threads,
            disk: DiskSettings {
                when_full: WhenFull::DropOldest,
                max_bytes: 40 * size,
                ..DiskSettings::default()
            },
            ..settings()
        };
        let delivery = start(&settings, Some(store(&dir))).unwrap();
        let (outbox, keys, each) = (delivery.outbox(), 5, 700);
        // Not in this thread, so that the test ends if it fails.
        let appending = thread::spawn(move || {
            for number in 0..each {
                for key in 0..keys {
                    let (key, body) = (format!("k{key}"), format!("k{key} {number:04}"));
                    outbox.append(vec![request(&url, &key, &body)]).unwrap();
                }
            }
        });
        wait(&delivery, "all accepted", |counters| {
            counters.accepted == (keys * each) as u64
        });
        appending.join().unwrap();
        let counters = delivery.counters();
        assert_eq!(counters.queued_requests, 40);
        assert!(is_balanced(&counters), "{counters:?}");
        sink.open_gate();
        wait(&delivery, "the rest", nothing_left);
        for (key, numbers) in numbers_by_key(&sink.bodies()) {
            // The first request of each key was being sent. The others are the newest, without a gap.
            let newest = each + 1 - numbers.len()..each;
            assert!(
                numbers[0] == 0 && numbers[1..].iter().copied().eq(newest),
                "{key}: {numbers:?}"
            );
        }
    }
}
