//! The changes of one commit, by key: a later change of a key replaces an earlier one, and what is added and removed
//! within a commit is not written.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use bytestring::ByteString;

use crate::changes::{Change, Changes};

/// The last change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Write {
    /// A value under a key that the file does not have.
    Insert(Bytes),
    /// A value under a key that the file may have.
    Put(Bytes),
    /// No value.
    Remove,
}

/// The changes of one session.
#[derive(Debug, Default)]
pub(crate) struct SessionBatch {
    /// Whether the session has ended: nothing else of it is written.
    pub(crate) ended: bool,
    pub(crate) record: Option<Bytes>,
    pub(crate) subscriptions: BTreeMap<ByteString, Write>,
    pub(crate) deliveries: BTreeMap<u64, Write>,
    /// Fingerprints by packet id.
    pub(crate) publishes: BTreeMap<u16, Option<u64>>,
}

/// The changes of one commit.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) sessions: BTreeMap<u64, SessionBatch>,
    pub(crate) messages: BTreeMap<u64, Write>,
    pub(crate) retained: BTreeMap<ByteString, Write>,
}

impl Batch {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
            && self.retained.is_empty()
            && self.sessions.values().all(|session| {
                !session.ended
                    && session.record.is_none()
                    && session.subscriptions.is_empty()
                    && session.deliveries.is_empty()
                    && session.publishes.is_empty()
            })
    }

    /// Adds changes.
    pub(crate) fn add(&mut self, changes: Changes) {
        for change in changes.list {
            self.apply(change);
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Session { session, bytes } => {
                self.session(session).record = Some(bytes);
            }
            Change::EndSession { session } => {
                *self.session(session) = SessionBatch {
                    ended: true,
                    ..SessionBatch::default()
                };
            }
            Change::Subscription { session, filter, bytes } => {
                let write = bytes.map_or(Write::Remove, Write::Put);
                self.session(session).subscriptions.insert(filter, write);
            }
            Change::Enqueue {
                session,
                sequence,
                bytes,
                message,
            } => {
                self.session(session).deliveries.insert(sequence, Write::Insert(bytes));
                if let Some(bytes) = message.add_delivery() {
                    self.messages.insert(message.number, Write::Insert(bytes));
                }
            }
            Change::Update {
                session,
                sequence,
                bytes,
            } => {
                let deliveries = &mut self.session(session).deliveries;
                let is_new = matches!(deliveries.get(&sequence), Some(Write::Insert(_)));
                let write = if is_new { Write::Insert } else { Write::Put };
                deliveries.insert(sequence, write(bytes));
            }
            Change::Dequeue {
                session,
                sequence,
                message,
            } => {
                let batch = self.session(session);
                if !batch.ended {
                    remove(&mut batch.deliveries, sequence);
                }
                if message.remove_delivery() {
                    remove(&mut self.messages, message.number);
                }
            }
            Change::Publish {
                session,
                packet_id,
                fingerprint,
            } => {
                self.session(session).publishes.insert(packet_id, fingerprint);
            }
            Change::Retained { topic, bytes } => {
                self.retained.insert(topic, bytes.map_or(Write::Remove, Write::Put));
            }
        }
    }

    fn session(&mut self, number: u64) -> &mut SessionBatch {
        self.sessions.entry(number).or_default()
    }
}

/// Removes a key; if this commit adds it, that is not written.
fn remove(writes: &mut BTreeMap<u64, Write>, key: u64) {
    match writes.entry(key) {
        Entry::Occupied(entry) if matches!(entry.get(), Write::Insert(_)) => drop(entry.remove()),
        Entry::Occupied(mut entry) => drop(entry.insert(Write::Remove)),
        Entry::Vacant(entry) => drop(entry.insert(Write::Remove)),
    }
}
