//! What waits for a time: parked lanes, paused destinations and destinations that gather.

use std::cmp::Reverse;
use std::rc::Rc;
use std::time::Instant;

use super::{DestinationId, Queue, Size, Taken};

impl<T: Size> Queue<T> {
    /// Gives the slot back. The lane is ready again at `at`.
    pub(super) fn park(&mut self, taken: Taken, at: Instant) {
        let destination = self.lane(taken.lane).destination;
        if taken.has_slot {
            self.free_slot(destination);
        }
        self.parkings += 1;
        self.parked.push(Reverse((at, self.parkings, taken.lane)));
        self.open(destination);
    }

    /// Hands out nothing of a destination before `until`, unless it is paused for longer already.
    pub(in super::super) fn pause(&mut self, id: DestinationId, until: Instant) {
        let end = self.paused.entry(id).or_insert(until);
        *end = until.max(*end);
        if let Some(destination) = self.destinations.get_mut(&id)
            && std::mem::take(&mut destination.is_open)
        {
            let slots = Rc::clone(&destination.slots);
            self.open.retain(|open| *open != id);
            // Another destination gets the slot that this one does not take.
            self.open_blocked(&slots);
        }
    }

    /// Makes the lanes ready that are parked until `now` or earlier, and ends the pauses that are over and the gathering
    /// of those whose time has come.
    pub(in super::super) fn resume(&mut self, now: Instant) {
        self.end_gathering(now);
        let over = self.paused.extract_if(|_, until| *until <= now);
        for (id, _) in over.collect::<Vec<_>>() {
            self.open(id);
        }
        while let Some(Reverse((at, _, id))) = self.parked.peek().copied() {
            if at > now {
                return;
            }
            self.parked.pop();
            self.make_ready(id);
        }
    }

    /// Returns when the next parked lane becomes due, the next pause ends, or the next destination has gathered long
    /// enough. Destinations that have begun to gather since the last call begin now.
    pub(in super::super) fn next_due(&mut self, now: Instant) -> Option<Instant> {
        if !self.new_gathering.is_empty() {
            self.set_gathering_times(now);
        }
        let parked = self.parked.peek().map(|Reverse((at, _, _))| *at);
        let gathered = self.gathering.first().map(|(at, _)| *at);
        let paused = self.paused.values().copied();
        parked.into_iter().chain(gathered).chain(paused).min()
    }

    /// Returns whether a destination has begun to gather since the last call of [`Queue::next_due`].
    pub(in super::super) fn has_new_gathering(&self) -> bool {
        !self.new_gathering.is_empty()
    }
}
