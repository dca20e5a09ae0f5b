//! What RMQTT's hooks do not say about sessions.
//!
//! One record for each session, by client id: the connection that holds it, whether the client is connected, and
//! whether another connection of the client is being accepted. The events of take-over and clean start, and their
//! order, follow from these. A record lives as long as RMQTT's session. Refused clients get none, so they cannot grow
//! the map.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;

use ::rmqtt::types::{ConnectInfo, Id as ClientKey};

const SHARDS: usize = 64;

/// Where the client of a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Connected.
    Online,
    /// A newer connection ended its connection; the event is emitted.
    Superseded,
    /// Disconnected; the event is emitted.
    Away,
}

/// A session of RMQTT's.
#[derive(Debug, Clone)]
pub(super) struct SessionRecord {
    /// RMQTT's key of the connection that holds it, or held it last.
    pub(super) key: ClientKey,
    /// The CONNECT of that connection.
    pub(super) info: Arc<ConnectInfo>,
    /// When the session was created, in milliseconds.
    pub(super) created_at: i64,
    /// When the connection was accepted, in milliseconds.
    pub(super) connected_at: i64,
    /// Where the client is.
    pub(super) presence: Presence,
    /// Whether the connection that is being accepted asked for a clean start.
    successor_clean: bool,
    /// Whether the filter of the SUBSCRIBE being handled is new, and the QoS of the subscription being removed.
    pending_new: bool,
    pending_qos: Option<u8>,
}

impl SessionRecord {
    /// A session whose client is connected.
    pub(super) fn new(key: ClientKey, info: Arc<ConnectInfo>, created_at: i64, connected_at: i64) -> SessionRecord {
        SessionRecord {
            key,
            info,
            created_at,
            connected_at,
            presence: Presence::Online,
            successor_clean: false,
            pending_new: true,
            pending_qos: None,
        }
    }

    /// The protocol version of the client.
    pub(super) fn protocol_version(&self) -> u8 {
        self.info.proto_ver()
    }
}

type Shard = HashMap<ByteString, SessionRecord>;

/// The records of all sessions.
pub(super) struct Sessions {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

impl Sessions {
    /// No session yet.
    pub(super) fn new() -> Sessions {
        Sessions {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the index is a remainder by the number of shards, which is not 0"
    )]
    fn shard(&self, client_id: &ByteString) -> MutexGuard<'_, Shard> {
        let at = self.hasher.hash_one(client_id) as usize % self.shards.len();
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A CONNECT was read; noted only if the client has a session.
    pub(super) fn announce(&self, client_id: &ByteString, clean_start: bool) {
        if let Some(record) = self.shard(client_id).get_mut(client_id) {
            record.successor_clean = clean_start;
        }
    }

    /// A connection has its session, new or resumed. Returns the previous record of the client.
    pub(super) fn open(&self, record: SessionRecord) -> Option<SessionRecord> {
        let client_id = record.key.client_id.clone();
        self.shard(&client_id).insert(client_id, record)
    }

    /// A connection has ended. Returns none if its end was emitted before, else whether its successor asked for a clean
    /// start.
    pub(super) fn close(&self, key: &ClientKey, presence: Presence) -> Option<bool> {
        let mut shard = self.shard(&key.client_id);
        let record = shard.get_mut(&key.client_id).filter(|record| record.key == *key)?;
        if record.presence != Presence::Online {
            return None;
        }
        record.presence = presence;
        Some(record.successor_clean)
    }

    /// A session has ended. Returns its record unless another connection holds the session already.
    pub(super) fn end(&self, key: &ClientKey) -> Option<SessionRecord> {
        match self.shard(&key.client_id).entry(key.client_id.clone()) {
            MapEntry::Occupied(entry) if entry.get().key == *key => Some(entry.remove()),
            _ => None,
        }
    }

    /// The protocol version of a client; 0 if it has no session.
    pub(super) fn protocol_version(&self, client_id: &ByteString) -> u8 {
        self.shard(client_id)
            .get(client_id)
            .map_or(0, SessionRecord::protocol_version)
    }

    /// Notes whether the filter of a SUBSCRIBE is new, until the subscription is in force.
    pub(super) fn note_subscribe(&self, client_id: &ByteString, is_new: bool) {
        if let Some(record) = self.shard(client_id).get_mut(client_id) {
            record.pending_new = is_new;
        }
    }

    /// Whether the filter whose subscription is now in force is new.
    pub(super) fn was_new(&self, client_id: &ByteString) -> bool {
        self.shard(client_id)
            .get(client_id)
            .is_none_or(|record| record.pending_new)
    }

    /// Notes the QoS of a subscription that is being removed.
    pub(super) fn note_unsubscribe(&self, client_id: &ByteString, qos: Option<u8>) {
        if let Some(record) = self.shard(client_id).get_mut(client_id) {
            record.pending_qos = qos;
        }
    }

    /// The QoS of the subscription that was removed.
    pub(super) fn had_qos(&self, client_id: &ByteString) -> Option<u8> {
        self.shard(client_id)
            .get(client_id)
            .and_then(|record| record.pending_qos)
    }

    /// Whether no session is left.
    pub(super) fn is_empty(&self) -> bool {
        self.shards
            .iter()
            .all(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).is_empty())
    }

    /// All sessions, one shard at a time.
    pub(super) fn all(&self) -> Vec<SessionRecord> {
        let list = |shard: &Mutex<Shard>| -> Vec<SessionRecord> {
            shard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .values()
                .cloned()
                .collect()
        };
        self.shards.iter().flat_map(list).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str, connected_at: i64) -> SessionRecord {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], connected_at as u16));
        let key = ClientKey::new(1, 1, None, Some(address), id.into(), None);
        SessionRecord::new(
            key.clone(),
            Arc::new(ConnectInfo::from(key)),
            connected_at,
            connected_at,
        )
    }

    #[test]
    fn the_end_of_an_old_connection_does_not_touch_its_successor() {
        let sessions = Sessions::new();
        let (old, new) = (record("c", 1), record("c", 2));
        assert!(sessions.open(old.clone()).is_none());
        sessions.announce(&"c".into(), true);
        let replaced = sessions.open(new.clone()).expect("the old one");
        assert_eq!((replaced.key, replaced.presence), (old.key.clone(), Presence::Online));
        assert_eq!(
            sessions.close(&old.key, Presence::Superseded),
            None,
            "told when it was replaced"
        );
        assert!(sessions.end(&old.key).is_none());
        assert_eq!(sessions.all().len(), 1);
        assert!(sessions.end(&new.key).is_some());
        assert!(sessions.is_empty());
    }

    #[test]
    fn an_end_is_told_once_and_knows_the_successor() {
        let sessions = Sessions::new();
        let old = record("c", 1);
        sessions.open(old.clone());
        sessions.announce(&"c".into(), true);
        assert_eq!(sessions.close(&old.key, Presence::Superseded), Some(true));
        assert_eq!(sessions.close(&old.key, Presence::Superseded), None);
    }

    #[test]
    fn connects_without_session_leave_no_trace() {
        let sessions = Sessions::new();
        for n in 0..1000 {
            sessions.announce(&format!("c{n}").into(), true);
        }
        assert!(sessions.is_empty());
    }
}
