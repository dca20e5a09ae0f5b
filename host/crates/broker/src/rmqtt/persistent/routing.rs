//! One publish on its way to persistent sessions.
//!
//! Its message and all its deliveries are one commit, together with the packet id of a QoS 2 publisher. The publisher
//! waits for it before it gets PUBACK or PUBREC. Messages with QoS 1 are sent meanwhile: if the host dies before the
//! commit, the publisher repeats the message. Messages with QoS 2 are sent after the commit, because their receivers must
//! not get them twice.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::types::{From as Sender, FromType, Publish};

use hookhost_sessions::{Changes, StoredMessage};

use super::convert::message_record;
use super::session::{Dropped, PersistentSession, Waiting};
use super::{PersistentSessions, hooks};

/// A publish and the persistent sessions that get it.
pub(in crate::rmqtt) struct Routing<'a> {
    sessions: &'a Arc<PersistentSessions>,
    sender: &'a Sender,
    publish: &'a Publish,
    stored: Option<StoredPublish>,
    changes: Changes,
    receivers: Vec<Receiver>,
    dropped: Vec<Dropped>,
}

struct Receiver {
    session: Arc<PersistentSession>,
    sequence: u64,
    is_exact: bool,
}

/// The message in the store, with texts that do not keep the buffer of the socket in memory.
struct StoredPublish {
    message: Arc<StoredMessage>,
    topic: ByteString,
    payload: Bytes,
}

impl<'a> Routing<'a> {
    /// A publish without receivers.
    pub(in crate::rmqtt) fn new(
        sessions: &'a Arc<PersistentSessions>,
        sender: &'a Sender,
        publish: &'a Publish,
    ) -> Routing<'a> {
        Routing {
            sessions,
            sender,
            publish,
            stored: None,
            changes: Changes::default(),
            receivers: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// Queues a copy for a session.
    pub(in crate::rmqtt) fn push(
        &mut self,
        session: Arc<PersistentSession>,
        mut copy: Publish,
        group: Option<&ByteString>,
    ) {
        if self.stored.is_none() {
            self.stored = self.store();
        }
        if let Some(stored) = &self.stored {
            copy.topic = stored.topic.clone();
            copy.payload = stored.payload.clone();
        }
        let is_exact = copy.qos == QoS::ExactlyOnce;
        let waiting = Waiting {
            sender: self.sender.clone(),
            copy,
            group: group.cloned(),
            stored: self.stored.as_ref().map(|stored| Arc::clone(&stored.message)),
        };
        if let Some(sequence) = session.push(waiting, &mut self.changes, &mut self.dropped) {
            self.receivers.push(Receiver {
                session,
                sequence,
                is_exact,
            });
        }
    }

    fn store(&self) -> Option<StoredPublish> {
        let store = self.sessions.store()?;
        let message = store.new_message(&message_record(self.sender, self.publish));
        let (topic, payload) = (&self.publish.topic, &self.publish.payload);
        let mut buffer = BytesMut::with_capacity(topic.len() + payload.len());
        buffer.extend_from_slice(topic.as_bytes());
        buffer.extend_from_slice(payload);
        let mut payload = buffer.freeze();
        let topic = ByteString::try_from(payload.split_to(topic.len())).unwrap_or_else(|_| topic.clone());
        Some(StoredPublish {
            message,
            topic,
            payload,
        })
    }

    /// Sends the copies, and waits for the commit.
    pub(in crate::rmqtt) async fn finish(mut self) {
        let has_receivers = !self.receivers.is_empty();
        if self.receivers.iter().any(|receiver| receiver.is_exact) {
            hooks::register_exact(self.sessions).await;
        }
        self.note_sender();
        let store = self.sessions.store();
        let commit = store.map(|store| store.submit(std::mem::take(&mut self.changes)));
        self.release(|receiver| !receiver.is_exact);
        if let Some(commit) = commit.filter(|_| has_receivers) {
            commit.finished().await;
        }
        self.release(|_| true);
        let dropped = std::mem::take(&mut self.dropped);
        self.sessions.emit_dropped(dropped).await;
    }

    /// Notes what the publish means for the session of its sender.
    fn note_sender(&mut self) {
        match self.sender.typ() {
            FromType::Custom if self.publish.qos == QoS::ExactlyOnce => {
                if let Some(session) = self.sessions.get(&self.sender.client_id) {
                    session.note_publish(self.publish, &mut self.changes);
                }
            }
            FromType::LastWill => {
                if let Some(session) = self.sessions.get(&self.sender.client_id) {
                    session.will_published(&mut self.changes);
                }
            }
            _ => {}
        }
    }

    fn release(&mut self, which: impl Fn(&Receiver) -> bool) {
        self.receivers.retain(|receiver| {
            let releases = which(receiver);
            if releases {
                receiver.session.release(receiver.sequence);
            }
            !releases
        });
    }
}

/// A publish whose future is dropped must not hold back what comes after it.
impl Drop for Routing<'_> {
    fn drop(&mut self) {
        if let Some(store) = self.sessions.store()
            && !self.changes.is_empty()
        {
            drop(store.submit(std::mem::take(&mut self.changes)));
        }
        self.release(|_| true);
    }
}

/// Whether a publish concerns the session of its sender.
pub(in crate::rmqtt) fn concerns_sender(sender: &Sender, publish: &Publish) -> bool {
    match sender.typ() {
        FromType::Custom => publish.qos == QoS::ExactlyOnce,
        FromType::LastWill => true,
        _ => false,
    }
}
