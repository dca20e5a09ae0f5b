//! The changes since the last commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use hookhost_contract::Ticket;

use super::super::record;
use super::super::request::OutboxRequest;

/// A request to append.
pub(in super::super) struct NewRecord {
    pub(super) bytes: Bytes,
    pub(super) ticket: Option<Ticket>,
}

impl NewRecord {
    /// The record of a request; takes the ticket out of the request.
    pub(in super::super) fn of(request: &mut OutboxRequest) -> NewRecord {
        NewRecord {
            bytes: record::encode(request),
            ticket: request.ticket.take(),
        }
    }
}

/// The changes since the last commit.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) put: BTreeMap<u64, Bytes>,
    /// The tickets of records in `put`.
    pub(super) tickets: BTreeMap<u64, Ticket>,
    pub(super) removed: Vec<u64>,
    /// What the running commit writes.
    pub(super) writing: Arc<BTreeMap<u64, Bytes>>,
    /// The bytes of `put` and `writing`.
    pub(super) bytes: usize,
    /// The next number.
    pub(super) next: u64,
    /// Commits that have started and ended.
    pub(super) started: u64,
    pub(super) ended: u64,
    /// Threads that wait for a commit.
    pub(super) waiting: usize,
    /// The last commit has failed.
    pub(super) is_failing: bool,
    /// Whether `capacity` counts the requests of the previous process.
    pub(super) is_restored: bool,
    pub(super) is_closed: bool,
    /// The thread has ended.
    pub(super) is_over: bool,
}

impl Pending {
    /// Whether a record below this number is not on disk yet.
    pub(super) fn has_below(&self, number: u64) -> bool {
        let is_below = |records: &BTreeMap<u64, Bytes>| records.keys().next().is_some_and(|first| *first < number);
        is_below(&self.put) || is_below(&self.writing)
    }

    /// Removes a record that is not being written. Returns false if there is no such record.
    pub(super) fn cancel(&mut self, number: u64) -> bool {
        let Some(record) = self.put.remove(&number) else {
            return false;
        };
        self.bytes -= record.len();
        if let Some(ticket) = self.tickets.remove(&number) {
            ticket.complete();
        }
        true
    }
}
