//! The requests in the data folder: their journal, the limit of their bytes, and what happens at that limit.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::capacity::Capacity;
use super::journal::Journal;

/// What happens while the outbox on disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Modules wait, so their event queues fill.
    #[default]
    Wait,
    /// New requests are dropped and counted.
    DropNewest,
    /// The oldest requests are dropped and counted, except for those that are being sent.
    DropOldest,
}

impl WhenFull {
    /// All values, by their names in a configuration.
    pub const NAMES: [(&'static str, WhenFull); 3] = [
        ("wait", WhenFull::Wait),
        ("drop-newest", WhenFull::DropNewest),
        ("drop-oldest", WhenFull::DropOldest),
    ];
}

/// The requests in the data folder.
pub(super) struct OnDisk {
    pub(super) journal: Arc<Journal>,
    /// Limits the requests in the journal.
    pub(super) capacity: Arc<Capacity>,
    pub(super) when_full: WhenFull,
    /// Locked by the caller that has the oldest requests dropped. A second one could drop more than necessary.
    pub(super) dropping: Mutex<()>,
    /// Whether the requests of the previous process are in the inboxes. New requests wait for that, because they come
    /// later.
    is_restored: Mutex<bool>,
    restored: Condvar,
}

impl OnDisk {
    /// Requests of the previous process are not restored yet.
    pub(super) fn new(journal: Arc<Journal>, capacity: Arc<Capacity>, when_full: WhenFull) -> OnDisk {
        OnDisk {
            journal,
            capacity,
            when_full,
            dropping: Mutex::default(),
            is_restored: Mutex::new(false),
            restored: Condvar::new(),
        }
    }

    /// Removes a request of `size` bytes that has ended.
    pub(super) fn remove(&self, size: usize, record: u64) {
        self.journal.remove(record);
        self.capacity.release(1, size);
    }

    /// Lets new requests in.
    pub(super) fn set_restored(&self) {
        *self.is_restored.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.restored.notify_all();
        self.journal.set_restored();
    }

    /// Returns whether the requests of the previous process are in the inboxes.
    pub(super) fn is_restored(&self) -> bool {
        *self.is_restored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until the requests of the previous process are in the inboxes.
    pub(super) fn wait_until_restored(&self) {
        let mut is_restored = self.is_restored.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_restored {
            is_restored = self.restored.wait(is_restored).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
