//! The way of one event: `GET /events/{id}`.

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
    /// `ignored`, `waiting`, `delivered`, `given up` or `quarantined`: the worst of what became of it.
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
    /// The whole way; `None` if nothing is known. `may_wait`: requests of events as old as this one may still wait.
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
    Some(if !quarantine.is_empty() {
        "quarantined"
    } else if !dead_letters.is_empty() || is_any("dropped") {
        "given up"
    } else if is_any("retried") || returned > last.len() && may_wait {
        "waiting"
    } else if returned > 0 || !last.is_empty() {
        "delivered"
    } else {
        // A module that failed has put it into the quarantine, where it is not any more.
        let outcome = outcomes.last()?;
        if outcome.outcome == "ignored" {
            "ignored"
        } else {
            "waiting"
        }
    })
}
