//! What happened to one event: `GET /events/{id}`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeadLetter, Delivery, Handled, Quarantined};

/// What is known about one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EventTrace {
    /// Id of the event.
    pub event: String,
    /// Its hook, under its name in the event JSON; `null` if it is not known any more.
    pub hook: Option<String>,
    /// Its client id.
    pub client: Option<String>,
    /// Its topic or topic filter.
    pub topic: Option<String>,
    /// When it happened and was queued, in UTC.
    pub received: Option<String>,
    /// `ignored`, `waiting`, `delivered`, `given up` or `quarantined`: the worst of what became of it. `unknown`: the host
    /// does not know what became of a request.
    pub state: String,
    /// What modules did with it, oldest first.
    pub outcomes: Vec<Handled>,
    /// The attempts to deliver its requests, oldest first.
    pub attempts: Vec<Delivery>,
    /// Its entries in the quarantine.
    pub quarantine: Vec<Quarantined>,
    /// Its requests that were given up.
    pub dead_letters: Vec<DeadLetter>,
}

impl EventTrace {
    /// All that is known; `None` if nothing is known. `may_wait`: requests of events as old as this one may still wait.
    pub(in super::super) fn new(
        event: String,
        received: Option<String>,
        outcomes: Vec<Handled>,
        attempts: Vec<Delivery>,
        quarantine: Vec<Quarantined>,
        dead_letters: Vec<DeadLetter>,
        may_wait: bool,
    ) -> Option<EventTrace> {
        let state = state(&outcomes, &attempts, &quarantine, &dead_letters, may_wait)?;
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let attempt = attempts.first();
        let letter = dead_letters.first().map(|letter| &letter.event);
        let entry = quarantine.first();
        let hook = attempt.map(|attempt| attempt.hook.clone());
        let client = attempt.and_then(|attempt| known(&attempt.client));
        let topic = attempt.and_then(|attempt| known(&attempt.topic));
        Some(EventTrace {
            event,
            hook: hook
                .or_else(|| Some(letter?.hook.clone()))
                .or_else(|| Some(entry?.hook.clone())),
            client: client
                .or_else(|| letter?.client.clone())
                .or_else(|| entry?.client.clone()),
            topic: topic.or_else(|| letter?.topic.clone()).or_else(|| entry?.topic.clone()),
            received: received.or_else(|| letter?.at.clone()),
            state: state.to_owned(),
            outcomes,
            attempts,
            quarantine,
            dead_letters,
        })
    }
}

/// What became of an event; `None` if nothing is known about it.
fn state(
    outcomes: &[Handled],
    attempts: &[Delivery],
    quarantine: &[Quarantined],
    dead_letters: &[DeadLetter],
    may_wait: bool,
) -> Option<&'static str> {
    let mut last: BTreeMap<u64, &str> = BTreeMap::new();
    for attempt in attempts {
        last.insert(attempt.request, &attempt.result);
    }
    let returned: usize = outcomes.iter().map(|outcome| outcome.requests).sum();
    let is_any = |result: &str| last.values().any(|last| *last == result);
    let is_open = returned > last.len() || is_any("retried");
    Some(if !quarantine.is_empty() {
        "quarantined"
    } else if !dead_letters.is_empty() || is_any("dropped") {
        "given up"
    } else if is_open && may_wait {
        "waiting"
    } else if is_open {
        // It was refused or dropped, another host sends it, or its attempts are no longer recorded.
        "unknown"
    } else if !last.is_empty() {
        "delivered"
    } else if outcomes.last()?.outcome == "ignored" {
        "ignored"
    } else {
        // A module that failed has put it into the quarantine, where it is not any more.
        "unknown"
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn outcome(outcome: &str, requests: usize) -> Handled {
        serde_json::from_value(json!({
            "at": "2026-01-01T00:00:00Z", "event": "0", "hook": "message-publish", "client": "c", "topic": "t",
            "module": "m", "generation": 1, "outcome": outcome, "requests": requests, "text": "",
            "waited_ms": 0, "call_us": 1, "call_events": 1,
        }))
        .unwrap()
    }

    fn attempt(request: u64, result: &str) -> Delivery {
        serde_json::from_value(json!({
            "number": request, "request": request, "at": "2026-01-01T00:00:00Z", "event": "0",
            "hook": "message-publish", "client": "c", "topic": "t", "module": "m", "generation": 1, "url": "http://h/",
            "destination": "http://h", "attempt": 1, "result": result, "status": null, "text": "", "took_ms": 1,
        }))
        .unwrap()
    }

    #[test]
    fn an_event_is_delivered_only_if_all_its_requests_are_known_to_be() {
        let answered = |requests| vec![outcome("answered", requests)];
        for (outcomes, attempts, may_wait, expected) in [
            (vec![], vec![], true, None),
            (vec![outcome("ignored", 0)], vec![], true, Some("ignored")),
            (answered(1), vec![attempt(1, "delivered")], true, Some("delivered")),
            (answered(2), vec![attempt(1, "delivered")], true, Some("waiting")),
            (answered(2), vec![attempt(1, "delivered")], false, Some("unknown")),
            (answered(1), vec![], false, Some("unknown")),
            (answered(1), vec![attempt(1, "retried")], true, Some("waiting")),
            (answered(1), vec![attempt(1, "retried")], false, Some("unknown")),
            (
                answered(1),
                vec![attempt(1, "retried"), attempt(1, "delivered")],
                true,
                Some("delivered"),
            ),
            (
                answered(2),
                vec![attempt(1, "delivered"), attempt(2, "dropped")],
                true,
                Some("given up"),
            ),
            (vec![outcome("failed", 0)], vec![], true, Some("unknown")),
            (vec![], vec![attempt(1, "delivered")], false, Some("delivered")),
        ] {
            assert_eq!(
                state(&outcomes, &attempts, &[], &[], may_wait),
                expected,
                "{outcomes:?} {attempts:?}"
            );
        }
    }
}
