//! Writes requests to disk and removes them, in commits of one thread.
//!
//! ```text
//! append ──> pending ──(commit)──> store        get: pending, or else the store
//! remove ──> cancels what is pending, or waits for the next commit
//! ```
//!
//! Every change waits in memory for the next commit ([`Pending`]). A request that is delivered before its commit is never
//! written. [`Sync`] decides when a commit starts. With [`Sync::Always`], `append`
//! returns after the commit. Commits do not overlap: while one runs, the changes for the next one collect.
//!
//! A request can have a [`Ticket`], for which the acknowledgement of its publish waits. The journal completes it after the
//! commit, or when the request is removed earlier: it is delivered or given up then.
//!
//! If the disk fails, the changes stay pending and the thread tries again. Requests are still sent from memory, but their
//! tickets wait. Above [`MAX_PENDING_BYTES`] `append` waits.

mod chunks;
mod commit;
mod pending;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hookhost_outbox::{Flush, Store, StoreError};

use super::StartError;
use super::capacity::Capacity;
use super::outbox::OutboxClosed;
use chunks::RecentChunks;
use commit::Over;
use pending::Pending;

pub(super) use pending::NewRecord;

/// Limit of the bytes that wait for a commit. Enough for seconds of full load on a slow disk.
const MAX_PENDING_BYTES: usize = 32 << 20;

/// When requests are on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// Before they are sent: the next commit starts when the last one has ended.
    Always,
    /// Within about 10 ms. A request that is delivered earlier is never written.
    #[default]
    Interval,
    /// As `Interval`, but the operating system decides when a commit is on the disk itself.
    Never,
}

impl Sync {
    /// All values, by their names in a configuration.
    pub const NAMES: [(&'static str, Sync); 3] = [
        ("always", Sync::Always),
        ("interval", Sync::Interval),
        ("never", Sync::Never),
    ];

    /// How the store has to be opened.
    pub fn flush(self) -> Flush {
        match self {
            Sync::Always | Sync::Interval => Flush::Always,
            Sync::Never => Flush::Never,
        }
    }
}

/// The requests on disk, shared by all threads.
pub(super) struct Journal {
    store: Store,
    sync: Sync,
    /// The requests that the store and the pending changes have.
    capacity: Arc<Capacity>,
    pending: Mutex<Pending>,
    /// Requests that were read together with others: they are needed soon.
    recent: Mutex<RecentChunks>,
    /// Wakes the thread that commits.
    work: Condvar,
    /// Wakes callers of `append` after a commit.
    committed: Condvar,
}

impl Journal {
    /// Starts the thread that commits. The handle ends after [`Journal::close`] and the last commit.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the system cannot create the thread.
    pub(super) fn start(
        store: Store,
        sync: Sync,
        capacity: Arc<Capacity>,
    ) -> Result<(Arc<Journal>, JoinHandle<()>), StartError> {
        let pending = Pending {
            next: store.next_number(),
            ..Pending::default()
        };
        let journal = Arc::new(Journal {
            store,
            sync,
            capacity,
            pending: Mutex::new(pending),
            recent: Mutex::default(),
            work: Condvar::new(),
            committed: Condvar::new(),
        });
        let shared = Arc::clone(&journal);
        let thread = thread::Builder::new()
            .name("outbox".to_owned())
            .spawn(move || {
                let _over = Over(&shared);
                shared.commit_all();
            })
            .map_err(StartError::Thread)?;
        Ok((journal, thread))
    }

    /// Adds requests and returns their numbers. Blocks while too much is pending, and with [`Sync::Always`]
    /// until they are on disk or the disk has failed.
    ///
    /// # Errors
    ///
    /// [`OutboxClosed`] after [`Journal::close`]; then nothing is added.
    pub(super) fn append(&self, records: Vec<NewRecord>) -> Result<std::ops::Range<u64>, OutboxClosed> {
        let mut pending = self.lock();
        while pending.bytes > MAX_PENDING_BYTES && !pending.is_closed {
            pending = self.wait_for_commit(pending);
        }
        if pending.is_closed {
            return Err(OutboxClosed);
        }
        let (first, had_tickets) = (pending.next, !pending.tickets.is_empty());
        let had_puts = !pending.put.is_empty();
        for NewRecord { bytes, ticket } in records {
            let number = pending.next;
            pending.next += 1;
            pending.bytes += bytes.len();
            pending.put.insert(number, bytes);
            pending.tickets.extend(ticket.map(|ticket| (number, ticket)));
        }
        let numbers = first..pending.next;
        // A thread that waits to write other records writes these, too. Waking it costs more than adding a record.
        let has_new_tickets = !had_tickets && !pending.tickets.is_empty();
        if !had_puts || has_new_tickets {
            self.work.notify_one();
        }
        if self.sync == Sync::Always {
            let commit = pending.started + 1;
            while pending.ended < commit && !pending.is_failing {
                if pending.is_over {
                    return Err(OutboxClosed);
                }
                pending = self.wait_for_commit(pending);
            }
        }
        Ok(numbers)
    }

    /// Waits until all requests that were added are on disk or removed, for at most `time`. Returns whether they are.
    pub(super) fn flush(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut pending = self.lock();
        let next = pending.next;
        while pending.has_below(next) {
            let left = end.saturating_duration_since(Instant::now());
            if pending.is_over || left.is_zero() {
                return false;
            }
            pending.waiting += 1;
            pending = wait_timeout(&self.committed, pending, left);
            pending.waiting -= 1;
        }
        true
    }

    /// Removes a record. Never blocks on the disk.
    pub(super) fn remove(&self, number: u64) {
        let mut pending = self.lock();
        if pending.cancel(number) {
            self.notify_committed(&pending);
            return;
        }
        // The thread that commits needs to be woken for the first change only.
        let is_first = pending.put.is_empty() && pending.removed.is_empty();
        pending.removed.push(number);
        if is_first {
            self.work.notify_one();
        }
    }

    /// Returns a record that is not removed, whether it is on disk already or not.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot be read, or the record is damaged.
    pub(super) fn get(&self, number: u64) -> Result<Option<Bytes>, StoreError> {
        let pending = self.lock();
        let found = pending
            .put
            .get(&number)
            .or_else(|| pending.writing.get(&number))
            .cloned();
        drop(pending);
        match found {
            Some(record) => Ok(Some(record)),
            None => self.read(number),
        }
    }

    fn read(&self, number: u64) -> Result<Option<Bytes>, StoreError> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = recent.get(number) {
            return record.map(Some);
        }
        drop(recent);
        let Some(chunk) = self.store.chunk(number)? else {
            return Ok(None);
        };
        let record = chunk.get(number).transpose();
        recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.add(chunk);
        record
    }

    /// The store, to read what it had at the start.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// The capacity counts all requests from now on.
    pub(super) fn set_restored(&self) {
        self.lock().is_restored = true;
        self.work.notify_one();
    }

    /// Ends the thread after a last commit. `append` returns an error from now on.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.work.notify_all();
        self.committed.notify_all();
    }

    /// Waits until requests are on disk or removed.
    fn wait_for_commit<'a>(&'a self, mut pending: MutexGuard<'a, Pending>) -> MutexGuard<'a, Pending> {
        pending.waiting += 1;
        let mut pending = wait(&self.committed, pending);
        pending.waiting -= 1;
        pending
    }

    /// Wakes the threads that wait until requests are on disk or removed.
    fn notify_committed(&self, pending: &Pending) {
        if pending.waiting > 0 {
            self.committed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        // A panic while the lock is held would be a bug in this file; the maps are valid after each statement.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn wait_timeout<'a>(condition: &Condvar, guard: MutexGuard<'a, Pending>, time: Duration) -> MutexGuard<'a, Pending> {
    let woken = condition.wait_timeout(guard, time);
    woken.unwrap_or_else(PoisonError::into_inner).0
}

fn wait<'a>(condition: &Condvar, guard: MutexGuard<'a, Pending>) -> MutexGuard<'a, Pending> {
    condition.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
