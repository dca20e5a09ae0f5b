//! The records that this host has read and that have not ended: which may be sent, and which acknowledgements may be lost.
//!
//! The number of a record contains its partition and its sequence in the stream. A record is *held* from the time at which
//! it was read until it ends or its partition is given up. A record that has ended stays known for [`ACK_DOUBT`]: if a new
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
    held: HashMap<u64, Held>,
    /// Records of `held` whose attempt is under way.
    under_way: usize,
    /// The sequences of records that have ended, with the time.
    ended: HashMap<u64, Instant>,
    /// The same in order of time.
    ended_order: VecDeque<(Instant, u64)>,
}

struct Held {
    /// Where the acknowledgement goes.
    reply: Subject,
    is_under_way: bool,
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
            records.held.retain(|_, held| held.is_under_way);
        }
    }

    /// Returns whether no attempt of a partition is under way.
    pub(super) fn is_idle(&self, partition: u16) -> bool {
        self.lock(partition).is_none_or(|records| records.under_way == 0)
    }

    /// Takes note of a record that a consumer has delivered. `reply` is where its acknowledgement goes from now on.
    pub(super) fn delivered(&self, partition: u16, sequence: u64, reply: &Subject) -> Delivered {
        let Some(mut records) = self.lock(partition) else {
            return Delivered::Known;
        };
        if records.ended.contains_key(&sequence) {
            return Delivered::Ended;
        }
        if let Some(held) = records.held.get_mut(&sequence) {
            held.reply = reply.clone();
            return Delivered::Known;
        }
        if !records.is_open {
            return Delivered::Known;
        }
        let held = Held {
            reply: reply.clone(),
            is_under_way: false,
        };
        records.held.insert(sequence, held);
        Delivered::New(number(partition, sequence))
    }

    /// Begins an attempt. Returns false if the host must not make it: another host delivers the record.
    pub(super) fn begin(&self, number: u64) -> bool {
        let (partition, sequence) = place(number);
        let Some(mut guard) = self.lock(partition) else {
            return false;
        };
        let records = &mut *guard;
        let held = records.held.get_mut(&sequence);
        match held.filter(|held| records.is_open && !held.is_under_way) {
            Some(held) => {
                held.is_under_way = true;
                records.under_way += 1;
                true
            }
            None => false,
        }
    }

    /// Returns whether [`Records::begin`] may succeed.
    pub(super) fn holds(&self, number: u64) -> bool {
        let (partition, sequence) = place(number);
        self.lock(partition)
            .is_some_and(|records| records.held.contains_key(&sequence))
    }

    /// An attempt has failed and is followed by another one.
    pub(super) fn rest(&self, number: u64) {
        let (partition, sequence) = place(number);
        let Some(mut guard) = self.lock(partition) else { return };
        let records = &mut *guard;
        if let Some(held) = records.held.get_mut(&sequence)
            && std::mem::take(&mut held.is_under_way)
        {
            records.under_way -= 1;
            if !records.is_open {
                records.held.remove(&sequence);
            }
        }
    }

    /// A record has ended. Returns where its acknowledgement goes; `None` if another host delivers it.
    pub(super) fn end(&self, number: u64, now: Instant) -> Option<Subject> {
        let (partition, sequence) = place(number);
        let mut records = self.lock(partition)?;
        let held = records.held.remove(&sequence)?;
        records.under_way -= usize::from(held.is_under_way);
        records.ended.insert(sequence, now);
        records.ended_order.push_back((now, sequence));
        Some(held.reply)
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

fn number(partition: u16, sequence: u64) -> u64 {
    u64::from(partition) << SEQUENCE_BITS | sequence
}

fn place(number: u64) -> (u16, u64) {
    let partition = u16::try_from(number >> SEQUENCE_BITS).unwrap_or(u16::MAX);
    (partition, number & ((1 << SEQUENCE_BITS) - 1))
}

/// The sequence in the stream of the record with this number.
pub(super) fn sequence(number: u64) -> u64 {
    place(number).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(text: &'static str) -> Subject {
        Subject::from_static(text)
    }

    fn new(records: &Records, sequence: u64) -> u64 {
        match records.delivered(3, sequence, &reply("a")) {
            Delivered::New(number) => number,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_record_is_sent_once_and_acknowledged_where_it_was_last_delivered() {
        let (records, now) = (Records::new(8), Instant::now());
        records.open(3);
        let number = new(&records, 70);
        assert_eq!(place(number), (3, 70));
        assert_eq!(records.delivered(3, 70, &reply("b")), Delivered::Known);
        assert!(records.begin(number));
        assert!(!records.begin(number), "it is under way");
        assert!(!records.is_idle(3));
        assert_eq!(records.end(number, now), Some(reply("b")));
        assert!(records.is_idle(3));
        assert!(!records.begin(number) && !records.holds(number));
        assert_eq!(records.delivered(3, 70, &reply("c")), Delivered::Ended);
        records.forget_ended(now);
        assert_eq!(records.delivered(3, 70, &reply("c")), Delivered::Ended);
        records.forget_ended(now + ACK_DOUBT);
        assert_eq!(records.delivered(3, 70, &reply("c")), Delivered::New(number));
    }

    #[test]
    fn a_partition_that_is_given_up_begins_nothing_and_ends_what_is_under_way() {
        let (records, now) = (Records::new(8), Instant::now());
        records.open(3);
        let (waits, ends, fails) = (new(&records, 1), new(&records, 2), new(&records, 3));
        assert!(records.begin(ends) && records.begin(fails));
        records.close(3);
        assert!(!records.begin(waits) && !records.holds(waits));
        assert!(!records.is_idle(3));
        assert_eq!(records.end(ends, now), Some(reply("a")));
        records.rest(fails);
        assert!(records.is_idle(3));
        assert!(!records.holds(fails), "the new owner sends it");
        assert_eq!(records.end(waits, now), None);
        assert_eq!(records.delivered(3, 9, &reply("a")), Delivered::Known, "it is closed");
        // The partition comes back: what has ended is acknowledged again, the rest is sent.
        records.open(3);
        assert_eq!(records.delivered(3, 2, &reply("b")), Delivered::Ended);
        assert_eq!(new(&records, 1), waits);
    }

    #[test]
    fn a_partition_is_lost_until_the_host_owns_it_again() {
        let records = Records::new(8);
        records.open(3);
        let number = new(&records, 1);
        assert!(records.begin(number));
        records.close(3);
        assert!(!records.is_lost(number), "its attempts end before it is given up");
        records.lose_all();
        assert!(records.is_lost(number));
        records.rest(number);
        records.open(3);
        assert!(!records.is_lost(number));
        assert_eq!(new(&records, 1), number);
    }

    #[test]
    fn a_failed_attempt_is_followed_by_another_one() {
        let records = Records::new(8);
        records.open(3);
        let number = new(&records, 1);
        assert!(records.begin(number));
        records.rest(number);
        assert!(records.is_idle(3) && records.holds(number) && records.begin(number));
    }

    #[test]
    fn a_number_of_another_partition_is_unknown() {
        let records = Records::new(2);
        assert!(!records.begin(number(5, 1)));
        assert!(records.is_idle(5));
        assert_eq!(records.end(number(5, 1), Instant::now()), None);
    }
}
