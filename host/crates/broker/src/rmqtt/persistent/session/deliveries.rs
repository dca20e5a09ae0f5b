//! The messages of a session: into its queue, to its connection, and out when the client has them.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::inflight::{MomentStatus, OutInflightMessage};
use ::rmqtt::types::{From as Sender, Id as ClientKey, Message as Channelled, Publish};

use hookhost_sessions::{Changes, Commit, DeliveryState};

use super::super::connection::give_ticket;
use super::super::convert::delivery_record;
use super::super::queue::Queued;
use super::{PersistentSession, State, Waiting};

/// Memory that a waiting message takes besides topic and payload, roughly.
const FIXED_MESSAGE_BYTES: usize = 512;

/// A message that was not queued, or is not any longer, because of a limit.
pub(in crate::rmqtt::persistent) struct Dropped {
    pub(in crate::rmqtt::persistent) receiver: ClientKey,
    pub(in crate::rmqtt::persistent) sender: Sender,
    pub(in crate::rmqtt::persistent) copy: Publish,
}

impl PersistentSession {
    pub(super) fn note_sent(&self, state: &mut State, message: &OutInflightMessage, changes: &mut Changes) {
        let (Some(sequence), Some(packet_id)) = (super::super::sequence(&message.publish), message.publish.packet_id)
        else {
            return;
        };
        let is_received = message.status == MomentStatus::UnComplete;
        state.queue.note_sent(sequence, packet_id.get(), is_received);
        if let Some(queued) = state.queue.get(sequence) {
            self.update(sequence, queued, changes);
        }
    }

    pub(super) fn update(&self, sequence: u64, queued: &Queued<Waiting>, changes: &mut Changes) {
        if let Some(stored) = &queued.message.stored {
            let Waiting { copy, group, .. } = &queued.message;
            let record = delivery_record(copy, group.as_ref(), queued.state, queued.packet_id);
            changes.update(self.number, sequence, &record, stored);
        }
    }

    /// Queues a message: adds it to the changes, and to `dropped` what has to give way to it or cannot be queued. Returns
    /// the sequence number for [`release`](Self::release).
    pub(in crate::rmqtt::persistent) fn push(
        &self,
        message: Waiting,
        changes: &mut Changes,
        dropped: &mut Vec<Dropped>,
    ) -> Option<u64> {
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
    pub(in crate::rmqtt::persistent) fn release(&self, sequence: u64) {
        let mut state = self.lock();
        state.queue.set_ready(sequence);
        let rejected = self.hand_over(&mut state);
        drop(state);
        drop(rejected);
    }

    /// Hands over what the connection can take. Returns what it has rejected, to be dropped without the lock.
    pub(super) fn hand_over(&self, state: &mut State) -> Option<Channelled> {
        let State { queue, connection, .. } = state;
        let connection = connection.as_ref().filter(|connection| connection.is_open())?;
        while let Some((sequence, queued)) = queue.hand_over(connection.window) {
            let Waiting {
                sender, copy, group, ..
            } = &queued.message;
            let mut copy = copy.clone();
            give_ticket(&mut copy, connection, sequence, group.as_ref());
            if self.shared.limits.has_topic_aliases {
                copy.properties.get_or_insert_default();
            }
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
    pub(in crate::rmqtt::persistent) fn about_to_send(&self, sequence: u64) -> Option<bool> {
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

    /// The client has acknowledged a message.
    pub(in crate::rmqtt::persistent) fn acknowledged(&self, sequence: u64) {
        self.remove(sequence);
    }

    /// Removes a message that is acknowledged, or was dropped.
    pub(in crate::rmqtt::persistent) fn remove(&self, sequence: u64) {
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
    pub(in crate::rmqtt::persistent) fn take_back(&self, sequence: u64) {
        self.lock().queue.take_back(sequence);
    }

    pub(super) fn forget(&self, sequence: u64, message: &Waiting, changes: &mut Changes) {
        self.shared.removed(1, size(&message.copy));
        if let Some(stored) = &message.stored {
            changes.dequeue(self.number, sequence, Arc::clone(stored));
        }
    }

    /// How many messages wait that RMQTT does not have.
    pub(in crate::rmqtt) fn waiting(&self) -> usize {
        self.lock().queue.waiting()
    }

    /// Whether a QoS 2 message waits.
    pub(in crate::rmqtt::persistent) fn has_exact(&self) -> bool {
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
pub(super) fn size(copy: &Publish) -> usize {
    copy.topic.len() + copy.payload.len() + FIXED_MESSAGE_BYTES
}
