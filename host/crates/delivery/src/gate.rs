//! Whether a destination gets requests now: its pause after 410, its circuit breaker and its rate limit.
//!
//! All sender threads share the gate of a destination. Each asks it before an attempt over HTTP, and reports the outcome.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::breaker::{Admission, Breaker, Change};
use super::destination::Terms;
use super::destination_counts::DestinationKey;
use super::retry::Outcome;
use super::token_bucket::TokenBucket;

/// Limit of the gates that are remembered without a request that refers to them.
const MAX_GATES: usize = 1024;

/// What a destination does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum BreakerState {
    /// They are sent.
    #[default]
    Closed,
    /// They wait, because most attempts have failed.
    Open,
    /// One is sent to find out whether the destination works again; the others wait.
    HalfOpen,
}

impl BreakerState {
    /// The word for it in the API and the log.
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half-open",
        }
    }
}

/// The gate of one destination.
#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<GateState>,
    /// The requests that its sender threads send at once at most, in all.
    concurrency: AtomicUsize,
}

#[derive(Default)]
struct GateState {
    paused_until: Option<Instant>,
    breaker: Breaker,
    bucket: Option<TokenBucket>,
}

/// The answer to a thread that wants to send a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// It may send it. It passes this on to [`Gate::ended`].
    Open(Admission),
    /// Its destination gets no requests before this time.
    Closed {
        /// When to ask again.
        until: Instant,
        /// Whether the destination is down, not only slowed down by its rate limit.
        is_down: bool,
    },
}

impl Gate {
    /// Asks for an attempt now.
    pub(super) fn enter(&self, terms: &Terms, now: Instant) -> Entry {
        let mut state = self.lock();
        if let Some(until) = state.paused_until {
            if now < until {
                return Entry::Closed { until, is_down: true };
            }
            state.paused_until = None;
        }
        let admission = match terms.breaker {
            Some(_) => state.breaker.admit(now, terms.http_timeout),
            None => Admission::Send,
        };
        match (admission, terms.rate_limit) {
            (Admission::Wait(until), _) => return Entry::Closed { until, is_down: true },
            (Admission::Send, Some(rate)) => {
                let bucket = state.bucket.get_or_insert_with(|| TokenBucket::new(rate, now));
                bucket.set_rate(rate, now);
                if let Err(until) = bucket.take(now) {
                    return Entry::Closed { until, is_down: false };
                }
            }
            // The limit is for normal operation; a probe is one request.
            (Admission::Send | Admission::Probe, _) => {}
        }
        Entry::Open(admission)
    }

    /// Notes the outcome of an attempt, and returns how it has changed the breaker.
    pub(super) fn ended(&self, terms: &Terms, admission: Admission, outcome: &Outcome, now: Instant) -> Option<Change> {
        let policy = terms.breaker.as_ref()?;
        let has_failed = match outcome {
            Outcome::Accepted(_) => false,
            Outcome::Refused { status, .. } => *status >= 500 || matches!(status, 408 | 429),
            Outcome::Failed(_) | Outcome::TimedOut => true,
            // Nothing was sent.
            Outcome::Invalid(_) | Outcome::Barred(_) | Outcome::Expired => return None,
        };
        self.lock().breaker.ended(policy, admission, has_failed, now)
    }

    /// Lets no request pass before this time.
    pub(super) fn pause(&self, until: Instant) {
        let mut state = self.lock();
        state.paused_until = state.paused_until.max(Some(until));
    }

    /// Returns whether the destination gets no requests, because it is paused or most attempts have failed.
    pub(super) fn is_down(&self, now: Instant) -> bool {
        let state = self.lock();
        !state.breaker.is_closed() || state.paused_until.is_some_and(|until| now < until)
    }

    /// Changes the share of one thread in [`Gate::concurrency`].
    pub(super) fn set_concurrency(&self, before: usize, after: usize) {
        self.concurrency.fetch_add(after, Relaxed);
        self.concurrency.fetch_sub(before, Relaxed);
    }

    /// Returns how many requests the destination gets at once at most.
    pub(super) fn concurrency(&self) -> usize {
        self.concurrency.load(Relaxed)
    }

    /// Returns the state of the breaker.
    pub(super) fn breaker(&self) -> BreakerState {
        let state = self.lock();
        match (state.breaker.is_closed(), state.breaker.open_until()) {
            (true, _) => BreakerState::Closed,
            (false, Some(_)) => BreakerState::Open,
            (false, None) => BreakerState::HalfOpen,
        }
    }

    fn lock(&self) -> MutexGuard<'_, GateState> {
        // The state is valid after each statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The gates of all destinations.
#[derive(Default)]
pub(super) struct Gates(Mutex<HashMap<DestinationKey, Arc<Gate>>>);

impl Gates {
    /// Returns the gate of a destination.
    pub(super) fn gate(&self, key: &DestinationKey) -> Arc<Gate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get(key) {
            return Arc::clone(gate);
        }
        if gates.len() >= MAX_GATES {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        }
        let gate = Arc::new(Gate::default());
        gates.insert(key.clone(), Arc::clone(&gate));
        gate
    }

    /// Returns the gate of a destination that a thread has seen.
    pub(super) fn find(&self, key: &DestinationKey) -> Option<Arc<Gate>> {
        let gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gates.get(key).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{BreakerPolicy, RateLimit};
    use super::*;

    fn refused(status: u16) -> Outcome {
        Outcome::Refused {
            status,
            retry_after: None,
        }
    }

    #[test]
    fn answers_that_say_that_the_destination_works_keep_the_gate_open() {
        let now = Instant::now();
        for (outcome, opens) in [
            (Outcome::Accepted(Some(200)), false),
            (refused(404), false),
            (refused(422), false),
            (refused(408), true),
            (refused(429), true),
            (refused(500), true),
            (refused(503), true),
            (Outcome::Failed("refused".into()), true),
            (Outcome::TimedOut, true),
            (Outcome::Expired, false),
        ] {
            let gate = Gate::default();
            let terms = Terms::default();
            for _ in 0..20 {
                assert_eq!(gate.enter(&terms, now), Entry::Open(Admission::Send));
                gate.ended(&terms, Admission::Send, &outcome, now);
            }
            assert_eq!(gate.is_down(now), opens, "{outcome:?}");
            let expected = if opens {
                BreakerState::Open
            } else {
                BreakerState::Closed
            };
            assert_eq!(gate.breaker(), expected);
            // Without a breaker, requests are sent nevertheless.
            let terms = Terms { breaker: None, ..terms };
            assert_eq!(gate.enter(&terms, now), Entry::Open(Admission::Send));
        }
    }

    #[test]
    fn a_pause_and_a_rate_limit_close_it_for_a_time() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let gate = Gate::default();
        let terms = Terms {
            rate_limit: Some(RateLimit {
                per_second: 2.0,
                burst: 1,
            }),
            breaker: Some(BreakerPolicy::default()),
            ..Terms::default()
        };
        gate.pause(now + second);
        gate.pause(now);
        let closed = |until, is_down| Entry::Closed { until, is_down };
        assert_eq!(gate.enter(&terms, now), closed(now + second, true));
        assert!(gate.is_down(now));
        let now = now + second;
        assert_eq!(gate.enter(&terms, now), Entry::Open(Admission::Send));
        assert_eq!(gate.enter(&terms, now), closed(now + second / 2, false));
        assert!(!gate.is_down(now));
        assert_eq!(gate.enter(&terms, now + second / 2), Entry::Open(Admission::Send));
    }

    #[test]
    fn threads_share_the_gate_of_a_destination() {
        let gates = Gates::default();
        let (a, b) = (DestinationKey::of("http://a"), DestinationKey::of("http://b"));
        assert!(Arc::ptr_eq(&gates.gate(&a), &gates.gate(&a)));
        assert!(!Arc::ptr_eq(&gates.gate(&a), &gates.gate(&b)));
        let held = gates.gate(&a);
        held.set_concurrency(0, 32);
        held.set_concurrency(32, 64);
        assert_eq!(gates.find(&a).unwrap().concurrency(), 64);
        for number in 0..3 * MAX_GATES {
            gates.gate(&DestinationKey::of(number.to_string()));
        }
        assert!(gates.0.lock().unwrap().len() <= MAX_GATES + 1);
        assert!(Arc::ptr_eq(&gates.gate(&a), &held));
    }
}
