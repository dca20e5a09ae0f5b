//! What a host knows about the keys of a bucket: pure.
//!
//! Values arrive twice: when this host writes them, and when the server sends them to all hosts. The revision decides: a value
//! never replaces one of a later revision.

use std::collections::BTreeMap;

use bytes::Bytes;

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// Counts the writes of the whole bucket. A later write has a larger number.
    pub revision: u64,
    /// What was written; `None`: the key was deleted.
    pub value: Option<Bytes>,
}

/// One message of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyUpdate {
    pub(super) key: String,
    pub(super) revision: u64,
    /// `None`: the key was deleted.
    pub(super) value: Option<Bytes>,
}

/// The keys of a bucket with their last revisions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct KeyTable(BTreeMap<String, KeyValue>);

impl KeyTable {
    /// Uses an update unless a later one is known. Returns whether it changes a value.
    pub(super) fn apply(&mut self, update: KeyUpdate) -> bool {
        let KeyUpdate { key, revision, value } = update;
        let known = self.0.get(&key);
        if known.is_some_and(|known| known.revision >= revision) {
            return false;
        }
        let is_changed = value.is_some() || known.is_some_and(|known| known.value.is_some());
        self.0.insert(key, KeyValue { revision, value });
        is_changed
    }

    /// The server says that a key does not exist, not even the mark of its deletion.
    pub(super) fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Takes the place of an older table of the same bucket. Updates of the older one that are later than all of this one
    /// stay: this host has written them meanwhile.
    pub(super) fn replace(mut self, older: &KeyTable) -> KeyTable {
        let last = self.0.values().map(|known| known.revision).max().unwrap_or(0);
        for (key, value) in older.0.iter().filter(|(_, value)| value.revision > last) {
            self.0.insert(key.clone(), value.clone());
        }
        self
    }

    /// The keys, deleted ones included.
    pub(super) fn values(&self) -> BTreeMap<String, KeyValue> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(key: &str, revision: u64, value: Option<&'static str>) -> KeyUpdate {
        KeyUpdate {
            key: key.to_owned(),
            revision,
            value: value.map(|value| Bytes::from_static(value.as_bytes())),
        }
    }

    fn table(updates: &[(&str, u64, Option<&'static str>)]) -> KeyTable {
        let mut table = KeyTable::default();
        for (key, revision, value) in updates {
            table.apply(update(key, *revision, *value));
        }
        table
    }

    #[test]
    fn a_later_revision_wins_in_any_order() {
        let mut table = KeyTable::default();
        for (change, expected) in [
            (update("a", 5, Some("own")), true),
            (update("a", 4, Some("older")), false),
            (update("a", 5, Some("own")), false),
            (update("a", 6, None), true),
            (update("a", 5, Some("own")), false),
            (update("b", 7, None), false),
        ] {
            assert_eq!(table.apply(change.clone()), expected, "{change:?}");
        }
        let deleted = |revision| KeyValue { revision, value: None };
        assert_eq!(table.values()["a"], deleted(6));
        table.forget("a");
        assert_eq!(table.values(), BTreeMap::from([("b".to_owned(), deleted(7))]));
    }

    #[test]
    fn a_new_table_keeps_what_was_written_after_it_was_read() {
        let older = table(&[("gone", 3, Some("x")), ("a", 9, Some("new")), ("b", 4, Some("x"))]);
        let read = table(&[("a", 2, Some("old")), ("c", 5, Some("c"))]);
        let expected = table(&[("a", 9, Some("new")), ("c", 5, Some("c"))]);
        assert_eq!(read.replace(&older), expected);
    }
}
