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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Ends attempts that were admitted; the last change.
    fn run(breaker: &mut Breaker, attempts: usize, has_failed: bool, now: Instant) -> Option<Change> {
        let policy = BreakerPolicy::default();
        let mut last = None;
        for _ in 0..attempts {
            last = breaker.ended(&policy, Admission::Send, has_failed, now).or(last);
        }
        last
    }

    #[test]
    fn it_opens_when_most_attempts_of_the_last_seconds_fail() {
        let now = Instant::now();
        for (answered, failed, opens) in [
            (0, 19, false),
            (0, 20, true),
            (3, 20, false),
            (2, 18, true),
            (100, 100, false),
        ] {
            let mut breaker = Breaker::default();
            run(&mut breaker, answered, false, now);
            assert_eq!(
                run(&mut breaker, failed, true, now).is_some(),
                opens,
                "{answered} {failed}"
            );
        }
        // What was long ago does not count.
        let mut breaker = Breaker::default();
        run(&mut breaker, 1000, false, now);
        run(&mut breaker, 10, true, now + seconds(6));
        assert_eq!(run(&mut breaker, 9, true, now + seconds(12)), None);
        assert_eq!(
            run(&mut breaker, 1, true, now + seconds(12)),
            Some(Change::Opened(now + seconds(13)))
        );
    }

    #[test]
    fn one_probe_decides_and_pauses_grow() {
        let policy = BreakerPolicy::default();
        let mut now = Instant::now();
        let mut breaker = Breaker::default();
        run(&mut breaker, 20, true, now);
        for pause in [1, 2, 4, 8, 16, 30, 30] {
            let until = now + seconds(pause);
            assert_eq!(breaker.open_until(), Some(until));
            let early = until - Duration::from_millis(1);
            assert_eq!(breaker.admit(early, TIMEOUT), Admission::Wait(until));
            now = until;
            assert_eq!(breaker.admit(now, TIMEOUT), Admission::Probe);
            assert!(matches!(breaker.admit(now, TIMEOUT), Admission::Wait(until) if until > now));
            // Attempts of before decide nothing.
            assert_eq!(breaker.ended(&policy, Admission::Send, false, now), None);
            assert!(breaker.ended(&policy, Admission::Probe, true, now).is_some());
        }
        now += seconds(30);
        assert_eq!(breaker.admit(now, TIMEOUT), Admission::Probe);
        assert_eq!(
            breaker.ended(&policy, Admission::Probe, false, now),
            Some(Change::Closed)
        );
        assert!(breaker.is_closed());
        assert_eq!(breaker.admit(now, TIMEOUT), Admission::Send);
        assert_eq!(run(&mut breaker, 19, true, now), None, "the counts begin again");
    }

    #[test]
    fn a_probe_that_is_lost_is_followed_by_another() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        run(&mut breaker, 20, true, now);
        let now = now + seconds(1);
        assert_eq!(breaker.admit(now, TIMEOUT), Admission::Probe);
        assert!(matches!(breaker.admit(now + TIMEOUT, TIMEOUT), Admission::Wait(_)));
        assert_eq!(breaker.admit(now + seconds(6), TIMEOUT), Admission::Probe);
    }

    proptest! {
        /// A caller that waits as told always gets to send, and while the breaker is open only one probe is under way.
        #[test]
        fn it_never_stays_open(steps in prop::collection::vec((any::<bool>(), 0..3000_u64), 0..400)) {
            let policy = BreakerPolicy::default();
            let mut now = Instant::now();
            let mut breaker = Breaker::default();
            for (has_failed, wait) in steps {
                now += Duration::from_millis(wait);
                match breaker.admit(now, TIMEOUT) {
                    Admission::Wait(until) => {
                        prop_assert!(until > now && until <= now + policy.max_pause);
                        now = until;
                    }
                    admission => {
                        if admission == Admission::Probe {
                            prop_assert!(matches!(breaker.admit(now, TIMEOUT), Admission::Wait(_)));
                        }
                        breaker.ended(&policy, admission, has_failed, now);
                    }
                }
            }
            while let Admission::Wait(until) = breaker.admit(now, TIMEOUT) {
                now = until;
            }
            breaker.ended(&policy, Admission::Probe, false, now);
            prop_assert!(breaker.is_closed());
        }
    }
}
