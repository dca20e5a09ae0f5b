//! A host that shares the outbox, as other hosts see it.

use bytes::Bytes;

use super::membership::Snapshot;

/// A host that shares the outbox, as its key in the bucket says. A host that has stopped without a word has its key for the
/// time of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharingHost {
    /// Its id, which is another one after each start and after each lease that was not renewed in time.
    pub id: String,
    /// How many partitions it owns.
    pub partitions: usize,
    /// What it has passed to [`SharedOutbox::set_state`](super::SharedOutbox::set_state); empty before the first call.
    pub state: Bytes,
}

impl SharingHost {
    pub(super) fn new(id: &str, keys: &Snapshot, state: Bytes) -> SharingHost {
        let is_own = |(_, owner): &&(u64, String)| owner == id;
        SharingHost {
            id: id.to_owned(),
            partitions: keys.partitions.values().filter(is_own).count(),
            state,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_partitions_count() {
        let mut keys = Snapshot::default();
        for (partition, owner) in [(0, "a"), (1, "b"), (2, ""), (3, "a")] {
            keys.partitions.insert(partition, (1, owner.to_owned()));
        }
        for (id, partitions) in [("a", 2), ("b", 1), ("c", 0)] {
            assert_eq!(SharingHost::new(id, &keys, Bytes::new()).partitions, partitions, "{id}");
        }
    }
}
