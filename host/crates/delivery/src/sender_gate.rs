//! How a sender thread uses the gates of destinations.

use std::time::{Duration, Instant as Clock};

use super::breaker::{Admission, Change};
use super::gate::Entry;
use super::job::Item;
use super::retry::Outcome;
use super::sender::SenderState;
use super::target::Target;

impl SenderState {
    /// Asks the gate of a destination for an attempt. Destinations other than HTTP have none.
    pub(super) fn enter(&self, item: &Item) -> Entry {
        let target = item.target();
        if !target.is_http() {
            return Entry::Open(Admission::Send);
        }
        let destination = &target.destination;
        let entry = destination.gate.enter(target.terms(), Clock::now());
        match entry {
            Entry::Closed { is_down: true, .. } => destination.flow.set_down(),
            Entry::Open(Admission::Send) => destination.flow.set_up(),
            Entry::Open(_) | Entry::Closed { .. } => {}
        }
        entry
    }

    /// Tells the gate of a destination how an attempt has ended.
    pub(super) fn leave(&self, target: &Target, admission: Admission, outcome: &Outcome, latency: Duration) {
        if !target.is_http() {
            return;
        }
        let destination = &target.destination;
        let now = Clock::now();
        match destination.gate.ended(target.terms(), admission, outcome, now) {
            Some(Change::Opened(until)) => {
                let pause = until.saturating_duration_since(now);
                self.report.breaker_opened(&destination.label, pause, outcome);
            }
            Some(Change::Closed) => {
                self.report.breaker_closed(&destination.label);
                destination.flow.set_down();
                destination.flow.set_up();
            }
            None => {}
        }
        destination.flow.ended(outcome, latency);
    }
}
