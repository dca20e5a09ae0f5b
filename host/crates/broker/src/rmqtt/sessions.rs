//! What the handler remembers about sessions, because RMQTT has no hook for it.
//!
//! One entry for each session that exists, by client id: who holds it, whether the client is connected, and whether a
//! successor has announced itself. From these follow the events of take-over and clean start, in their order. An entry
//! lives as long as RMQTT's session; clients that are refused never get one, so nobody can grow the map for free.

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
    /// Its connection was ended by a successor, and that has been told.
    Superseded,
    /// Gone, and that has been told.
    Away,
}

/// A session that exists.
#[derive(Debug, Clone)]
pub(super) struct Live {
    /// RMQTT's name for the connection that holds it, or held it last.
    pub(super) key: ClientKey,
    /// What that connection asked for.
    pub(super) info: Arc<ConnectInfo>,
    /// When the session was created, in milliseconds.
    pub(super) created_at: i64,
    /// When the connection was accepted, in milliseconds.
    pub(super) connected_at: i64,
    /// Where the client is.
    pub(super) presence: Presence,
    /// Whether the connection that comes next asked for a clean start.
    successor_clean: bool,
    /// Whether the SUBSCRIBE in work is new, and the QoS of the subscription that is being given up.
    pending_new: bool,
    pending_qos: Option<u8>,
}

impl Live {
    /// A session whose client is connected.
    pub(super) fn new(key: ClientKey, info: Arc<ConnectInfo>, created_at: i64, connected_at: i64) -> Live {
        Live {
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

type Shard = HashMap<ByteString, Live>;

/// The sessions that exist.
pub(super) struct Sessions {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
}

impl Sessions {
    /// None yet.
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

    /// A CONNECT has come; noted only if it has a session to find.
    pub(super) fn announce(&self, client_id: &ByteString, clean_start: bool) {
        if let Some(live) = self.shard(client_id).get_mut(client_id) {
            live.successor_clean = clean_start;
        }
    }

    /// A connection has got its session, new or found; gives the entry that was there.
    pub(super) fn open(&self, live: Live) -> Option<Live> {
        let client_id = live.key.client_id.clone();
        self.shard(&client_id).insert(client_id, live)
    }

    /// A connection has ended. None if that was told before; else whether its successor asked for a clean start.
    pub(super) fn close(&self, key: &ClientKey, presence: Presence) -> Option<bool> {
        let mut shard = self.shard(&key.client_id);
        let live = shard.get_mut(&key.client_id).filter(|live| live.key == *key)?;
        if live.presence != Presence::Online {
            return None;
        }
        live.presence = presence;
        Some(live.successor_clean)
    }

    /// A session has ended; gives its entry unless another connection holds it already.
    pub(super) fn end(&self, key: &ClientKey) -> Option<Live> {
        match self.shard(&key.client_id).entry(key.client_id.clone()) {
            MapEntry::Occupied(entry) if entry.get().key == *key => Some(entry.remove()),
            _ => None,
        }
    }

    /// The protocol version of a client that has a session; else 0.
    pub(super) fn protocol_version(&self, client_id: &ByteString) -> u8 {
        self.shard(client_id).get(client_id).map_or(0, Live::protocol_version)
    }

    /// Remembers whether the filter of a SUBSCRIBE is new, until it is in force.
    pub(super) fn note_subscribe(&self, client_id: &ByteString, is_new: bool) {
        if let Some(live) = self.shard(client_id).get_mut(client_id) {
            live.pending_new = is_new;
        }
    }

    /// Whether the filter that has come into force is new.
    pub(super) fn was_new(&self, client_id: &ByteString) -> bool {
        self.shard(client_id).get(client_id).is_none_or(|live| live.pending_new)
    }

    /// Remembers the QoS of a subscription that is being given up.
    pub(super) fn note_unsubscribe(&self, client_id: &ByteString, qos: Option<u8>) {
        if let Some(live) = self.shard(client_id).get_mut(client_id) {
            live.pending_qos = qos;
        }
    }

    /// The QoS of the subscription that was given up.
    pub(super) fn had_qos(&self, client_id: &ByteString) -> Option<u8> {
        self.shard(client_id).get(client_id).and_then(|live| live.pending_qos)
    }

    /// Whether no session is left.
    pub(super) fn is_empty(&self) -> bool {
        self.shards
            .iter()
            .all(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner).is_empty())
    }

    /// All sessions, one shard at a time.
    pub(super) fn all(&self) -> Vec<Live> {
        let list = |shard: &Mutex<Shard>| -> Vec<Live> {
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

    fn live(id: &str, connected_at: i64) -> Live {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], connected_at as u16));
        let key = ClientKey::new(1, 1, None, Some(address), id.into(), None);
        Live::new(
            key.clone(),
            Arc::new(ConnectInfo::from(key)),
            connected_at,
            connected_at,
        )
    }

    #[test]
    fn the_end_of_an_old_connection_does_not_touch_its_successor() {
        let sessions = Sessions::new();
        let (old, new) = (live("c", 1), live("c", 2));
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
        let old = live("c", 1);
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
