//! Dead letters.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Left, system_time, time};
use hookhost_delivery as delivery;
use hookhost_event::Millis;

/// Dead letters in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterCounts {
    /// Number of letters.
    pub letters: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Letters dropped because of the limits.
    pub evicted: u64,
}

/// `GET /dead-letters`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetters {
    /// Newest first.
    pub letters: Vec<DeadLetter>,
    /// Whether there are more letters, with lower numbers.
    pub more: bool,
}

/// A dead letter. Lists have `headers`, `body`, `answer` and `attempts` only if the request asks for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resent {
    /// Letters whose requests are in the outbox again.
    pub resent: Vec<u64>,
    /// Letters that are kept.
    pub left: Vec<Left>,
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
