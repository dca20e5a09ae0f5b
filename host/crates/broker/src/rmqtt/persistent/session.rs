//! A session that outlives its connection: its queue, its connection, and its part of the store.
//!
//! All changes of a session happen under one lock, which is held for short and never while waiting. Changes reach the
//! store in the same order: a message is handed over to the connection only after it was submitted to the store, so its
//! removal is always submitted later. QoS 2 messages are handed over when they are on the disk.

mod deliveries;
mod shared;

use std::num::NonZeroU16;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use tokio::sync::Notify;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::inflight::OutInflightMessage;
use ::rmqtt::types::{From as Sender, Id as ClientKey, Publish, SubscriptionOptions, Tx};

use hookhost_contract::Completion;
use hookhost_sessions::{Changes, Commit, DeliveryState, SessionRecord, StoredMessage};

use super::connection::Connection;
use super::convert::subscription_record;
use super::publishes::{ReceivedPublishes, RepeatedPublish, fingerprint};
use super::queue::DeliveryQueue;
pub(super) use deliveries::Dropped;
use deliveries::size;
pub(super) use shared::{QueueLimits, Shared};

/// A message for one session.
pub(super) struct Waiting {
    pub(super) sender: Sender,
    /// The copy for this session, without packet id.
    pub(super) copy: Publish,
    pub(super) group: Option<ByteString>,
    pub(super) stored: Option<Arc<StoredMessage>>,
}

/// A session that outlives its connection.
pub(in crate::rmqtt) struct PersistentSession {
    /// Its number in the store.
    number: u64,
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// A message has left the queue.
    freed: Notify,
    waiting_for_room: AtomicUsize,
}

struct State {
    queue: DeliveryQueue<Waiting>,
    /// RMQTT's key of the connection that has the session, or had it last.
    key: ClientKey,
    record: Option<SessionRecord>,
    /// The connection whose CONNECT is being answered.
    prepared: Option<Arc<Connection>>,
    /// The connection; `None` while the client is not connected.
    connection: Option<Arc<Connection>>,
    connections: u64,
    publishes: ReceivedPublishes,
    has_ended: bool,
}

impl PersistentSession {
    /// A session without messages.
    pub(super) fn new(shared: &Arc<Shared>, number: u64, key: ClientKey) -> PersistentSession {
        PersistentSession {
            number,
            shared: Arc::clone(shared),
            state: Mutex::new(State {
                queue: DeliveryQueue::default(),
                key,
                record: None,
                prepared: None,
                connection: None,
                connections: 0,
                publishes: ReceivedPublishes::new(shared.limits.incomplete_publishes),
                has_ended: false,
            }),
            freed: Notify::new(),
            waiting_for_room: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message of the file; messages come in order.
    pub(super) fn restore_message(
        &self,
        sequence: u64,
        state: DeliveryState,
        packet_id: Option<u16>,
        message: Waiting,
    ) {
        let bytes = size(&message.copy);
        self.shared.added(1, bytes);
        let is_exact = message.copy.qos == QoS::ExactlyOnce;
        let mut session = self.lock();
        session
            .queue
            .restore(sequence, is_exact, state, packet_id, bytes, message);
    }

    /// Sets the record and the publishes of the file; `is_changed`: the record is not the one of the file.
    pub(super) fn restore_record(&self, record: SessionRecord, is_changed: bool, publishes: &[(u16, u64)]) {
        if is_changed {
            let mut changes = Changes::default();
            changes.put_session(self.number, &record);
            self.shared.submit(changes);
        }
        let mut state = self.lock();
        for (packet_id, fingerprint) in publishes {
            state.publishes.restore(*packet_id, *fingerprint);
        }
        state.record = Some(record);
    }

    /// A CONNECT of the client is being answered: prepares its connection.
    pub(super) fn prepare(self: &Arc<Self>, window: NonZeroU16) -> Arc<Connection> {
        let mut state = self.lock();
        state.connections += 1;
        let connection = Arc::new(Connection::new(self, window.get().into()));
        state.prepared = Some(Arc::clone(&connection));
        connection
    }

    /// Opens the prepared connection and hands over what waits. Returns the commit that contains the session's record.
    pub(in crate::rmqtt) fn connect(&self, key: ClientKey, record: SessionRecord, channel: Tx) -> Option<Commit> {
        let mut state = self.lock();
        let connection = state.prepared.take()?;
        connection.open(channel);
        if let Some(old) = state.connection.replace(Arc::clone(&connection)) {
            old.set_ended(true);
        }
        state.queue.take_back_all();
        state.key = key;
        let mut changes = Changes::default();
        changes.put_session(self.number, &record);
        state.record = Some(record);
        let commit = self.shared.store.as_ref().map(|store| store.submit(changes));
        let rejected = self.hand_over(&mut state);
        drop(state);
        drop(rejected);
        commit
    }

    /// The engine ends the connection for another one of the client: what it drops from now on is not acknowledged.
    pub(in crate::rmqtt) fn pause(&self, is_paused: bool) {
        if let Some(connection) = &self.lock().connection {
            connection.set_ended(is_paused);
        }
    }

    /// A connection has ended; `in_flight` is what it has sent and the client has not acknowledged. `record` changes the
    /// session's record. Has no effect if another connection has the session already.
    pub(super) fn disconnected(
        &self,
        key: &ClientKey,
        in_flight: Vec<OutInflightMessage>,
        record: impl FnOnce(&mut SessionRecord),
    ) {
        let mut changes = Changes::default();
        let mut state = self.lock();
        if state.key != *key || state.has_ended {
            return;
        }
        if let Some(connection) = state.connection.take() {
            connection.set_ended(true);
        }
        for message in &in_flight {
            self.note_sent(&mut state, message, &mut changes);
        }
        state.queue.take_back_all();
        if let Some(kept) = &mut state.record {
            record(kept);
            changes.put_session(self.number, kept);
        }
        self.shared.submit(changes);
        drop(state);
        drop(in_flight);
    }

    /// The messages that the ended connection has sent and the client has not acknowledged.
    pub(in crate::rmqtt) fn learn(&self, in_flight: &[OutInflightMessage]) {
        let mut changes = Changes::default();
        let mut state = self.lock();
        for message in in_flight {
            self.note_sent(&mut state, message, &mut changes);
        }
        self.shared.submit(changes);
    }

    /// The client has sent PUBREL: it may use the packet id for another message.
    pub(in crate::rmqtt) fn released(&self, packet_id: u16) {
        let mut changes = Changes::default();
        let mut state = self.lock();
        if state.publishes.release(packet_id) {
            changes.forget_publish(self.number, packet_id);
        }
        self.shared.submit(changes);
    }

    /// The session has ended: removes it from the store. Returns the messages that the client did not get.
    pub(super) fn end(&self) -> Vec<Dropped> {
        let mut changes = Changes::default();
        let mut state = self.lock();
        if std::mem::replace(&mut state.has_ended, true) {
            return Vec::new();
        }
        if let Some(connection) = state.connection.take() {
            connection.set_ended(true);
        }
        changes.end_session(self.number);
        let receiver = state.key.clone();
        let messages: Vec<_> = state.queue.drain().collect();
        let mut dropped = Vec::with_capacity(messages.len());
        for (sequence, queued) in messages {
            self.forget(sequence, &queued.message, &mut changes);
            dropped.push(Dropped {
                receiver: receiver.clone(),
                sender: queued.message.sender,
                copy: queued.message.copy,
            });
        }
        self.shared.submit(changes);
        dropped
    }

    /// Stores a subscription.
    pub(in crate::rmqtt) fn subscribed(&self, filter: ByteString, options: &SubscriptionOptions) -> Option<Commit> {
        let mut changes = Changes::default();
        changes.subscribe(self.number, filter, &subscription_record(options));
        self.shared.store.as_ref().map(|store| store.submit(changes))
    }

    /// Removes a subscription from the store.
    pub(in crate::rmqtt) fn unsubscribed(&self, filter: ByteString) -> Option<Commit> {
        let mut changes = Changes::default();
        changes.unsubscribe(self.number, filter);
        self.shared.store.as_ref().map(|store| store.submit(changes))
    }

    /// The publish of an earlier connection that this QoS 2 publish repeats; `None` if it is a new one.
    pub(super) fn repeated(&self, publish: &Publish) -> Option<RepeatedPublish> {
        let packet_id = publish.packet_id?;
        let state = self.lock();
        state
            .publishes
            .repeated(packet_id.get(), fingerprint(publish), state.connections)
    }

    /// The acknowledgement of the QoS 2 publish that is routed next has to wait, also if it is repeated.
    pub(super) fn hold_next_publish(&self, packet_id: u16, completion: Completion) {
        self.lock().publishes.hold_next(packet_id, completion);
    }

    /// The acknowledgement of a QoS 2 publish that was routed has to wait, also if it is repeated again.
    pub(super) fn hold_publish(&self, packet_id: u16, completion: Completion) {
        self.lock().publishes.hold(packet_id, completion);
    }

    /// Notes a QoS 2 publish of this client.
    pub(super) fn note_publish(&self, publish: &Publish, changes: &mut Changes) {
        let Some(packet_id) = publish.packet_id else { return };
        let fingerprint = fingerprint(publish);
        let mut state = self.lock();
        let connection = state.connections;
        if let Some(forgotten) = state.publishes.note(packet_id.get(), fingerprint, connection) {
            changes.forget_publish(self.number, forgotten);
        }
        changes.note_publish(self.number, packet_id.get(), fingerprint);
    }

    /// The client's will is being published: it is not published again after a restart.
    pub(super) fn will_published(&self, changes: &mut Changes) {
        if let Some(record) = &mut self.lock().record {
            record.will = None;
            changes.put_session(self.number, record);
        }
    }

    /// Whether this is RMQTT's key of the connection that has the session, or had it last.
    pub(super) fn has_key(&self, key: &ClientKey) -> bool {
        self.lock().key == *key
    }

    /// Whether the client is connected.
    pub(in crate::rmqtt) fn is_connected(&self) -> bool {
        self.lock().connection.is_some()
    }
}
