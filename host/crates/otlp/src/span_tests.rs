use std::sync::Arc;
use std::time::Duration;

use super::*;
use hookhost_activity::trace_parent::request_span;
use hookhost_activity::{AttemptSpan, CallSpan, HandledEvent, TraceParent};

const EVENT: Id = Id(10);
const TRACE: u128 = 0x4bf9_2f35;
const CLIENT: u64 = 7;

fn a_subject() -> Subject {
    Subject {
        event: EVENT.to_string().into(),
        hook: "message-publish".into(),
        client: "c".into(),
        topic: "t/1".into(),
    }
}

/// A call of a module that ended at 5 ms and took 1 ms, for an event of 2 ms.
pub(crate) fn called(module: &str, outcome: &'static str, text: &str) -> Activity {
    Activity::Outcome(Arc::new(OutcomeEntry {
        subject: a_subject(),
        handled: HandledEvent {
            event: EVENT,
            received: 2,
            at: 5,
            call: Duration::from_millis(1),
            call_events: 3,
            module: module.into(),
            generation: 1,
            outcome,
            requests: usize::from(outcome == "answered"),
            text: text.into(),
            span: Some(CallSpan {
                trace_id: TRACE,
                parent: Some(CLIENT),
                ended: 5_000_000,
            }),
        },
    }))
}

fn own_request() -> u64 {
    request_span(call_span(EVENT, "webhook", 1), 0)
}

/// The second attempt, which took 2 ms and ended at 20 ms; the first one began at 10 ms.
pub(crate) fn attempted(span_id: u64, result: AttemptResult, took: Option<Duration>) -> Activity {
    let is_delivered = result == AttemptResult::Delivered;
    Activity::Attempt(Arc::new(AttemptEntry {
        number: 1,
        at: 20,
        subject: a_subject(),
        request: 3,
        module: "webhook".into(),
        generation: 1,
        url: "http://h/hook".into(),
        destination: "http://h".into(),
        attempt: 2,
        result,
        status: took.map(|_| if is_delivered { 200 } else { 503 }),
        answer: "".into(),
        text: if is_delivered { "" } else { "answered with status 503" }.into(),
        took: 2,
        span: Some(AttemptSpan {
            request: TraceParent {
                trace_id: TRACE,
                span_id,
                flags: 1,
            },
            action: AttemptAction::Http("POST"),
            ended: 20_000_000,
            took,
            since_first: Duration::from_millis(10),
        }),
    }))
}

pub(crate) fn spans(activities: &[Activity]) -> Vec<Span> {
    let (mut recent, mut spans) = (RecentEvents::default(), Vec::new());
    for activity in activities {
        add(activity, &mut recent, &mut spans);
    }
    spans
}

fn attribute<'s>(span: &'s Span, name: &str) -> Option<&'s Value> {
    span.attributes
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value)
}

#[test]
fn an_event_and_its_calls_are_below_the_span_of_the_client() {
    let activities = [called("webhook", "answered", ""), called("other", "ignored", "")];
    let spans = spans(&activities);
    let [event, call, other] = &*spans else {
        panic!("{spans:#?}")
    };
    assert_eq!(
        (event.parent, event.start, event.end),
        (Some(CLIENT), 2_000_000, 5_000_000)
    );
    assert_eq!(
        (&*event.name, event.kind, &event.error),
        ("message-publish", SpanKind::Server, &None)
    );
    assert_eq!(attribute(event, "messaging.destination.name"), Some(&text("t/1")));
    assert_eq!(attribute(event, "messaging.client.id"), Some(&text("c")));
    for (span, name) in [(call, "call webhook"), (other, "call other")] {
        assert_eq!((span.parent, &*span.name), (Some(event.span_id), name));
        assert_eq!((span.start, span.end), (4_000_000, 5_000_000));
    }
    assert!(spans.iter().all(|span| span.trace_id == TRACE));
    assert_ne!(call.span_id, other.span_id);
}

#[test]
fn a_call_that_failed_is_an_error_and_leaves_its_id_to_one_that_succeeds() {
    let spans = spans(&[
        called("webhook", "trapped", "unreachable"),
        called("webhook", "answered", ""),
    ]);
    let [_, failed, answered] = &*spans else {
        panic!("{spans:#?}")
    };
    assert_eq!(failed.error.as_deref(), Some("unreachable"));
    assert_eq!(answered.error, None);
    assert_ne!(failed.span_id, answered.span_id);
    assert_eq!(answered.span_id, call_span(EVENT, "webhook", 1));
}

#[test]
fn attempts_are_below_their_request_and_the_request_below_its_call() {
    let took = Some(Duration::from_millis(2));
    let retried = spans(&[attempted(own_request(), AttemptResult::Retried, took)]);
    let [attempt] = &*retried else { panic!("{retried:#?}") };
    assert_eq!(
        (attempt.parent, &*attempt.name, attempt.kind),
        (Some(own_request()), "POST", SpanKind::Client)
    );
    assert_eq!((attempt.start, attempt.end), (18_000_000, 20_000_000));
    assert_eq!(
        attribute(attempt, "http.response.status_code"),
        Some(&Value::Number(503))
    );
    assert_eq!(attribute(attempt, "http.request.resend_count"), Some(&Value::Number(1)));
    assert_eq!(attempt.error.as_deref(), Some("answered with status 503"));

    let delivered = spans(&[attempted(own_request(), AttemptResult::Delivered, took)]);
    let [attempt, request] = &*delivered else {
        panic!("{delivered:#?}")
    };
    assert_eq!(attempt.error, None);
    assert_eq!(
        (request.span_id, request.parent),
        (own_request(), Some(call_span(EVENT, "webhook", 1)))
    );
    assert_eq!((request.start, request.end), (10_000_000, 20_000_000));
    assert_eq!(attribute(request, "hookhost.request.result"), Some(&text("delivered")));
}

#[test]
fn an_expired_request_has_no_attempt() {
    let expired = spans(&[attempted(own_request(), AttemptResult::Dropped, None)]);
    let [request] = &*expired else { panic!("{expired:#?}") };
    assert_eq!(request.name, "request");
    assert!(request.error.is_some());
}

#[test]
fn a_request_with_a_header_of_its_module_has_only_attempts() {
    let took = Some(Duration::from_millis(2));
    let spans = spans(&[attempted(99, AttemptResult::Delivered, took)]);
    let [attempt] = &*spans else { panic!("{spans:#?}") };
    assert_eq!((attempt.parent, attempt.kind), (Some(99), SpanKind::Client));
}

#[test]
fn the_number_of_remembered_events_is_bounded() {
    let mut recent = RecentEvents::default();
    for number in 0..2 * MAX_RECENT_EVENTS as u128 {
        assert!(recent.is_new(Id(number)));
        assert!(!recent.is_new(Id(number)));
    }
    assert_eq!(recent.0.len(), MAX_RECENT_EVENTS);
}
