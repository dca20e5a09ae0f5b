//! A session that outlives its connection: its queue, its connection, and its part of the store.
//!
//! All changes of a session happen under one lock, which is held for short and never while waiting. Changes reach the
//! store in the same order: a message is handed over to the connection only after it was submitted to the store, so its
//! removal is always submitted later. QoS 2 messages are handed over when they are on the disk.

use std::num::NonZeroU16;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytestring::ByteString;
use tokio::sync::Notify;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::inflight::{MomentStatus, OutInflightMessage};
use ::rmqtt::types::{From as Sender, Id as ClientKey, Message as Channelled, Publish, SubscriptionOptions, Tx};

use hookhost_contract::Completion;
use hookhost_sessions::{Changes, Commit, DeliveryState, SessionRecord, Store, StoredMessage};

use super::connection::{Connection, give_ticket};
use super::convert::{delivery_record, subscription_record};
use super::publishes::{ReceivedPublishes, RepeatedPublish, fingerprint};
use super::queue::{DeliveryQueue, Queued};
use crate::rmqtt::limits::Limits;

/// Memory that a waiting message takes besides topic and payload, roughly.
const FIXED_MESSAGE_BYTES: usize = 512;

/// What all persistent sessions share.
pub(super) struct Shared {
    /// `None` without a data folder: then sessions end with the process.
    pub(super) store: Option<Store>,
    pub(super) limits: QueueLimits,
    /// Messages that wait for all sessions, and their bytes.
    pub(super) messages: AtomicUsize,
    pub(super) bytes: AtomicUsize,
    /// Messages that were dropped because a limit was reached.
    pub(super) dropped: AtomicU64,
    /// Whether the host is stopping: sessions stay in the store although RMQTT ends them.
    pub(super) is_stopping: AtomicBool,
}

/// Limits of queues.
#[derive(Debug, Clone, Copy)]
pub(super) struct QueueLimits {
    /// Messages that wait for one session, without those that are sent and not acknowledged.
    pub(super) session_messages: usize,
    pub(super) session_bytes: usize,
    pub(super) all_messages: usize,
    pub(super) all_bytes: usize,
    /// How many QoS 2 publishes of a client may be incomplete.
    pub(super) incomplete_publishes: usize,
}

impl QueueLimits {
    pub(super) fn new(limits: &Limits) -> QueueLimits {
        let or_unlimited = |limit| if limit == 0 { usize::MAX } else { limit };
        QueueLimits {
            session_messages: limits.max_mqueue_len,
            session_bytes: or_unlimited(limits.max_mqueue_bytes),
            all_messages: or_unlimited(limits.max_queued_messages),
            all_bytes: or_unlimited(limits.max_queued_bytes),
            incomplete_publishes: limits.incomplete_publishes().into(),
        }
    }
}

impl Shared {
    /// Submits changes without waiting for them.
    fn submit(&self, changes: Changes) {
        if let Some(store) = self.store.as_ref().filter(|_| !changes.is_empty()) {
            drop(store.submit(changes));
        }
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        self.messages.load(Ordering::Relaxed) < self.limits.all_messages
            && self.bytes.load(Ordering::Relaxed).saturating_add(bytes) <= self.limits.all_bytes
    }

    fn added(&self, messages: usize, bytes: usize) {
        self.messages.fetch_add(messages, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn removed(&self, messages: usize, bytes: usize) {
        self.messages.fetch_sub(messages, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}

/// A message for one session.
pub(super) struct Waiting {
    pub(super) sender: Sender,
    /// The copy for this session, without packet id.
    pub(super) copy: Publish,
    pub(super) group: Option<ByteString>,
    pub(super) stored: Option<Arc<StoredMessage>>,
}

/// A message that was not queued, or is not any longer, because of a limit.
pub(super) struct Dropped {
    pub(super) receiver: ClientKey,
    pub(super) sender: Sender,
    pub(super) copy: Publish,
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

    fn note_sent(&self, state: &mut State, message: &OutInflightMessage, changes: &mut Changes) {
        let (Some(sequence), Some(packet_id)) = (super::sequence(&message.publish), message.publish.packet_id) else {
            return;
        };
        let is_received = message.status == MomentStatus::UnComplete;
        state.queue.note_sent(sequence, packet_id.get(), is_received);
        if let Some(queued) = state.queue.get(sequence) {
            self.update(sequence, queued, changes);
        }
    }

    fn update(&self, sequence: u64, queued: &Queued<Waiting>, changes: &mut Changes) {
        if let Some(stored) = &queued.message.stored {
            let Waiting { copy, group, .. } = &queued.message;
            let record = delivery_record(copy, group.as_ref(), queued.state, queued.packet_id);
            changes.update(self.number, sequence, &record, stored);
        }
    }

    /// Queues a message: adds it to the changes, and to `dropped` what has to give way to it or cannot be queued. Returns
    /// the sequence number for [`release`](Self::release).
    pub(super) fn push(&self, message: Waiting, changes: &mut Changes, dropped: &mut Vec<Dropped>) -> Option<u64> {
        let limits = &self.shared.limits;
        let bytes = size(&message.copy);
        let is_exact = message.copy.qos == QoS::ExactlyOnce;
        let mut state = self.lock();
        let receiver = state.key.clone();
        while state.queue.waiting() >= limits.session_messages {
            let Some((sequence, oldest)) = state.queue.remove_oldest() else {
                break;
            };
            self.forget(sequence, &oldest.message, changes);
            dropped.push(Dropped {
                receiver: receiver.clone(),
                sender: oldest.message.sender,
                copy: oldest.message.copy,
            });
        }
        let has_room = state.queue.waiting() < limits.session_messages
            && state.queue.bytes().saturating_add(bytes) <= limits.session_bytes
            && !(is_exact && state.queue.is_out_of_ids())
            && self.shared.has_room_for(bytes);
        if state.has_ended || !has_room {
            dropped.push(Dropped {
                receiver,
                sender: message.sender,
                copy: message.copy,
            });
            return None;
        }
        self.shared.added(1, bytes);
        let sequence = state.queue.push(is_exact, bytes, message);
        if let Some(queued) = state.queue.get(sequence)
            && let Some(stored) = &queued.message.stored
        {
            let Waiting { copy, group, .. } = &queued.message;
            let record = delivery_record(copy, group.as_ref(), queued.state, queued.packet_id);
            changes.enqueue(self.number, sequence, &record, Arc::clone(stored));
        }
        Some(sequence)
    }

    /// Allows messages to be sent that were queued.
    pub(super) fn release(&self, sequence: u64) {
        let mut state = self.lock();
        state.queue.set_ready(sequence);
        let rejected = self.hand_over(&mut state);
        drop(state);
        drop(rejected);
    }

    /// Hands over what the connection can take. Returns what it has rejected, to be dropped without the lock.
    fn hand_over(&self, state: &mut State) -> Option<Channelled> {
        let State { queue, connection, .. } = state;
        let connection = connection.as_ref().filter(|connection| connection.is_open())?;
        while let Some((sequence, queued)) = queue.hand_over(connection.window) {
            let Waiting {
                sender, copy, group, ..
            } = &queued.message;
            let mut copy = copy.clone();
            give_ticket(&mut copy, connection, sequence, group.as_ref());
            copy.packet_id = queued.packet_id.and_then(NonZeroU16::new);
            // RMQTT keeps a packet id only if the flag is set. For a QoS 2 message that is sent for the first time, the
            // flag is removed in the last hook before it is sent.
            copy.dup = queued.state == DeliveryState::Sent || queued.is_exact;
            let message = match queued.state {
                DeliveryState::Waiting | DeliveryState::Sent => Channelled::Forward(sender.clone(), copy),
                DeliveryState::Received => {
                    Channelled::SendRerelease(OutInflightMessage::new(MomentStatus::UnComplete, sender.clone(), copy))
                }
            };
            if let Some(rejected) = connection.send(message) {
                connection.set_ended(true);
                queue.take_back(sequence);
                return Some(rejected);
            }
        }
        None
    }

    /// A QoS 2 message is about to be sent. Returns whether it was sent before; `None` if it is not in the queue.
    pub(super) fn about_to_send(&self, sequence: u64) -> Option<bool> {
        let mut state = self.lock();
        let queued = state.queue.get(sequence).filter(|queued| queued.is_exact)?;
        let (was_sent, packet_id) = (queued.state != DeliveryState::Waiting, queued.packet_id?);
        state.queue.note_sent(sequence, packet_id, false);
        Some(was_sent)
    }

    /// The client has sent PUBREC. The returned commit has to be finished before PUBREL is sent: then the message is never
    /// sent again.
    pub(in crate::rmqtt) fn received(&self, packet_id: u16) -> Option<Commit> {
        let store = self.shared.store.as_ref()?;
        let mut changes = Changes::default();
        let mut state = self.lock();
        let sequence = state.queue.sent_with(packet_id)?;
        state.queue.note_sent(sequence, packet_id, true);
        self.update(sequence, state.queue.get(sequence)?, &mut changes);
        Some(store.submit(changes))
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

    /// The client has acknowledged a message.
    pub(super) fn acknowledged(&self, sequence: u64) {
        self.remove(sequence);
    }

    /// Removes a message that is acknowledged, or was dropped.
    pub(super) fn remove(&self, sequence: u64) {
        let mut changes = Changes::default();
        let mut state = self.lock();
        if let Some(queued) = state.queue.remove(sequence) {
            self.forget(sequence, &queued.message, &mut changes);
        }
        self.shared.submit(changes);
        let rejected = self.hand_over(&mut state);
        drop(state);
        drop(rejected);
        if self.waiting_for_room.load(Ordering::Relaxed) > 0 {
            self.freed.notify_waiters();
        }
    }

    /// RMQTT has dropped a message because its queue is full.
    pub(super) fn take_back(&self, sequence: u64) {
        self.lock().queue.take_back(sequence);
    }

    fn forget(&self, sequence: u64, message: &Waiting, changes: &mut Changes) {
        self.shared.removed(1, size(&message.copy));
        if let Some(stored) = &message.stored {
            changes.dequeue(self.number, sequence, Arc::clone(stored));
        }
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

    /// How many messages wait that RMQTT does not have.
    pub(in crate::rmqtt) fn waiting(&self) -> usize {
        self.lock().queue.waiting()
    }

    /// Whether this is RMQTT's key of the connection that has the session, or had it last.
    pub(super) fn has_key(&self, key: &ClientKey) -> bool {
        self.lock().key == *key
    }

    /// Whether the client is connected.
    pub(in crate::rmqtt) fn is_connected(&self) -> bool {
        self.lock().connection.is_some()
    }

    /// Whether a QoS 2 message waits.
    pub(super) fn has_exact(&self) -> bool {
        self.lock().queue.iter().any(|(_, queued)| queued.is_exact)
    }

    /// Waits until the queue is half empty, at most for `time`.
    pub(in crate::rmqtt) async fn has_room(&self, time: Duration) {
        let calm = self.shared.limits.session_messages.div_ceil(2);
        self.waiting_for_room.fetch_add(1, Ordering::Relaxed);
        let room = async {
            loop {
                let freed = self.freed.notified();
                tokio::pin!(freed);
                freed.as_mut().enable();
                if self.waiting() < calm {
                    return;
                }
                freed.await;
            }
        };
        // Without room in time, the oldest messages have to go.
        tokio::time::timeout(time, room).await.ok();
        self.waiting_for_room.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The memory that a message takes, roughly.
fn size(copy: &Publish) -> usize {
    copy.topic.len() + copy.payload.len() + FIXED_MESSAGE_BYTES
}
