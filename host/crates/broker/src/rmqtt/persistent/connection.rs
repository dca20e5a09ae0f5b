//! The connection of a persistent session: hands messages over to RMQTT and learns when they are acknowledged.
//!
//! RMQTT has hooks for that, but calls them for every delivery of every client. So each copy that is handed over carries
//! a [`CopyTicket`], as copies for other sessions do (see [`super::super::backlog`]). When a client acknowledges a
//! message, RMQTT removes it from its window, which calls [`Connection::note_removal`], and drops the copy as the next
//! thing. A copy that is dropped without that was not delivered, and stays in the queue for the next connection.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use bytestring::ByteString;

use ::rmqtt::types::{Message as Channelled, Publish, Tx};

use super::session::PersistentSession;

/// The connection of a session.
pub(super) struct Connection {
    session: Weak<PersistentSession>,
    /// How many messages the client may leave unacknowledged.
    pub(super) window: usize,
    channel: OnceLock<Tx>,
    /// RMQTT has removed a message from the window, and will drop it.
    has_removed: AtomicBool,
    /// What is dropped now was not acknowledged.
    has_ended: AtomicBool,
}

impl Connection {
    pub(super) fn new(session: &Arc<PersistentSession>, window: usize) -> Connection {
        Connection {
            session: Arc::downgrade(session),
            window,
            channel: OnceLock::new(),
            has_removed: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
        }
    }

    /// Sets where messages go.
    pub(super) fn open(&self, channel: Tx) {
        // A connection has one channel; a second call changes nothing.
        drop(self.channel.set(channel));
    }

    /// Ends it, or takes that back.
    pub(super) fn set_ended(&self, has_ended: bool) {
        self.has_ended.store(has_ended, Ordering::Release);
    }

    /// Whether it can take messages.
    pub(super) fn is_open(&self) -> bool {
        !self.has_ended.load(Ordering::Acquire) && self.channel.get().is_some()
    }

    /// Passes something to the client's task; gives it back if the task has ended.
    pub(super) fn send(&self, message: Channelled) -> Option<Channelled> {
        match self.channel.get() {
            Some(channel) => channel.unbounded_send(message).err().map(|error| error.into_inner()),
            None => Some(message),
        }
    }

    /// RMQTT has removed a message from its window.
    pub(super) fn note_removal(&self) {
        self.has_removed.store(true, Ordering::Release);
    }

    fn copy_dropped(&self, sequence: u64) {
        if !self.has_removed.swap(false, Ordering::AcqRel) || self.has_ended.load(Ordering::Acquire) {
            return;
        }
        if let Some(session) = self.session.upgrade() {
            session.acknowledged(sequence);
        }
    }
}

/// Identifies a copy that was handed over. Its text is the shared group, a NUL and the sequence number.
struct CopyTicket {
    connection: Arc<Connection>,
    sequence: u64,
    text: String,
}

impl AsRef<[u8]> for CopyTicket {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl Drop for CopyTicket {
    fn drop(&mut self) {
        self.connection.copy_dropped(self.sequence);
    }
}

/// Gives a copy its ticket.
pub(super) fn give_ticket(copy: &mut Publish, connection: &Arc<Connection>, sequence: u64, group: Option<&ByteString>) {
    let ticket = CopyTicket {
        connection: Arc::clone(connection),
        sequence,
        text: format!("{}\0{sequence}", group.map_or("", |group| group)),
    };
    #[expect(clippy::expect_used, reason = "the bytes of a ticket are those of a String")]
    let ticket = ByteString::try_from(Bytes::from_owner(ticket)).expect("a text is UTF-8");
    copy.target_clientid = Some(ticket);
}

/// The sequence number of a copy that was handed over; `None` for any other copy.
pub(in crate::rmqtt) fn sequence(copy: &Publish) -> Option<u64> {
    let (_, sequence) = copy.target_clientid.as_ref()?.rsplit_once('\0')?;
    sequence.parse().ok()
}
