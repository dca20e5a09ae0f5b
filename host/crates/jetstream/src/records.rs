//! The records that this host has read and that have not ended: which may be sent, and which acknowledgements may be lost.
//!
//! The number of a record contains its partition and its sequence in the stream. A record is *pending* from the time at
//! which it was read until it ends or its partition is given up. A record that has ended stays known for [`ACK_DOUBT`]: if a new
//! consumer delivers it again, its acknowledgement was lost, and it is acknowledged again instead of sent again.
//!
//! This file has no I/O. Its clock is given.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_nats::Subject;

/// How long the acknowledgement of a record may be under way, over a connection that works.
pub(super) const ACK_DOUBT: Duration = Duration::from_secs(10);

/// The bits of a record's number that are its sequence.
const SEQUENCE_BITS: u32 = 48;

/// The records of all partitions.
pub(super) struct Records {
    partitions: Vec<Mutex<PartitionRecords>>,
}

#[derive(Default)]
struct PartitionRecords {
    /// Whether this host owns the partition and begins attempts.
    is_open: bool,
    /// Whether the lease was over before the last attempts had ended, so that another host may own the partition.
    is_lost: bool,
    pending: HashMap<u64, PendingRecord>,
    /// Records of `pending` whose attempt is under way.
    under_way: usize,
    /// The sequences of records that have ended, with the time.
    ended: HashMap<u64, Instant>,
    /// The same in order of time.
    ended_order: VecDeque<(Instant, u64)>,
}

/// A record that was read and has not ended.
struct PendingRecord {
    /// Where the acknowledgement goes.
    reply: Subject,
    is_under_way: bool,
    /// Whether the bucket of attempts has a key of it.
    has_state: bool,
}

/// What follows the end of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Where its acknowledgement goes.
    pub(super) reply: Subject,
    /// Whether the bucket of attempts has a key of it.
    pub(super) has_state: bool,
}

/// What to do with a record that a consumer has delivered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivered {
    /// Hand it over under this number.
    New(u64),
    /// It was handed over before.
    Known,
    /// It has ended: acknowledge it.
    Ended,
}

impl Records {
    /// No partition is open.
    pub(super) fn new(partitions: u16) -> Records {
        Records {
            partitions: (0..partitions).map(|_| Mutex::default()).collect(),
        }
    }

    /// The host owns a partition now.
    pub(super) fn open(&self, partition: u16) {
        if let Some(mut records) = self.lock(partition) {
            records.is_open = true;
            records.is_lost = false;
        }
    }

    /// The lease of the host is over: closes all partitions, also for the dead letters of their requests.
    pub(super) fn lose_all(&self) {
        for partition in 0..self.count() {
            self.close(partition);
            if let Some(mut records) = self.lock(partition) {
                records.is_lost = true;
            }
        }
    }

    /// Returns whether another host may own the partition of a record whose attempt has ended.
    pub(super) fn is_lost(&self, number: u64) -> bool {
        let (partition, _) = place(number);
        self.lock(partition).is_none_or(|records| records.is_lost)
    }

    /// The host begins no attempt of this partition any longer, and forgets the records whose attempt is not under way.
    pub(super) fn close(&self, partition: u16) {
        if let Some(mut records) = self.lock(partition) {
            records.is_open = false;
            records.pending.retain(|_, pending| pending.is_under_way);
        }
    }

    /// Returns whether no attempt of a partition is under way.
    pub(super) fn is_idle(&self, partition: u16) -> bool {
        self.lock(partition).is_none_or(|records| records.under_way == 0)
    }

    /// Takes note of a record that a consumer has delivered. `reply` is where its acknowledgement goes from now on.
    /// `has_state`: the bucket of attempts has a key of it.
    pub(super) fn delivered(&self, partition: u16, sequence: u64, reply: &Subject, has_state: bool) -> Delivered {
        let Some(mut records) = self.lock(partition) else {
            return Delivered::Known;
        };
        if records.ended.contains_key(&sequence) {
            return Delivered::Ended;
        }
        if let Some(pending) = records.pending.get_mut(&sequence) {
            pending.reply = reply.clone();
            return Delivered::Known;
        }
        if !records.is_open {
            return Delivered::Known;
        }
        let pending = PendingRecord {
            reply: reply.clone(),
            is_under_way: false,
            has_state,
        };
        records.pending.insert(sequence, pending);
        Delivered::New(number(partition, sequence))
    }

    /// Begins an attempt. Returns false if the host must not make it: another host delivers the record.
    pub(super) fn begin(&self, number: u64) -> bool {
        let (partition, sequence) = place(number);
        let Some(mut guard) = self.lock(partition) else {
            return false;
        };
        let records = &mut *guard;
        let pending = records.pending.get_mut(&sequence);
        match pending.filter(|pending| records.is_open && !pending.is_under_way) {
            Some(pending) => {
                pending.is_under_way = true;
                records.under_way += 1;
                true
            }
            None => false,
        }
    }

    /// Returns whether a record is pending: [`Records::begin`] may succeed.
    pub(super) fn is_pending(&self, number: u64) -> bool {
        let (partition, sequence) = place(number);
        self.lock(partition)
            .is_some_and(|records| records.pending.contains_key(&sequence))
    }

    /// An attempt has failed and is followed by another one.
    pub(super) fn rest(&self, number: u64) {
        let (partition, sequence) = place(number);
        let Some(mut guard) = self.lock(partition) else { return };
        let records = &mut *guard;
        if let Some(pending) = records.pending.get_mut(&sequence)
            && std::mem::take(&mut pending.is_under_way)
        {
            records.under_way -= 1;
            if !records.is_open {
                records.pending.remove(&sequence);
            }
        }
    }

    /// The bucket of attempts gets a key of a record. Returns false if it must not: another host delivers the record.
    pub(super) fn set_has_state(&self, number: u64) -> bool {
        let (partition, sequence) = place(number);
        let Some(mut records) = self.lock(partition) else {
            return false;
        };
        let is_lost = records.is_lost;
        match records.pending.get_mut(&sequence).filter(|_| !is_lost) {
            Some(pending) => {
                pending.has_state = true;
                true
            }
            None => false,
        }
    }

    /// A record has ended. Returns what follows; `None` if another host delivers it.
    pub(super) fn end(&self, number: u64, now: Instant) -> Option<Ended> {
        let (partition, sequence) = place(number);
        let mut records = self.lock(partition)?;
        let pending = records.pending.remove(&sequence)?;
        records.under_way -= usize::from(pending.is_under_way);
        records.ended.insert(sequence, now);
        records.ended_order.push_back((now, sequence));
        Some(Ended {
            reply: pending.reply,
            has_state: pending.has_state,
        })
    }

    /// Forgets records that have ended before this time. The connection has worked since then.
    pub(super) fn forget_ended(&self, before: Instant) {
        for partition in 0..self.count() {
            let Some(mut records) = self.lock(partition) else {
                continue;
            };
            while let Some((_, sequence)) = records.ended_order.front().filter(|(at, _)| *at < before).copied() {
                records.ended_order.pop_front();
                records.ended.remove(&sequence);
            }
        }
    }

    /// The number of partitions.
    pub(super) fn count(&self) -> u16 {
        u16::try_from(self.partitions.len()).unwrap_or(u16::MAX)
    }

    fn lock(&self, partition: u16) -> Option<MutexGuard<'_, PartitionRecords>> {
        let records = self.partitions.get(usize::from(partition))?;
        // No code of this file panics between two changes that belong together.
        Some(records.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The number of a record.
pub(super) fn number(partition: u16, sequence: u64) -> u64 {
    u64::from(partition) << SEQUENCE_BITS | sequence
}

/// The partition of a record, and its sequence in the stream.
pub(super) fn place(number: u64) -> (u16, u64) {
    let partition = u16::try_from(number >> SEQUENCE_BITS).unwrap_or(u16::MAX);
    (partition, number & ((1 << SEQUENCE_BITS) - 1))
}

/// The sequence in the stream of the record with this number.
pub(super) fn sequence(number: u64) -> u64 {
    place(number).1
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
