//! Publishes that may turn out to have no subscriber.
//!
//! RMQTT says that a publish had no subscriber without saying which publish. It says so while it works on that
//! publish, so the last one of the same connection is meant. It is kept from when it is accepted until RMQTT has said
//! so or has gone on to something else: at most one message for each connection at work, and none if nobody is
//! interested.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ::rmqtt::types::{_Id, Id as ClientKey};

use crate::event::Message;

const SHARDS: usize = 32;

type Shard = HashMap<usize, (ClientKey, Message)>;

/// The publishes at work.
pub(super) struct Awaiting {
    shards: [Mutex<Shard>; SHARDS],
    count: AtomicUsize,
}

impl Awaiting {
    /// None.
    pub(super) fn new() -> Awaiting {
        Awaiting {
            shards: std::array::from_fn(|_| Mutex::default()),
            count: AtomicUsize::new(0),
        }
    }

    /// This connection's publish is at work.
    pub(super) fn put(&self, key: &ClientKey, message: Message) {
        let (place, mut shard) = self.shard(key);
        // The key is held so that no other connection can come to have its address.
        if shard.insert(place, (key.clone(), message)).is_none() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// This connection's publish, which is not at work any more.
    pub(super) fn take(&self, key: &ClientKey) -> Option<Message> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let (place, mut shard) = self.shard(key);
        let (_, message) = shard.remove(&place)?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        Some(message)
    }

    /// By the address of the key, which all copies of it share: cheaper than what is in it.
    #[expect(
        clippy::indexing_slicing,
        reason = "the index is a remainder by the number of shards"
    )]
    fn shard(&self, key: &ClientKey) -> (usize, MutexGuard<'_, Shard>) {
        let place = std::ptr::from_ref::<_Id>(key) as usize;
        let shard = &self.shards[(place >> 6) % SHARDS];
        (place, shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
