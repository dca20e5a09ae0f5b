//! The order of things to send: a pure state machine without I/O, clock or randomness.
//!
//! Items of one destination and one ordering key form a *lane*: only its head may be under way, the others wait behind
//! it. A destination has a list of lanes whose head is ready and hands out at most its limit of heads at once; lanes
//! take turns, and so do destinations. A head that must be repeated later *parks* its lane: it occupies no slot and
//! holds up nothing but its own lane. An item without a key is a lane of its own.
//!
//! A lane exists while it has an item and a destination while it has a lane, so the memory is bounded by the items;
//! who pushes bounds those. [`Taken`] stands for an item under way: it cannot be copied, and giving it back is the
//! only way to end it, so an item can neither end twice nor be repeated after its end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Instant;

/// Names a destination; given by the caller, who must not use one number for two destinations at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct DestinationId(pub(super) u64);

/// An item under way, to be given back with [`Queue::done`] or [`Queue::retry`].
#[derive(Debug)]
#[must_use = "its lane is held until it is given back"]
pub(super) struct Taken {
    lane: LaneId,
}

/// Place of a lane in the table of lanes; used again when the lane has ended.
type LaneId = usize;

/// Items by destination and ordering key.
pub(super) struct Queue<T> {
    lanes: Vec<Option<Lane<T>>>,
    free: Vec<LaneId>,
    destinations: HashMap<DestinationId, Destination>,
    /// Destinations that could hand out an item now; each is in it at most once.
    open: VecDeque<DestinationId>,
    /// Parked lanes by time; the number keeps equal times in the order of parking.
    parked: BinaryHeap<Reverse<(Instant, u64, LaneId)>>,
    parkings: u64,
    limit: usize,
    total_limit: usize,
    under_way: usize,
    ready: usize,
    len: usize,
}

struct Lane<T> {
    destination: DestinationId,
    key: Option<Rc<str>>,
    /// Next item; none only while the lane's last one is under way. Apart from `rest`, because most lanes never
    /// have a second item, and then `rest` has no memory of its own.
    head: Option<T>,
    rest: VecDeque<T>,
}

#[derive(Default)]
struct Destination {
    keys: HashMap<Rc<str>, LaneId>,
    lanes: usize,
    ready: VecDeque<LaneId>,
    under_way: usize,
    /// None: that of the queue.
    limit: Option<usize>,
    is_open: bool,
}

impl<T> Queue<T> {
    /// An empty queue that hands out at most `limit` items per destination without a limit of its own at once and `total_limit` in all, at
    /// least one each.
    pub(super) fn new(limit: usize, total_limit: usize) -> Queue<T> {
        Queue {
            lanes: Vec::new(),
            free: Vec::new(),
            destinations: HashMap::new(),
            open: VecDeque::new(),
            parked: BinaryHeap::new(),
            parkings: 0,
            limit: limit.max(1),
            total_limit: total_limit.max(1),
            under_way: 0,
            ready: 0,
            len: 0,
        }
    }

    /// Puts an item behind all others of its destination and key; an empty key means no order.
    ///
    /// A destination may have a limit of its own, which every push to it repeats.
    pub(super) fn push(&mut self, destination: DestinationId, limit: Option<usize>, key: &str, item: T) {
        self.len += 1;
        let known = self
            .destinations
            .get(&destination)
            .and_then(|found| found.keys.get(key))
            .copied();
        if let Some(id) = known {
            self.lane(id).push(item);
            return;
        }
        let key: Option<Rc<str>> = (!key.is_empty()).then(|| key.into());
        let lane = Lane {
            destination,
            key: key.clone(),
            head: Some(item),
            rest: VecDeque::new(),
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.set_lane(id, Some(lane));
                id
            }
            None => {
                self.lanes.push(Some(lane));
                self.lanes.len() - 1
            }
        };
        let entry = self.destinations.entry(destination).or_default();
        entry.lanes += 1;
        entry.limit = limit;
        if let Some(key) = key {
            entry.keys.insert(key, id);
        }
        self.make_ready(id);
    }

    /// Hands out the next item to send, if there is one within the limits.
    pub(super) fn next(&mut self) -> Option<(Taken, T)> {
        if self.under_way >= self.total_limit {
            return None;
        }
        let id = self.open.pop_front()?;
        let destination = self.destinations.get_mut(&id)?;
        destination.is_open = false;
        let lane = destination.ready.pop_front()?;
        destination.under_way += 1;
        self.under_way += 1;
        self.ready -= 1;
        self.open(id);
        let item = self.lane(lane).pop()?;
        Some((Taken { lane }, item))
    }

    /// The item has ended, delivered or not: the next of its lane may go.
    pub(super) fn done(&mut self, taken: Taken) {
        self.len -= 1;
        let id = taken.lane;
        let lane = self.lane(id);
        let (destination, is_empty) = (lane.destination, lane.head.is_none());
        self.free_slot(destination);
        if is_empty {
            self.end_lane(id);
        } else {
            self.make_ready(id);
        }
    }

    /// The item is to be sent again, not before `at` and before all others of its lane.
    pub(super) fn retry(&mut self, taken: Taken, item: T, at: Instant) {
        let id = taken.lane;
        let lane = self.lane(id);
        lane.push_front(item);
        let destination = lane.destination;
        self.free_slot(destination);
        self.parkings += 1;
        self.parked.push(Reverse((at, self.parkings, id)));
        self.open(destination);
    }

    /// Makes ready what was parked until `now` or earlier.
    pub(super) fn resume(&mut self, now: Instant) {
        while let Some(Reverse((at, _, id))) = self.parked.peek().copied() {
            if at > now {
                return;
            }
            self.parked.pop();
            self.make_ready(id);
        }
    }

    /// When the next parked lane becomes due.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.parked.peek().map(|Reverse((at, _, _))| *at)
    }

    /// Items in all: waiting, parked and under way.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether anything is under way or could be now; if not, only [`Queue::resume`] or a push changes that.
    pub(super) fn is_active(&self) -> bool {
        self.under_way > 0 || self.ready > 0
    }

    fn make_ready(&mut self, id: LaneId) {
        let destination = self.lane(id).destination;
        self.ready += 1;
        self.destinations.entry(destination).or_default().ready.push_back(id);
        self.open(destination);
    }

    /// Lists the destination among the open ones if it has something ready and a free slot.
    fn open(&mut self, id: DestinationId) {
        let Some(destination) = self.destinations.get_mut(&id) else {
            return;
        };
        let limit = destination.limit.map_or(self.limit, |limit| limit.max(1));
        if !destination.is_open && !destination.ready.is_empty() && destination.under_way < limit {
            destination.is_open = true;
            self.open.push_back(id);
        }
    }

    fn free_slot(&mut self, id: DestinationId) {
        self.under_way -= 1;
        if let Some(destination) = self.destinations.get_mut(&id) {
            destination.under_way -= 1;
        }
        self.open(id);
    }

    fn end_lane(&mut self, id: LaneId) {
        let Some(lane) = self.set_lane(id, None) else { return };
        self.free.push(id);
        let Some(destination) = self.destinations.get_mut(&lane.destination) else {
            return;
        };
        destination.lanes -= 1;
        if let Some(key) = lane.key {
            destination.keys.remove(&key);
        }
        if destination.lanes == 0 {
            self.destinations.remove(&lane.destination);
        }
        if self.len == 0 {
            // After a burst the table would keep its greatest size for ever.
            (self.lanes, self.free) = Default::default();
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "ids come from `push` and are dropped where their lane ends"
    )]
    fn set_lane(&mut self, id: LaneId, lane: Option<Lane<T>>) -> Option<Lane<T>> {
        std::mem::replace(&mut self.lanes[id], lane)
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::expect_used,
        reason = "ids live exactly as long as their lane"
    )]
    fn lane(&mut self, id: LaneId) -> &mut Lane<T> {
        self.lanes[id]
            .as_mut()
            .expect("an id that is parked, ready or taken has its lane")
    }
}

impl<T> Lane<T> {
    fn push(&mut self, item: T) {
        match self.head {
            None => self.head = Some(item),
            Some(_) => self.rest.push_back(item),
        }
    }

    fn push_front(&mut self, item: T) {
        if let Some(next) = self.head.replace(item) {
            self.rest.push_front(next);
        }
    }

    fn pop(&mut self) -> Option<T> {
        let next = self.rest.pop_front();
        std::mem::replace(&mut self.head, next)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
