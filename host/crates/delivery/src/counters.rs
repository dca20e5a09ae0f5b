//! Counters of requests. They only increase, except for the length of the queue.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::capacity::Capacity;
use super::retry::Reason;

/// The values of the counters since the start.
///
/// `accepted` = `delivered` + all of `dropped` + `queued_requests`, except for changes during the reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests accepted by the outbox, and those of the previous process.
    pub accepted: u64,
    /// Requests delivered: answered with 2xx, or written to a file or standard output.
    pub delivered: u64,
    /// Failed attempts that are retried.
    pub retried: u64,
    /// Requests dropped.
    pub dropped: Dropped,
    /// Requests that wait or are being sent, in memory and on disk.
    pub queued_requests: usize,
    /// The size of these requests in bytes.
    pub queued_bytes: usize,
}

/// Dropped requests, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
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
    /// The outbox on disk was full, and its setting drops new requests.
    pub full: u64,
    /// The record of the request on disk was damaged.
    pub damaged: u64,
    /// Delivery stopped before the request was delivered. With a data folder it is kept for the next start instead.
    pub closed: u64,
}

/// The counters shared by all sender threads.
#[derive(Default)]
pub(super) struct Counts {
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

    /// Counts a request that is given up.
    pub(super) fn gave_up(&self, reason: Reason) {
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

    pub(super) fn damaged(&self, requests: usize) {
        self.damaged.fetch_add(requests as u64, Relaxed);
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
                refused: self.refused.load(Relaxed),
                gave_up: self.gave_up.load(Relaxed),
                expired: self.expired.load(Relaxed),
                invalid: self.invalid.load(Relaxed),
                barred: self.barred.load(Relaxed),
                full: self.full.load(Relaxed),
                damaged: self.damaged.load(Relaxed),
                closed: self.closed.load(Relaxed),
            },
            queued_requests,
            queued_bytes,
        }
    }
}
