//! Retained messages, in memory and on disk.
//!
//! A store for RMQTT on RMQTT's own topic tree. RMQTT's plugin for this lacks: a bound on memory, the expiry of the MQTT
//! standard, deletion when full, and a mark on every copy that leaves the store, from which a delivery knows that it is
//! retained. Messages on invalid topics are not stored: the tree recurses once per level, and a topic with wildcards
//! would never be found again.
//!
//! With a data folder, each change goes into the store of sessions. The publisher of a retained message with QoS 1 or 2
//! waits for the commit in [`ClientTable`](super::peers::ClientTable), where it also waits for queues.

use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use async_trait::async_trait;

use ::rmqtt::retain::{RetainStorage, RetainTree};
use ::rmqtt::topic::Topic;
use ::rmqtt::types::{Retain, TimedValue, TopicFilter, TopicName};
use ::rmqtt::utils::timestamp_millis;

use hookhost_sessions::{Changes, MessageRecord};

use super::handler::EventSource;
use super::limits::Limits;
use super::persistent::{PersistentSessions, message, message_record};
use super::tag::mark_stored;

/// The store. Clones share its content: RMQTT owns one, the sweeper another.
#[derive(Clone)]
pub(super) struct RetainedStore {
    limits: Limits,
    /// Knows the addresses of clients behind the relay.
    source: Option<Arc<EventSource>>,
    messages: Arc<RwLock<RetainedMessages>>,
    /// Has the store.
    sessions: Arc<PersistentSessions>,
    /// Messages that were not retained because a limit was reached.
    refused: Arc<AtomicU64>,
}

#[derive(Default)]
struct RetainedMessages {
    tree: RetainTree<TimedValue<Retain>>,
    messages: usize,
    bytes: usize,
    peak: usize,
}

impl RetainedStore {
    /// An empty store within the limits. `source` knows the addresses of clients behind the relay.
    pub(super) fn new(
        limits: &Limits,
        sessions: &Arc<PersistentSessions>,
        source: Option<Arc<EventSource>>,
    ) -> RetainedStore {
        RetainedStore {
            limits: limits.clone(),
            source,
            messages: Arc::default(),
            sessions: Arc::clone(sessions),
            refused: Arc::default(),
        }
    }

    /// Adds the messages of the file; removes from it those that have expired or are beyond the limits.
    pub(super) fn restore(&self, records: Vec<MessageRecord>) {
        let now = timestamp_millis();
        let count = records.len();
        let mut changes = Changes::default();
        let mut state = self.write();
        for record in records {
            let (sender, publish) = message(&record);
            let retain = Retain {
                msg_id: None,
                from: sender,
                publish,
            };
            let age = now.saturating_sub(record.created_at.unwrap_or(now));
            let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
            let expiry = self.expiry(&retain).map(|expiry| expiry.saturating_sub(age));
            let is_over = expiry.is_some_and(|left| left.is_zero()) || !self.limits.is_topic(&record.topic);
            match Topic::from_str(&record.topic) {
                Ok(topic) if !is_over && state.has_room_for(size(&retain), &self.limits) => {
                    state.insert(&topic, retain, expiry);
                }
                _ => changes.remove_retained(record.topic),
            }
        }
        if count > 0 {
            tracing::info!(
                messages = state.messages,
                expired = count - state.messages,
                "restored retained messages"
            );
        }
        drop(state);
        self.submit(changes);
    }

    fn submit(&self, changes: Changes) {
        if let Some(store) = self.sessions.store().filter(|_| !changes.is_empty()) {
            drop(store.submit(changes));
        }
    }

    /// Counters, by name.
    pub(super) fn counters(&self) -> [(&'static str, u64); 3] {
        let state = self.read();
        [
            ("retained.messages", state.messages as u64),
            ("retained.bytes", state.bytes as u64),
            ("retained.refused", self.refused.load(Ordering::Relaxed)),
        ]
    }

    fn read(&self) -> RwLockReadGuard<'_, RetainedMessages> {
        self.messages.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, RetainedMessages> {
        self.messages.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes expired messages; returns how many.
    pub(super) fn sweep(&self) -> usize {
        let mut state = self.write();
        let mut freed = 0;
        let mut changes = Changes::default();
        let removed = state.tree.retain(usize::MAX, |value| {
            let keep = !value.is_expired();
            if !keep {
                freed += size(value.value());
                changes.remove_retained(value.value().publish.topic.clone());
            }
            keep
        });
        self.submit(changes);
        state.messages = state.messages.saturating_sub(removed);
        state.bytes = state.bytes.saturating_sub(freed);
        removed
    }

    fn expiry(&self, retain: &Retain) -> Option<Duration> {
        let own = retain
            .publish
            .properties
            .as_ref()
            .and_then(|properties| properties.message_expiry_interval);
        match own {
            Some(seconds) => Some(Duration::from_secs(seconds.get().into())),
            None => Some(self.limits.retained_message_ttl).filter(|ttl| !ttl.is_zero()),
        }
    }
}

impl RetainedMessages {
    fn has_room_for(&self, bytes: usize, limits: &Limits) -> bool {
        self.messages < limits.max_retained_messages && self.bytes + bytes <= limits.max_retained_bytes
    }

    fn insert(&mut self, topic: &Topic, retain: Retain, expiry: Option<Duration>) {
        self.messages += 1;
        self.bytes += size(&retain);
        self.peak = self.peak.max(self.messages);
        self.tree.insert(topic, TimedValue::new(retain, expiry));
    }
}

fn size(retain: &Retain) -> usize {
    retain.publish.topic.len() + retain.publish.payload.len()
}

#[async_trait]
impl RetainStorage for RetainedStore {
    fn enable(&self) -> bool {
        self.limits.retain
    }

    async fn set(&self, name: &TopicName, mut retain: Retain, _: Option<Duration>) -> ::rmqtt::Result<()> {
        if let Some(source) = &self.source {
            // It outlives the relay of its publisher.
            retain.from = source.own_sender(retain.from);
        }
        if !self.limits.is_topic(name) {
            return Ok(());
        }
        let topic = Topic::from_str(name)?;
        let expiry = self.expiry(&retain);
        let mut changes = Changes::default();
        let mut state = self.write();
        if let Some(old) = state.tree.remove(&topic) {
            state.messages = state.messages.saturating_sub(1);
            state.bytes = state.bytes.saturating_sub(size(old.value()));
            changes.remove_retained(name.clone());
        }
        if !retain.publish.payload.is_empty() {
            if state.has_room_for(size(&retain), &self.limits) {
                if self.sessions.store().is_some() {
                    changes.retain(&message_record(&retain.from, &retain.publish));
                }
                state.insert(&topic, retain, expiry);
            } else {
                self.refused.fetch_add(1, Ordering::Relaxed);
                // Clients can cause this as often as they like, so it is not a warning.
                tracing::debug!(topic = %name, "the store of retained messages is full; the message is routed and not retained");
            }
        }
        self.submit(changes);
        Ok(())
    }

    async fn get(&self, filter: &TopicFilter) -> ::rmqtt::Result<Vec<(TopicName, Retain)>> {
        let filter = Topic::from_str(filter)?;
        let found = self.read().tree.matches(&filter);
        Ok(found
            .into_iter()
            .filter(|(_, value)| !value.is_expired())
            .map(|(_, value)| {
                let mut retain = value.into_value();
                mark_stored(&mut retain.publish);
                (retain.publish.topic.clone(), retain)
            })
            .collect())
    }

    async fn count(&self) -> isize {
        isize::try_from(self.read().messages).unwrap_or(isize::MAX)
    }

    async fn max(&self) -> isize {
        isize::try_from(self.read().peak).unwrap_or(isize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use ::rmqtt::codec::types::QoS;
    use ::rmqtt::codec::v5::PublishProperties;
    use ::rmqtt::context::ServerContext;
    use ::rmqtt::types::{CodecPublish, From as Sender, Id, Publish};

    use super::*;
    use crate::rmqtt::backlog::Backlogs;
    use crate::rmqtt::relayed::RelayedClients;
    use crate::rmqtt::tag::MessageTag;

    /// A store without a file.
    async fn store(limits: Limits) -> RetainedStore {
        let engine = ServerContext::new().build().await;
        let backlogs = Arc::new(Backlogs::new(&limits));
        let clients = Arc::new(RelayedClients::new());
        let sessions = Arc::new(PersistentSessions::new(engine, clients, backlogs, &limits, None));
        RetainedStore::new(&limits, &sessions, None)
    }

    fn message(topic: &str, payload: &str, expiry: Option<u32>) -> Retain {
        let publish = Publish::from(CodecPublish {
            dup: false,
            retain: true,
            qos: QoS::AtLeastOnce,
            topic: topic.into(),
            packet_id: None,
            payload: payload.to_owned().into(),
            properties: Some(PublishProperties {
                message_expiry_interval: expiry.and_then(NonZeroU32::new),
                ..PublishProperties::default()
            }),
        });
        Retain {
            msg_id: None,
            from: Sender::from_custom(Id::from(1, "p".into())),
            publish,
        }
    }

    async fn set(store: &RetainedStore, topic: &str, payload: &str) {
        store
            .set(&topic.into(), message(topic, payload, None), None)
            .await
            .expect("a topic");
    }

    async fn found(store: &RetainedStore, filter: &str) -> Vec<(String, String)> {
        let mut found: Vec<_> = store
            .get(&filter.into())
            .await
            .expect("a filter")
            .into_iter()
            .map(|(topic, retain)| {
                assert!(MessageTag::of(&retain.publish).stored);
                (
                    topic.to_string(),
                    String::from_utf8(retain.publish.payload.to_vec()).expect("text"),
                )
            })
            .collect();
        found.sort();
        found
    }

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect()
    }

    #[tokio::test]
    async fn the_last_message_of_each_topic_is_kept() {
        let store = store(Limits::default()).await;
        set(&store, "a/1", "x").await;
        set(&store, "a/1", "y").await;
        set(&store, "a/2", "z").await;
        set(&store, "$SYS/1", "s").await;
        assert_eq!(found(&store, "a/+").await, pairs(&[("a/1", "y"), ("a/2", "z")]));
        assert_eq!(found(&store, "#").await, pairs(&[("a/1", "y"), ("a/2", "z")]));
        set(&store, "a/1", "").await;
        assert_eq!(found(&store, "a/#").await, pairs(&[("a/2", "z")]));
        assert_eq!((store.count().await, store.read().bytes), (2, 4 + "$SYS/1s".len()));
    }

    #[tokio::test]
    async fn a_full_store_still_replaces_and_deletes() {
        let store = store(Limits {
            max_retained_messages: 1,
            ..Limits::default()
        })
        .await;
        set(&store, "a", "1").await;
        set(&store, "b", "1").await;
        set(&store, "a", "2").await;
        assert_eq!(found(&store, "#").await, pairs(&[("a", "2")]));
        set(&store, "a", "").await;
        set(&store, "b", "3").await;
        assert_eq!(found(&store, "#").await, pairs(&[("b", "3")]));
    }

    #[tokio::test]
    async fn bytes_are_bounded() {
        let store = store(Limits {
            max_retained_bytes: 10,
            ..Limits::default()
        })
        .await;
        set(&store, "a", "123456789").await;
        set(&store, "b", "1").await;
        assert_eq!(found(&store, "#").await, pairs(&[("a", "123456789")]));
    }

    #[tokio::test]
    async fn an_expired_message_is_neither_found_nor_counted() {
        let store = store(Limits {
            retained_message_ttl: Duration::from_nanos(1),
            ..Limits::default()
        })
        .await;
        set(&store, "a", "1").await;
        store
            .set(&"b".into(), message("b", "2", Some(1000)), None)
            .await
            .expect("a topic");
        assert_eq!(found(&store, "#").await, pairs(&[("b", "2")]));
        assert_eq!(store.sweep(), 1);
        assert_eq!((store.count().await, store.read().bytes), (1, 2));
    }

    #[tokio::test]
    async fn topics_that_would_harm_the_tree_are_not_kept() {
        let store = store(Limits::default()).await;
        for topic in ["a/+", "#", &"/".repeat(60_000)] {
            set(&store, topic, "1").await;
        }
        assert_eq!(store.count().await, 0);
    }
}
