//! Destinations and dead letters.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Left, time};
use hookhost_delivery::{self as delivery, BreakerState, Counters, DestinationState};
use hookhost_event::Millis;

/// `GET /destinations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destinations {
    /// All destinations together.
    pub all: DestinationCounts,
    /// Destinations that have got a request since the start, by name and URL.
    pub destinations: Vec<Destination>,
    /// The dead letters of all destinations.
    pub dead_letters: DeadLetterCounts,
}

/// A destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

/// An ordering key whose requests lag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaggingKey {
    /// The beginning of the key.
    pub key: String,
    /// Requests that wait behind the one that is being sent.
    pub waiting: usize,
    /// How long the receiver took for the last answer, in milliseconds.
    pub answer_ms: u64,
}

/// Request counts; `accepted` is the sum of the others except `retried`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// Number of requests.
    pub requests: usize,
    /// Their bytes.
    pub bytes: usize,
}

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// When it ended.
    pub at: String,
    /// What happened.
    pub text: String,
}

/// Dead letters in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterCounts {
    /// Number of letters.
    pub letters: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Letters dropped because of the limits.
    pub evicted: u64,
}

/// `GET /dead-letters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    /// Newest first.
    pub letters: Vec<DeadLetter>,
    /// Whether there are more letters, with lower numbers.
    pub more: bool,
}

/// A dead letter. Lists have `headers`, `body`, `answer` and `attempts` only if the request asks for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Number of the letter.
    pub id: u64,
    /// When it became a dead letter, in UTC.
    pub at: String,
    /// `refused`, `gave up`, `expired`, `invalid` or `barred`.
    pub reason: String,
    /// The outcome of the last attempt.
    pub text: String,
    /// Name or URL of the destination.
    pub destination: String,
    /// HTTP status of the last answer.
    pub status: Option<u16>,
    /// Attempts since the start of the host that made the last one.
    pub attempt_count: u32,
    /// The module that made the request.
    pub module: String,
    /// Its generation.
    pub generation: u32,
    /// The event of the request.
    pub event: EventOfLetter,
    /// The id that the request keeps when it is sent again.
    pub webhook_id: String,
    /// Method.
    pub method: String,
    /// URL without credentials and query.
    pub url: String,
    /// Headers set by the module; `***` instead of secrets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headers: Option<Vec<(String, String)>>,
    /// Body, if it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Any other body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// First 2 KiB of the last answer; bytes that are no text are replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// The last attempts, oldest first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<Attempt>>,
}

/// The event of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventOfLetter {
    /// Id.
    pub id: String,
    /// Hook, under its name in the event JSON.
    pub hook: String,
    /// When it happened.
    pub at: Option<String>,
    /// Client id.
    pub client: Option<String>,
    /// Topic or topic filter.
    pub topic: Option<String>,
}

/// A failed attempt of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When it began.
    pub at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// HTTP status of the answer.
    pub status: Option<u16>,
    /// What happened.
    pub outcome: String,
}

/// `POST /dead-letters/{id}/resend` and `POST /dead-letters/resend`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resent {
    /// Letters whose requests are in the outbox again.
    pub resent: Vec<u64>,
    /// Letters that are kept.
    pub left: Vec<Left>,
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

impl Destination {
    /// The state of a destination at `now`.
    pub(in super::super) fn new(state: DestinationState, now: SystemTime) -> Destination {
        let age = state
            .oldest
            .map(|oldest| now.duration_since(oldest).unwrap_or_default());
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

impl DeadLetter {
    /// A letter without its content.
    pub(in super::super) fn brief(letter: &delivery::DeadLetter) -> DeadLetter {
        let (request, event) = (&letter.request, &letter.request.event);
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        DeadLetter {
            id: letter.id,
            at: time(Millis(letter.at)),
            reason: letter.reason.name().to_owned(),
            text: letter.text.clone(),
            destination: letter.destination.clone(),
            status: letter.status,
            attempt_count: letter.attempt_count,
            module: request.source.to_string(),
            generation: request.generation,
            event: EventOfLetter {
                id: request.id.clone(),
                hook: event.hook.to_string(),
                at: (event.at > 0).then(|| time(Millis(event.at))),
                client: known(&event.client),
                topic: known(&event.topic),
            },
            webhook_id: letter.webhook_id(),
            method: request.method.as_str().to_owned(),
            url: letter.shown_url(),
            headers: None,
            body: None,
            body_base64: None,
            answer: None,
            attempts: None,
        }
    }

    /// A letter with its content.
    pub(in super::super) fn whole(letter: &delivery::DeadLetter) -> DeadLetter {
        let headers = letter.shown_headers().into_iter();
        let body = &letter.request.body;
        let text = std::str::from_utf8(body).ok();
        let attempts = letter.attempts.iter().map(|attempt| Attempt {
            at: system_time(attempt.at),
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            status: attempt.status,
            outcome: attempt.outcome.clone(),
        });
        DeadLetter {
            headers: Some(
                headers
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
            ),
            body: text.map(str::to_owned),
            body_base64: text.is_none().then(|| STANDARD.encode(body)),
            answer: Some(String::from_utf8_lossy(&letter.answer).into_owned()),
            attempts: Some(attempts.collect()),
            ..DeadLetter::brief(letter)
        }
    }
}

fn system_time(at: SystemTime) -> String {
    let millis = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    time(Millis(u64::try_from(millis).unwrap_or(u64::MAX)))
}
