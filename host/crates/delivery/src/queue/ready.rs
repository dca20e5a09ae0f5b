//! Lanes that are ready, and destinations that can hand out an item.

use super::lane::LaneId;
use super::{DestinationId, Queue, Size};

impl<T: Size> Queue<T> {
    /// Lets a lane wait for its turn.
    pub(super) fn make_ready(&mut self, id: LaneId) {
        let lane = self.lane(id);
        lane.is_ready = true;
        let (destination, items, bytes) = (lane.destination, lane.len(), lane.bytes());
        let Some(found) = self.destinations.get_mut(&destination) else {
            return;
        };
        found.ready.push_back(id);
        found.gathered.items += items;
        found.gathered.bytes += bytes;
        self.open(destination);
    }

    /// Takes the lane of a destination that has been ready for longest.
    pub(super) fn take_ready_lane(&mut self, destination: DestinationId) -> Option<LaneId> {
        let id = self.destinations.get_mut(&destination)?.ready.pop_front()?;
        let lane = self.lane(id);
        lane.is_ready = false;
        let (items, bytes) = (lane.len(), lane.bytes());
        let gathered = &mut self.destinations.get_mut(&destination)?.gathered;
        gathered.items -= items;
        gathered.bytes -= bytes;
        Some(id)
    }

    /// Adds the destination to the open ones if it has a ready lane and a free slot, is not paused, and has gathered
    /// enough. Returns whether it was added.
    pub(super) fn open(&mut self, id: DestinationId) -> bool {
        if !self.paused.is_empty() && self.paused.contains_key(&id) {
            return false;
        }
        let Some(destination) = self.destinations.get_mut(&id) else {
            return false;
        };
        if destination.is_open || destination.ready.is_empty() {
            return false;
        }
        if let Some(gathering) = &destination.gathering
            && self.gathers
            && !destination.gathered.is_enough(gathering)
        {
            self.begin_gathering(id);
        } else if !destination.slots.are_taken() {
            destination.is_open = true;
            self.open.push_back(id);
            return true;
        } else if !std::mem::replace(&mut destination.is_blocked, true) {
            destination.slots.block(id);
        }
        false
    }
}
