//! The QoS 2 messages that a client has published last, so that a repetition after a reconnect is not delivered again.
//!
//! On one connection RMQTT recognises a repetition itself, but it forgets the ids when the connection ends. A publish
//! counts as a repetition if it has the flag DUP and the id and the content of one that came on an earlier connection and
//! that the client has not released since. The relay sees PUBREL. RMQTT allows 128 incomplete publishes at a time or more
//! (`max_inflight`), so more than that need not be kept.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use ::rmqtt::types::Publish;

/// The last QoS 2 publishes of a client.
#[derive(Debug)]
pub(super) struct ReceivedPublishes {
    list: VecDeque<Received>,
    limit: usize,
}

#[derive(Debug)]
struct Received {
    packet_id: u16,
    fingerprint: u64,
    connection: u64,
}

/// Identifies the content of a message.
pub(super) fn fingerprint(publish: &Publish) -> u64 {
    let mut hasher = DefaultHasher::new();
    publish.topic.hash(&mut hasher);
    publish.payload.hash(&mut hasher);
    publish.retain.hash(&mut hasher);
    hasher.finish()
}

impl ReceivedPublishes {
    /// None yet; at most `limit` are kept.
    pub(super) fn new(limit: usize) -> ReceivedPublishes {
        ReceivedPublishes {
            list: VecDeque::new(),
            limit,
        }
    }

    /// Whether a publish on this connection repeats one of an earlier connection.
    pub(super) fn is_repeated(&self, packet_id: u16, fingerprint: u64, connection: u64) -> bool {
        self.list.iter().any(|known| {
            known.packet_id == packet_id && known.fingerprint == fingerprint && known.connection != connection
        })
    }

    /// The client has released a packet id; returns whether it was known.
    pub(super) fn release(&mut self, packet_id: u16) -> bool {
        let before = self.list.len();
        self.list.retain(|known| known.packet_id != packet_id);
        self.list.len() < before
    }

    /// Notes a publish. Returns the packet id that is forgotten for it.
    pub(super) fn note(&mut self, packet_id: u16, fingerprint: u64, connection: u64) -> Option<u16> {
        self.list.retain(|known| known.packet_id != packet_id);
        self.list.push_back(Received {
            packet_id,
            fingerprint,
            connection,
        });
        if self.list.len() > self.limit {
            return self.list.pop_front().map(|forgotten| forgotten.packet_id);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repetition_has_the_id_and_the_content_of_an_earlier_connection() {
        let mut publishes = ReceivedPublishes::new(2);
        assert_eq!(publishes.note(7, 1, 1), None);
        for (packet_id, fingerprint, connection, repeated) in
            [(7, 1, 2, true), (7, 1, 1, false), (7, 2, 2, false), (8, 1, 2, false)]
        {
            assert_eq!(publishes.is_repeated(packet_id, fingerprint, connection), repeated);
        }
        assert_eq!(publishes.note(7, 2, 2), None);
        assert!(
            !publishes.is_repeated(7, 1, 3),
            "the id was used for another message since"
        );
        assert_eq!(publishes.note(8, 3, 2), None);
        assert_eq!(publishes.note(9, 4, 2), Some(7));
        assert!(publishes.is_repeated(8, 3, 3));
        assert!(publishes.release(8) && !publishes.release(8));
        assert!(!publishes.is_repeated(8, 3, 3));
    }
}
