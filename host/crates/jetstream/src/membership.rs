//! Which hosts live, and which partitions this host claims, gives up or takes over: a pure state machine without I/O and
//! clock.
//!
//! The coordinator reads all keys of the bucket ([`Snapshot`]), passes them to [`Membership::observe`] with the time of its
//! monotonic clock, and does what [`Membership::steps`] returns. Every step is a write that names the revision that it
//! replaces. A write of another host in between makes it fail, so outdated knowledge does no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The wait between two turns of the coordinator while a partition is being given up. It is at most a third of the lease
/// otherwise: [`Membership::next_turn`].
pub(super) const QUICK: Duration = Duration::from_millis(20);

/// How often the coordinator reads the keys in one turn, as long as it deletes keys of stopped hosts.
pub(super) const MAX_FOLLOWING_TURNS: usize = 3;

/// The keys of the bucket, as one read has returned them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The last revision in the bucket. Another server of the cluster may answer with an older state.
    pub(super) last: u64,
    /// The keys of hosts that are not deleted, with their revisions.
    pub(super) hosts: BTreeMap<String, u64>,
    /// The owners of partitions with the revisions of their keys; an empty owner: the partition is free.
    pub(super) partitions: BTreeMap<u16, (u64, String)>,
}

/// A write to the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Delete the key of a host that has stopped.
    Remove { host: String, revision: u64 },
    /// Own a partition.
    Claim { partition: u16, revision: u64 },
    /// End the attempts of a partition and give it up, so that another host gets its share.
    GiveUp { partition: u16 },
}

/// What one host knows under one id.
pub(super) struct Membership {
    id: String,
    lease: Duration,
    /// The end of the lease; `None` before the first renewal.
    until: Option<Instant>,
    /// The other hosts: the revision of the key, and when it was first seen.
    others: BTreeMap<String, (u64, Instant)>,
    /// Revision and owner of each partition.
    partitions: Vec<(u64, String)>,
    /// Own partitions that are being given up.
    leaving: BTreeSet<u16>,
    /// The highest revision of a snapshot or of an own write.
    last: u64,
}

impl Membership {
    /// A host that has not written its key yet.
    pub(super) fn new(id: String, partitions: u16, lease: Duration) -> Membership {
        Membership {
            id,
            lease,
            until: None,
            others: BTreeMap::new(),
            partitions: vec![(0, String::new()); usize::from(partitions)],
            leaving: BTreeSet::new(),
            last: 0,
        }
    }

    /// The id of this host.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The key of this host was written by a request that was sent at `sent` and confirmed at `now`. Returns the end of the
    /// lease, or `None` if the previous lease was over before: then this id must not be used any longer.
    pub(super) fn renewed(&mut self, sent: Instant, now: Instant) -> Option<Instant> {
        if self.has_lapsed(now) {
            return None;
        }
        // Others wait for the whole lease from a later time on, when they have seen the key.
        let until = sent + self.lease / 6 * 5;
        self.until = Some(until);
        Some(until)
    }

    /// Returns whether the lease is over.
    pub(super) fn has_lapsed(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }

    /// Takes note of the keys at this time. Ignores a snapshot that is older than what is known: with owners of one state
    /// and hosts of another, a living host would seem to have stopped.
    pub(super) fn observe(&mut self, snapshot: &Snapshot, now: Instant) {
        if snapshot.last < self.last {
            return;
        }
        self.last = snapshot.last;
        let others = snapshot.hosts.iter().filter(|(host, _)| **host != self.id);
        self.others = others
            .map(|(host, revision)| {
                let known = self.others.get(host).filter(|(known, _)| known >= revision);
                (host.clone(), known.copied().unwrap_or((*revision, now)))
            })
            .collect();
        for (partition, (revision, owner)) in &snapshot.partitions {
            self.set_owner(*partition, *revision, owner);
        }
    }

    /// Takes note of a write to the key of a partition. Ignores a write that is older than the last known one.
    pub(super) fn set_owner(&mut self, partition: u16, revision: u64, owner: &str) {
        if let Some(known) = self.partitions.get_mut(usize::from(partition))
            && revision > known.0
        {
            *known = (revision, owner.to_owned());
            self.last = self.last.max(revision);
            if owner != self.id {
                self.leaving.remove(&partition);
            }
        }
    }

    /// Returns when the next turn has to begin, if the last one began at `began` and ended at `now`. A key of another host that
    /// becomes too old is deleted at that time, not up to a third of a lease later.
    pub(super) fn next_turn(&self, began: Instant, now: Instant) -> Instant {
        if !self.leaving.is_empty() {
            return now + QUICK;
        }
        let regular = began + self.lease / 3;
        let too_old = self.others.values().map(|(_, since)| *since + self.lease);
        // A key that could not be deleted in this turn is not tried again at once.
        too_old.filter(|at| *at > now).fold(regular, Instant::min)
    }

    /// Takes note that the key of a host was deleted.
    pub(super) fn set_removed(&mut self, host: &str) {
        self.others.remove(host);
    }

    /// Returns own partitions that are being given up, until a write to their keys is known.
    pub(super) fn leaving(&self) -> &BTreeSet<u16> {
        &self.leaving
    }

    /// Returns the ids of the hosts that live, with this one.
    pub(super) fn living(&self) -> BTreeSet<String> {
        self.others.keys().chain([&self.id]).cloned().collect()
    }

    /// Returns the partitions of this host, with the revisions of their keys.
    pub(super) fn owned(&self) -> BTreeMap<u16, u64> {
        let owned = self.numbered().filter(|(_, (_, owner))| *owner == self.id);
        owned.map(|(partition, (revision, _))| (partition, *revision)).collect()
    }

    /// Returns what to write now, and starts to give up what is too much. Empty without a valid lease.
    pub(super) fn steps(&mut self, now: Instant) -> Vec<Step> {
        if self.until.is_none() || self.has_lapsed(now) {
            return Vec::new();
        }
        let stopped = self.others.iter().filter(|(_, (_, since))| now >= *since + self.lease);
        let mut steps: Vec<Step> = stopped
            .map(|(host, (revision, _))| Step::Remove {
                host: host.clone(),
                revision: *revision,
            })
            .collect();
        let owned = self.owned();
        let kept = owned.len() - self.leaving.len();
        let (share, first) = self.share();
        if kept > share {
            let surplus: Vec<u16> = owned
                .into_keys()
                .filter(|partition| !self.leaving.contains(partition))
                .collect();
            for partition in surplus.into_iter().rev().take(kept - share) {
                self.leaving.insert(partition);
                steps.push(Step::GiveUp { partition });
            }
        } else {
            // Each host begins at another partition, so that two of them rarely claim the same one.
            let (before, after): (Vec<_>, Vec<_>) = self.free().partition(|(partition, _)| *partition < first);
            let free = after.into_iter().chain(before).take(share - kept);
            steps.extend(free.map(|(partition, revision)| Step::Claim { partition, revision }));
        }
        steps
    }

    /// Returns how many partitions this host should have, and the partition at which it begins to claim.
    fn share(&self) -> (usize, u16) {
        let rank = self.others.keys().filter(|host| **host < self.id).count();
        let (count, hosts) = (self.partitions.len(), self.others.len() + 1);
        let share = count / hosts + usize::from(rank < count % hosts);
        (share, u16::try_from(rank * count / hosts).unwrap_or(0))
    }

    /// Partitions that no living host owns, with the revisions of their keys.
    fn free(&self) -> impl Iterator<Item = (u16, u64)> {
        let free = self
            .numbered()
            .filter(|(_, (_, owner))| *owner != self.id && !self.others.contains_key(owner));
        free.map(|(partition, (revision, _))| (partition, *revision))
    }

    fn numbered(&self) -> impl Iterator<Item = (u16, &(u64, String))> {
        (0_u16..).zip(&self.partitions)
    }
}

#[cfg(test)]
#[path = "membership_tests.rs"]
mod tests;
