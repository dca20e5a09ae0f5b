//! Destinations and their counters.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeadLetterCounts, system_time};
use hookhost_delivery::{BreakerState, Counters, DestinationState};

/// `GET /destinations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Destinations {
    /// All destinations together.
    pub all: DestinationCounts,
    /// Destinations that have got a request since the start, by name and URL.
    pub destinations: Vec<Destination>,
    /// Requests that wait in the data folder until NATS can be used, and are not accepted yet.
    pub waiting_for_nats: Waiting,
    /// The dead letters of all destinations.
    pub dead_letters: DeadLetterCounts,
}

/// A destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Destination {
    /// Name in the configuration.
    pub name: Option<String>,
    /// Scheme, host and port; a file; `stdout:` or `mqtt:`.
    pub url: String,
    /// `sending`, `paused`, or `down` while its circuit breaker is not closed.
    pub state: String,
    /// End of the pause.
    pub paused_until: Option<String>,
    /// State of its circuit breaker: `closed`, `open` or `half-open`.
    pub breaker: String,
    /// Limit of its requests at the same time, as it has adapted.
    pub concurrency: usize,
    /// Its attempts since the start.
    #[serde(default)]
    pub attempts: Attempts,
    /// Counters since the start.
    #[serde(flatten)]
    pub counts: DestinationCounts,
    /// Age of the oldest event with a request that waits, in seconds.
    pub oldest_seconds: Option<u64>,
    /// Time of the last delivered request.
    pub last_success: Option<String>,
    /// The last failed attempt.
    pub last_error: Option<LastError>,
    /// The key whose requests lag most, because they go out one after another.
    pub lagging: Option<LaggingKey>,
}

/// Attempts to deliver requests; each request of a batch counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempts {
    /// How many have ended.
    pub count: u64,
    /// Their time, in microseconds.
    pub took_us: u64,
}

/// An ordering key whose requests lag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LaggingKey {
    /// The beginning of the key.
    pub key: String,
    /// Requests that wait behind the one that is being sent.
    pub waiting: usize,
    /// How long the receiver took for the last answer, in milliseconds.
    pub answer_ms: u64,
}

/// Request counts; `accepted` is the sum of the others except `retried`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DestinationCounts {
    /// Accepted for delivery, those of the previous process and resent ones included.
    pub accepted: u64,
    /// Delivered.
    pub delivered: u64,
    /// Failed attempts that are retried.
    pub retried: u64,
    /// Became dead letters.
    pub dead: DeadCounts,
    /// Dropped; nothing is kept.
    pub dropped: DroppedCounts,
    /// Waiting or being sent.
    pub waiting: Waiting,
}

/// Requests that became dead letters, by reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadCounts {
    /// For all reasons.
    pub total: u64,
    /// The answer was final.
    pub refused: u64,
    /// The policy allowed no other attempt.
    pub gave_up: u64,
    /// Expired.
    pub expired: u64,
    /// Invalid.
    pub invalid: u64,
    /// The module chose a host without a public address.
    pub barred: u64,
}

/// Dropped requests, by reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DroppedCounts {
    /// For all reasons.
    pub total: u64,
    /// The outbox was full.
    pub full: u64,
    /// The record on disk was damaged.
    pub damaged: u64,
    /// Delivery stopped.
    pub closed: u64,
}

/// Requests that wait or are being sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// Number of requests.
    pub requests: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LastError {
    /// When it ended.
    pub at: String,
    /// What happened.
    pub text: String,
}

impl From<Counters> for DestinationCounts {
    fn from(counters: Counters) -> DestinationCounts {
        let (dead, dropped) = (counters.dead, counters.dropped);
        DestinationCounts {
            accepted: counters.accepted,
            delivered: counters.delivered,
            retried: counters.retried,
            dead: DeadCounts {
                total: dead.total(),
                refused: dead.refused,
                gave_up: dead.gave_up,
                expired: dead.expired,
                invalid: dead.invalid,
                barred: dead.barred,
            },
            dropped: DroppedCounts {
                total: dropped.total(),
                full: dropped.full,
                damaged: dropped.damaged,
                closed: dropped.closed,
            },
            waiting: Waiting {
                requests: counters.queued_requests,
                bytes: counters.queued_bytes,
            },
        }
    }
}

impl Attempts {
    /// The attempts at all these destinations.
    pub(in super::super) fn of(destinations: &[DestinationState]) -> Attempts {
        let durations = destinations.iter().map(|state| &state.durations);
        Attempts {
            count: durations.clone().flat_map(|durations| durations.counts).sum(),
            took_us: durations
                .map(|durations| u64::try_from(durations.sum.as_micros()).unwrap_or(u64::MAX))
                .sum(),
        }
    }
}

impl Destination {
    /// The state of a destination at `now`.
    pub(in super::super) fn new(state: DestinationState, now: SystemTime) -> Destination {
        let age = state
            .oldest
            .map(|oldest| now.duration_since(oldest).unwrap_or_default());
        let attempts = Attempts::of(std::slice::from_ref(&state));
        Destination {
            name: state.name.map(|name| name.to_string()),
            url: state.url,
            state: match state.breaker {
                _ if state.paused_until.is_some() => "paused",
                BreakerState::Closed => "sending",
                _ => "down",
            }
            .to_owned(),
            breaker: state.breaker.as_str().to_owned(),
            concurrency: state.concurrency,
            attempts,
            paused_until: state.paused_until.map(system_time),
            counts: state.counters.into(),
            oldest_seconds: age.map(|age| age.as_secs()),
            last_success: state.last_success.map(system_time),
            last_error: state.last_error.map(|error| LastError {
                at: system_time(error.at),
                text: error.text,
            }),
            lagging: state.lagging.map(|lagging| LaggingKey {
                key: lagging.key,
                waiting: lagging.waiting,
                answer_ms: lagging.answer_time.as_millis().try_into().unwrap_or(u64::MAX),
            }),
        }
    }
}
