//! Who published what, so that deliveries can name the publisher.
//!
//! A packet from the upstream does not say who published it. This table holds the publishes that passed the gateway in
//! the last half minute, by topic and payload, and finds the publish of a delivery. If two clients have published the
//! same, the publisher is unknown. A receiver gets equal messages of one publisher in their order, so each delivery to it
//! is matched with the next one. The table is bounded in number and bytes, and pure but for its locks.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use smallvec::SmallVec;

use hookhost_event::{Message, Millis};

const SHARDS: usize = 32;
/// How long a publish may take to its receivers, in milliseconds.
pub(super) const WINDOW_MILLIS: u64 = 30_000;
/// Publishes in one shard.
const MAX_PUBLISHES: usize = 4_096;
/// Publishes of the same content: more than any receiver is behind.
const MAX_EQUAL: usize = 64;
/// Bytes of topics and payloads in one shard.
const MAX_SHARD_BYTES: usize = 4 << 20;

/// A publish that passed.
struct Passed {
    /// Its place among all publishes.
    place: u64,
    at: Millis,
    message: Message,
}

#[derive(Default)]
struct PublishShard {
    by_content: HashMap<u64, SmallVec<[Passed; 1]>>,
    /// The oldest first: what each was found by.
    order: VecDeque<u64>,
    bytes: usize,
}

/// The publishes of the last half minute.
pub(super) struct RecentPublishes {
    shards: Vec<Mutex<PublishShard>>,
    hasher: RandomState,
    next: AtomicU64,
}

impl RecentPublishes {
    /// None yet.
    pub(super) fn new() -> RecentPublishes {
        RecentPublishes {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            next: AtomicU64::new(1),
        }
    }

    /// A publish passes, at the time at which it was received.
    pub(super) fn passed(&self, message: Message) {
        let now = message.received_at;
        let size = message.topic.len() + message.payload.len();
        if size > MAX_SHARD_BYTES / 4 {
            return;
        }
        let hash = self.hasher.hash_one((&*message.topic, &message.payload));
        let mut shard = self.shard(hash).lock().unwrap_or_else(PoisonError::into_inner);
        while shard.order.len() >= MAX_PUBLISHES || shard.bytes + size > MAX_SHARD_BYTES || shard.oldest_is_over(now) {
            shard.forget_oldest();
        }
        let passed = Passed {
            place: self.next.fetch_add(1, Ordering::Relaxed),
            at: now,
            message,
        };
        let shard = &mut *shard;
        shard.bytes += size;
        let equal = shard.by_content.entry(hash).or_default();
        if equal.len() < MAX_EQUAL {
            shard.order.push_back(hash);
        } else {
            // The new one has the place of the oldest one.
            let message = equal.remove(0).message;
            shard.bytes -= message.topic.len() + message.payload.len();
        }
        equal.push(passed);
    }

    /// The publish behind a delivery of this content, for a receiver that had the one at place `after` last; and its
    /// place.
    pub(super) fn find(&self, topic: &str, payload: &[u8], after: u64, now: Millis) -> Option<(u64, Message)> {
        let hash = self.hasher.hash_one((topic, payload));
        let shard = self.shard(hash).lock().unwrap_or_else(PoisonError::into_inner);
        let passed = shard.by_content.get(&hash)?;
        let equal = |passed: &&Passed| {
            passed.at.0 + WINDOW_MILLIS > now.0
                && *passed.message.topic == *topic
                && *passed.message.payload == *payload
        };
        let mut found: Option<&Passed> = None;
        for passed in passed.iter().filter(equal) {
            match found {
                Some(other) if other.message.publisher != passed.message.publisher => return None,
                // The first one that the receiver has not had, else the last one.
                Some(other) if other.place > after => {}
                _ => found = Some(passed),
            }
        }
        found.map(|passed| (passed.place, passed.message.clone()))
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the index is a remainder by the number of shards, which is not 0"
    )]
    fn shard(&self, hash: u64) -> &Mutex<PublishShard> {
        &self.shards[hash as usize % self.shards.len()]
    }
}

impl PublishShard {
    fn oldest_is_over(&self, now: Millis) -> bool {
        let oldest = self.order.front().and_then(|hash| self.by_content.get(hash)?.first());
        oldest.is_some_and(|passed| passed.at.0 + WINDOW_MILLIS <= now.0)
    }

    fn forget_oldest(&mut self) {
        let Some(hash) = self.order.pop_front() else {
            self.bytes = 0;
            return;
        };
        if let Some(passed) = self.by_content.get_mut(&hash) {
            if !passed.is_empty() {
                let message = passed.remove(0).message;
                self.bytes -= message.topic.len() + message.payload.len();
            }
            if passed.is_empty() {
                self.by_content.remove(&hash);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hookhost_event::{Client, Id, Origin};

    fn message(publisher: &str, payload: &str, id: u128, at: Millis) -> Message {
        Message {
            id: Id(id),
            publisher: Client {
                id: publisher.into(),
                ..Client::default()
            },
            origin: Origin::Client,
            topic: "t".into(),
            payload: payload.to_owned().into(),
            qos: 0,
            retain: false,
            dup: false,
            packet_id: None,
            received_at: at,
            properties: None,
            republishes: 0,
        }
    }

    const NOW: Millis = Millis(1_000_000);

    fn found(publishes: &RecentPublishes, payload: &str, after: u64, now: Millis) -> Option<(u64, u128)> {
        publishes
            .find("t", payload.as_bytes(), after, now)
            .map(|(place, message)| (place, message.id.0))
    }

    #[test]
    fn equal_messages_are_matched_in_their_order() {
        let publishes = RecentPublishes::new();
        for id in 1..=3 {
            publishes.passed(message("p", "x", id, NOW));
        }
        assert_eq!(found(&publishes, "x", 0, NOW), Some((1, 1)));
        assert_eq!(found(&publishes, "x", 1, NOW), Some((2, 2)));
        assert_eq!(found(&publishes, "x", 3, NOW), Some((3, 3)), "repeated: the last one");
        assert_eq!(found(&publishes, "y", 0, NOW), None);
    }

    #[test]
    fn two_publishes_of_the_same_are_nobody() {
        let publishes = RecentPublishes::new();
        publishes.passed(message("p", "x", 1, NOW));
        publishes.passed(message("q", "x", 2, NOW));
        assert_eq!(found(&publishes, "x", 0, NOW), None);
    }

    #[test]
    fn what_is_old_is_not_found() {
        let publishes = RecentPublishes::new();
        publishes.passed(message("p", "x", 1, NOW));
        let later = Millis(NOW.0 + WINDOW_MILLIS);
        assert_eq!(found(&publishes, "x", 0, later), None);
        publishes.passed(message("q", "x", 2, later));
        assert_eq!(found(&publishes, "x", 0, later), Some((2, 2)));
    }

    #[test]
    fn the_table_is_bounded() {
        let publishes = RecentPublishes::new();
        let count = |publishes: &RecentPublishes| -> (usize, usize) {
            let shards = publishes.shards.iter().map(|shard| shard.lock().unwrap());
            shards.fold((0, 0), |sum, shard| (sum.0 + shard.order.len(), sum.1 + shard.bytes))
        };
        for id in 0..(SHARDS * MAX_PUBLISHES * 5 / 4) as u128 {
            publishes.passed(message("p", &id.to_string(), id, NOW));
        }
        assert!(count(&publishes).0 <= SHARDS * MAX_PUBLISHES);
        for id in 0..400 {
            publishes.passed(message("p", "equal", id, NOW));
            publishes.passed(message("p", &format!("{id}{}", "x".repeat(500_000)), id, NOW));
        }
        assert!(count(&publishes).1 <= SHARDS * MAX_SHARD_BYTES);
    }
}
