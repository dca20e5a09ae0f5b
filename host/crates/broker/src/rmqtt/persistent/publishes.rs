//! The QoS 2 messages that a client has published last, so that a repetition after a reconnect is not delivered again.
//!
//! On one connection RMQTT recognises a repetition itself, but it forgets the ids when the connection ends. A publish
//! counts as a repetition if it has the flag DUP and the id and the content of one that came on an earlier connection and
//! that the client has not released since. The relay sees PUBREL. RMQTT allows 128 incomplete publishes at a time or more
//! (`max_inflight`), so more than that need not be kept.
//!
//! Each publish also says what its PUBREC waits for: a repetition waits for the same.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use ::rmqtt::types::Publish;
use hookhost_contract::Completion;

/// The last QoS 2 publishes of a client.
#[derive(Debug)]
pub(super) struct ReceivedPublishes {
    list: VecDeque<Received>,
    limit: usize,
    /// What the acknowledgement of the publish with this packet id waits for, until that publish is noted.
    upcoming: Option<(u16, Completion)>,
}

#[derive(Debug)]
struct Received {
    packet_id: u16,
    fingerprint: u64,
    connection: u64,
    /// What its acknowledgement waits for, if it does.
    completion: Option<Completion>,
}

/// The number of the connection of publishes that an earlier process has received.
const EARLIER_PROCESS: u64 = 0;

/// What is known of the requests of a publish that is repeated.
#[derive(Debug, Clone)]
pub(in crate::rmqtt) enum RepeatedPublish {
    /// They are on disk, or no rule demands that they are.
    Stored,
    /// They are on disk when this is complete.
    Waits(Completion),
    /// They may be lost.
    Unknown,
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
            upcoming: None,
        }
    }

    /// The publish of an earlier connection that a publish on this connection repeats; `None` if it is a new one.
    pub(super) fn repeated(&self, packet_id: u16, fingerprint: u64, connection: u64) -> Option<RepeatedPublish> {
        let known = self.list.iter().find(|known| {
            known.packet_id == packet_id && known.fingerprint == fingerprint && known.connection != connection
        })?;
        Some(match &known.completion {
            Some(completion) if completion.is_lost() => RepeatedPublish::Unknown,
            Some(completion) if completion.is_complete() => RepeatedPublish::Stored,
            Some(completion) => RepeatedPublish::Waits(completion.clone()),
            None if known.connection == EARLIER_PROCESS => RepeatedPublish::Unknown,
            None => RepeatedPublish::Stored,
        })
    }

    /// The acknowledgement of the publish that is noted next has to wait.
    pub(super) fn hold_next(&mut self, packet_id: u16, completion: Completion) {
        self.upcoming = Some((packet_id, completion));
    }

    /// The acknowledgement of a publish that was noted has to wait.
    pub(super) fn hold(&mut self, packet_id: u16, completion: Completion) {
        let known = self.list.iter_mut().find(|known| known.packet_id == packet_id);
        if let Some(known) = known {
            known.completion = Some(completion);
        }
    }

    /// Notes a publish that an earlier process has received.
    pub(super) fn restore(&mut self, packet_id: u16, fingerprint: u64) {
        self.note(packet_id, fingerprint, EARLIER_PROCESS);
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
        let upcoming = self.upcoming.take().filter(|(id, _)| *id == packet_id);
        self.list.push_back(Received {
            packet_id,
            fingerprint,
            connection,
            completion: upcoming.map(|(_, completion)| completion),
        });
        if self.list.len() > self.limit {
            return self.list.pop_front().map(|forgotten| forgotten.packet_id);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use hookhost_contract::ticket;

    use super::*;

    #[test]
    fn a_repetition_has_the_id_and_the_content_of_an_earlier_connection() {
        let mut publishes = ReceivedPublishes::new(2);
        assert_eq!(publishes.note(7, 1, 1), None);
        for (packet_id, fingerprint, connection, repeated) in
            [(7, 1, 2, true), (7, 1, 1, false), (7, 2, 2, false), (8, 1, 2, false)]
        {
            assert_eq!(
                publishes.repeated(packet_id, fingerprint, connection).is_some(),
                repeated
            );
        }
        assert_eq!(publishes.note(7, 2, 2), None);
        assert!(
            publishes.repeated(7, 1, 3).is_none(),
            "the id was used for another message since"
        );
        assert_eq!(publishes.note(8, 3, 2), None);
        assert_eq!(publishes.note(9, 4, 2), Some(7));
        assert!(publishes.repeated(8, 3, 3).is_some());
        assert!(publishes.release(8) && !publishes.release(8));
        assert!(publishes.repeated(8, 3, 3).is_none());
    }

    #[test]
    fn a_repetition_waits_for_the_requests_of_the_first_publish() {
        let mut publishes = ReceivedPublishes::new(2);
        let repeated = |publishes: &ReceivedPublishes| publishes.repeated(7, 1, 2).unwrap();
        publishes.restore(7, 1);
        assert!(matches!(repeated(&publishes), RepeatedPublish::Unknown));
        publishes.note(7, 1, 1);
        assert!(matches!(repeated(&publishes), RepeatedPublish::Stored));
        let (first, completion) = ticket();
        publishes.hold_next(7, completion);
        publishes.note(7, 1, 1);
        assert!(matches!(repeated(&publishes), RepeatedPublish::Waits(_)));
        first.complete();
        assert!(matches!(repeated(&publishes), RepeatedPublish::Stored));
        let (second, completion) = ticket();
        publishes.hold(7, completion);
        drop(second);
        assert!(matches!(repeated(&publishes), RepeatedPublish::Unknown));
    }
}
