//! What became of events: `GET /deliveries` and `GET /tap`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use hookhost_activity::{AttemptEntry, HandledEvent, OutcomeEntry};
use hookhost_event::Millis;

use super::time;

/// `GET /deliveries`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deliveries {
    /// Attempts, newest first.
    pub deliveries: Vec<Delivery>,
    /// Whether there are more, with lower numbers.
    pub more: bool,
}

/// An attempt to deliver a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Number of the attempt; a later one has a greater number.
    pub number: u64,
    /// Number of its request; all its attempts have the same one.
    #[serde(default)]
    pub request: u64,
    /// When it ended, in UTC.
    pub at: String,
    /// Id of the event that caused the request.
    pub event: String,
    /// Hook of the event, under its name in the event JSON.
    pub hook: String,
    /// Client id of the event; empty if it has none.
    pub client: String,
    /// Topic or topic filter of the event; empty if it has none.
    pub topic: String,
    /// The module that made the request.
    pub module: String,
    /// Its generation.
    pub generation: u32,
    /// The URL without credentials and query.
    pub url: String,
    /// Name of the configured destination; scheme, host and port, or a file, without one.
    pub destination: String,
    /// Number of the attempt for its request, from 1.
    pub attempt: u32,
    /// `delivered`, `retried` or `dropped`.
    pub result: String,
    /// HTTP status of the answer; `null` without one.
    pub status: Option<u16>,
    /// What happened; empty if the request is delivered.
    pub text: String,
    /// The beginning of an answer other than 2xx, as far as it had arrived.
    #[serde(default)]
    pub answer: String,
    /// How long the attempt took, in milliseconds.
    pub took_ms: u64,
}

/// What a module did with an event, with the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Outcome {
    /// Id of the event.
    pub event: String,
    /// Its hook, under its name in the event JSON.
    pub hook: String,
    /// Its client id; empty if it has none.
    pub client: String,
    /// Its topic or topic filter; empty if it has none.
    pub topic: String,
    /// What the module did.
    #[serde(flatten)]
    pub handled: Handled,
}

/// What a module did with an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Handled {
    /// When the call of the module ended, in UTC.
    pub at: String,
    /// The module.
    pub module: String,
    /// Its generation.
    pub generation: u32,
    /// `answered`, `ignored`, `failed`, `trapped` or `timed out`.
    pub outcome: String,
    /// Number of requests that the module returned.
    pub requests: usize,
    /// Why it failed; empty if it did not.
    pub text: String,
    /// Time from the event to the begin of the call, in milliseconds: how long it waited in the queue.
    pub waited_ms: u64,
    /// How long the call took, in microseconds.
    pub call_us: u64,
    /// How many events the call had.
    pub call_events: usize,
}

/// A line of `GET /tap`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TapLine {
    /// What a module did with an event.
    Outcome(Outcome),
    /// An attempt to deliver a request.
    Attempt(Delivery),
    /// The reader was too slow.
    Lost {
        /// Lines that were left out.
        lines: u64,
    },
}

impl Delivery {
    pub(in super::super) fn of(entry: &AttemptEntry) -> Delivery {
        Delivery {
            number: entry.number,
            request: entry.request,
            at: time(Millis(entry.at)),
            event: entry.subject.event.to_string(),
            hook: entry.subject.hook.to_string(),
            client: entry.subject.client.to_string(),
            topic: entry.subject.topic.to_string(),
            module: entry.module.to_string(),
            generation: entry.generation,
            url: entry.url.to_string(),
            destination: entry.destination.to_string(),
            attempt: entry.attempt,
            result: entry.result.name().to_owned(),
            status: entry.status,
            text: entry.text.to_string(),
            answer: entry.answer.to_string(),
            took_ms: entry.took,
        }
    }
}

impl Outcome {
    pub(in super::super) fn of(entry: &OutcomeEntry) -> Outcome {
        Outcome {
            event: entry.subject.event.to_string(),
            hook: entry.subject.hook.to_string(),
            client: entry.subject.client.to_string(),
            topic: entry.subject.topic.to_string(),
            handled: Handled::of(&entry.handled),
        }
    }
}

impl Handled {
    pub(in super::super) fn of(handled: &HandledEvent) -> Handled {
        let call_us = u64::try_from(handled.call.as_micros()).unwrap_or(u64::MAX);
        Handled {
            at: time(Millis(handled.at)),
            module: handled.module.to_string(),
            generation: handled.generation,
            outcome: handled.outcome.to_owned(),
            requests: handled.requests,
            text: handled.text.to_string(),
            waited_ms: handled
                .at
                .saturating_sub(handled.received)
                .saturating_sub(call_us / 1000),
            call_us,
            call_events: handled.call_events,
        }
    }
}
