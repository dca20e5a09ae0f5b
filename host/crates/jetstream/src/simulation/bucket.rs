//! The key-value bucket of a simulation.

use std::collections::VecDeque;

use super::super::membership::Snapshot;

/// How many earlier states a server that lags may still return.
const EARLIER_STATES: usize = 5;

/// The bucket, with the rule of JetStream: a write names the last revision of its key, or 0 if the key does not exist.
#[derive(Default)]
pub(crate) struct Bucket {
    keys: Snapshot,
    earlier: VecDeque<Snapshot>,
}

impl Bucket {
    /// The keys as they are now.
    pub(crate) fn keys(&self) -> &Snapshot {
        &self.keys
    }

    /// The keys before the last `writes` writes, or the oldest known ones.
    pub(crate) fn keys_before(&self, writes: usize) -> &Snapshot {
        let index = self.earlier.len().saturating_sub(writes);
        self.earlier.get(index).unwrap_or(&self.keys)
    }

    /// Writes the key of a host. Returns its new revision; `None` if the last one is another one.
    pub(crate) fn write_host(&mut self, host: &str, revision: u64) -> Option<u64> {
        if self.keys.hosts.get(host).copied().unwrap_or(0) != revision {
            return None;
        }
        let next = self.next();
        self.keys.hosts.insert(host.to_owned(), next);
        Some(next)
    }

    /// Deletes the key of a host. Returns whether its last revision was this one.
    pub(crate) fn delete_host(&mut self, host: &str, revision: u64) -> bool {
        let matches = self.keys.hosts.get(host) == Some(&revision);
        if matches {
            self.next();
            self.keys.hosts.remove(host);
        }
        matches
    }

    /// Writes the owner of a partition. Returns the new revision; `None` if the last one is another one.
    pub(crate) fn write_owner(&mut self, partition: u16, revision: u64, owner: &str) -> Option<u64> {
        let last = self.keys.partitions.get(&partition).map_or(0, |(last, _)| *last);
        if last != revision {
            return None;
        }
        let next = self.next();
        self.keys.partitions.insert(partition, (next, owner.to_owned()));
        Some(next)
    }

    fn next(&mut self) -> u64 {
        self.earlier.push_back(self.keys.clone());
        if self.earlier.len() > EARLIER_STATES {
            self.earlier.pop_front();
        }
        self.keys.last += 1;
        self.keys.last
    }
}
