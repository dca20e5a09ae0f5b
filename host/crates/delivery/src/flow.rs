//! How many requests of a sender thread a destination gets at once: its slots, which follow its [`Concurrency`].

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::concurrency::{Concurrency, Load};
use super::gate::Gate;
use super::queue::Slots;
use super::retry::Outcome;

/// The share of one thread in the requests to a destination.
pub(super) struct Flow {
    /// The slots in the queue.
    pub(super) slots: Rc<Slots>,
    gate: Arc<Gate>,
    concurrency: RefCell<Concurrency>,
    /// The part of the gate's concurrency that is the one of this thread.
    reported: Cell<usize>,
    /// Whether the destination was down when this thread last asked.
    was_down: Cell<bool>,
}

impl Flow {
    /// Creates the share of a thread.
    pub(super) fn new(gate: Arc<Gate>) -> Flow {
        Flow {
            slots: Rc::new(Slots::new(1)),
            gate,
            concurrency: RefCell::new(Concurrency::new(1)),
            reported: Cell::new(0),
            was_down: Cell::new(false),
        }
    }

    /// Sets the limit of the requests at once; 0 is treated as 1.
    pub(super) fn set_max(&self, max: usize) {
        self.concurrency.borrow_mut().set_max(max);
        self.apply();
    }

    /// Notes that the destination is down.
    pub(super) fn set_down(&self) {
        self.was_down.set(true);
    }

    /// Notes that the destination gets requests. After an outage it gets one at first.
    pub(super) fn set_up(&self) {
        if self.was_down.replace(false) {
            self.concurrency.borrow_mut().restart();
            self.apply();
        }
    }

    /// Notes the outcome of an attempt that has taken this time.
    pub(super) fn ended(&self, outcome: &Outcome, latency: Duration) {
        let load = match outcome {
            Outcome::Accepted(_) => Load::Answered,
            Outcome::Refused { status, .. } if !matches!(status, 429 | 503 | 504) => Load::Answered,
            Outcome::Refused { .. } | Outcome::TimedOut => Load::Overloaded,
            // A broken connection says nothing about the load: the breaker handles a receiver that is down.
            Outcome::Failed(_) => return,
            // Nothing was sent.
            Outcome::Invalid(_) | Outcome::Barred(_) | Outcome::Expired => return,
        };
        self.concurrency
            .borrow_mut()
            .ended(load, latency, self.slots.under_way());
        self.apply();
    }

    fn apply(&self) {
        let limit = self.concurrency.borrow().limit();
        let before = self.reported.get();
        if limit != before {
            self.slots.set_limit(limit);
            self.reported.set(limit);
            self.gate.set_concurrency(before, limit);
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.gate.set_concurrency(self.reported.get(), 0);
    }
}
