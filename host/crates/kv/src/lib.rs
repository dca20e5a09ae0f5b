//! Key-value stores in which modules keep state: bounded, with times to live, in memory, and with a data folder on disk.
//!
//! The instances of one module share a [`Kv`], which outlives them and survives a reload of the module.
//! `entries.rs` is the store as a value, `changes.rs` records what one call has changed; both take the time as an
//! argument. This file has the lock and the operations that a guest can call. [`KvStores`] has the stores of all modules
//! by name and writes them to disk (`disk.rs`).
//!
//! A write takes effect at once for all instances. If the call fails, its writes are undone, because its events are
//! handled again:
//!
//! - If no other instance has written the key since, the old value is restored.
//! - If another instance has written the key since, its value stays.
//! - If the call only added to a counter, the amount is subtracted again, so counters are exact under concurrency.
//!
//! There is no isolation: other instances can read what a call wrote before it failed. If two calls that wrote the same key
//! both fail, the value of either may stay.

mod changes;
mod disk;
mod entries;
mod stores;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use changes::Changes;
use disk::StoredValue;
use entries::Entries;
use stores::Now;

pub use disk::DataError;
pub use stores::{DataSettings, KvStores};

/// Limits of one module's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvBounds {
    /// Number of keys, and of keys that one call may change. Default 65,536: one for each client of a large node.
    pub keys: usize,
    /// Bytes of a key. Default 1 KiB: enough for a long topic or client id.
    pub key_bytes: usize,
    /// Bytes of a value. Default 64 KiB: stores are for state, not for payloads.
    pub value_bytes: usize,
    /// Bytes of all keys and values plus 128 for each entry, and bytes that one call may replace. Default 16 MiB: a hundred
    /// modules still fit on a small machine.
    pub total_bytes: usize,
}

impl Default for KvBounds {
    fn default() -> KvBounds {
        KvBounds {
            keys: 1 << 16,
            key_bytes: 1 << 10,
            value_bytes: 64 << 10,
            total_bytes: 16 << 20,
        }
    }
}

/// Size of a store. Expired entries count until they are removed by a later write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvUsage {
    /// Keys.
    pub keys: usize,
    /// Bytes, counted as in [`KvBounds::total_bytes`].
    pub bytes: usize,
}

/// Why nothing was written. The module gets the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    /// The key is longer than [`KvBounds::key_bytes`].
    #[error("the key has {got} bytes, {limit} are allowed")]
    KeyTooLong {
        /// Its length in bytes.
        got: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The value is longer than [`KvBounds::value_bytes`].
    #[error("the value has {got} bytes, {limit} are allowed")]
    ValueTooLong {
        /// Its length in bytes.
        got: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The store has [`KvBounds::keys`] keys.
    #[error("there are {limit} keys already, more are not allowed")]
    TooManyKeys {
        /// The limit.
        limit: usize,
    },
    /// The store would exceed [`KvBounds::total_bytes`].
    #[error("{limit} bytes are allowed in all, and this would make {wanted}")]
    Full {
        /// Bytes that the store would have.
        wanted: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The call has changed [`KvBounds::keys`] keys.
    #[error("one call may change {limit} keys, and this would be another")]
    TooManyChanges {
        /// The limit.
        limit: usize,
    },
    /// The call would replace more than [`KvBounds::total_bytes`].
    #[error("one call may replace {limit} bytes, and this would be more")]
    ChangesTooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The value is not the decimal digits of a signed 64-bit number.
    #[error("the value is not a counter")]
    NotACounter,
    /// The sum does not fit into a signed 64-bit number.
    #[error("the counter would overflow")]
    Overflow,
}

/// The store of one module, shared by its instances.
#[derive(Debug)]
pub struct Kv {
    entries: Mutex<Entries>,
    bounds: KvBounds,
}

impl Kv {
    /// An empty store.
    pub fn new(bounds: KvBounds) -> Arc<Kv> {
        Arc::new(Kv {
            entries: Mutex::new(Entries::default()),
            bounds,
        })
    }

    /// A store with the entries read from disk, which tracks changes; and how many entries exceed the limits and were left
    /// out.
    fn restored(bounds: KvBounds, kept: Vec<(String, StoredValue)>, now: Now) -> (Arc<Kv>, usize) {
        let mut entries = Entries::default();
        entries.start_tracking(max_tracked_bytes(&bounds));
        let mut left_out = 0;
        for (key, StoredValue { value, end }) in kept {
            let end = match end.map(|end| now.to_instant(end)) {
                Some(None) => continue,
                end => end.flatten(),
            };
            match entries.check(&key, value.len(), &bounds) {
                Ok(()) => entries.put_until(&key, value, end),
                Err(_) => left_out += 1,
            }
        }
        entries.take_tracked();
        let entries = Mutex::new(entries);
        (Arc::new(Kv { entries, bounds }), left_out)
    }

    /// An empty store that replaces everything on disk.
    fn emptied(bounds: KvBounds) -> Arc<Kv> {
        let mut entries = Entries::default();
        entries.start_tracking(max_tracked_bytes(&bounds));
        entries.track_all();
        let entries = Mutex::new(entries);
        Arc::new(Kv { entries, bounds })
    }

    fn stop_tracking(&self) {
        self.lock().stop_tracking();
    }

    fn track_all(&self) {
        self.lock().track_all();
    }

    fn has_changed(&self) -> bool {
        self.lock().has_tracked_changes()
    }

    /// The keys that have changed since the last call, and whether everything stored before is to be deleted.
    fn take_changed(&self) -> Option<(bool, Vec<Arc<str>>)> {
        let tracked = self.lock().take_tracked()?;
        Some((tracked.reset, tracked.keys.into_iter().collect()))
    }

    /// Appends the current values of the keys; `None` for a key that is gone.
    fn read(&self, names: &[Arc<str>], now: Now, to: &mut Vec<(Arc<str>, Option<StoredValue>)>) {
        let entries = self.lock();
        to.extend(names.iter().map(|name| {
            let found = entries.value_and_end(name, now.at);
            let saved = found.map(|(value, end)| stores::saved(value, end, now));
            (Arc::clone(name), saved)
        }));
    }

    /// The number of keys and bytes.
    pub fn usage(&self) -> KvUsage {
        self.lock().usage()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // A panic between two steps of a change could leave the counted bytes wrong, never the map broken.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Limit of the tracked keys in bytes: twice the limit of the store. Beyond it everything counts as changed.
fn max_tracked_bytes(bounds: &KvBounds) -> usize {
    bounds.total_bytes.saturating_mul(2)
}

/// One instance's access to its module's [`Kv`], with the changes of the running call.
#[derive(Debug)]
pub struct KvAccess {
    kv: Arc<Kv>,
    changes: Changes,
}

impl KvAccess {
    /// Access for a new instance.
    pub fn new(kv: Arc<Kv>) -> KvAccess {
        KvAccess {
            kv,
            changes: Changes::default(),
        }
    }

    /// Keeps what the call wrote: it has returned.
    pub fn commit(&mut self) {
        self.changes.forget();
    }

    /// Undoes what the call wrote: it has failed. The store may then exceed its limits by what others wrote meanwhile;
    /// nothing can be added until it is below them again.
    pub fn undo(&mut self, now: Instant) {
        if !self.changes.is_empty() {
            self.changes.undo(&mut self.kv.lock(), now);
        }
    }

    /// The value of a key, unless it has expired.
    pub fn get(&self, key: &str, now: Instant) -> Option<Bytes> {
        self.kv.lock().get(key, now)
    }

    /// Stores a value and returns the previous one. `ttl` is in seconds.
    ///
    /// # Errors
    ///
    /// [`KvError`] if a limit is exceeded; nothing is changed.
    pub fn swap(&mut self, key: &str, value: Bytes, ttl: Option<u32>, now: Instant) -> Result<Option<Bytes>, KvError> {
        let mut entries = self.kv.lock();
        entries.expire(now);
        let before = entries.get(key, now);
        entries.check(key, value.len(), &self.kv.bounds)?;
        self.changes.note(&entries, key, None, &self.kv.bounds, now)?;
        entries.put(key, value, ttl, now);
        self.changes.wrote(&entries, key);
        Ok(before)
    }

    /// Stores a value if the key has none; returns whether it did. `ttl` is in seconds.
    ///
    /// # Errors
    ///
    /// [`KvError`] if a limit is exceeded; nothing is changed.
    pub fn insert(&mut self, key: &str, value: Bytes, ttl: Option<u32>, now: Instant) -> Result<bool, KvError> {
        let mut entries = self.kv.lock();
        entries.expire(now);
        if entries.get(key, now).is_some() {
            return Ok(false);
        }
        entries.check(key, value.len(), &self.kv.bounds)?;
        self.changes.note(&entries, key, None, &self.kv.bounds, now)?;
        entries.put(key, value, ttl, now);
        self.changes.wrote(&entries, key);
        Ok(true)
    }

    /// Adds to a counter and returns the sum. A key without a value counts as 0. `ttl`, in seconds, holds from the first add.
    ///
    /// # Errors
    ///
    /// [`KvError`] if the value is not a counter, would overflow, or a limit is exceeded; nothing is changed.
    pub fn add(&mut self, key: &str, amount: i64, ttl: Option<u32>, now: Instant) -> Result<i64, KvError> {
        let mut entries = self.kv.lock();
        entries.expire(now);
        let old = entries.get(key, now);
        let sum = match &old {
            None => amount,
            Some(value) => {
                let count = entries::parse(value).ok_or(KvError::NotACounter)?;
                count.checked_add(amount).ok_or(KvError::Overflow)?
            }
        };
        let value = entries::digits(sum);
        entries.check(key, value.len(), &self.kv.bounds)?;
        self.changes.note(&entries, key, Some(amount), &self.kv.bounds, now)?;
        match old {
            None => entries.put(key, value, ttl, now),
            Some(_) => entries.change_value(key, value),
        }
        self.changes.wrote(&entries, key);
        Ok(sum)
    }

    /// Removes a key; returns whether it had a value.
    ///
    /// # Errors
    ///
    /// [`KvError`] if the call has changed too much already; nothing is changed.
    pub fn remove(&mut self, key: &str, now: Instant) -> Result<bool, KvError> {
        let mut entries = self.kv.lock();
        entries.expire(now);
        if entries.get(key, now).is_none() {
            return Ok(false);
        }
        self.changes.note(&entries, key, None, &self.kv.bounds, now)?;
        entries.restore(key, None);
        self.changes.wrote(&entries, key);
        Ok(true)
    }
}
