//! The retry policy: decides what to do after an attempt. It is pure; the caller passes in the time and the random
//! number.
//!
//! A request is delivered when its receiver answers 2xx. Every other answer is retried, including 4xx, as RMQTT does.
//! The reason is that webhook receivers answer 401 or 404 during a deployment. A permanent error ends when the time for
//! retries is over. A request that cannot or must not be sent is dropped without a retry.

use std::fmt;
use std::time::{Duration, Instant};

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// The receiver accepted the request.
    Taken,
    /// The receiver answered with a status other than 2xx.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` time of the answer.
        retry_after: Option<Duration>,
    },
    /// No valid answer before the timeout.
    Failed(String),
    /// The request is invalid and cannot be sent.
    Invalid(String),
    /// The request must not be sent to this address.
    Barred(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Taken => f.write_str("taken"),
            Outcome::Refused { status, .. } => write!(f, "answered with status {status}"),
            Outcome::Failed(text) | Outcome::Invalid(text) | Outcome::Barred(text) => f.write_str(text),
        }
    }
}

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Verdict {
    /// Nothing: the request is delivered.
    Done,
    /// Retry at this time.
    RetryAt(Instant),
    /// Drop the request.
    GiveUp(Reason),
}

/// Why a request is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The time for retries is over.
    TimeOver,
    /// The request is invalid and cannot be sent.
    Invalid,
    /// The request must not be sent to this address.
    Barred,
}

/// When to retry and when to drop a request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Policy {
    /// The first wait.
    pub(super) initial: Duration,
    /// The factor for each further wait; values below 1 are treated as 1.
    pub(super) multiplier: f64,
    /// Limit of the wait before jitter, and of the wait that a receiver may request.
    pub(super) max_interval: Duration,
    /// Time for all attempts, measured from the start of the first one.
    pub(super) max_elapsed: Duration,
}

impl Policy {
    /// Decides what follows attempt number `attempt` (from 1). The attempt ended at `now`; the first attempt started at
    /// `first`.
    ///
    /// `random` is at least 0 and less than 1. It varies the wait by ±50 %, so that requests which failed together are
    /// not retried together. The last attempt starts at the end of the time for retries, not at the last backoff step
    /// before it. That step may come at half of the time, and the receiver may recover in the second half.
    pub(super) fn judge(&self, outcome: &Outcome, attempt: u32, first: Instant, now: Instant, random: f64) -> Verdict {
        let asked = match outcome {
            Outcome::Taken => return Verdict::Done,
            Outcome::Invalid(_) => return Verdict::GiveUp(Reason::Invalid),
            Outcome::Barred(_) => return Verdict::GiveUp(Reason::Barred),
            Outcome::Refused {
                status: 429 | 503,
                retry_after,
            } => *retry_after,
            Outcome::Refused { .. } | Outcome::Failed(_) => None,
        };
        let left = self.max_elapsed.saturating_sub(now.saturating_duration_since(first));
        if left.is_zero() {
            return Verdict::GiveUp(Reason::TimeOver);
        }
        let asked = asked.unwrap_or_default().min(self.cap()).mul_f64(1.0 + random / 10.0);
        let wait = self.interval(attempt).mul_f64(0.5 + random).max(asked).min(left);
        now.checked_add(wait)
            .map_or(Verdict::GiveUp(Reason::TimeOver), Verdict::RetryAt)
    }

    fn interval(&self, attempt: u32) -> Duration {
        let steps = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * self.multiplier.max(1.0).powi(steps);
        // The value is not finite or too large for a `Duration`, so it exceeds the cap.
        Duration::try_from_secs_f64(seconds).map_or(self.cap(), |wait| wait.min(self.cap()))
    }

    /// Returns the limit of the wait, at most one year so that arithmetic with it cannot overflow.
    fn cap(&self) -> Duration {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        self.max_interval.min(YEAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        initial: Duration::from_millis(500),
        multiplier: 2.0,
        max_interval: Duration::from_secs(10),
        max_elapsed: Duration::from_secs(60),
    };

    fn refused(status: u16, after: Option<u64>) -> Outcome {
        Outcome::Refused {
            status,
            retry_after: after.map(Duration::from_secs),
        }
    }

    /// Returns the milliseconds until the retry, or the reason for dropping the request.
    fn judge(policy: &Policy, outcome: &Outcome, attempt: u32, elapsed_ms: u64, random: f64) -> Result<u64, Reason> {
        let first = Instant::now();
        let now = first + Duration::from_millis(elapsed_ms);
        match policy.judge(outcome, attempt, first, now, random) {
            Verdict::Done => panic!("not taken, yet done"),
            Verdict::RetryAt(at) => Ok((at - now).as_millis() as u64),
            Verdict::GiveUp(reason) => Err(reason),
        }
    }

    #[test]
    fn waits_grow_to_the_cap_and_vary_by_half() {
        let down = Outcome::Failed("connection refused".into());
        for (attempt, random, want) in [
            (1, 0.5, 500),
            (2, 0.5, 1000),
            (3, 0.5, 2000),
            (5, 0.5, 8000),
            (6, 0.5, 10_000),
            (4_000_000_000, 0.5, 10_000),
            (1, 0.0, 250),
            (1, 0.999, 749),
            (6, 0.0, 5000),
            (0, 0.5, 500),
        ] {
            assert_eq!(
                judge(&POLICY, &down, attempt, 1000, random),
                Ok(want),
                "attempt {attempt}, random {random}"
            );
        }
        for multiplier in [0.1, 1.0, -3.0, f64::NAN] {
            let flat = Policy { multiplier, ..POLICY };
            assert_eq!(judge(&flat, &down, 9, 0, 0.5), Ok(500), "× {multiplier}");
        }
        let steep = Policy {
            multiplier: f64::INFINITY,
            ..POLICY
        };
        assert_eq!(judge(&steep, &down, 2, 0, 0.5), Ok(10_000));
    }

    #[test]
    fn every_answer_but_2xx_is_tried_again() {
        for status in [100, 199, 301, 302, 400, 401, 404, 410, 429, 500, 503, 599, 999] {
            assert_eq!(judge(&POLICY, &refused(status, None), 1, 0, 0.5), Ok(500), "{status}");
        }
        let now = Instant::now();
        assert_eq!(
            POLICY.judge(&Outcome::Taken, 1, now, now + Duration::from_secs(900), 0.5),
            Verdict::Done
        );
        assert_eq!(
            judge(&POLICY, &Outcome::Invalid("url".into()), 1, 0, 0.5),
            Err(Reason::Invalid)
        );
        assert_eq!(
            judge(&POLICY, &Outcome::Barred("address".into()), 1, 0, 0.5),
            Err(Reason::Barred)
        );
    }

    #[test]
    fn retry_after_lengthens_within_bounds() {
        for (status, after, want) in [
            (429, Some(3), 3150),
            (503, Some(3), 3150),
            (503, Some(0), 500),
            (503, Some(1_000_000), 10_500),
            (500, Some(3), 500),
            (429, None, 500),
        ] {
            assert_eq!(
                judge(&POLICY, &refused(status, after), 1, 0, 0.5),
                Ok(want),
                "{status} {after:?}"
            );
        }
    }

    #[test]
    fn the_last_attempt_is_when_the_time_is_over() {
        let down = refused(500, None);
        assert_eq!(judge(&POLICY, &down, 6, 49_000, 0.5), Ok(10_000));
        assert_eq!(judge(&POLICY, &down, 6, 51_000, 0.5), Ok(9_000));
        assert_eq!(judge(&POLICY, &refused(503, Some(9)), 1, 59_999, 0.5), Ok(1));
        assert_eq!(judge(&POLICY, &down, 7, 60_000, 0.5), Err(Reason::TimeOver));
        let once = Policy {
            max_elapsed: Duration::ZERO,
            ..POLICY
        };
        assert_eq!(judge(&once, &down, 1, 0, 0.5), Err(Reason::TimeOver));
        let forever = Policy {
            max_elapsed: Duration::MAX,
            max_interval: Duration::MAX,
            ..POLICY
        };
        assert_eq!(judge(&forever, &down, 1, 90_000, 0.5), Ok(500));
        assert_eq!(
            judge(&forever, &down, u32::MAX, 90_000, 0.5),
            Ok(365 * 24 * 3_600_000),
            "no overflow"
        );
    }
}
