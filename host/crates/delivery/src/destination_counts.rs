//! The counters and the state of one destination.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use hookhost_activity::{DurationCounts, Durations};

use super::attempt_counts::{AttemptCounts, AttemptTally};
use super::counters::{Counters, Tally};
use super::gate::BreakerState;
use super::lagging::{LaggingKey, WorstKey};
use super::record::millis;
use super::retry::{Outcome, Reason};

/// What requests to one destination have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct DestinationKey {
    /// The name of the configured destination.
    pub(super) name: Option<Arc<str>>,
    /// Scheme, host and port; a file; `stdout:` or `mqtt:`. Words in parentheses stand for several destinations.
    pub(super) url: String,
}

impl DestinationKey {
    /// A destination without a name in the configuration.
    pub(super) fn of(url: impl Into<String>) -> DestinationKey {
        DestinationKey {
            name: None,
            url: url.into(),
        }
    }

    /// All destinations beyond the limit.
    pub(super) fn others() -> DestinationKey {
        DestinationKey::of("(others)")
    }

    /// Requests whose URL is invalid or cannot be read.
    pub(super) fn unknown() -> DestinationKey {
        DestinationKey::of("(unknown)")
    }
}

/// The counters and the state of a destination since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DestinationState {
    /// The name of the configured destination; `None` for requests that belong to none.
    pub name: Option<Arc<str>>,
    /// Scheme, host and port; a file; `stdout:` or `mqtt:`. `(others)` and `(unknown)` stand for several destinations.
    pub url: String,
    /// Its counters.
    pub counters: Counters,
    /// The time of the oldest event with a request that waits.
    pub oldest: Option<SystemTime>,
    /// Until when it gets no requests, because it has answered 410.
    pub paused_until: Option<SystemTime>,
    /// The last failed attempt.
    pub last_error: Option<LastError>,
    /// When the last request was delivered.
    pub last_success: Option<SystemTime>,
    /// The key whose requests lag most, if any did within the last minute.
    pub lagging: Option<LaggingKey>,
    /// The state of its circuit breaker.
    pub breaker: BreakerState,
    /// How many requests it gets at once at most; 0 before its first request.
    pub concurrency: usize,
    /// How long its attempts took; each request of a batch counts.
    pub durations: DurationCounts,
    /// How its attempts ended; each request of a batch counts.
    pub attempts: AttemptCounts,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    /// When it ended.
    pub at: SystemTime,
    /// What happened, in one line.
    pub text: String,
}

/// The counters of one destination, shared by the sender threads.
#[derive(Default)]
pub(super) struct DestinationCounts {
    tally: Tally,
    waiting: Mutex<Waiting>,
    trouble: Mutex<Trouble>,
    /// Milliseconds since 1970, or 0.
    last_success: AtomicU64,
    durations: Durations,
    attempts: AttemptTally,
}

/// The requests that wait or are being sent.
#[derive(Default)]
struct Waiting {
    requests: usize,
    bytes: usize,
    /// How many there are, by the second of their event.
    by_second: BTreeMap<u64, usize>,
}

#[derive(Default)]
struct Trouble {
    paused_until: Option<SystemTime>,
    last_error: Option<LastError>,
    worst_key: WorstKey,
}

impl DestinationCounts {
    /// Counts a request of `size` bytes that begins to wait. `event_at` is [`EventSummary::at`](super::EventSummary::at)
    /// here and below.
    pub(super) fn accepted(&self, event_at: u64, size: usize) {
        self.tally.accepted(1);
        let mut waiting = lock(&self.waiting);
        waiting.requests += 1;
        waiting.bytes += size;
        *waiting.by_second.entry(event_at / 1000).or_default() += 1;
    }

    /// Counts an attempt that has ended.
    pub(super) fn attempted(&self, outcome: &Outcome, took: Duration) {
        self.durations.add(took, 1);
        self.attempts.add(outcome);
    }

    /// Counts a request of `size` bytes that is delivered.
    pub(super) fn delivered(&self, event_at: u64, size: usize) {
        self.tally.delivered();
        self.last_success.store(millis(SystemTime::now()), Relaxed);
        self.ended(event_at, size);
    }

    /// Counts a request of `size` bytes that became a dead letter.
    pub(super) fn dead(&self, event_at: u64, size: usize, reason: Reason) {
        self.tally.dead(reason);
        self.ended(event_at, size);
    }

    /// Counts a request of `size` bytes whose record is damaged.
    pub(super) fn damaged(&self, event_at: u64, size: usize) {
        self.tally.damaged();
        self.ended(event_at, size);
    }

    /// Counts a request that is dropped because the outbox is full.
    pub(super) fn full(&self) {
        self.tally.full(1);
    }

    /// Counts a request of `size` bytes that was waiting and is dropped because the outbox is full.
    pub(super) fn dropped_oldest(&self, event_at: u64, size: usize) {
        self.tally.overflowed();
        self.ended(event_at, size);
    }

    /// Counts a request of `size` bytes that was waiting and that another host delivers.
    pub(super) fn moved(&self, event_at: u64, size: usize) {
        self.tally.moved();
        self.ended(event_at, size);
    }

    /// Returns the requests that wait or are being sent, and their bytes.
    pub(super) fn waiting(&self) -> (usize, usize) {
        let waiting = lock(&self.waiting);
        (waiting.requests, waiting.bytes)
    }

    /// Counts a failed attempt that is retried.
    pub(super) fn retried(&self) {
        self.tally.retried();
    }

    /// Remembers a failed attempt.
    pub(super) fn failed(&self, at: SystemTime, outcome: &Outcome) {
        let text = outcome.to_string();
        lock(&self.trouble).last_error = Some(LastError { at, text });
    }

    /// Remembers a key whose requests lag.
    pub(super) fn lags(&self, key: LaggingKey) {
        lock(&self.trouble).worst_key.note(key, Instant::now());
    }

    /// Remembers that the destination gets no requests for a while.
    pub(super) fn paused(&self, time: Duration) {
        lock(&self.trouble).paused_until = SystemTime::now().checked_add(time);
    }

    fn ended(&self, event_at: u64, size: usize) {
        let mut waiting = lock(&self.waiting);
        waiting.requests = waiting.requests.saturating_sub(1);
        waiting.bytes = waiting.bytes.saturating_sub(size);
        let second = event_at / 1000;
        if let Some(count) = waiting.by_second.get_mut(&second) {
            *count -= 1;
            if *count == 0 {
                waiting.by_second.remove(&second);
            }
        }
    }

    pub(super) fn read(&self, key: &DestinationKey) -> DestinationState {
        let waiting = lock(&self.waiting);
        let counters = self.tally.read((waiting.requests, waiting.bytes));
        // An event without a time has the second 0.
        let mut seconds = waiting.by_second.keys().filter(|second| **second > 0);
        let oldest = seconds
            .next()
            .and_then(|second| after_1970(second.saturating_mul(1000)));
        drop(waiting);
        let trouble = lock(&self.trouble);
        DestinationState {
            name: key.name.clone(),
            url: key.url.clone(),
            counters,
            oldest,
            paused_until: trouble.paused_until.filter(|until| *until > SystemTime::now()),
            last_error: trouble.last_error.clone(),
            lagging: trouble.worst_key.get(Instant::now()).cloned(),
            last_success: after_1970(self.last_success.load(Relaxed)),
            breaker: BreakerState::default(),
            concurrency: 0,
            durations: self.durations.counts(),
            attempts: self.attempts.counts(),
        }
    }
}

/// Returns the time; `None` for 0.
fn after_1970(millis: u64) -> Option<SystemTime> {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
    at.filter(|_| millis > 0)
}

/// Locks a mutex. Its value is valid after each statement, so a panic of another thread leaves nothing inconsistent.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_waiting_event_is_known() {
        let counts = DestinationCounts::default();
        let key = DestinationKey::of("http://h:80");
        let oldest = || counts.read(&key).oldest.map(millis);
        assert_eq!(oldest(), None);
        for second in [7, 5, 5, 9] {
            counts.accepted(second * 1000 + 5, 10);
        }
        assert_eq!(oldest(), Some(5000));
        counts.delivered(5005, 10);
        assert_eq!(oldest(), Some(5000));
        counts.dead(5005, 10, Reason::Refused);
        assert_eq!(oldest(), Some(7000));
        let Counters {
            accepted,
            delivered,
            dead,
            queued_requests,
            queued_bytes,
            ..
        } = counts.read(&key).counters;
        assert_eq!((accepted, delivered, dead.refused), (4, 1, 1));
        assert_eq!((queued_requests, queued_bytes), (2, 20));
    }
}
