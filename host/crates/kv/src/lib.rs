//! State of a module that outlives its instances: keys and bytes in memory, bounded, with times to live, and on disk if
//! the host has a folder for it.
//!
//! A [`Kv`] is shared by the instances of one module and survives a swap.
//! `entries.rs` is the store as a value, `changes.rs` what one call has changed; both take the time as an argument.
//! Here stand the lock and the operations that a guest has. [`Shelf`] has the stores of all modules by name and keeps
//! them on disk (`disk.rs`).
//!
//! What a call writes is in force at once, for all instances, and is taken back if the call fails, because its events
//! are handled again. For one instance that is exact. Where another instance has written the same key since, its
//! value stays; what was only added to a counter is subtracted again, whatever others have added meanwhile. So
//! counters are right under concurrency, and for everything else the last writer who did not fail wins. What a call
//! wrote before it failed can have been read by others, and of two calls that both fail over one key either value may
//! stay: there is no isolation.

mod changes;
mod disk;
mod entries;
mod shelf;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use changes::Changes;
use disk::Saved;
use entries::Entries;
use shelf::Now;

pub use disk::DataError;
pub use shelf::{DataSettings, Shelf};

/// How much a module may keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KvBounds {
    /// Keys. 65,536: one for each client of a well-filled node. One call may change as many.
    pub keys: usize,
    /// Bytes of a key. 1 KiB: a topic or a client id of unusual length.
    pub key_bytes: usize,
    /// Bytes of a value. 64 KiB: state, not payloads.
    pub value_bytes: usize,
    /// Bytes of all keys and values, with 128 for each entry. 16 MiB: a hundred modules still fit on a small machine.
    /// One call may replace as many.
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

/// How much a module keeps; entries whose time is up count until they are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvUsage {
    /// Keys.
    pub keys: usize,
    /// Bytes, counted as in [`KvBounds::total_bytes`].
    pub bytes: usize,
}

/// Why nothing was written; the module gets the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KvError {
    #[error("the key has {got} bytes, {limit} are allowed")]
    KeyTooLong { got: usize, limit: usize },
    #[error("the value has {got} bytes, {limit} are allowed")]
    ValueTooLong { got: usize, limit: usize },
    #[error("there are {limit} keys already, more are not allowed")]
    TooManyKeys { limit: usize },
    #[error("{limit} bytes are allowed in all, and this would make {wanted}")]
    Full { wanted: usize, limit: usize },
    #[error("one call may change {limit} keys, and this would be another")]
    TooManyChanges { limit: usize },
    #[error("one call may replace {limit} bytes, and this would be more")]
    ChangesTooLarge { limit: usize },
    #[error("the value is not a counter")]
    NotACounter,
    #[error("the counter would overflow")]
    Overflow,
}

/// What a module keeps beyond its instances; shared by them.
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

    /// A store with what was kept, which notes what changes; and how many of the entries have no room.
    fn restored(bounds: KvBounds, kept: Vec<(String, Saved)>, now: Now) -> (Arc<Kv>, usize) {
        let mut entries = Entries::default();
        entries.start_noting(noted_bytes(&bounds));
        let mut left_out = 0;
        for (key, Saved { value, end }) in kept {
            let end = match end.map(|end| now.to_instant(end)) {
                Some(None) => continue,
                end => end.flatten(),
            };
            match entries.check(&key, value.len(), &bounds) {
                Ok(()) => entries.put_until(&key, value, end),
                Err(_) => left_out += 1,
            }
        }
        entries.take_noted();
        let entries = Mutex::new(entries);
        (Arc::new(Kv { entries, bounds }), left_out)
    }

    /// An empty store that takes the place of all that was kept.
    fn anew(bounds: KvBounds) -> Arc<Kv> {
        let mut entries = Entries::default();
        entries.start_noting(noted_bytes(&bounds));
        entries.note_all();
        let entries = Mutex::new(entries);
        Arc::new(Kv { entries, bounds })
    }

    fn stop_noting(&self) {
        self.lock().stop_noting();
    }

    fn note_all(&self) {
        self.lock().note_all();
    }

    fn has_changed(&self) -> bool {
        self.lock().has_noted()
    }

    /// The keys that have changed since this was asked last, and whether what was kept before is void.
    fn take_changed(&self) -> Option<(bool, Vec<Arc<str>>)> {
        let noted = self.lock().take_noted()?;
        Some((noted.reset, noted.keys.into_iter().collect()))
    }

    /// Adds what stands at the keys now.
    fn read(&self, names: &[Arc<str>], now: Now, to: &mut Vec<(Arc<str>, Option<Saved>)>) {
        let entries = self.lock();
        to.extend(names.iter().map(|name| {
            let found = entries.value_and_end(name, now.at);
            let saved = found.map(|(value, end)| shelf::saved(value, end, now));
            (Arc::clone(name), saved)
        }));
    }

    /// How full it is.
    pub fn usage(&self) -> KvUsage {
        self.lock().usage()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // A panic between two steps of a change could leave the counted bytes wrong, never the map broken.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the note of changed keys may cost: each key that there can be, twice.
fn noted_bytes(bounds: &KvBounds) -> usize {
    bounds.total_bytes.saturating_mul(2)
}

/// One instance's access to its module's [`Kv`], with the changes of the call that runs.
#[derive(Debug)]
pub struct Access {
    kv: Arc<Kv>,
    changes: Changes,
}

impl Access {
    pub fn new(kv: Arc<Kv>) -> Access {
        Access {
            kv,
            changes: Changes::default(),
        }
    }

    /// The call has returned: what it wrote stays.
    pub fn commit(&mut self) {
        self.changes.forget();
    }

    /// The call has failed: what it wrote is taken back. That may leave the store above its bounds by what others
    /// wrote meanwhile; nothing can be added to it until it is below them again.
    pub fn undo(&mut self, now: Instant) {
        if !self.changes.is_empty() {
            self.changes.undo(&mut self.kv.lock(), now);
        }
    }

    pub fn get(&self, key: &str, now: Instant) -> Option<Bytes> {
        self.kv.lock().get(key, now)
    }

    /// Stores a value and gives the one before.
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

    /// Stores a value if the key has none; tells whether it did.
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

    /// Adds to a counter, whose time to live counts from its start; gives the sum.
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

    /// Removes a key; tells whether it had a value. Fails only if the call has changed too much already.
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
