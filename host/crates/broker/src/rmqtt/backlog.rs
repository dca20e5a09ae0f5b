//! Bounds the messages that wait for each client.
//!
//! RMQTT hands messages to a client through an unbounded channel and only then puts them into the client's bounded
//! queue. While a client does not read, its task waits for the socket and the channel grows as fast as publishers can
//! fill it. So each copy for a client carries a [`Ticket`], which is returned when RMQTT drops the copy, wherever that
//! happens. Without a free ticket the message is dropped for this client.
//!
//! The ticket travels in `target_clientid`, which RMQTT reads only before it makes the copy. Its text is the shared group
//! of the copy, which RMQTT does not keep either.
//!
//! Messages with QoS 1 and 2 for a session that outlives its connection wait in the session itself (see
//! [`super::persistent`]). It is found here as well, so that messages for other sessions cost no further look-up.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use bytestring::ByteString;
use tokio::sync::Notify;

use ::rmqtt::types::Publish;

use super::limits::Limits;
use super::persistent::PersistentSession;

const SHARDS: usize = 64;
/// Messages that may wait in addition to those in the queue and the window: a burst that the client's task has not
/// handled yet.
const BURST_MESSAGES: usize = 10_000;
/// Memory that a waiting message takes besides topic and payload, roughly.
const FIXED_MESSAGE_BYTES: usize = 512;

/// The shared group of a copy.
pub(super) fn group(publish: &Publish) -> Option<ByteString> {
    publish
        .target_clientid
        .as_ref()
        .and_then(|text| text.split('\0').next())
        .filter(|group| !group.is_empty())
        .map(ByteString::from)
}

/// The messages that wait for each client.
pub(super) struct Backlogs {
    shards: [Mutex<HashMap<ByteString, Arc<Backlog>>>; SHARDS],
    hasher: RandomState,
    limits: BacklogLimits,
    /// How many clients have a persistent session.
    persistent: AtomicUsize,
}

#[derive(Clone, Copy)]
struct BacklogLimits {
    messages: usize,
    /// The same for a client with a persistent session: messages with QoS 0.
    persistent_messages: usize,
    bytes: usize,
    /// The number from which a sender that can wait does so.
    calm: usize,
    /// Whether clients may get topic aliases. RMQTT writes an alias into messages with properties only, but leaves out the
    /// topic of any later message. So each message needs properties.
    has_topic_aliases: bool,
}

/// The messages that wait for one client.
#[derive(Default)]
pub(super) struct Backlog {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    waiting: AtomicUsize,
    freed: Notify,
    /// Whether `persistent` is set: cheaper to look at.
    is_persistent: AtomicBool,
    persistent: ArcSwapOption<PersistentSession>,
}

impl Backlogs {
    /// No message waits.
    pub(super) fn new(limits: &Limits) -> Backlogs {
        let bytes = if limits.max_mqueue_bytes == 0 {
            usize::MAX
        } else {
            limits.max_mqueue_bytes
        };
        let messages = limits.max_mqueue_len + usize::from(limits.max_inflight) + BURST_MESSAGES;
        Backlogs {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::new(),
            limits: BacklogLimits {
                messages,
                persistent_messages: limits.max_mqueue_len,
                bytes,
                calm: limits.max_mqueue_len.div_ceil(2),
                has_topic_aliases: limits.max_topic_aliases > 0,
            },
            persistent: AtomicUsize::new(0),
        }
    }

    /// Gives the copy a ticket; false if the client has none left.
    pub(super) fn admit(&self, client_id: &ByteString, publish: &mut Publish, group: Option<&ByteString>) -> bool {
        self.admit_to(self.of(client_id), publish, group)
    }

    /// The same for a client whose backlog is known.
    pub(super) fn admit_to(&self, backlog: Arc<Backlog>, publish: &mut Publish, group: Option<&ByteString>) -> bool {
        backlog.admit(publish, group, self.limits)
    }

    /// The persistent session of a client.
    pub(super) fn persistent(&self, client_id: &ByteString) -> Option<Arc<PersistentSession>> {
        if self.persistent.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let shard = self.shard(client_id).lock().unwrap_or_else(PoisonError::into_inner);
        Backlogs::persistent_of(shard.get(client_id)?)
    }

    /// The same for a client whose backlog is known.
    pub(super) fn persistent_of(backlog: &Backlog) -> Option<Arc<PersistentSession>> {
        if !backlog.is_persistent.load(Ordering::Relaxed) {
            return None;
        }
        backlog.persistent.load_full()
    }

    /// Sets or removes the persistent session of a client.
    pub(super) fn set_persistent(&self, client_id: &ByteString, session: Option<Arc<PersistentSession>>) {
        let is_set = session.is_some();
        let backlog = self.of(client_id);
        backlog.is_persistent.store(is_set, Ordering::Relaxed);
        let old = backlog.persistent.swap(session);
        match (old.is_some(), is_set) {
            (false, true) => drop(self.persistent.fetch_add(1, Ordering::Relaxed)),
            (true, false) => drop(self.persistent.fetch_sub(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    /// Waits until few messages wait for the client, at most for `time`; returns whether that was reached.
    pub(super) async fn calm(&self, client_id: &ByteString, time: Duration) -> bool {
        let backlog = self.of(client_id);
        backlog.waiting.fetch_add(1, Ordering::Relaxed);
        let calm = async {
            loop {
                let freed = backlog.freed.notified();
                tokio::pin!(freed);
                freed.as_mut().enable();
                if backlog.messages.load(Ordering::Relaxed) < self.limits.calm {
                    return;
                }
                freed.await;
            }
        };
        let calm = tokio::time::timeout(time, calm).await.is_ok();
        backlog.waiting.fetch_sub(1, Ordering::Relaxed);
        calm
    }

    /// Removes the clients for whom no message waits.
    pub(super) fn sweep(&self) {
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.retain(|_, backlog| Arc::strong_count(backlog) > 1 || backlog.is_persistent.load(Ordering::Relaxed));
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the index is a remainder by the number of shards"
    )]
    fn shard(&self, client_id: &ByteString) -> &Mutex<HashMap<ByteString, Arc<Backlog>>> {
        &self.shards[self.hasher.hash_one(client_id) as usize % SHARDS]
    }

    /// The backlog of a client, for [`admit_to`](Self::admit_to).
    pub(super) fn of(&self, client_id: &ByteString) -> Arc<Backlog> {
        let mut shard = self.shard(client_id).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(backlog) = shard.get(client_id) {
            return Arc::clone(backlog);
        }
        Arc::clone(shard.entry(client_id.clone()).or_default())
    }
}

impl Backlog {
    fn admit(self: Arc<Backlog>, publish: &mut Publish, group: Option<&ByteString>, limits: BacklogLimits) -> bool {
        let bytes = publish.topic.len() + publish.payload.len() + FIXED_MESSAGE_BYTES;
        let messages = if self.is_persistent.load(Ordering::Relaxed) {
            limits.persistent_messages
        } else {
            limits.messages
        };
        if self.messages.load(Ordering::Relaxed) >= messages
            || self.bytes.load(Ordering::Relaxed).saturating_add(bytes) > limits.bytes
        {
            return false;
        }
        if limits.has_topic_aliases {
            publish.properties.get_or_insert_default();
        }
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let ticket = Ticket {
            backlog: self,
            bytes,
            // What follows a NUL would be taken for the number of a queued message.
            group: group.filter(|group| !group.contains('\0')).cloned().unwrap_or_default(),
        };
        #[expect(
            clippy::expect_used,
            reason = "the bytes of a ticket are those of its group, a ByteString"
        )]
        let ticket = ByteString::try_from(Bytes::from_owner(ticket)).expect("a group is UTF-8");
        publish.target_clientid = Some(ticket);
        true
    }
}

/// The right of one copy to wait; returned when the copy is dropped.
struct Ticket {
    backlog: Arc<Backlog>,
    bytes: usize,
    group: ByteString,
}

impl AsRef<[u8]> for Ticket {
    fn as_ref(&self) -> &[u8] {
        self.group.as_bytes()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.backlog.messages.fetch_sub(1, Ordering::Relaxed);
        self.backlog.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        if self.backlog.waiting.load(Ordering::Relaxed) > 0 {
            self.backlog.freed.notify_waiters();
        }
    }
}

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
