//! The changes of one call, so that they can be undone.

use std::collections::HashMap;
use std::time::Instant;

use super::entries::{self, Entries, KvEntry, Stamp};
use super::{KvBounds, KvError};

/// One change per key, however often the call writes it. Has the same limits as the store: otherwise a call that inserts and
/// removes one key after another could use any amount of memory.
#[derive(Debug, Default)]
pub(super) struct Changes {
    keys: HashMap<Box<str>, Change>,
    bytes: usize,
}

#[derive(Debug)]
struct Change {
    /// The entry before the call; if others have written the key since, their entry.
    before: Option<KvEntry>,
    /// The entry that this call wrote last.
    written: Option<Stamp>,
    /// Set if this call only added to the key.
    added: Option<Added>,
}

#[derive(Debug, Clone, Copy)]
struct Added {
    /// Wider than a counter: intermediate sums may exceed its range.
    sum: i128,
    /// Whether others have written the key since.
    shared: bool,
}

impl Changes {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn forget(&mut self) {
        // Not cleared in place: a table that one call made large would stay so for the life of the instance.
        if !self.is_empty() {
            *self = Changes::default();
        }
    }

    /// Records the entry of a key before this call writes it or adds `amount` to it.
    pub(super) fn note(
        &mut self,
        entries: &Entries,
        key: &str,
        amount: Option<i64>,
        bounds: &KvBounds,
        now: Instant,
    ) -> Result<(), KvError> {
        let current = entries.stamp(key);
        let amount = amount.map(i128::from);
        let Some(change) = self.keys.get_mut(key) else {
            if self.keys.len() >= bounds.keys {
                return Err(KvError::TooManyChanges { limit: bounds.keys });
            }
            let before = entries.entry_without(key, 0);
            keep(&mut self.bytes, 0, cost(key, before.as_ref()), bounds)?;
            let added = amount.map(|sum| Added { sum, shared: false });
            self.keys.insert(
                key.into(),
                Change {
                    before,
                    written: current,
                    added,
                },
            );
            return Ok(());
        };
        let others_wrote = !Stamp::is_untouched(change.written, current, now);
        match (&mut change.added, amount) {
            (Some(added), Some(amount)) => {
                added.sum += amount;
                added.shared |= others_wrote;
            }
            (added, _) => {
                if others_wrote || added.is_some_and(|added| added.shared) {
                    let before = entries.entry_without(key, added.map_or(0, |added| added.sum));
                    keep(
                        &mut self.bytes,
                        cost(key, change.before.as_ref()),
                        cost(key, before.as_ref()),
                        bounds,
                    )?;
                    change.before = before;
                }
                change.added = None;
            }
        }
        Ok(())
    }

    /// Records the entry after the write.
    pub(super) fn wrote(&mut self, entries: &Entries, key: &str) {
        if let Some(change) = self.keys.get_mut(key) {
            change.written = entries.stamp(key);
        }
    }

    /// Undoes every change that others have not overwritten, and clears the record.
    pub(super) fn undo(&mut self, entries: &mut Entries, now: Instant) {
        for (key, change) in std::mem::take(self).keys {
            let untouched = Stamp::is_untouched(change.written, entries.stamp(&key), now);
            match change.added {
                Some(Added { sum, shared }) if shared || !untouched => entries.subtract(&key, sum),
                _ if untouched => entries.restore(&key, change.before),
                _ => {}
            }
        }
    }
}

/// Bytes that a recorded change counts.
fn cost(key: &str, before: Option<&KvEntry>) -> usize {
    entries::cost(key, before.map_or(0, KvEntry::len))
}

fn keep(bytes: &mut usize, less: usize, more: usize, bounds: &KvBounds) -> Result<(), KvError> {
    let kept = *bytes - less + more;
    if kept > bounds.total_bytes {
        return Err(KvError::ChangesTooLarge {
            limit: bounds.total_bytes,
        });
    }
    *bytes = kept;
    Ok(())
}
