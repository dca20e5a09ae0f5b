//! What became of requests, in numbers that only grow.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::outbox::Capacity;

/// A reading of the counters since the start.
///
/// `accepted` = `delivered` + all of `dropped` + `queued_requests`, but for what moved during the reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests that the outbox has taken.
    pub accepted: u64,
    /// Requests that a receiver has taken: answered 2xx, or written out.
    pub delivered: u64,
    /// Attempts that failed and were or will be repeated.
    pub retried: u64,
    /// Requests that were given up.
    pub dropped: Dropped,
    /// Requests that wait or are under way.
    pub queued_requests: usize,
    /// Their size in bytes.
    pub queued_bytes: usize,
}

/// Requests that were given up, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Every attempt failed until the time for retries was over.
    pub gave_up: u64,
    /// The request cannot be sent at all: its URL or a header is not valid.
    pub invalid: u64,
    /// The module chose the host, and it has no public address.
    pub barred: u64,
    /// Delivery stopped first.
    pub closed: u64,
}

/// The counters that all sender threads share.
#[derive(Default)]
pub(super) struct Counts {
    accepted: AtomicU64,
    delivered: AtomicU64,
    retried: AtomicU64,
    gave_up: AtomicU64,
    invalid: AtomicU64,
    barred: AtomicU64,
    closed: AtomicU64,
}

impl Counts {
    pub(super) fn accepted(&self, requests: usize) {
        self.accepted.fetch_add(requests as u64, Relaxed);
    }

    pub(super) fn delivered(&self) {
        self.delivered.fetch_add(1, Relaxed);
    }

    pub(super) fn retried(&self) {
        self.retried.fetch_add(1, Relaxed);
    }

    pub(super) fn gave_up(&self) {
        self.gave_up.fetch_add(1, Relaxed);
    }

    pub(super) fn invalid(&self) {
        self.invalid.fetch_add(1, Relaxed);
    }

    pub(super) fn barred(&self) {
        self.barred.fetch_add(1, Relaxed);
    }

    pub(super) fn closed(&self, requests: usize) {
        self.closed.fetch_add(requests as u64, Relaxed);
    }

    pub(super) fn read(&self, room: &Capacity) -> Counters {
        let (queued_requests, queued_bytes) = room.taken();
        Counters {
            accepted: self.accepted.load(Relaxed),
            delivered: self.delivered.load(Relaxed),
            retried: self.retried.load(Relaxed),
            dropped: Dropped {
                gave_up: self.gave_up.load(Relaxed),
                invalid: self.invalid.load(Relaxed),
                barred: self.barred.load(Relaxed),
                closed: self.closed.load(Relaxed),
            },
            queued_requests,
            queued_bytes,
        }
    }
}
