//! The order of requests: a pure state machine without I/O, clock or randomness.
//!
//! Items with the same destination and ordering key form a *lane*. Only the head of a lane may be taken; the other
//! items wait behind it. An item without a key has a lane of its own. A destination lists the lanes whose head is
//! ready. It hands out heads while it has free slots. Lanes take turns, and so do destinations. A head that is
//! retried later *parks* its lane. A parked lane occupies no slot and delays no other lane. A *paused* destination hands
//! out nothing until the end of its pause. A destination may also *gather* items and hand them out together
//! (`queue/gathering.rs`).
//!
//! A lane exists while it has an item, and a destination exists while it has a lane. The number of items therefore
//! limits the memory, and the caller of `push` limits the items. [`Taken`] represents an item that is being sent. It
//! cannot be copied, and an item ends only when its [`Taken`] is returned. An item can therefore neither end twice nor
//! be retried after its end.

mod gathering;
mod lane;
mod ready;
mod removing;
mod slots;
mod waiting;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use gathering::Gathered;
use lane::{Lane, LaneId};

pub(super) use gathering::TakenLane;
pub(super) use slots::Slots;

/// The id of a destination. The caller chooses it and must not use one id for two destinations at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct DestinationId(pub(super) u64);

/// An item that is being sent. Return it with [`Queue::done`] or [`Queue::retry`].
#[derive(Debug)]
#[must_use = "its lane is blocked until the item is returned"]
pub(super) struct Taken {
    lane: LaneId,
    /// Whether it occupies a slot. Of the lanes that are handed out together, only the first one does.
    has_slot: bool,
}

/// The bytes of an item.
pub(super) trait Size {
    /// Returns the bytes that count for [`Gathering::bytes`].
    fn size(&self) -> usize;
}

/// When a destination has gathered enough items to hand them out together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gathering {
    /// So many items are ready.
    pub(super) count: usize,
    /// They have so many bytes.
    pub(super) bytes: usize,
    /// The first of them became ready this long ago.
    pub(super) delay: Duration,
}

/// Items by destination and ordering key.
pub(super) struct Queue<T> {
    lanes: Vec<Option<Lane<T>>>,
    free: Vec<LaneId>,
    destinations: HashMap<DestinationId, Destination>,
    /// Destinations that can hand out an item now; each destination occurs at most once.
    open: VecDeque<DestinationId>,
    /// Parked lanes by time. The number keeps lanes of equal time in the order of parking.
    parked: BinaryHeap<Reverse<(Instant, u64, LaneId)>>,
    parkings: u64,
    /// Destinations that gather, by the time at which they open.
    gathering: BTreeSet<(Instant, DestinationId)>,
    /// Destinations that have begun to gather, without a time yet.
    new_gathering: Vec<DestinationId>,
    /// Whether destinations gather at all.
    gathers: bool,
    /// Paused destinations with the end of the pause. Separate from `destinations`, because a pause outlives the lanes.
    paused: HashMap<DestinationId, Instant>,
    total_limit: usize,
    under_way: usize,
    len: usize,
}

struct Destination {
    keys: HashMap<Rc<str>, LaneId>,
    lanes: usize,
    ready: VecDeque<LaneId>,
    slots: Rc<Slots>,
    is_open: bool,
    /// Whether it waits for a slot.
    is_blocked: bool,
    /// `None`: it hands out items one by one.
    gathering: Option<Gathering>,
    gathered: Gathered,
}

impl<T: Size> Queue<T> {
    /// Creates an empty queue. It hands out at most `total_limit` items at once; 0 is treated as 1.
    pub(super) fn new(total_limit: usize) -> Queue<T> {
        Queue {
            lanes: Vec::new(),
            free: Vec::new(),
            destinations: HashMap::new(),
            open: VecDeque::new(),
            parked: BinaryHeap::new(),
            parkings: 0,
            gathering: BTreeSet::new(),
            new_gathering: Vec::new(),
            gathers: true,
            paused: HashMap::new(),
            total_limit: total_limit.max(1),
            under_way: 0,
            len: 0,
        }
    }

    /// Appends an item behind all items of the same destination and key. An item with an empty key has no order.
    ///
    /// `slots` are those of the receiver, and `gathering` says when the destination has gathered enough. Every push to the
    /// destination passes the same ones.
    pub(super) fn push(
        &mut self,
        destination: DestinationId,
        slots: &Rc<Slots>,
        gathering: Option<Gathering>,
        key: &str,
        item: T,
    ) {
        self.len += 1;
        let known = self
            .destinations
            .get(&destination)
            .and_then(|found| found.keys.get(key))
            .copied();
        if let Some(id) = known {
            self.push_to_lane(id, item);
            return;
        }
        let key: Option<Rc<str>> = (!key.is_empty()).then(|| key.into());
        let lane = Lane::new(destination, key.clone(), item);
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
        let entry = self.destinations.entry(destination);
        let entry = entry.or_insert_with(|| Destination::new(Rc::clone(slots), gathering));
        entry.lanes += 1;
        if let Some(key) = key {
            entry.keys.insert(key, id);
        }
        self.make_ready(id);
    }

    fn push_to_lane(&mut self, id: LaneId, item: T) {
        let size = item.size();
        let lane = self.lane(id);
        lane.push(item);
        if lane.is_ready {
            let destination = lane.destination;
            if let Some(found) = self.destinations.get_mut(&destination) {
                found.gathered.items += 1;
                found.gathered.bytes += size;
                if found.gathering.is_some() {
                    self.open(destination);
                }
            }
        }
    }

    /// Returns the next item to send, or `None` if no item is ready within the limits. The caller passes the item of a
    /// gathering destination to [`Queue::gather`].
    pub(super) fn next(&mut self) -> Option<(Taken, T)> {
        if self.under_way >= self.total_limit {
            return None;
        }
        let id = loop {
            let id = self.open.pop_front()?;
            let destination = self.destinations.get_mut(&id)?;
            destination.is_open = false;
            if !destination.slots.are_taken() {
                break id;
            }
            self.open(id);
        };
        let lane = self.take_ready_lane(id)?;
        let destination = self.destinations.get_mut(&id)?;
        destination.slots.take();
        self.under_way += 1;
        if destination.gathering.is_none() {
            self.open(id);
        }
        let item = self.lane(lane).pop()?;
        Some((Taken { lane, has_slot: true }, item))
    }

    /// Ends an item, delivered or dropped. The next item of its lane becomes ready.
    pub(super) fn done(&mut self, taken: Taken) {
        self.len -= 1;
        self.end(taken);
    }

    /// Returns an item for a retry at `at` or later. It stays at the head of its lane.
    pub(super) fn retry(&mut self, taken: Taken, item: T, at: Instant) {
        self.lane(taken.lane).push_front(item);
        self.park(taken, at);
    }

    /// Gives the slot back. The lane is ready again, or ends if it is empty.
    fn end(&mut self, taken: Taken) {
        let id = taken.lane;
        let lane = self.lane(id);
        let (destination, is_empty) = (lane.destination, lane.len() == 0);
        if taken.has_slot {
            self.free_slot(destination);
        }
        if is_empty {
            self.end_lane(id);
        } else {
            self.make_ready(id);
        }
    }

    /// Returns the key of an item that is being sent; `None` if it has no order.
    pub(super) fn key(&self, taken: &Taken) -> Option<&str> {
        self.lanes.get(taken.lane)?.as_ref()?.key.as_deref()
    }

    /// Returns the key of an item that is being sent, and how many items wait behind it.
    pub(super) fn behind(&self, taken: &Taken) -> (Option<&str>, usize) {
        match self.lanes.get(taken.lane) {
            Some(Some(lane)) => (lane.key.as_deref(), lane.len()),
            _ => (None, 0),
        }
    }

    /// Returns the number of items: waiting, parked and being sent.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns whether any item is being sent or ready. If not, only [`Queue::resume`] or a push changes that.
    pub(super) fn is_active(&self) -> bool {
        self.under_way > 0 || !self.open.is_empty()
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
        if destination.lanes == 0
            && let Some(ended) = self.destinations.remove(&lane.destination)
        {
            self.forget_gathering(lane.destination, &ended.gathered);
        }
        if self.destinations.is_empty() {
            // Frees the table, which would otherwise keep its largest size after a burst.
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

impl Destination {
    fn new(slots: Rc<Slots>, gathering: Option<Gathering>) -> Destination {
        Destination {
            keys: HashMap::new(),
            lanes: 0,
            ready: VecDeque::new(),
            slots,
            is_open: false,
            is_blocked: false,
            gathering,
            gathered: Gathered::default(),
        }
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
