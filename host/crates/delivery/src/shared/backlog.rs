//! Requests that wait in the data folder until NATS can be reached again.
//!
//! It is the file of the outbox on disk: a host whose outbox was not shared before has its unsent requests there, and a host
//! whose outbox is shared no longer sends what is left. The records have ascending numbers and are removed in this order.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use hookhost_contract::Ticket;
use hookhost_outbox::{Numbered, Store, StoreError};
use hookhost_settings::error_line;
use tracing::{error, info, warn};

use super::super::capacity::Capacity;
use super::super::compaction::compact;
use super::super::outbox::OutboxClosed;

/// How many records are read and moved at once.
const CHUNK: usize = 500;

/// The wait before a file that cannot be used is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// A record to keep, with what waits for it.
pub(super) struct Waiting {
    pub(super) bytes: Bytes,
    /// Completed when the record is in the shared outbox.
    pub(super) ticket: Option<Ticket>,
}

/// Records are not in the backlog.
pub(super) enum PutError {
    /// The backlog is closed.
    Closed,
    /// The file cannot be written. The records come back after a second.
    NotWritten(Vec<Waiting>),
}

/// The requests that wait, in order.
pub(super) struct Backlog {
    store: Store,
    /// Limits the bytes of the records.
    capacity: Capacity,
    state: Mutex<BacklogState>,
    /// Wakes the thread that moves records.
    changed: Condvar,
}

#[derive(Default)]
struct BacklogState {
    /// The records from this number on were not moved yet.
    first: u64,
    /// The number of the next record.
    next: u64,
    tickets: BTreeMap<u64, Ticket>,
    is_closed: bool,
}

impl Backlog {
    /// The backlog in this file, limited to `max_bytes`. Reads all records once.
    ///
    /// # Errors
    ///
    /// [`StoreError::File`] if the file cannot be read.
    pub(super) fn new(store: Store, max_bytes: usize) -> Result<Backlog, StoreError> {
        let capacity = Capacity::new(usize::MAX, max_bytes);
        let (mut from, mut count) = (0, 0);
        loop {
            let chunk = store.range(from, CHUNK)?;
            let Some((last, _)) = chunk.last() else { break };
            from = last + 1;
            count += chunk.len();
            capacity.add(chunk.len(), bytes_of(&chunk));
        }
        if count > 0 {
            info!(requests = count, "requests of the data folder go to the shared outbox");
        }
        let state = BacklogState {
            next: store.next_number(),
            ..BacklogState::default()
        };
        Ok(Backlog {
            store,
            capacity,
            state: Mutex::new(state),
            changed: Condvar::new(),
        })
    }

    /// Returns whether nothing waits. A caller that has added records sees false until they are moved.
    pub(super) fn is_empty(&self) -> bool {
        let state = self.lock();
        state.first == state.next
    }

    /// Returns how many requests wait, and their bytes.
    pub(super) fn waiting(&self) -> (usize, usize) {
        self.capacity.taken()
    }

    /// Adds records in this order. Blocks while the backlog is full. `reason` says why they cannot go to NATS.
    ///
    /// # Errors
    ///
    /// [`PutError`].
    pub(super) fn put(&self, waiting: Vec<Waiting>, reason: Option<&str>) -> Result<(), PutError> {
        if waiting.is_empty() {
            return Ok(());
        }
        let bytes = waiting.iter().map(|record| record.bytes.len()).sum();
        let acquired = self.capacity.acquire(waiting.len(), bytes);
        acquired.map_err(|OutboxClosed| PutError::Closed)?;
        let mut state = self.lock();
        let numbers = state.next..;
        let records: BTreeMap<u64, Bytes> = numbers
            .zip(&waiting)
            .map(|(number, record)| (number, record.bytes.clone()))
            .collect();
        if let Err(error) = self.store.write(&records, &[]) {
            drop(state);
            self.capacity.release(waiting.len(), bytes);
            error!(
                error = error_line(&error),
                "the data folder cannot be written; trying again"
            );
            return Err(match self.is_closed_within(RETRY) {
                true => PutError::Closed,
                false => PutError::NotWritten(waiting),
            });
        }
        if state.first == state.next {
            warn!(reason, "requests wait in the data folder until NATS can be used");
        }
        let numbers = state.next..;
        state.next += waiting.len() as u64;
        let tickets = numbers
            .zip(waiting)
            .filter_map(|(number, record)| Some((number, record.ticket?)));
        state.tickets.extend(tickets);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for records, and returns the first ones; `None` after [`Backlog::close`].
    pub(super) fn next_chunk(&self) -> Option<Vec<Numbered>> {
        loop {
            let mut state = self.lock();
            while state.first == state.next && !state.is_closed {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.is_closed {
                return None;
            }
            match self.store.range(state.first, CHUNK) {
                Ok(chunk) if chunk.is_empty() => state.first = state.next,
                Ok(chunk) => return Some(chunk),
                Err(error) => {
                    drop(state);
                    error!(
                        error = error_line(&error),
                        "the data folder cannot be read; trying again"
                    );
                    if self.is_closed_within(RETRY) {
                        return None;
                    }
                }
            }
        }
    }

    /// Takes note that the records of a chunk were dealt with, and removes those of `removed`. Tries until the file is
    /// written or the backlog is closed; after that, a new process moves the records again.
    pub(super) fn moved(&self, chunk: &[Numbered], removed: &[u64]) {
        let Some((last, _)) = chunk.last() else { return };
        while let Err(error) = self.store.write(&BTreeMap::new(), removed) {
            error!(
                error = error_line(&error),
                "the data folder cannot be written; trying again"
            );
            if self.is_closed_within(RETRY) {
                return;
            }
        }
        let first = last + 1;
        let mut state = self.lock();
        state.first = first;
        let later = state.tickets.split_off(&first);
        let tickets = std::mem::replace(&mut state.tickets, later);
        let is_empty = state.first == state.next;
        drop(state);
        tickets.into_values().for_each(Ticket::complete);
        self.capacity.release(chunk.len(), bytes_of(chunk));
        if is_empty {
            info!("no requests wait in the data folder anymore");
            compact(&self.store, 0);
        }
    }

    /// Waits for this time, or until the backlog is closed; returns whether it is.
    pub(super) fn is_closed_within(&self, time: Duration) -> bool {
        self.capacity.is_closed_within(time)
    }

    /// Ends [`Backlog::put`] and [`Backlog::next_chunk`]. What waits stays in the file.
    pub(super) fn close(&self) {
        self.capacity.close();
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, BacklogState> {
        // No code of this file panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of records; a damaged one has none.
fn bytes_of(chunk: &[Numbered]) -> usize {
    chunk.iter().flat_map(|(_, record)| record).map(Bytes::len).sum()
}

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
