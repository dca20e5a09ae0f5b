//! Counters of requests. They only increase, except for the length of the queue.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::outbox::Capacity;

/// The values of the counters since the start.
///
/// `accepted` = `delivered` + all of `dropped` + `queued_requests`, except for changes during the reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests accepted by the outbox.
    pub accepted: u64,
    /// Requests delivered: answered with 2xx, or written to a file or standard output.
    pub delivered: u64,
    /// Failed attempts that are retried.
    pub retried: u64,
    /// Requests dropped.
    pub dropped: Dropped,
    /// Requests that wait or are being sent.
    pub queued_requests: usize,
    /// The size of these requests in bytes.
    pub queued_bytes: usize,
}

/// Dropped requests, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Every attempt failed until the time for retries was over.
    pub gave_up: u64,
    /// The request is invalid: its URL or a header is not valid.
    pub invalid: u64,
    /// The module chose the host, and the host has no public address.
    pub barred: u64,
    /// Delivery stopped before the request was delivered.
    pub closed: u64,
}

/// The counters shared by all sender threads.
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
