//! Tells followers of the host's activity what the module did with each event.

use std::sync::Arc;

use super::WorkerContext;
use super::failures::now;
use hookhost_activity::{OutcomeEntry, Subject, cut};
use hookhost_contract::Outcome;
use hookhost_event::Event;

impl WorkerContext {
    /// Reports the outcomes of the last call, except those that fail.
    pub(super) fn report_outcomes(&self, generation: u32, events: &[Arc<Event>], outcomes: &[Outcome]) {
        if !self.activity.is_followed() {
            return;
        }
        for (event, outcome) in events.iter().zip(outcomes) {
            match outcome {
                Outcome::Deliver(requests) if !requests.is_empty() => {
                    self.report_outcome(generation, event, "answered", requests.len(), "");
                }
                Outcome::Ignore | Outcome::Deliver(_) => self.report_outcome(generation, event, "ignored", 0, ""),
                // The quarantine reports it.
                Outcome::Fail(_) => {}
            }
        }
    }

    /// Reports what the module did with one event.
    pub(super) fn report_outcome(
        &self,
        generation: u32,
        event: &Event,
        outcome: &'static str,
        requests: usize,
        text: &str,
    ) {
        self.activity.outcome(|| OutcomeEntry {
            at: now().0,
            subject: Subject::of(event),
            module: Arc::clone(&self.module),
            generation,
            outcome,
            requests,
            text: cut(text),
        });
    }
}
