//! The spans of an entry: pure.
//!
//! ```text
//! span of the client (its `traceparent`)
//! └─ event        SERVER    from its arrival until a module has handled it
//!    └─ call      INTERNAL  one call of a module; several events of a call have one each
//!       └─ request  INTERNAL  from its first attempt to its end; its id is in the header `traceparent`
//!          └─ attempt  CLIENT
//! ```
//!
//! An event that several modules handle has one span and several calls: [`RecentEvents`]. A request whose module set
//! `traceparent` itself has no span here, because the header names a span of another program; its attempts are below that.
//! Names of attributes: <https://opentelemetry.io/docs/specs/semconv/> where it has one, else `hookhost.…`.

use std::collections::VecDeque;

use hookhost_activity::trace_parent::{call_span, event_span, is_request_of, span_below};
use hookhost_activity::{Activity, AttemptAction, AttemptEntry, AttemptResult, OutcomeEntry, Subject};
use hookhost_event::Id;

/// How many events are remembered.
const MAX_RECENT_EVENTS: usize = 1_024;

/// A span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) trace_id: u128,
    pub(crate) span_id: u64,
    pub(crate) parent: Option<u64>,
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    /// In nanoseconds since 1970.
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) attributes: Vec<(&'static str, Value)>,
    /// What went wrong; `None` if it succeeded.
    pub(crate) error: Option<String>,
}

/// The numbers of OTLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(String),
    Number(u64),
}

/// The last events whose span was made.
#[derive(Debug, Default)]
pub(crate) struct RecentEvents(VecDeque<Id>);

impl RecentEvents {
    /// Whether the event is a new one. Remembers it.
    fn is_new(&mut self, event: Id) -> bool {
        if self.0.contains(&event) {
            return false;
        }
        if self.0.len() == MAX_RECENT_EVENTS {
            self.0.pop_front();
        }
        self.0.push_back(event);
        true
    }
}

/// Adds the spans of an entry; none if it has no trace.
pub(crate) fn add(activity: &Activity, recent: &mut RecentEvents, spans: &mut Vec<Span>) {
    match activity {
        Activity::Outcome(entry) => outcome(entry, recent, spans),
        Activity::Attempt(entry) => attempt(entry, spans),
    }
}

fn outcome(entry: &OutcomeEntry, recent: &mut RecentEvents, spans: &mut Vec<Span>) {
    let handled = &entry.handled;
    let Some(trace) = handled.span else { return };
    let event = event_span(handled.event);
    if recent.is_new(handled.event) {
        spans.push(Span {
            trace_id: trace.trace_id,
            span_id: event,
            parent: trace.parent,
            name: entry.subject.hook.to_string(),
            kind: SpanKind::Server,
            start: handled.received.saturating_mul(1_000_000),
            end: trace.ended,
            attributes: subject(&entry.subject),
            error: None,
        });
    }
    let call = call_span(handled.event, &handled.module, handled.generation);
    let has_failed = !matches!(handled.outcome, "answered" | "ignored");
    let took = u64::try_from(handled.call.as_nanos()).unwrap_or(u64::MAX);
    spans.push(Span {
        trace_id: trace.trace_id,
        // The event may be handled again, and then with success.
        span_id: if has_failed {
            span_below(call, trace.ended)
        } else {
            call
        },
        parent: Some(event),
        name: format!("call {}", handled.module),
        kind: SpanKind::Internal,
        start: trace.ended.saturating_sub(took),
        end: trace.ended,
        attributes: vec![
            ("hookhost.module.name", text(&handled.module)),
            ("hookhost.module.generation", Value::Number(handled.generation.into())),
            ("hookhost.call.events", number(handled.call_events)),
            ("hookhost.call.outcome", text(handled.outcome)),
            ("hookhost.call.requests", number(handled.requests)),
        ],
        error: has_failed.then(|| handled.text.to_string()),
    });
}

fn attempt(entry: &AttemptEntry, spans: &mut Vec<Span>) {
    let Some(trace) = entry.span else { return };
    let request = trace.request;
    let error = (entry.result != AttemptResult::Delivered).then(|| entry.text.to_string());
    let before = |duration: std::time::Duration| {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        trace.ended.saturating_sub(nanos)
    };
    let module = ("hookhost.module.name", text(&entry.module));
    let destination = ("hookhost.destination", text(&entry.destination));
    if let Some(took) = trace.took {
        let mut attributes = vec![("url.full", text(&entry.url)), destination.clone()];
        let name = match trace.action {
            AttemptAction::Http(method) => {
                attributes.push(("http.request.method", text(method)));
                method
            }
            AttemptAction::Write => "write",
            AttemptAction::Publish => "publish",
        };
        if entry.attempt > 1 {
            let resend = Value::Number(u64::from(entry.attempt) - 1);
            attributes.push(("http.request.resend_count", resend));
        }
        if let Some(status) = entry.status {
            attributes.push(("http.response.status_code", Value::Number(status.into())));
        }
        spans.push(Span {
            trace_id: request.trace_id,
            span_id: span_below(request.span_id, (entry.attempt, trace.ended)),
            parent: Some(request.span_id),
            name: name.to_owned(),
            kind: SpanKind::Client,
            start: before(took),
            end: trace.ended,
            attributes,
            error: error.clone(),
        });
    }
    let Ok(event) = Id::try_from(entry.subject.event.to_string()) else {
        return;
    };
    let call = call_span(event, &entry.module, entry.generation);
    if entry.result == AttemptResult::Retried || !is_request_of(request.span_id, call) {
        return;
    }
    let mut attributes = subject(&entry.subject);
    attributes.extend([
        module,
        destination,
        ("hookhost.request.attempts", Value::Number(entry.attempt.into())),
        ("hookhost.request.result", text(entry.result.name())),
    ]);
    spans.push(Span {
        trace_id: request.trace_id,
        span_id: request.span_id,
        parent: Some(call),
        name: "request".to_owned(),
        kind: SpanKind::Internal,
        start: before(trace.since_first),
        end: trace.ended,
        attributes,
        error,
    });
}

/// The attributes of the event of a span.
fn subject(subject: &Subject) -> Vec<(&'static str, Value)> {
    let known = [
        ("hookhost.event.id", &subject.event),
        ("hookhost.event.hook", &subject.hook),
        ("messaging.client.id", &subject.client),
        ("messaging.destination.name", &subject.topic),
    ];
    let known = known.into_iter().filter(|(_, value)| !value.is_empty());
    let mut attributes: Vec<_> = known.map(|(name, value)| (name, text(value))).collect();
    attributes.push(("messaging.system", text("mqtt")));
    attributes
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn number(number: usize) -> Value {
    Value::Number(u64::try_from(number).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[path = "span_tests.rs"]
pub(crate) mod tests;
