//! Destinations that hand out several items at once.
//!
//! Such a destination *gathers* items: it opens when the ready items reach a number or a size, or some time after the
//! first of them became ready. All items that are handed out together occupy one slot. They come from one or more
//! lanes, and each lane waits until all of its items have ended.

use std::time::Instant;

use super::lane::LaneId;
use super::{Destination, DestinationId, Gathering, Queue, Size, Taken};

/// The items of one lane that are being sent.
#[derive(Debug)]
pub(in super::super) struct TakenLane<T> {
    pub(in super::super) taken: Taken,
    /// In order; at least one.
    pub(in super::super) items: Vec<T>,
}

/// What a gathering destination has collected.
#[derive(Default)]
pub(super) struct Gathered {
    /// The items of the ready lanes.
    pub(super) items: usize,
    /// Their bytes.
    pub(super) bytes: usize,
    /// When the destination opens even if it has collected little; `None` until the caller of
    /// [`Queue::next_due`] has said what time it is.
    due: Option<Instant>,
    /// Whether that time has come.
    is_due: bool,
    /// Whether it is among those without a time.
    is_new: bool,
}

impl Gathered {
    /// Whether the destination may open.
    pub(super) fn is_enough(&self, gathering: &Gathering) -> bool {
        self.is_due || self.items >= gathering.count || self.bytes >= gathering.bytes
    }
}

impl<T: Size> Queue<T> {
    /// Takes further items to send together with `first`, which was just taken from a gathering destination: first those
    /// behind it, then those of other ready lanes, as long as `accept` accepts the next one. They need no further slot.
    /// Returns all of them. The rest of the destination then waits for more.
    pub(in super::super) fn gather(
        &mut self,
        (taken, first): (Taken, T),
        mut accept: impl FnMut(&T) -> bool,
    ) -> Vec<TakenLane<T>> {
        let id = self.lane(taken.lane).destination;
        let mut items = vec![first];
        self.take_from(taken.lane, &mut items, &mut accept);
        let mut lanes = vec![TakenLane { taken, items }];
        while let Some(lane) = self.accepted_lane(id, &mut accept) {
            let mut items: Vec<T> = self.lane(lane).pop().into_iter().collect();
            self.take_from(lane, &mut items, &mut accept);
            let taken = Taken { lane, has_slot: false };
            lanes.push(TakenLane { taken, items });
        }
        if let Some(destination) = self.destinations.get_mut(&id) {
            let gathered = &mut destination.gathered;
            gathered.is_due = false;
            if let Some(due) = gathered.due.take() {
                self.gathering.remove(&(due, id));
            }
        }
        self.open(id);
        lanes
    }

    /// Takes the next ready lane of a destination if its head is accepted.
    fn accepted_lane(&mut self, id: DestinationId, accept: &mut impl FnMut(&T) -> bool) -> Option<LaneId> {
        let lane = *self.destinations.get(&id)?.ready.front()?;
        if !accept(self.lane(lane).head()?) {
            return None;
        }
        self.take_ready_lane(id)
    }

    /// Takes items of a taken lane as long as they are accepted.
    fn take_from(&mut self, lane: LaneId, items: &mut Vec<T>, accept: &mut impl FnMut(&T) -> bool) {
        let lane = self.lane(lane);
        while lane.head().is_some_and(&mut *accept) {
            items.extend(lane.pop());
        }
    }

    /// Ends the items of a lane that were handed out together, except for those in `back`. These return to the head of
    /// the lane, in order, and are handed out at `at` or later; without a time they are ready.
    pub(in super::super) fn settle(&mut self, taken: Taken, ended: usize, back: Vec<T>, at: Option<Instant>) {
        self.len -= ended;
        let has_back = !back.is_empty();
        let lane = self.lane(taken.lane);
        back.into_iter().rev().for_each(|item| lane.push_front(item));
        match at {
            Some(at) if has_back => self.park(taken, at),
            _ => self.end(taken),
        }
    }

    /// Lets destinations that gather open without waiting, from now on.
    pub(in super::super) fn stop_gathering(&mut self) {
        self.gathers = false;
        let waiting = std::mem::take(&mut self.gathering).into_iter().map(|(_, id)| id);
        for id in waiting
            .chain(std::mem::take(&mut self.new_gathering))
            .collect::<Vec<_>>()
        {
            self.set_due(id);
        }
    }

    /// Notes that a destination has begun to gather. It gets its time at the next call of [`Queue::next_due`].
    pub(super) fn begin_gathering(&mut self, id: DestinationId) {
        let Some(gathered) = self.destinations.get_mut(&id).map(|found| &mut found.gathered) else {
            return;
        };
        if gathered.due.is_none() && !gathered.is_new {
            gathered.is_new = true;
            self.new_gathering.push(id);
        }
    }

    /// Sets the times of the destinations that have begun to gather.
    pub(super) fn set_gathering_times(&mut self, now: Instant) {
        for id in std::mem::take(&mut self.new_gathering) {
            let Some(Destination {
                gathering: Some(gathering),
                gathered,
                ..
            }) = self.destinations.get_mut(&id)
            else {
                continue;
            };
            gathered.is_new = false;
            if gathered.items > 0
                && gathered.due.is_none()
                && let Some(due) = now.checked_add(gathering.delay)
            {
                gathered.due = Some(due);
                self.gathering.insert((due, id));
            }
        }
    }

    /// Opens the destinations whose time has come.
    pub(super) fn end_gathering(&mut self, now: Instant) {
        while let Some((at, id)) = self.gathering.first().copied() {
            if at > now {
                return;
            }
            self.gathering.pop_first();
            self.set_due(id);
        }
    }

    fn set_due(&mut self, id: DestinationId) {
        if let Some(gathered) = self.destinations.get_mut(&id).map(|found| &mut found.gathered) {
            (gathered.due, gathered.is_new) = (None, false);
            gathered.is_due = gathered.items > 0;
        }
        self.open(id);
    }

    /// Forgets what a destination was gathering, because it ends.
    pub(super) fn forget_gathering(&mut self, id: DestinationId, gathered: &Gathered) {
        if let Some(due) = gathered.due {
            self.gathering.remove(&(due, id));
        }
    }
}
