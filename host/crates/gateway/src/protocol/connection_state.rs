//! What all parts of a connection share: the client, its session's state, and the memory budget.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::frame::Frame;
use crate::packet::{self, InvalidPacket, Packet};
use crate::session_state::SessionState;
use crate::sessions::ConnectionHandle;
use hookhost_event::{Client, Connection, Message};

/// Bytes that one connection may keep of what awaits an answer.
pub(crate) const MAX_PENDING_BYTES: usize = 16 << 20;
/// What an entry takes besides its texts, roughly.
pub(super) const ENTRY_BYTES: usize = 128;

/// What all parts of a connection share.
pub(super) struct ConnectionState {
    /// The connection's number, greater than that of every connection before it.
    pub(super) number: u64,
    /// The connection as events show it.
    pub(super) connection: Connection,
    /// What outlives the connection.
    pub(super) session: Arc<Mutex<SessionState>>,
    /// How the rest of the gateway reaches the connection.
    pub(super) handle: Arc<ConnectionHandle>,
    /// Bytes that may still be kept.
    pub(super) budget: Budget,
    /// The last mistake of the client, as a code of MQTT 5, if the upstream has not answered anything since.
    pub(super) fault: Option<u8>,
}

impl ConnectionState {
    /// The state of a connection that keeps nothing yet.
    pub(super) fn new(
        number: u64,
        connection: Connection,
        session: Arc<Mutex<SessionState>>,
        handle: Arc<ConnectionHandle>,
    ) -> ConnectionState {
        ConnectionState {
            number,
            connection,
            session,
            handle,
            budget: Budget::new(MAX_PENDING_BYTES),
            fault: None,
        }
    }

    /// The client as events show it.
    pub(super) fn client(&self) -> Client {
        self.connection.client.clone()
    }

    /// The protocol version: 3, 4 or 5.
    pub(super) fn version(&self) -> u8 {
        self.connection.client.protocol_version
    }

    /// The state of the session, locked.
    pub(super) fn session(&self) -> MutexGuard<'_, SessionState> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Decodes a packet in this connection's version.
    pub(super) fn decode(&self, frame: Frame<'_>) -> Result<Packet, InvalidPacket> {
        packet::decode(self.version(), frame)
    }
}

/// Bytes that may still be kept.
pub(super) struct Budget(usize);

impl Budget {
    /// A budget of this many bytes.
    pub(super) fn new(bytes: usize) -> Budget {
        Budget(bytes)
    }

    /// Takes the bytes of one entry; false if they are not left.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        match self.0.checked_sub(bytes + ENTRY_BYTES) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }

    /// Returns the bytes of one entry.
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.0 += bytes + ENTRY_BYTES;
    }

    /// Bytes that are left.
    #[cfg(test)]
    pub(super) fn left(&self) -> usize {
        self.0
    }
}

/// Bytes that it takes to keep a message.
pub(super) fn message_bytes(message: &Message) -> usize {
    size_of::<Message>() + message.topic.len() + message.payload.len()
}
