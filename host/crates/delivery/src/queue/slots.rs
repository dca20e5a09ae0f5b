//! The slots of a receiver: how many requests it gets at once.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::{DestinationId, Queue, Size};

/// A limit of the items that are sent at once. Destinations that share it are those of one receiver.
pub(in super::super) struct Slots {
    limit: Cell<usize>,
    under_way: Cell<usize>,
    /// Destinations that wait for a slot, in order. Some may have ended or been paused since then.
    blocked: RefCell<VecDeque<DestinationId>>,
}

impl Slots {
    /// Creates slots for `limit` items; 0 is treated as 1.
    pub(in super::super) fn new(limit: usize) -> Slots {
        Slots {
            limit: Cell::new(limit.max(1)),
            under_way: Cell::new(0),
            blocked: RefCell::default(),
        }
    }

    /// Changes the limit; 0 is treated as 1. Items above a lower limit are not interrupted.
    pub(in super::super) fn set_limit(&self, limit: usize) {
        self.limit.set(limit.max(1));
    }

    /// Returns the number of items that are being sent.
    pub(in super::super) fn under_way(&self) -> usize {
        self.under_way.get()
    }

    pub(super) fn are_taken(&self) -> bool {
        self.under_way.get() >= self.limit.get()
    }

    pub(super) fn take(&self) {
        self.under_way.set(self.under_way.get() + 1);
    }

    /// Lets a destination wait for a slot. The caller checks that it does not wait yet.
    pub(super) fn block(&self, id: DestinationId) {
        self.blocked.borrow_mut().push_back(id);
    }
}

impl<T: Size> Queue<T> {
    /// Gives the slot of an item of this destination back. Destinations that wait for one may open.
    pub(super) fn free_slot(&mut self, id: DestinationId) {
        self.under_way -= 1;
        let Some(slots) = self.destinations.get(&id).map(|found| found.slots.clone()) else {
            return;
        };
        slots.under_way.set(slots.under_way.get() - 1);
        self.open_blocked(&slots);
        self.open(id);
    }

    /// Opens destinations that wait for these slots, until no slot is free. Passes over a destination that cannot open,
    /// because it is paused or its items were removed.
    pub(super) fn open_blocked(&mut self, slots: &Slots) {
        let mut free = slots.limit.get().saturating_sub(slots.under_way.get());
        while free > 0 {
            let Some(next) = slots.blocked.borrow_mut().pop_front() else {
                return;
            };
            if let Some(destination) = self.destinations.get_mut(&next) {
                destination.is_blocked = false;
            }
            free -= usize::from(self.open(next));
        }
    }
}
