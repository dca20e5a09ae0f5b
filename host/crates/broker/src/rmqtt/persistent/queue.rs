//! The QoS 1 and 2 messages that wait for one session, in the order in which they were published. No I/O, no locks.
//!
//! A message is in the queue until its client has acknowledged it, it is dropped, or the session ends. While the client
//! is connected, the first messages are *handed over* to its connection, as many as may be unacknowledged at a time. A
//! new connection gets them again, in the same order: what the old one has sent as a repetition with the same packet id,
//! the rest for the first time.
//!
//! QoS 2 messages get their packet ids here, from [`FIRST_EXACT_ID`] on, so that the id can be on the disk before the
//! message is sent. The engine numbers QoS 1 messages below that.

use std::collections::BTreeMap;

use hookhost_sessions::DeliveryState;

/// The first packet id of QoS 2 messages.
pub(super) const FIRST_EXACT_ID: u16 = 0x8000;

/// A message in the queue.
#[derive(Debug)]
pub(super) struct Queued<M> {
    /// QoS 2 rather than 1.
    pub(super) is_exact: bool,
    /// How far it has come.
    pub(super) state: DeliveryState,
    /// Its packet id, if it has one.
    pub(super) packet_id: Option<u16>,
    /// The message.
    pub(super) message: M,
    /// The memory that it takes, roughly.
    bytes: usize,
    /// Whether it may be sent: its publisher waits for nothing that has to come first.
    is_ready: bool,
    /// Whether the current connection has it.
    is_handed_over: bool,
}

/// The messages of one session, by sequence number.
#[derive(Debug)]
pub(super) struct DeliveryQueue<M> {
    messages: BTreeMap<u64, Queued<M>>,
    next_sequence: u64,
    /// Everything before this is handed over.
    cursor: u64,
    handed_over: usize,
    bytes: usize,
    next_exact_id: u16,
    /// The QoS 2 messages by packet id.
    exact_ids: BTreeMap<u16, u64>,
}

impl<M> Default for DeliveryQueue<M> {
    fn default() -> DeliveryQueue<M> {
        DeliveryQueue {
            messages: BTreeMap::new(),
            next_sequence: 0,
            cursor: 0,
            handed_over: 0,
            bytes: 0,
            next_exact_id: FIRST_EXACT_ID,
            exact_ids: BTreeMap::new(),
        }
    }
}

impl<M> DeliveryQueue<M> {
    /// How many messages are in the queue.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// How many of them the connection does not have.
    pub(super) fn waiting(&self) -> usize {
        self.messages.len() - self.handed_over
    }

    /// The memory that they take, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether no packet id is left for a QoS 2 message.
    pub(super) fn is_out_of_ids(&self) -> bool {
        self.exact_ids.len() >= usize::from(u16::MAX - FIRST_EXACT_ID)
    }

    /// Adds a message at the end; returns its sequence number. It is not sent before [`set_ready`](Self::set_ready). A
    /// QoS 2 message needs a free id: see [`is_out_of_ids`](Self::is_out_of_ids).
    pub(super) fn push(&mut self, is_exact: bool, bytes: usize, message: M) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let packet_id = is_exact.then(|| self.exact_id(sequence));
        self.bytes += bytes;
        let queued = Queued {
            is_exact,
            state: DeliveryState::Waiting,
            packet_id,
            message,
            bytes,
            is_ready: false,
            is_handed_over: false,
        };
        self.messages.insert(sequence, queued);
        sequence
    }

    /// Adds a message that was in the queue before a restart.
    pub(super) fn restore(
        &mut self,
        sequence: u64,
        is_exact: bool,
        state: DeliveryState,
        packet_id: Option<u16>,
        bytes: usize,
        message: M,
    ) {
        self.next_sequence = self.next_sequence.max(sequence + 1);
        self.bytes += bytes;
        if let Some(id) = packet_id.filter(|_| is_exact) {
            self.exact_ids.insert(id, sequence);
            self.next_exact_id = following(id);
        }
        let queued = Queued {
            is_exact,
            state,
            packet_id,
            message,
            bytes,
            is_ready: true,
            is_handed_over: false,
        };
        self.messages.insert(sequence, queued);
    }

    fn exact_id(&mut self, sequence: u64) -> u16 {
        let mut id = self.next_exact_id;
        while self.exact_ids.contains_key(&id) {
            id = following(id);
        }
        self.exact_ids.insert(id, sequence);
        self.next_exact_id = following(id);
        id
    }

    /// Allows a message to be sent.
    pub(super) fn set_ready(&mut self, sequence: u64) {
        if let Some(queued) = self.messages.get_mut(&sequence) {
            queued.is_ready = true;
        }
    }

    /// Hands over the next message to a connection that may have `window` unacknowledged ones; `None` if it has as many,
    /// or if the next message is not ready.
    pub(super) fn hand_over(&mut self, window: usize) -> Option<(u64, &Queued<M>)> {
        if self.handed_over >= window {
            return None;
        }
        let mut rest = self.messages.range_mut(self.cursor..);
        let (&sequence, queued) = rest.find(|(_, queued)| !queued.is_handed_over)?;
        if !queued.is_ready {
            self.cursor = sequence;
            return None;
        }
        queued.is_handed_over = true;
        self.handed_over += 1;
        self.cursor = sequence + 1;
        Some((sequence, queued))
    }

    /// The connection has dropped a message without sending it: it is handed over again.
    pub(super) fn take_back(&mut self, sequence: u64) {
        if let Some(queued) = self.messages.get_mut(&sequence)
            && queued.is_handed_over
        {
            queued.is_handed_over = false;
            self.handed_over -= 1;
            self.cursor = self.cursor.min(sequence);
        }
    }

    /// The connection has ended; the next one gets everything.
    pub(super) fn take_back_all(&mut self) {
        for queued in self.messages.values_mut() {
            queued.is_handed_over = false;
        }
        self.handed_over = 0;
        self.cursor = 0;
    }

    /// A message of the queue.
    pub(super) fn get(&self, sequence: u64) -> Option<&Queued<M>> {
        self.messages.get(&sequence)
    }

    /// The QoS 2 message with this packet id, if it was sent and the client has not received it yet in the sense of QoS 2.
    pub(super) fn sent_with(&self, packet_id: u16) -> Option<u64> {
        let sequence = *self.exact_ids.get(&packet_id)?;
        let queued = self.messages.get(&sequence)?;
        (queued.state == DeliveryState::Sent).then_some(sequence)
    }

    /// Notes that a message was sent, and whether the client has received it in the sense of QoS 2.
    pub(super) fn note_sent(&mut self, sequence: u64, packet_id: u16, is_received: bool) {
        if let Some(queued) = self.messages.get_mut(&sequence) {
            let was_received = queued.state == DeliveryState::Received;
            queued.state = if is_received || was_received {
                DeliveryState::Received
            } else {
                DeliveryState::Sent
            };
            queued.packet_id = Some(packet_id);
        }
    }

    /// Removes a message: acknowledged or dropped.
    pub(super) fn remove(&mut self, sequence: u64) -> Option<Queued<M>> {
        let queued = self.messages.remove(&sequence)?;
        if queued.is_handed_over {
            self.handed_over -= 1;
        }
        if let Some(id) = queued.packet_id.filter(|_| queued.is_exact) {
            self.exact_ids.remove(&id);
        }
        self.bytes -= queued.bytes;
        Some(queued)
    }

    /// Removes the oldest message that the connection does not have and that was never sent.
    pub(super) fn remove_oldest(&mut self) -> Option<(u64, Queued<M>)> {
        let mut rest = self.messages.range(self.cursor..);
        let (&sequence, _) = rest
            .find(|(_, queued)| !queued.is_handed_over && queued.is_ready && queued.state == DeliveryState::Waiting)?;
        self.remove(sequence).map(|queued| (sequence, queued))
    }

    /// Removes all messages.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = (u64, Queued<M>)> + use<M> {
        let messages = std::mem::take(&mut self.messages);
        self.handed_over = 0;
        self.bytes = 0;
        self.exact_ids.clear();
        messages.into_iter()
    }

    /// All messages in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Queued<M>)> {
        self.messages.iter().map(|(sequence, queued)| (*sequence, queued))
    }
}

/// The packet id after this one, for QoS 2.
fn following(id: u16) -> u16 {
    id.checked_add(1).unwrap_or(FIRST_EXACT_ID)
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
