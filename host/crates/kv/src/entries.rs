//! The store as a value: a map, an index by expiry, a count of bytes, and the keys that have changed since they were
//! written to disk. Pure: the time is an argument.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{KvBounds, KvError, KvUsage};

/// Bytes that an entry takes beside its key and value: map, index, reference counts.
const ENTRY_BYTES: usize = 128;

/// Expired entries that one write removes: more than one, so that they cannot accumulate, and few, so that no write takes
/// long.
const EXPIRED_PER_WRITE: usize = 8;

/// Number of a write; no two writes have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Revision(u64);

/// Identifies an entry as the result of one write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    revision: Revision,
    end: Option<Instant>,
}

impl Stamp {
    /// Whether the entry that was left as `written` is unchanged, or gone because it has expired.
    pub(super) fn is_untouched(written: Option<Stamp>, current: Option<Stamp>, now: Instant) -> bool {
        match (written, current) {
            (Some(written), Some(current)) => written.revision == current.revision,
            (Some(written), None) => written.end.is_some_and(|end| end <= now),
            (None, current) => current.is_none(),
        }
    }
}

/// A value and its expiry.
#[derive(Debug, Clone)]
pub(super) struct KvEntry {
    value: Bytes,
    revision: Revision,
    /// When it expires; the number makes the key of the index unique.
    end: Option<(Instant, Revision)>,
}

impl KvEntry {
    pub(super) fn len(&self) -> usize {
        self.value.len()
    }

    fn is_over(&self, now: Instant) -> bool {
        self.end.is_some_and(|(end, _)| end <= now)
    }
}

impl TrackedChanges {
    fn is_any(&self) -> bool {
        self.reset || !self.keys.is_empty()
    }
}

/// Bytes that a key with a value of `len` bytes counts.
pub(super) fn cost(key: &str, len: usize) -> usize {
    ENTRY_BYTES + key.len() + len
}

/// A counter is its decimal digits, as `i64` writes them.
pub(super) fn parse(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let count: i64 = text.parse().ok()?;
    (!text.starts_with('+')).then_some(count)
}

/// The digits of a counter.
pub(super) fn digits(count: i64) -> Bytes {
    Bytes::from(count.to_string())
}

fn less(value: &[u8], ours: i128) -> Option<Bytes> {
    i64::try_from(i128::from(parse(value)?) - ours).ok().map(digits)
}

/// Keys and values, with an index of those that expire.
#[derive(Debug, Default)]
pub(super) struct Entries {
    map: HashMap<Arc<str>, KvEntry>,
    ends: BTreeMap<(Instant, Revision), Arc<str>>,
    bytes: usize,
    last: u64,
    tracked: Option<TrackedChanges>,
}

/// Which keys have changed.
#[derive(Debug, Default)]
pub(super) struct TrackedChanges {
    pub(super) keys: HashSet<Arc<str>>,
    /// Everything has changed: what is on disk is void, and `keys` has all keys.
    pub(super) reset: bool,
    /// Bytes that the keys count, and their limit.
    bytes: usize,
    limit: usize,
}

impl Entries {
    pub(super) fn usage(&self) -> KvUsage {
        KvUsage {
            keys: self.map.len(),
            bytes: self.bytes,
        }
    }

    pub(super) fn get(&self, key: &str, now: Instant) -> Option<Bytes> {
        self.map
            .get(key)
            .filter(|entry| !entry.is_over(now))
            .map(|entry| entry.value.clone())
    }

    pub(super) fn stamp(&self, key: &str) -> Option<Stamp> {
        self.map.get(key).map(|entry| Stamp {
            revision: entry.revision,
            end: entry.end.map(|(end, _)| end),
        })
    }

    /// The entry of a key; `ours` is subtracted if it is a counter.
    pub(super) fn entry_without(&self, key: &str, ours: i128) -> Option<KvEntry> {
        let mut entry = self.map.get(key).cloned()?;
        if ours != 0
            && let Some(rest) = less(&entry.value, ours)
        {
            entry.value = rest;
        }
        Some(entry)
    }

    /// Subtracts from a counter; any other value stays unchanged.
    pub(super) fn subtract(&mut self, key: &str, ours: i128) {
        if let Some(rest) = self.map.get(key).and_then(|entry| less(&entry.value, ours)) {
            self.change_value(key, rest);
        }
    }

    /// Checks whether the key may have a value of this length.
    pub(super) fn check(&self, key: &str, len: usize, bounds: &KvBounds) -> Result<(), KvError> {
        if key.len() > bounds.key_bytes {
            return Err(KvError::KeyTooLong {
                got: key.len(),
                limit: bounds.key_bytes,
            });
        }
        if len > bounds.value_bytes {
            return Err(KvError::ValueTooLong {
                got: len,
                limit: bounds.value_bytes,
            });
        }
        let before = self.map.get(key).map(|entry| cost(key, entry.len()));
        if before.is_none() && self.map.len() >= bounds.keys {
            return Err(KvError::TooManyKeys { limit: bounds.keys });
        }
        let wanted = self.bytes - before.unwrap_or(0) + cost(key, len);
        // A value may become smaller even in a store that an undo has left above its limit.
        if wanted > bounds.total_bytes && wanted > self.bytes {
            return Err(KvError::Full {
                wanted,
                limit: bounds.total_bytes,
            });
        }
        Ok(())
    }

    /// Removes some expired entries. Called before every write: a write adds at most one entry and removes up to eight, so
    /// expired entries do not fill the store.
    pub(super) fn expire(&mut self, now: Instant) {
        for _ in 0..EXPIRED_PER_WRITE {
            match self.ends.first_key_value() {
                Some(((end, _), key)) if *end <= now => {
                    let key = Arc::clone(key);
                    self.take(&key);
                    self.track(key);
                }
                _ => return,
            }
        }
    }

    /// Stores a value, whether or not the key has one. `ttl` is in seconds.
    pub(super) fn put(&mut self, key: &str, value: Bytes, ttl: Option<u32>, now: Instant) {
        let end = ttl.and_then(|seconds| now.checked_add(Duration::from_secs(seconds.into())));
        self.put_until(key, value, end);
    }

    /// Replaces a value and keeps its expiry; does nothing if the key has none.
    pub(super) fn change_value(&mut self, key: &str, value: Bytes) {
        let revision = self.next();
        if let Some(entry) = self.map.get_mut(key) {
            self.bytes = self.bytes - entry.len() + value.len();
            entry.value = value;
            entry.revision = revision;
            self.track_key(key);
        }
    }

    /// Restores an entry, or removes the key if `entry` is `None`.
    pub(super) fn restore(&mut self, key: &str, entry: Option<KvEntry>) {
        let name = self.take(key).unwrap_or_else(|| Arc::from(key));
        if let Some(entry) = entry {
            self.bytes += cost(key, entry.len());
            if let Some(end) = entry.end {
                self.ends.insert(end, Arc::clone(&name));
            }
            self.map.insert(Arc::clone(&name), entry);
        }
        self.track(name);
    }

    /// Tracks changed keys from now on. When they count more than `limit` bytes, everything counts as changed.
    pub(super) fn start_tracking(&mut self, limit: usize) {
        self.tracked = Some(TrackedChanges {
            limit,
            ..TrackedChanges::default()
        });
    }

    pub(super) fn stop_tracking(&mut self) {
        self.tracked = None;
    }

    /// Whether there are changes that were not taken.
    pub(super) fn has_tracked_changes(&self) -> bool {
        self.tracked.as_ref().is_some_and(TrackedChanges::is_any)
    }

    /// Takes the changes since the last call; `None` if there are none.
    pub(super) fn take_tracked(&mut self) -> Option<TrackedChanges> {
        let tracked = self.tracked.as_mut().filter(|tracked| tracked.is_any())?;
        let limit = tracked.limit;
        Some(std::mem::replace(
            tracked,
            TrackedChanges {
                limit,
                ..TrackedChanges::default()
            },
        ))
    }

    /// Marks everything as changed.
    pub(super) fn track_all(&mut self) {
        let Some(tracked) = &mut self.tracked else { return };
        tracked.reset = true;
        tracked.keys = self.map.keys().cloned().collect();
        tracked.bytes = tracked.keys.iter().map(|key| cost(key, 0)).sum();
    }

    fn track_key(&mut self, key: &str) {
        if self.tracked.is_some()
            && let Some((name, _)) = self.map.get_key_value(key)
        {
            let name = Arc::clone(name);
            self.track(name);
        }
    }

    fn track(&mut self, name: Arc<str>) {
        let Some(tracked) = &mut self.tracked else { return };
        let more = cost(&name, 0);
        if tracked.keys.insert(name) {
            tracked.bytes += more;
            if tracked.bytes > tracked.limit {
                self.track_all();
            }
        }
    }

    /// A value and its expiry, unless it has expired.
    pub(super) fn value_and_end(&self, key: &str, now: Instant) -> Option<(Bytes, Option<Instant>)> {
        let entry = self.map.get(key).filter(|entry| !entry.is_over(now))?;
        Some((entry.value.clone(), entry.end.map(|(end, _)| end)))
    }

    /// Stores a value with an expiry that was read from disk.
    pub(super) fn put_until(&mut self, key: &str, value: Bytes, end: Option<Instant>) {
        let revision = self.next();
        let end = end.map(|end| (end, revision));
        self.restore(key, Some(KvEntry { value, revision, end }));
    }

    fn take(&mut self, key: &str) -> Option<Arc<str>> {
        let (name, entry) = self.map.remove_entry(key)?;
        self.bytes -= cost(key, entry.len());
        if let Some(end) = entry.end {
            self.ends.remove(&end);
        }
        Some(name)
    }

    fn next(&mut self) -> Revision {
        self.last += 1;
        Revision(self.last)
    }
}
