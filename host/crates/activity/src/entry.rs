//! The entries: what a module did with an event, and what became of a request that it caused.

use std::sync::Arc;
use std::time::Duration;

use hookhost_event::{Event, Hook, Id};

use crate::trace_parent::TraceParent;

/// Longest text of an entry in bytes; longer ones are cut.
const MAX_TEXT_BYTES: usize = 512;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Activity {
    /// A module handled an event.
    Outcome(Arc<OutcomeEntry>),
    /// An attempt to deliver a request ended.
    Attempt(Arc<AttemptEntry>),
}

/// The event that an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Id of the event: 32 hex digits.
    pub event: Box<str>,
    /// Its hook, under its name in the event JSON.
    pub hook: Box<str>,
    /// Its client id; empty if it has none.
    pub client: Box<str>,
    /// Its topic or topic filter; empty if it has none.
    pub topic: Box<str>,
}

/// What a module did with an event, for followers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeEntry {
    /// The event.
    pub subject: Subject,
    /// What the module did with it.
    pub handled: HandledEvent,
}

/// What a module did with an event. It is small, because the log keeps some thousands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandledEvent {
    /// The id of the event.
    pub event: Id,
    /// When the event happened, in milliseconds since 1970.
    pub received: u64,
    /// When the call of the module ended, in milliseconds since 1970.
    pub at: u64,
    /// How long the call took.
    pub call: Duration,
    /// How many events the call had.
    pub call_events: usize,
    /// The module.
    pub module: Arc<str>,
    /// Its generation.
    pub generation: u32,
    /// `answered`, `ignored`, `failed`, `trapped` or `timed out`.
    pub outcome: &'static str,
    /// The requests that it returned.
    pub requests: usize,
    /// Why it failed; empty if it did not.
    pub text: Box<str>,
    /// The trace of the event, if it is exported.
    pub span: Option<CallSpan>,
}

/// What the span of a call of a module needs beyond its entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallSpan {
    /// The trace of the event.
    pub trace_id: u128,
    /// The span of the client; `None` if the host began the trace.
    pub parent: Option<u64>,
    /// When the call ended, in nanoseconds since 1970.
    pub ended: u64,
}

/// An attempt to deliver a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEntry {
    /// Its number in the log; a later attempt has a greater one. The log sets it.
    pub number: u64,
    /// When it ended, in milliseconds since 1970.
    pub at: u64,
    /// The event that caused the request; of several, the first.
    pub subject: Subject,
    /// The number of the request; all its attempts have the same.
    pub request: u64,
    /// The module that made the request.
    pub module: Arc<str>,
    /// The generation of that module.
    pub generation: u32,
    /// The URL as it may be shown.
    pub url: Arc<str>,
    /// The name of the configured destination; scheme, host and port, or a file, without one.
    pub destination: Arc<str>,
    /// Number of this attempt for the request, from 1.
    pub attempt: u32,
    /// What happens to the request now.
    pub result: AttemptResult,
    /// The HTTP status of the answer; `None` without one: no answer, or a file, standard output or the broker.
    pub status: Option<u16>,
    /// What happened, in one line; empty if the request is delivered.
    pub text: Box<str>,
    /// The beginning of the body of an answer other than 2xx, as far as it had arrived.
    pub answer: Box<str>,
    /// How long the attempt took, in milliseconds.
    pub took: u64,
    /// The trace of the request, if it is exported.
    pub span: Option<AttemptSpan>,
}

/// What the spans of an attempt and its request need beyond their entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptSpan {
    /// The span of the request, as its receiver gets it.
    pub request: TraceParent,
    /// How the request is sent.
    pub action: AttemptAction,
    /// When the attempt ended, in nanoseconds since 1970.
    pub ended: u64,
    /// How long the attempt took; `None` if the request expired before it.
    pub took: Option<Duration>,
    /// How long ago the first attempt of this process began.
    pub since_first: Duration,
}

/// How an attempt sends its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptAction {
    /// Over HTTP, with this method.
    Http(&'static str),
    /// Writes it to a file or to standard output.
    Write,
    /// Publishes it in the broker.
    Publish,
}

/// What happens to a request after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptResult {
    /// Its receiver has accepted it.
    Delivered,
    /// It is retried.
    Retried,
    /// It is given up.
    Dropped,
}

impl Activity {
    /// Whether its event has a trace that is exported.
    pub(crate) fn is_traced(&self) -> bool {
        match self {
            Activity::Outcome(entry) => entry.handled.span.is_some(),
            Activity::Attempt(entry) => entry.span.is_some(),
        }
    }
}

impl HandledEvent {
    /// Whether the module had nothing to send.
    pub fn is_ignored(&self) -> bool {
        self.outcome == "ignored"
    }
}

impl AttemptResult {
    /// As a word: `delivered`, `retried`, `dropped`.
    pub fn name(self) -> &'static str {
        match self {
            AttemptResult::Delivered => "delivered",
            AttemptResult::Retried => "retried",
            AttemptResult::Dropped => "dropped",
        }
    }
}

impl Subject {
    /// The subject of an event.
    pub fn of(event: &Event) -> Subject {
        let detail = &event.detail;
        let client = detail.client().map_or("", |client| &client.id);
        Subject {
            event: id(event.id),
            hook: hook(detail.hook()).into(),
            client: cut(client),
            topic: cut(detail.subject().unwrap_or_default()),
        }
    }
}

/// The name of a hook in entries.
fn hook(hook: Hook) -> &'static str {
    hookhost_event::json::hook_name(hook)
}

fn id(id: Id) -> Box<str> {
    id.to_string().into()
}

/// A copy of a text, cut to `MAX_TEXT_BYTES` at a character.
pub fn cut(text: &str) -> Box<str> {
    text.get(..text.floor_char_boundary(MAX_TEXT_BYTES))
        .unwrap_or(text)
        .into()
}

impl AttemptEntry {
    /// Bytes that the entry keeps, about.
    pub(crate) fn size(&self) -> usize {
        let Subject {
            event,
            hook,
            client,
            topic,
        } = &self.subject;
        // Attempts share URL and destination, but a URL with placeholders can differ for each of them.
        let texts: [&str; 8] = [
            event,
            hook,
            client,
            topic,
            &self.url,
            &self.destination,
            &self.text,
            &self.answer,
        ];
        size_of::<AttemptEntry>() + texts.iter().map(|text| text.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_a_character() {
        assert_eq!(&*cut("short"), "short");
        let long = "é".repeat(300) + "x";
        let cut = cut(&format!("x{long}"));
        assert_eq!(cut.len(), 511);
        assert!(cut.ends_with('é'));
    }
}
