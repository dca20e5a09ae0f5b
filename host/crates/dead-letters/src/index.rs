//! Which records a collection has, and which of them exceed the limits. Pure: the caller passes in the time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Limits, Usage};

/// The bytes that a record counts for in addition to its content.
const RECORD_BYTES: usize = 64;

/// The records of a collection by number.
#[derive(Debug)]
pub(crate) struct Index {
    limits: Limits,
    entries: BTreeMap<u64, Entry>,
    groups: BTreeMap<Arc<str>, Group>,
}

#[derive(Debug)]
struct Entry {
    /// Milliseconds since 1970.
    at: u64,
    bytes: usize,
    group: Arc<str>,
}

#[derive(Debug, Default)]
struct Group {
    numbers: BTreeSet<u64>,
    bytes: usize,
    evicted: u64,
}

impl Index {
    pub(crate) fn new(limits: Limits) -> Index {
        Index {
            limits,
            entries: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    /// Adds a record with `length` bytes of content. Returns the numbers of the records that have to go because of it,
    /// oldest first. The new record is among them if it exceeds the limits alone.
    pub(crate) fn insert(&mut self, number: u64, group: &str, at: u64, length: usize) -> Vec<u64> {
        let bytes = length + RECORD_BYTES;
        let name = self.groups.get_key_value(group).map(|(name, _)| Arc::clone(name));
        let name = name.unwrap_or_else(|| group.into());
        let shared = self.groups.entry(Arc::clone(&name)).or_default();
        shared.numbers.insert(number);
        shared.bytes += bytes;
        let entry = Entry { at, bytes, group: name };
        self.entries.insert(number, entry);
        let mut evicted = Vec::new();
        while shared.numbers.len() > self.limits.records || shared.bytes > self.limits.bytes {
            let Some(oldest) = shared.numbers.pop_first() else {
                break;
            };
            shared.bytes -= self.entries.remove(&oldest).map_or(0, |entry| entry.bytes);
            shared.evicted += 1;
            evicted.push(oldest);
        }
        evicted
    }

    /// Removes a record. Returns whether it existed.
    pub(crate) fn remove(&mut self, number: u64) -> bool {
        let Some(entry) = self.entries.remove(&number) else {
            return false;
        };
        if let Some(group) = self.groups.get_mut(&entry.group) {
            group.numbers.remove(&number);
            group.bytes -= entry.bytes;
        }
        true
    }

    /// Removes the records that are too old at `now`, in milliseconds since 1970. Returns their numbers, oldest first.
    pub(crate) fn expire(&mut self, now: u64) -> Vec<u64> {
        let Some(age) = self.limits.age else { return Vec::new() };
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let mut expired = Vec::new();
        while let Some((number, entry)) = self.entries.first_key_value()
            && entry.at.saturating_add(age) < now
        {
            let (number, group) = (*number, Arc::clone(&entry.group));
            self.remove(number);
            if let Some(group) = self.groups.get_mut(&group) {
                group.evicted += 1;
            }
            expired.push(number);
        }
        expired
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        self.entries.contains_key(&number)
    }

    /// Numbers below `before`, newest first: at most `count`, of one group or of all.
    pub(crate) fn numbers(&self, group: Option<&str>, before: u64, count: usize) -> Vec<u64> {
        match group {
            None => self
                .entries
                .range(..before)
                .rev()
                .take(count)
                .map(|(number, _)| *number)
                .collect(),
            Some(group) => {
                let numbers = self.groups.get(group).map(|group| group.numbers.range(..before).rev());
                numbers.into_iter().flatten().take(count).copied().collect()
            }
        }
    }

    pub(crate) fn usage(&self, group: &str) -> Usage {
        self.groups.get(group).map_or_else(Usage::default, |group| Usage {
            records: group.numbers.len(),
            bytes: group.bytes,
            evicted: group.evicted,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn index(records: usize, bytes: usize) -> Index {
        let age = Some(Duration::from_millis(100));
        Index::new(Limits { records, bytes, age })
    }

    #[test]
    fn the_oldest_of_the_same_group_goes_first() {
        let mut index = index(2, 1000);
        assert!(index.insert(1, "a", 0, 0).is_empty());
        assert!(index.insert(2, "b", 0, 0).is_empty());
        assert!(index.insert(3, "a", 0, 0).is_empty());
        assert_eq!(index.insert(4, "a", 0, 0), [1]);
        assert_eq!(index.numbers(None, u64::MAX, 9), [4, 3, 2]);
        assert_eq!(
            (index.numbers(Some("a"), 4, 9), index.numbers(None, u64::MAX, 1)),
            (vec![3], vec![4])
        );
        assert_eq!((index.usage("a").evicted, index.usage("b").evicted), (1, 0));
    }

    #[test]
    fn a_record_larger_than_the_limit_is_not_kept() {
        let mut index = index(9, 1000);
        index.insert(1, "a", 0, 100);
        assert_eq!(index.insert(2, "a", 0, 1000), [1, 2]);
        let evicted = 2;
        assert_eq!(
            index.usage("a"),
            Usage {
                records: 0,
                bytes: 0,
                evicted
            }
        );
    }

    #[test]
    fn old_records_expire() {
        let mut index = index(9, 1000);
        for number in 1..=3 {
            index.insert(number, "a", 10 * number, 0);
        }
        assert!(index.expire(110).is_empty());
        assert_eq!((index.expire(121), index.usage("a").evicted), (vec![1, 2], 2));
        assert!(!index.remove(1) && index.remove(3));
    }

    proptest! {
        /// After any steps the limits hold, and every record is kept, evicted or removed.
        #[test]
        fn the_books_are_right(steps in prop::collection::vec((0u64..20, 0usize..3, 0usize..300), 0..100)) {
            let mut index = index(5, 800);
            let (mut put, mut removed) = ([0; 2], [0; 2]);
            for (step, (number, what, length)) in steps.into_iter().enumerate() {
                match what {
                    2 => {
                        let group = usize::from(index.entries.get(&number).is_some_and(|entry| &*entry.group == "b"));
                        removed[group] += u64::from(index.remove(number));
                    }
                    group => {
                        index.insert(step as u64, ["a", "b"][group], 0, length);
                        put[group] += 1;
                    }
                }
            }
            for (group, (put, removed)) in ["a", "b"].into_iter().zip(put.into_iter().zip(removed)) {
                let usage = index.usage(group);
                prop_assert!(usage.records <= 5 && usage.bytes <= 800);
                prop_assert_eq!(usage.records as u64 + usage.evicted + removed, put);
                let of_group = index.entries.values().filter(|entry| &*entry.group == group);
                prop_assert_eq!(of_group.map(|entry| entry.bytes).sum::<usize>(), usage.bytes);
                prop_assert_eq!(index.numbers(Some(group), u64::MAX, 99).len(), usage.records);
            }
        }
    }
}
