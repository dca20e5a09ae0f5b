//! What all persistent sessions share: the store, the limits of queues, and the counters.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use hookhost_sessions::{Changes, Store};

use crate::rmqtt::limits::Limits;

/// What all persistent sessions share.
pub(in crate::rmqtt::persistent) struct Shared {
    /// `None` without a data folder: then sessions end with the process.
    pub(in crate::rmqtt::persistent) store: Option<Store>,
    pub(in crate::rmqtt::persistent) limits: QueueLimits,
    /// Messages that wait for all sessions, and their bytes.
    pub(in crate::rmqtt::persistent) messages: AtomicUsize,
    pub(in crate::rmqtt::persistent) bytes: AtomicUsize,
    /// Messages that were dropped because a limit was reached.
    pub(in crate::rmqtt::persistent) dropped: AtomicU64,
    /// Whether the host is stopping: sessions stay in the store although RMQTT ends them.
    pub(in crate::rmqtt::persistent) is_stopping: AtomicBool,
}

/// Limits of queues.
#[derive(Debug, Clone, Copy)]
pub(in crate::rmqtt::persistent) struct QueueLimits {
    /// Messages that wait for one session, without those that are sent and not acknowledged.
    pub(in crate::rmqtt::persistent) session_messages: usize,
    pub(in crate::rmqtt::persistent) session_bytes: usize,
    pub(in crate::rmqtt::persistent) all_messages: usize,
    pub(in crate::rmqtt::persistent) all_bytes: usize,
    /// Whether clients may get topic aliases; each message then needs properties, as in `BacklogLimits`.
    pub(in crate::rmqtt::persistent) has_topic_aliases: bool,
    /// How many QoS 2 publishes of a client may be incomplete.
    pub(in crate::rmqtt::persistent) incomplete_publishes: usize,
}

impl QueueLimits {
    pub(in crate::rmqtt::persistent) fn new(limits: &Limits) -> QueueLimits {
        let or_unlimited = |limit| if limit == 0 { usize::MAX } else { limit };
        QueueLimits {
            session_messages: limits.max_mqueue_len,
            session_bytes: or_unlimited(limits.max_mqueue_bytes),
            all_messages: or_unlimited(limits.max_queued_messages),
            all_bytes: or_unlimited(limits.max_queued_bytes),
            has_topic_aliases: limits.max_topic_aliases > 0,
            incomplete_publishes: limits.incomplete_publishes().into(),
        }
    }
}

impl Shared {
    /// Submits changes without waiting for them.
    pub(in crate::rmqtt::persistent) fn submit(&self, changes: Changes) {
        if let Some(store) = self.store.as_ref().filter(|_| !changes.is_empty()) {
            drop(store.submit(changes));
        }
    }

    pub(in crate::rmqtt::persistent) fn has_room_for(&self, bytes: usize) -> bool {
        self.messages.load(Ordering::Relaxed) < self.limits.all_messages
            && self.bytes.load(Ordering::Relaxed).saturating_add(bytes) <= self.limits.all_bytes
    }

    pub(in crate::rmqtt::persistent) fn added(&self, messages: usize, bytes: usize) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(in crate::rmqtt::persistent) fn removed(&self, messages: usize, bytes: usize) {
        self.messages.fetch_sub(messages, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(in crate::rmqtt::persistent) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}
