//! The order of requests: a pure state machine without I/O, clock or randomness.
//!
//! Items with the same destination and ordering key form a *lane*. Only the head of a lane may be taken; the other
//! items wait behind it. An item without a key has a lane of its own. A destination lists the lanes whose head is
//! ready. It hands out at most its limit of heads at once. Lanes take turns, and so do destinations. A head that is
//! retried later *parks* its lane. A parked lane occupies no slot and delays no other lane. A *paused* destination hands
//! out nothing until the end of its pause.
//!
//! A lane exists while it has an item, and a destination exists while it has a lane. The number of items therefore
//! limits the memory, and the caller of `push` limits the items. [`Taken`] represents an item that is being sent. It
//! cannot be copied, and an item ends only when its [`Taken`] is returned. An item can therefore neither end twice nor
//! be retried after its end.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Instant;

/// The id of a destination. The caller chooses it and must not use one id for two destinations at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct DestinationId(pub(super) u64);

/// An item that is being sent. Return it with [`Queue::done`] or [`Queue::retry`].
#[derive(Debug)]
#[must_use = "its lane is blocked until the item is returned"]
pub(super) struct Taken {
    lane: LaneId,
}

/// The index of a lane in the table of lanes. It is reused after the lane has ended.
type LaneId = usize;

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
    /// Paused destinations with the end of the pause. Separate from `destinations`, because a pause outlives the lanes.
    paused: HashMap<DestinationId, Instant>,
    limit: usize,
    total_limit: usize,
    under_way: usize,
    len: usize,
}

struct Lane<T> {
    destination: DestinationId,
    key: Option<Rc<str>>,
    /// The next item; `None` only while the last item of the lane is being sent. It is separate from `rest`, because
    /// most lanes never have a second item. In that case `rest` allocates no memory.
    head: Option<T>,
    rest: VecDeque<T>,
}

#[derive(Default)]
struct Destination {
    keys: HashMap<Rc<str>, LaneId>,
    lanes: usize,
    ready: VecDeque<LaneId>,
    under_way: usize,
    /// `None`: the limit of the queue applies.
    limit: Option<usize>,
    is_open: bool,
}

impl<T> Queue<T> {
    /// Creates an empty queue. It hands out at most `limit` items at once per destination without its own limit, and
    /// `total_limit` items in total. Both are at least 1.
    pub(super) fn new(limit: usize, total_limit: usize) -> Queue<T> {
        Queue {
            lanes: Vec::new(),
            free: Vec::new(),
            destinations: HashMap::new(),
            open: VecDeque::new(),
            parked: BinaryHeap::new(),
            parkings: 0,
            paused: HashMap::new(),
            limit: limit.max(1),
            total_limit: total_limit.max(1),
            under_way: 0,
            len: 0,
        }
    }

    /// Appends an item behind all items of the same destination and key. An item with an empty key has no order.
    ///
    /// `limit` is the limit of this destination, if it has its own. Every push to the destination passes it.
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

    /// Returns the next item to send, or `None` if no item is ready within the limits.
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
        self.open(id);
        let item = self.lane(lane).pop()?;
        Some((Taken { lane }, item))
    }

    /// Ends an item, delivered or dropped. The next item of its lane becomes ready.
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

    /// Returns an item for a retry at `at` or later. It stays at the head of its lane.
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

    /// Hands out nothing of a destination before `until`, unless it is paused for longer already.
    pub(super) fn pause(&mut self, id: DestinationId, until: Instant) {
        let end = self.paused.entry(id).or_insert(until);
        *end = until.max(*end);
        if let Some(destination) = self.destinations.get_mut(&id)
            && std::mem::take(&mut destination.is_open)
        {
            self.open.retain(|open| *open != id);
        }
    }

    /// Makes the lanes ready that are parked until `now` or earlier, and ends the pauses that are over.
    pub(super) fn resume(&mut self, now: Instant) {
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

    /// Returns when the next parked lane becomes due or the next pause ends.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let parked = self.parked.peek().map(|Reverse((at, _, _))| *at);
        parked.into_iter().chain(self.paused.values().copied()).min()
    }

    /// Returns the key of an item that is being sent; `None` if it has no order.
    pub(super) fn key(&self, taken: &Taken) -> Option<&str> {
        self.lanes.get(taken.lane)?.as_ref()?.key.as_deref()
    }

    /// Returns the key of an item that is being sent, and how many items wait behind it.
    pub(super) fn behind(&self, taken: &Taken) -> (Option<&str>, usize) {
        match self.lanes.get(taken.lane) {
            Some(Some(lane)) => (lane.key.as_deref(), lane.rest.len() + usize::from(lane.head.is_some())),
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

    fn make_ready(&mut self, id: LaneId) {
        let destination = self.lane(id).destination;
        self.destinations.entry(destination).or_default().ready.push_back(id);
        self.open(destination);
    }

    /// Adds the destination to the open ones if it has a ready lane and a free slot and is not paused.
    fn open(&mut self, id: DestinationId) {
        if !self.paused.is_empty() && self.paused.contains_key(&id) {
            return;
        }
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
