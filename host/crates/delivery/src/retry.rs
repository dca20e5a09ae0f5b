//! The retry policy: decides what follows an attempt. It is pure; the caller passes in the times and the random number.
//!
//! | outcome of the attempt | decision |
//! | --- | --- |
//! | 2xx | [`Decision::Delivered`] |
//! | an outcome in [`RetryPolicy::on`] | [`Decision::RetryAt`], or [`Reason::TimeOver`] at the end of the time for retries |
//! | 410, with a pause | [`Decision::Pause`]: the request is refused, and its destination waits |
//! | any other answer | [`Reason::Refused`]: final at once, so the next request of the same key goes out immediately |
//! | an outcome without an answer that is not retried | [`Reason::Failed`] |
//! | invalid, forbidden or expired request | final at once |
//!
//! The default fits web services: an answer that says "not now" is retried, any other answer says the same tomorrow.
//! Other policies do what the webhooks of other brokers do ([`RetryPreset`]).

use std::fmt;
use std::time::{Duration, Instant};

use super::retry_on::{RetryOn, Statuses};

/// The outcome of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// The receiver accepted the request, with this HTTP status; `None`: a file, standard output or the broker.
    Accepted(Option<u16>),
    /// The receiver answered with a status other than 2xx.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The `Retry-After` time of the answer.
        retry_after: Option<Duration>,
    },
    /// No connection, a broken connection, or no valid answer.
    Failed(String),
    /// No answer before the timeout.
    TimedOut,
    /// The request is invalid and cannot be sent.
    Invalid(String),
    /// The request must not be sent to this address.
    Barred(String),
    /// The request expired before the attempt.
    Expired,
}

impl Outcome {
    /// Returns the HTTP status of the answer; `None` without an answer.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Outcome::Accepted(status) => *status,
            Outcome::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Returns whether the receiver accepted the request.
    pub(super) fn is_accepted(&self) -> bool {
        matches!(self, Outcome::Accepted(_))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Accepted(_) => f.write_str("delivered"),
            Outcome::Refused { status, .. } => write!(f, "answered with status {status}"),
            Outcome::Failed(text) | Outcome::Invalid(text) | Outcome::Barred(text) => f.write_str(text),
            Outcome::TimedOut => f.write_str("the attempt timed out"),
            Outcome::Expired => f.write_str("expired"),
        }
    }
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Decision {
    /// Nothing: the request is delivered.
    Delivered,
    /// Retry at this time.
    RetryAt(Instant),
    /// The request is refused, and its destination gets no request before this time.
    Pause(Instant),
    /// Send the request no more.
    GiveUp(Reason),
}

/// Why a request is sent no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Its answer is final.
    Refused,
    /// It got no answer and must not be retried.
    Failed,
    /// The time for retries is over.
    TimeOver,
    /// It has expired.
    Expired,
    /// It is invalid and cannot be sent.
    Invalid,
    /// It must not be sent to this address.
    Barred,
}

impl Reason {
    /// All reasons, with their names. [`Reason::Failed`] and [`Reason::TimeOver`] have the same name.
    const NAMES: [(Reason, &'static str); 6] = [
        (Reason::Refused, "refused"),
        (Reason::TimeOver, "gave up"),
        (Reason::Failed, "gave up"),
        (Reason::Expired, "expired"),
        (Reason::Invalid, "invalid"),
        (Reason::Barred, "barred"),
    ];

    /// Returns the name: `refused`, `gave up`, `expired`, `invalid` or `barred`.
    pub fn name(self) -> &'static str {
        let found = Reason::NAMES.iter().find(|(reason, _)| *reason == self);
        found.map_or("gave up", |(_, name)| name)
    }

    /// Returns a reason of this name; `-` may stand for a blank.
    pub fn named(name: &str) -> Option<Reason> {
        let name = name.replace('-', " ");
        let found = Reason::NAMES.iter().find(|(_, known)| *known == name);
        found.map(|(reason, _)| *reason)
    }
}

/// When an attempt was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// Its number, from 1.
    pub(super) attempt: u32,
    /// The start of the first attempt.
    pub(super) first: Instant,
    /// The end of this attempt.
    pub(super) now: Instant,
    /// When the request expires.
    pub(super) expires: Option<Instant>,
}

/// When a failed request is retried, and when it is given up.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// The outcomes that are retried.
    pub on: RetryOn,
    /// The first wait between attempts. Each wait varies by ±50 %.
    pub initial_interval: Duration,
    /// The factor from one wait to the next; values below 1 are treated as 1.
    pub multiplier: f64,
    /// Limit of the wait between attempts, before it varies, and of `Retry-After`.
    pub max_interval: Duration,
    /// Time from the first attempt to the last.
    pub max_elapsed_time: Duration,
    /// The waits between attempts instead of the growing ones; the last attempt follows the last wait. Each is
    /// lengthened by up to 10 %. Empty: the growing waits, until `max_elapsed_time`.
    pub delays: Vec<Duration>,
    /// How long a destination gets no requests after it has answered 410. Zero: 410 is like any other answer.
    pub gone_pause: Duration,
    /// Whether redirects with status 307 and 308 are followed.
    pub follow_redirects: bool,
}

impl Default for RetryPolicy {
    /// Returns the policy for web services. The times are the defaults of RMQTT's web-hook.
    fn default() -> RetryPolicy {
        RetryPolicy {
            on: RetryOn {
                connection: true,
                timeout: true,
                statuses: Statuses::of(&[408, 425, 429, 500, 502, 503, 504]),
            },
            initial_interval: Duration::from_millis(500),
            multiplier: 2.5,
            max_interval: Duration::from_secs(60),
            max_elapsed_time: Duration::from_secs(60),
            delays: Vec::new(),
            gone_pause: Duration::from_secs(60),
            follow_redirects: false,
        }
    }
}

/// A policy with a name: the default for web services, or what another broker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryPreset {
    /// The default.
    Standard,
    /// Up to two more attempts at once after a connection error. Every answer is final, and so is a timeout.
    Emqx4,
    /// After 429, 503, a timeout or a connection error: two more attempts at once, then two after 15 s each. These are the
    /// attempts of EMQX within its default `request_ttl` of 45 s.
    Emqx5,
    /// One attempt.
    Nanomq,
    /// Retries every answer other than 2xx and every error, with growing waits for 60 s. Follows redirects.
    Rmqtt,
}

impl RetryPreset {
    /// All presets, by their names in a configuration.
    pub const NAMES: [(&'static str, RetryPreset); 5] = [
        ("standard", RetryPreset::Standard),
        ("emqx4", RetryPreset::Emqx4),
        ("emqx5", RetryPreset::Emqx5),
        ("nanomq", RetryPreset::Nanomq),
        ("rmqtt", RetryPreset::Rmqtt),
    ];
}

impl From<RetryPreset> for RetryPolicy {
    fn from(preset: RetryPreset) -> RetryPolicy {
        const RESUME_INTERVAL: Duration = Duration::from_secs(15);
        let standard = RetryPolicy::default();
        if preset == RetryPreset::Standard {
            return standard;
        }
        let (connection, timeout, statuses, delays) = match preset {
            RetryPreset::Standard | RetryPreset::Rmqtt => (true, true, Statuses::Any, vec![]),
            RetryPreset::Emqx4 => (true, false, Statuses::of(&[]), vec![Duration::ZERO; 2]),
            RetryPreset::Emqx5 => {
                let delays = vec![Duration::ZERO, Duration::ZERO, RESUME_INTERVAL, RESUME_INTERVAL];
                (true, true, Statuses::of(&[429, 503]), delays)
            }
            RetryPreset::Nanomq => (false, false, Statuses::of(&[]), vec![]),
        };
        RetryPolicy {
            on: RetryOn {
                connection,
                timeout,
                statuses,
            },
            delays,
            gone_pause: Duration::ZERO,
            follow_redirects: preset == RetryPreset::Rmqtt,
            ..standard
        }
    }
}

impl RetryPolicy {
    /// Decides what follows an attempt.
    ///
    /// `random` is at least 0 and less than 1. It varies the wait, so that requests which failed together are not
    /// retried together. With growing waits the last attempt starts at the end of the time for retries, not at the
    /// last step before it. That step may come at half of the time, and the receiver may recover in the second half. A
    /// request is given up at once if it would expire before the next attempt.
    pub(super) fn decide(&self, outcome: &Outcome, timing: Timing, random: f64) -> Decision {
        let (is_retried, reason, asked) = match outcome {
            Outcome::Accepted(_) => return Decision::Delivered,
            Outcome::Invalid(_) => return Decision::GiveUp(Reason::Invalid),
            Outcome::Barred(_) => return Decision::GiveUp(Reason::Barred),
            Outcome::Expired => return Decision::GiveUp(Reason::Expired),
            Outcome::Refused { status, retry_after } => {
                (self.on.statuses.contains(*status), Reason::Refused, *retry_after)
            }
            Outcome::Failed(_) => (self.on.connection, Reason::Failed, None),
            Outcome::TimedOut => (self.on.timeout, Reason::Failed, None),
        };
        if is_retried {
            return self.retry(timing, asked.unwrap_or_default(), random);
        }
        match outcome {
            Outcome::Refused { status: 410, .. } if !self.gone_pause.is_zero() => timing
                .now
                .checked_add(self.gone_pause)
                .map_or(Decision::GiveUp(Reason::Refused), Decision::Pause),
            _ => Decision::GiveUp(reason),
        }
    }

    fn retry(&self, timing: Timing, asked: Duration, random: f64) -> Decision {
        let a_bit_more = 1.0 + random / 10.0;
        let asked = asked.min(self.cap()).mul_f64(a_bit_more);
        let wait = if self.delays.is_empty() {
            let elapsed = timing.now.saturating_duration_since(timing.first);
            let left = self.max_elapsed_time.saturating_sub(elapsed);
            let wait = self.interval(timing.attempt).mul_f64(0.5 + random).max(asked).min(left);
            (!left.is_zero()).then_some(wait)
        } else {
            let place = usize::try_from(timing.attempt.saturating_sub(1)).unwrap_or(usize::MAX);
            let delay = self.delays.get(place);
            delay.map(|delay| delay.mul_f64(a_bit_more).max(asked))
        };
        match wait.and_then(|wait| timing.now.checked_add(wait)) {
            None => Decision::GiveUp(Reason::TimeOver),
            Some(at) if timing.expires.is_some_and(|expires| at > expires) => Decision::GiveUp(Reason::Expired),
            Some(at) => Decision::RetryAt(at),
        }
    }

    fn interval(&self, attempt: u32) -> Duration {
        let steps = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial_interval.as_secs_f64() * self.multiplier.max(1.0).powi(steps);
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
#[path = "retry_tests.rs"]
mod tests;
