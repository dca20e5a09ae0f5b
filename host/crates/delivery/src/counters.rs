//! Counters of requests, for each destination and in all. They only increase, except for what waits.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use hookhost_activity::ActivityLog;

use super::capacity::Capacity;
use super::destination_counts::{DestinationCounts, DestinationKey, DestinationState};
use super::gate::Gates;
use super::retry::Reason;

/// Limit of the destinations with counters of their own. Requests to further ones are counted together.
const MAX_DESTINATIONS: usize = 1000;

/// The values of the counters since the start.
///
/// `accepted` = `delivered` + all of `dead` + all of `dropped` + `moved` + `queued_requests`, except for changes during the
/// reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests accepted by the outbox, those of the previous process, and dead letters sent again.
    pub accepted: u64,
    /// Requests delivered: answered with 2xx, or written to a file or standard output.
    pub delivered: u64,
    /// Failed attempts that are retried.
    pub retried: u64,
    /// Requests that became dead letters.
    pub dead: Dead,
    /// Requests of which nothing is kept.
    pub dropped: Dropped,
    /// Requests of a shared outbox that other hosts deliver, after this host had begun to.
    pub moved: u64,
    /// Requests that wait or are being sent, in memory and on disk.
    pub queued_requests: usize,
    /// The size of these requests in bytes.
    pub queued_bytes: usize,
}

/// Requests that became dead letters, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dead {
    /// The receiver refused the request with a final answer, such as 422.
    pub refused: u64,
    /// The last attempt got no answer or one that asks for a retry, and the policy allows no other attempt.
    pub gave_up: u64,
    /// The request expired before it was delivered.
    pub expired: u64,
    /// The request is invalid: its URL or a header is not valid.
    pub invalid: u64,
    /// The module chose the host, and the host has no public address.
    pub barred: u64,
}

impl Dead {
    /// All counters with the names of their fields.
    pub fn by_reason(&self) -> [(&'static str, u64); 5] {
        [
            ("refused", self.refused),
            ("gave_up", self.gave_up),
            ("expired", self.expired),
            ("invalid", self.invalid),
            ("barred", self.barred),
        ]
    }

    /// Returns the number for all reasons.
    pub fn total(&self) -> u64 {
        let Dead {
            refused,
            gave_up,
            expired,
            invalid,
            barred,
        } = self;
        refused + gave_up + expired + invalid + barred
    }
}

/// Dropped requests, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The outbox on disk was full, and its setting drops new or old requests; or, without an outbox on disk, the
    /// destination was down and its requests took their share of the memory.
    pub full: u64,
    /// The record of the request on disk was damaged.
    pub damaged: u64,
    /// Delivery stopped before the request was delivered. With a data folder it is kept for the next start instead.
    pub closed: u64,
}

impl Dropped {
    /// All counters with the names of their fields.
    pub fn by_reason(&self) -> [(&'static str, u64); 3] {
        [("full", self.full), ("damaged", self.damaged), ("closed", self.closed)]
    }

    /// Returns the number for all reasons.
    pub fn total(&self) -> u64 {
        let Dropped { full, damaged, closed } = self;
        full + damaged + closed
    }
}

/// Counters that threads share.
#[derive(Default)]
pub(super) struct Tally {
    accepted: AtomicU64,
    delivered: AtomicU64,
    retried: AtomicU64,
    refused: AtomicU64,
    gave_up: AtomicU64,
    expired: AtomicU64,
    invalid: AtomicU64,
    barred: AtomicU64,
    full: AtomicU64,
    damaged: AtomicU64,
    closed: AtomicU64,
    moved: AtomicU64,
}

impl Tally {
    pub(super) fn accepted(&self, requests: usize) {
        self.accepted.fetch_add(requests as u64, Relaxed);
    }

    pub(super) fn delivered(&self) {
        self.delivered.fetch_add(1, Relaxed);
    }

    pub(super) fn retried(&self) {
        self.retried.fetch_add(1, Relaxed);
    }

    /// Counts a request that became a dead letter.
    pub(super) fn dead(&self, reason: Reason) {
        let counter = match reason {
            Reason::Refused => &self.refused,
            Reason::Failed | Reason::TimeOver => &self.gave_up,
            Reason::Expired => &self.expired,
            Reason::Invalid => &self.invalid,
            Reason::Barred => &self.barred,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Counts requests that are dropped because the outbox on disk is full.
    pub(super) fn full(&self, requests: usize) {
        self.accepted(requests);
        self.full.fetch_add(requests as u64, Relaxed);
    }

    /// Counts an accepted request that is dropped, because its destination is down and takes too much of the memory, or
    /// because it is one of the oldest in a full outbox.
    pub(super) fn overflowed(&self) {
        self.full.fetch_add(1, Relaxed);
    }

    pub(super) fn damaged(&self) {
        self.damaged.fetch_add(1, Relaxed);
    }

    pub(super) fn moved(&self) {
        self.moved.fetch_add(1, Relaxed);
    }

    pub(super) fn closed(&self, requests: usize) {
        self.closed.fetch_add(requests as u64, Relaxed);
    }

    /// Reads the counters; `queued` are the requests and bytes that wait.
    pub(super) fn read(&self, (queued_requests, queued_bytes): (usize, usize)) -> Counters {
        Counters {
            accepted: self.accepted.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            retried: self.retried.load(Relaxed),
            dead: Dead {
                refused: self.refused.load(Relaxed),
                gave_up: self.gave_up.load(Relaxed),
                expired: self.expired.load(Relaxed),
                invalid: self.invalid.load(Relaxed),
                barred: self.barred.load(Relaxed),
            },
            dropped: Dropped {
                full: self.full.load(Relaxed),
                damaged: self.damaged.load(Relaxed),
                closed: self.closed.load(Relaxed),
            },
            moved: self.moved.load(Relaxed),
            queued_requests,
            queued_bytes,
        }
    }
}

/// The counters in all and of each destination.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) all: Tally,
    /// The last attempts, and their followers.
    pub(super) activity: ActivityLog,
    destinations: Mutex<BTreeMap<DestinationKey, Arc<DestinationCounts>>>,
    pub(super) gates: Gates,
    /// Dead letters by the name of their module.
    dead_of_modules: Mutex<BTreeMap<Arc<str>, u64>>,
}

impl Counts {
    /// Returns the counters of a destination. Above [`MAX_DESTINATIONS`], further ones share those of [`DestinationKey::others`].
    pub(super) fn destination(&self, key: DestinationKey) -> Arc<DestinationCounts> {
        let mut destinations = self.destinations.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !destinations.contains_key(&key);
        let key = if is_new && destinations.len() >= MAX_DESTINATIONS {
            DestinationKey::others()
        } else {
            key
        };
        Arc::clone(destinations.entry(key).or_default())
    }

    /// Counts a request of a module that became a dead letter.
    pub(super) fn dead(&self, module: &Arc<str>, reason: Reason) {
        self.all.dead(reason);
        let mut modules = self.dead_of_modules.lock().unwrap_or_else(PoisonError::into_inner);
        *modules.entry(Arc::clone(module)).or_default() += 1;
    }

    /// Returns how many requests of a module became dead letters.
    pub(super) fn dead_of(&self, module: &str) -> u64 {
        let modules = self.dead_of_modules.lock().unwrap_or_else(PoisonError::into_inner);
        modules.get(module).copied().unwrap_or(0)
    }

    /// Reads the counters in all. `capacity` is that of the outbox.
    pub(super) fn read(&self, capacity: &Capacity) -> Counters {
        self.all.read(capacity.taken())
    }

    /// Reads the state of each destination, by name and URL.
    pub(super) fn destinations(&self) -> Vec<DestinationState> {
        let destinations = self.destinations.lock().unwrap_or_else(PoisonError::into_inner);
        let read = |(key, counts): (&DestinationKey, &Arc<DestinationCounts>)| {
            let mut state = counts.read(key);
            if let Some(gate) = self.gates.find(key) {
                (state.breaker, state.concurrency) = (gate.breaker(), gate.concurrency());
            }
            state
        };
        destinations.iter().map(read).collect()
    }
}
