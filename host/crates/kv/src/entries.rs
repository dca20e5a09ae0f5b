//! The store as a value: a map, an index by expiry, a count of bytes, and a note of what has changed for who keeps it
//! elsewhere. Knows no clock, no lock and no calls.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{KvBounds, KvError, KvUsage};

/// What an entry costs beside its bytes: map, index, reference counts.
const ENTRY: usize = 128;

/// How many entries one operation clears away whose time is up. More than one, so that they cannot pile up, and few,
/// so that no call pays for the past of all.
const SWEEP: usize = 8;

/// Tells one write from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Revision(u64);

/// What tells whether an entry is still the one that somebody wrote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    revision: Revision,
    end: Option<Instant>,
}

impl Stamp {
    /// Whether what was left as `written` is there as it was, or gone because its time was up.
    pub(super) fn is_untouched(written: Option<Stamp>, current: Option<Stamp>, now: Instant) -> bool {
        match (written, current) {
            (Some(written), Some(current)) => written.revision == current.revision,
            (Some(written), None) => written.end.is_some_and(|end| end <= now),
            (None, current) => current.is_none(),
        }
    }
}

/// A value and when it ends.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    value: Bytes,
    revision: Revision,
    /// When it ends, with a number that keeps the index unambiguous.
    end: Option<(Instant, Revision)>,
}

impl Entry {
    pub(super) fn len(&self) -> usize {
        self.value.len()
    }

    fn is_over(&self, now: Instant) -> bool {
        self.end.is_some_and(|(end, _)| end <= now)
    }
}

impl Noted {
    fn is_worth_reading(&self) -> bool {
        self.reset || !self.keys.is_empty()
    }
}

/// What a key with a value of `len` bytes counts.
pub(super) fn cost(key: &str, len: usize) -> usize {
    ENTRY + key.len() + len
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

/// Keys and their values, with an index of those that end.
#[derive(Debug, Default)]
pub(super) struct Entries {
    map: HashMap<Arc<str>, Entry>,
    ends: BTreeMap<(Instant, Revision), Arc<str>>,
    bytes: usize,
    last: u64,
    noted: Option<Noted>,
}

/// Which keys have changed.
#[derive(Debug, Default)]
pub(super) struct Noted {
    pub(super) keys: HashSet<Arc<str>>,
    /// Everything has changed: what is elsewhere is of no use, and all keys that are there are among `keys`.
    pub(super) reset: bool,
    /// What the keys cost, and may.
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

    /// What stands at a key; if it is a counter, without `ours` of it.
    pub(super) fn entry_without(&self, key: &str, ours: i128) -> Option<Entry> {
        let mut entry = self.map.get(key).cloned()?;
        if ours != 0
            && let Some(rest) = less(&entry.value, ours)
        {
            entry.value = rest;
        }
        Some(entry)
    }

    /// Takes something off a counter; what is none stays as it is.
    pub(super) fn subtract(&mut self, key: &str, ours: i128) {
        if let Some(rest) = self.map.get(key).and_then(|entry| less(&entry.value, ours)) {
            self.change_value(key, rest);
        }
    }

    /// Whether a value of this length may stand at the key.
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
        // A value that becomes smaller is welcome even in a store that undoing has left too full.
        if wanted > bounds.total_bytes && wanted > self.bytes {
            return Err(KvError::Full {
                wanted,
                limit: bounds.total_bytes,
            });
        }
        Ok(())
    }

    /// Clears some of what is over. Called before every write, so that the dead never crowd out the living for long:
    /// each write makes at most one entry and clears up to eight.
    pub(super) fn expire(&mut self, now: Instant) {
        for _ in 0..SWEEP {
            match self.ends.first_key_value() {
                Some(((end, _), key)) if *end <= now => {
                    let key = Arc::clone(key);
                    self.take(&key);
                    self.note(key);
                }
                _ => return,
            }
        }
    }

    /// Stores a value in place of whatever is there.
    pub(super) fn put(&mut self, key: &str, value: Bytes, ttl: Option<u32>, now: Instant) {
        let end = ttl.and_then(|seconds| now.checked_add(Duration::from_secs(seconds.into())));
        self.put_until(key, value, end);
    }

    /// Stores another value with the end that the old one had; nothing if there is none.
    pub(super) fn change_value(&mut self, key: &str, value: Bytes) {
        let revision = self.next();
        if let Some(entry) = self.map.get_mut(key) {
            self.bytes = self.bytes - entry.len() + value.len();
            entry.value = value;
            entry.revision = revision;
            self.note_key(key);
        }
    }

    /// Puts an entry, or none, where it was.
    pub(super) fn restore(&mut self, key: &str, entry: Option<Entry>) {
        let name = self.take(key).unwrap_or_else(|| Arc::from(key));
        if let Some(entry) = entry {
            self.bytes += cost(key, entry.len());
            if let Some(end) = entry.end {
                self.ends.insert(end, Arc::clone(&name));
            }
            self.map.insert(Arc::clone(&name), entry);
        }
        self.note(name);
    }

    /// Notes from now on what changes, until it costs more than `limit`: then everything counts as changed.
    pub(super) fn start_noting(&mut self, limit: usize) {
        self.noted = Some(Noted {
            limit,
            ..Noted::default()
        });
    }

    pub(super) fn stop_noting(&mut self) {
        self.noted = None;
    }

    /// Whether anything is noted.
    pub(super) fn has_noted(&self) -> bool {
        self.noted.as_ref().is_some_and(Noted::is_worth_reading)
    }

    /// What was noted; a new note begins.
    pub(super) fn take_noted(&mut self) -> Option<Noted> {
        let noted = self.noted.as_mut().filter(|noted| noted.is_worth_reading())?;
        let limit = noted.limit;
        Some(std::mem::replace(
            noted,
            Noted {
                limit,
                ..Noted::default()
            },
        ))
    }

    /// Notes that everything has changed.
    pub(super) fn note_all(&mut self) {
        let Some(noted) = &mut self.noted else { return };
        noted.reset = true;
        noted.keys = self.map.keys().cloned().collect();
        noted.bytes = noted.keys.iter().map(|key| cost(key, 0)).sum();
    }

    fn note_key(&mut self, key: &str) {
        if self.noted.is_some()
            && let Some((name, _)) = self.map.get_key_value(key)
        {
            let name = Arc::clone(name);
            self.note(name);
        }
    }

    fn note(&mut self, name: Arc<str>) {
        let Some(noted) = &mut self.noted else { return };
        let more = cost(&name, 0);
        if noted.keys.insert(name) {
            noted.bytes += more;
            if noted.bytes > noted.limit {
                self.note_all();
            }
        }
    }

    /// A value and its end, unless it is over.
    pub(super) fn value_and_end(&self, key: &str, now: Instant) -> Option<(Bytes, Option<Instant>)> {
        let entry = self.map.get(key).filter(|entry| !entry.is_over(now))?;
        Some((entry.value.clone(), entry.end.map(|(end, _)| end)))
    }

    /// Stores a value that was kept elsewhere.
    pub(super) fn put_until(&mut self, key: &str, value: Bytes, end: Option<Instant>) {
        let revision = self.next();
        let end = end.map(|end| (end, revision));
        self.restore(key, Some(Entry { value, revision, end }));
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
