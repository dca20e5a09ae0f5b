//! Removing items that wait.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::rc::Rc;

use super::lane::{Lane, LaneId};
use super::{Queue, Size};

impl<T: Size> Queue<T> {
    /// Iterates over the lanes, and for each of them over the items that wait, in order.
    pub(in super::super) fn waiting(&self) -> impl Iterator<Item = impl Iterator<Item = &T>> {
        self.lanes.iter().flatten().map(Lane::items)
    }

    /// Removes items from the front of each lane, as long as `is_removed` is true for them. Items that are being sent stay.
    /// Returns the removed items; those of one lane are in order.
    pub(in super::super) fn remove_heads(&mut self, is_removed: impl Fn(&T) -> bool) -> Vec<T> {
        let mut removed = Vec::new();
        let mut emptied: HashSet<LaneId> = HashSet::new();
        for (id, lane) in self.lanes.iter_mut().enumerate() {
            let Some(lane) = lane else { continue };
            let before = (lane.len(), lane.bytes());
            while lane.head().is_some_and(&is_removed) {
                removed.extend(lane.pop());
            }
            if lane.is_ready
                && let Some(destination) = self.destinations.get_mut(&lane.destination)
            {
                destination.gathered.items -= before.0 - lane.len();
                destination.gathered.bytes -= before.1 - lane.bytes();
            }
            if before.0 > 0 && lane.len() == 0 {
                emptied.insert(id);
            }
        }
        self.len -= removed.len();
        self.end_waiting_lanes(&emptied);
        removed
    }

    /// Ends those of these empty lanes that wait. The others end when their item that is being sent ends.
    fn end_waiting_lanes(&mut self, empty: &HashSet<LaneId>) {
        let mut ended = Vec::new();
        self.parked.retain(|Reverse((_, _, id))| {
            let is_empty = empty.contains(id);
            ended.extend(is_empty.then_some(*id));
            !is_empty
        });
        for destination in self.destinations.values_mut() {
            destination.ready.retain(|id| {
                let is_empty = empty.contains(id);
                ended.extend(is_empty.then_some(*id));
                !is_empty
            });
        }
        // An open destination has a ready lane. Another one gets the slot of a destination that has none any more.
        let mut left = Vec::new();
        self.open.retain(|id| {
            self.destinations.get_mut(id).is_some_and(|destination| {
                destination.is_open = !destination.ready.is_empty();
                if !destination.is_open {
                    left.push(Rc::clone(&destination.slots));
                }
                destination.is_open
            })
        });
        for id in ended {
            self.end_lane(id);
        }
        for slots in left {
            self.open_blocked(&slots);
        }
    }
}
