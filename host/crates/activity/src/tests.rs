use std::time::Duration;

use super::*;
use hookhost_event::json;

/// An attempt at time 0.
pub(crate) fn attempt(client: &str, topic: &str, result: AttemptResult) -> AttemptEntry {
    AttemptEntry {
        number: 0,
        at: 0,
        subject: subject(client, topic),
        request: 1,
        module: "webhook".into(),
        generation: 1,
        url: "http://h/".into(),
        destination: "".into(),
        attempt: 1,
        result,
        status: Some(if result == AttemptResult::Delivered { 200 } else { 503 }),
        text: "".into(),
        answer: "".into(),
        took: 3,
        span: None,
    }
}

fn subject(client: &str, topic: &str) -> Subject {
    Subject {
        event: "0000000000000000000000000000000A".into(),
        hook: "message-publish".into(),
        client: client.into(),
        topic: topic.into(),
    }
}

/// An event at time 0.
pub(crate) fn handled(event: u128, outcome: &'static str) -> HandledEvent {
    HandledEvent {
        event: Id(event),
        received: 0,
        at: 0,
        call: Duration::from_micros(10),
        call_events: 1,
        module: "webhook".into(),
        generation: 1,
        outcome,
        requests: 0,
        text: "".into(),
        span: None,
    }
}

/// A module ignores an event of a client.
fn outcome(log: &ActivityLog, client: &str) {
    let text = format!(r#"{{"hook":"message-publish","message":{{"publisher":"{client}","topic":"t"}}}}"#);
    log.handled([(&json::read(&text, Id(1)).unwrap(), handled(1, "ignored"))]);
}

fn filter(client: Option<&str>, topic: Option<&str>, event: Option<&str>) -> ActivityFilter {
    ActivityFilter {
        client: client.map(str::to_owned),
        topic: topic.map(|topic| topic.parse().unwrap()),
        event: event.map(str::to_owned),
        ..ActivityFilter::default()
    }
}

#[test]
fn attempts_are_selected_by_event_status_and_number() {
    let log = ActivityLog::new();
    log.attempt(AttemptEntry {
        destination: "one".into(),
        ..attempt("one", "a/b", AttemptResult::Delivered)
    });
    log.attempt(attempt("two", "a/c", AttemptResult::Retried));
    log.attempt(attempt("two", "", AttemptResult::Dropped));
    let query = |filter, failed, status, before| AttemptQuery {
        filter,
        failed,
        status,
        before,
    };
    let none = || filter(None, None, None);
    let by = |module: &str, destination: &str| ActivityFilter {
        module: Some(module.to_owned()),
        destination: Some(destination.to_owned()),
        ..ActivityFilter::default()
    };
    for (query, expected) in [
        (query(none(), false, None, None), vec![3, 2, 1]),
        (query(none(), true, None, None), vec![3, 2]),
        (query(none(), false, Some(200), None), vec![1]),
        (query(none(), false, None, Some(3)), vec![2, 1]),
        (query(filter(Some("two"), None, None), false, None, None), vec![3, 2]),
        (query(filter(None, Some("a/+"), None), false, None, None), vec![2, 1]),
        (query(filter(None, Some("#"), None), false, None, None), vec![2, 1]),
        (
            query(filter(None, None, Some("message-publish")), false, None, None),
            vec![3, 2, 1],
        ),
        (
            query(
                filter(None, None, Some("0000000000000000000000000000000a")),
                false,
                None,
                None,
            ),
            vec![3, 2, 1],
        ),
        (
            query(filter(None, None, Some("client-connected")), false, None, None),
            vec![],
        ),
        (query(by("webhook", "one"), false, None, None), vec![1]),
        (query(by("other", "one"), false, None, None), vec![]),
    ] {
        let numbers: Vec<u64> = log.attempts(&query, 0, 9).iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, expected, "{query:?}");
    }
    assert_eq!(log.attempts(&AttemptQuery::default(), 0, 2).len(), 2);
}

#[tokio::test]
async fn a_follower_gets_what_its_filter_admits_and_costs_nothing_afterwards() {
    let log = ActivityLog::new();
    let mut follower = log.follow(filter(Some("two"), None, None));
    outcome(&log, "one");
    outcome(&log, "two");
    log.attempt(attempt("two", "t", AttemptResult::Delivered));
    let Followed { lost, activity } = follower.next().await.unwrap();
    let Activity::Outcome(entry) = activity else {
        panic!("an outcome")
    };
    assert_eq!(
        (lost, &*entry.subject.client, &entry.handled),
        (0, "two", &handled(1, "ignored"))
    );
    assert!(matches!(follower.next().await.unwrap().activity, Activity::Attempt(_)));
    drop(follower);
    outcome(&log, "one");
    assert!(!log.is_followed());
    assert_eq!(log.outcomes_of(Id(1)).len(), 3, "they are kept for traces");
}

#[tokio::test]
async fn a_slow_follower_loses_entries_and_learns_how_many() {
    let log = ActivityLog::new();
    let mut follower = log.follow(ActivityFilter::default());
    for _ in 0..5_000 {
        outcome(&log, "c");
    }
    let (mut read, mut lost) = (0, 0);
    while read + lost < 5_000 {
        lost += follower.next().await.unwrap().lost;
        read += 1;
    }
    assert_eq!((read, lost), (4_096, 904));
}

#[tokio::test]
async fn the_exporter_gets_entries_with_a_trace_only() {
    let log = ActivityLog::new();
    assert_eq!(log.sampling(), None);
    let mut follower = log.export(SampleRatio::new(0.0));
    assert_eq!(log.sampling(), Some(SampleRatio::new(0.0)));
    assert!(!log.is_followed(), "other entries cost nothing");
    outcome(&log, "one");
    let span = CallSpan {
        trace_id: 1,
        parent: None,
        ended: 5,
    };
    let traced = HandledEvent {
        span: Some(span),
        ..handled(2, "answered")
    };
    let event = json::read(r#"{"hook":"message-publish","message":{"topic":"t"}}"#, Id(2)).unwrap();
    log.handled([(&event, traced.clone())]);
    log.attempt(attempt("c", "t", AttemptResult::Delivered));
    let request = TraceParent {
        trace_id: 1,
        span_id: 2,
        flags: 1,
    };
    let span = AttemptSpan {
        request,
        action: AttemptAction::Http("POST"),
        ended: 9,
        took: Some(Duration::from_millis(1)),
        since_first: Duration::from_millis(1),
    };
    log.attempt(AttemptEntry {
        span: Some(span),
        ..attempt("c", "t", AttemptResult::Delivered)
    });
    assert!(matches!(follower.recv().await, Some(Activity::Outcome(entry)) if entry.handled == traced));
    assert!(matches!(follower.try_recv(), Some(Activity::Attempt(entry)) if entry.span == Some(span)));
    assert_eq!((follower.try_recv(), follower.lost().count()), (None, 0));
}
