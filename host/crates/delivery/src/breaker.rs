//! The circuit breaker of a destination. Pure; the caller passes in the time.
//!
//! ```text
//! closed ──(most attempts fail)──> open ──(pause is over)──> half open: one probe ──(succeeds)──> closed
//!                                   ^                                     │
//!                                   └────────(fails; longer pause)────────┘
//! ```
//!
//! While the breaker is open, the requests of the destination wait. They make no attempt, so they use no connection and
//! none of their retries.

use std::time::{Duration, Instant};

/// When the breaker of a destination opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BreakerPolicy {
    /// The share of failed attempts at which it opens: above 0, at most 1. An attempt fails without an answer, and with
    /// 408, 429 or 5xx.
    pub failure_rate: f64,
    /// It does not open before this many attempts in the last 5 to 10 s.
    pub min_attempts: u32,
    /// The first pause. Each further one is twice as long.
    pub pause: Duration,
    /// Limit of the pause.
    pub max_pause: Duration,
}

/// The failure rate is that of the last 5 to 10 s.
const WINDOW: Duration = Duration::from_secs(10);

impl Default for BreakerPolicy {
    /// Opens if at least 20 attempts were made in the last 10 s and nine of ten failed. Below that a receiver still works
    /// for some. The pauses grow from 1 s to 30 s.
    fn default() -> BreakerPolicy {
        BreakerPolicy {
            failure_rate: 0.9,
            min_attempts: 20,
            pause: Duration::from_secs(1),
            max_pause: Duration::from_secs(30),
        }
    }
}

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Yes.
    Send,
    /// Yes, and its outcome decides about the others.
    Probe,
    /// Not before this time.
    Wait(Instant),
}

/// What the end of an attempt has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The breaker has opened until this time.
    Opened(Instant),
    /// The breaker has closed, because the probe succeeded.
    Closed,
}

/// The breaker of one destination.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Breaker {
    state: State,
    /// The attempts of this half of the window and of the one before.
    counts: [Counts; 2],
    /// The end of this half.
    half_ends: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum State {
    #[default]
    Closed,
    Open {
        until: Instant,
        pause: Duration,
    },
    /// A probe is under way. If it has not ended by `until`, it is lost and another one follows.
    HalfOpen {
        until: Instant,
        pause: Duration,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Counts {
    attempts: u32,
    failures: u32,
}

impl Breaker {
    /// Returns whether an attempt may be made now. `timeout` is the longest time of an attempt.
    pub(super) fn admit(&mut self, now: Instant, timeout: Duration) -> Admission {
        /// How long the others wait for the probe before they ask again.
        const PROBE_CHECK: Duration = Duration::from_millis(200);
        match self.state {
            State::Closed => Admission::Send,
            State::Open { until, .. } if now < until => Admission::Wait(until),
            State::HalfOpen { until, .. } if now < until => Admission::Wait((now + PROBE_CHECK).min(until)),
            State::Open { pause, .. } | State::HalfOpen { pause, .. } => {
                let until = now + timeout + PROBE_CHECK;
                self.state = State::HalfOpen { until, pause };
                Admission::Probe
            }
        }
    }

    /// Notes the end of an attempt.
    pub(super) fn ended(
        &mut self,
        policy: &BreakerPolicy,
        admission: Admission,
        has_failed: bool,
        now: Instant,
    ) -> Option<Change> {
        match self.state {
            State::Closed => {
                let counts = self.count(has_failed, now);
                let is_enough = counts.attempts >= policy.min_attempts;
                let rate = f64::from(counts.failures) / f64::from(counts.attempts.max(1));
                let opens = has_failed && is_enough && rate >= policy.failure_rate;
                opens.then(|| self.open(policy.pause.min(policy.max_pause), now))
            }
            State::HalfOpen { pause, .. } if admission == Admission::Probe => {
                if has_failed {
                    return Some(self.open(pause.saturating_mul(2).min(policy.max_pause), now));
                }
                *self = Breaker::default();
                Some(Change::Closed)
            }
            // An attempt that began before the breaker opened.
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// Returns until when it is open; `None` if it is closed or waits for a probe.
    pub(super) fn open_until(&self) -> Option<Instant> {
        match self.state {
            State::Open { until, .. } => Some(until),
            State::Closed | State::HalfOpen { .. } => None,
        }
    }

    /// Returns whether it is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    fn open(&mut self, pause: Duration, now: Instant) -> Change {
        let until = now + pause;
        *self = Breaker {
            state: State::Open { until, pause },
            ..Breaker::default()
        };
        Change::Opened(until)
    }

    /// Counts an attempt and returns the counts of the window.
    fn count(&mut self, has_failed: bool, now: Instant) -> Counts {
        let half = WINDOW / 2;
        let ends = *self.half_ends.get_or_insert(now + half);
        if now >= ends {
            let [current, _] = self.counts;
            let before = if now < ends + half { current } else { Counts::default() };
            self.counts = [Counts::default(), before];
            self.half_ends = Some(now + half);
        }
        let [current, before] = &mut self.counts;
        current.attempts += 1;
        current.failures += u32::from(has_failed);
        Counts {
            attempts: current.attempts.saturating_add(before.attempts),
            failures: current.failures.saturating_add(before.failures),
        }
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
