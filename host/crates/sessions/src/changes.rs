//! Changes to sessions and retained messages, as the engine describes them.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use bytestring::ByteString;

use crate::encoding::encode;
use crate::{DeliveryRecord, MessageRecord, SessionRecord, SubscriptionRecord};

/// A message in the store, or on its way there. It is stored once, for all sessions that it waits for.
#[derive(Debug)]
pub struct StoredMessage {
    pub(crate) number: u64,
    state: Mutex<MessageState>,
}

#[derive(Debug)]
struct MessageState {
    /// How many deliveries refer to it.
    deliveries: usize,
    /// Its bytes, until the first delivery.
    bytes: Option<Bytes>,
}

impl StoredMessage {
    pub(crate) fn new(number: u64, message: &MessageRecord) -> StoredMessage {
        StoredMessage {
            number,
            state: Mutex::new(MessageState {
                deliveries: 0,
                bytes: Some(encode(message)),
            }),
        }
    }

    /// A message of the file, without a delivery yet.
    pub(crate) fn restored(number: u64) -> StoredMessage {
        StoredMessage {
            number,
            state: Mutex::new(MessageState {
                deliveries: 0,
                bytes: None,
            }),
        }
    }

    /// Another delivery refers to it. Returns its bytes if they have to be stored.
    pub(crate) fn add_delivery(&self) -> Option<Bytes> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.deliveries += 1;
        state.bytes.take()
    }

    /// A delivery does not refer to it any longer. Returns whether it was the last one.
    pub(crate) fn remove_delivery(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.deliveries = state.deliveries.saturating_sub(1);
        state.deliveries == 0
    }
}

pub(crate) enum Change {
    Session {
        session: u64,
        bytes: Bytes,
    },
    EndSession {
        session: u64,
    },
    Subscription {
        session: u64,
        filter: ByteString,
        /// `None` removes it.
        bytes: Option<Bytes>,
    },
    Enqueue {
        session: u64,
        sequence: u64,
        bytes: Bytes,
        message: Arc<StoredMessage>,
    },
    Update {
        session: u64,
        sequence: u64,
        bytes: Bytes,
    },
    Dequeue {
        session: u64,
        sequence: u64,
        message: Arc<StoredMessage>,
    },
    Publish {
        session: u64,
        packet_id: u16,
        /// `None` removes it.
        fingerprint: Option<u64>,
    },
    Retained {
        topic: ByteString,
        /// `None` removes it.
        bytes: Option<Bytes>,
    },
}

/// Changes that are applied together or not at all, in order.
#[derive(Default)]
pub struct Changes {
    pub(crate) list: Vec<Change>,
}

impl Changes {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Stores a session, or replaces its record.
    pub fn put_session(&mut self, session: u64, record: &SessionRecord) {
        let bytes = encode(record);
        self.list.push(Change::Session { session, bytes });
    }

    /// Removes a session with its subscriptions and publishes. Its deliveries have to be removed as well, each with
    /// [`dequeue`](Self::dequeue). Later changes of the session have no effect.
    pub fn end_session(&mut self, session: u64) {
        self.list.push(Change::EndSession { session });
    }

    /// Stores a subscription, or replaces the one with the same filter.
    pub fn subscribe(&mut self, session: u64, filter: ByteString, record: &SubscriptionRecord) {
        let bytes = Some(encode(record));
        self.list.push(Change::Subscription { session, filter, bytes });
    }

    /// Removes a subscription.
    pub fn unsubscribe(&mut self, session: u64, filter: ByteString) {
        self.list.push(Change::Subscription {
            session,
            filter,
            bytes: None,
        });
    }

    /// Stores a delivery. `sequence` must be new in the session; deliveries are read in the order of these numbers.
    pub fn enqueue(&mut self, session: u64, sequence: u64, record: &DeliveryRecord, message: Arc<StoredMessage>) {
        let bytes = encode(&(record, message.number));
        self.list.push(Change::Enqueue {
            session,
            sequence,
            bytes,
            message,
        });
    }

    /// Replaces the record of a delivery.
    pub fn update(&mut self, session: u64, sequence: u64, record: &DeliveryRecord, message: &StoredMessage) {
        let bytes = encode(&(record, message.number));
        self.list.push(Change::Update {
            session,
            sequence,
            bytes,
        });
    }

    /// Removes a delivery, and its message with the last delivery.
    pub fn dequeue(&mut self, session: u64, sequence: u64, message: Arc<StoredMessage>) {
        self.list.push(Change::Dequeue {
            session,
            sequence,
            message,
        });
    }

    /// Notes that a client has published a QoS 2 message with this packet id.
    pub fn note_publish(&mut self, session: u64, packet_id: u16, fingerprint: u64) {
        self.list.push(Change::Publish {
            session,
            packet_id,
            fingerprint: Some(fingerprint),
        });
    }

    /// Removes what [`note_publish`](Self::note_publish) has noted.
    pub fn forget_publish(&mut self, session: u64, packet_id: u16) {
        self.list.push(Change::Publish {
            session,
            packet_id,
            fingerprint: None,
        });
    }

    /// Stores the retained message of its topic, or replaces it.
    pub fn retain(&mut self, message: &MessageRecord) {
        self.list.push(Change::Retained {
            topic: message.topic.clone(),
            bytes: Some(encode(message)),
        });
    }

    /// Removes the retained message of a topic.
    pub fn remove_retained(&mut self, topic: ByteString) {
        self.list.push(Change::Retained { topic, bytes: None });
    }
}
