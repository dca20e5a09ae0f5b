//! What RMQTT's hooks do not say about sessions.
//!
//! One record for each session, by client id: the connection that holds it, whether the client is connected, and
//! whether another connection of the client is being accepted. The events of take-over and clean start, and their
//! order, follow from these. A record lives as long as RMQTT's session. Refused clients get none, so they cannot grow
//! the map.
//!
//! RMQTT accepts a new connection of a client as soon as the old one has confirmed that it ends, and each runs in a task
//! of its own. Whichever task comes first here emits the end of the old connection. If that is the old one's task,
//! [`Sessions::close`] gives it an [`Emitting`], and the new one's task waits in [`SessionRecord::emitted`] until that is
//! dropped. So the order of events does not depend on the order in which the tasks run.

use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytestring::ByteString;

use ::rmqtt::types::{ConnectInfo, Id as ClientKey};
use hookhost_access::ClientAccess;

use super::relayed_client::RelayedClient;
use super::session_record::{Closing, Emitting, Presence, SessionRecord};

const SHARDS: usize = 64;

type Shard = HashMap<ByteString, SessionRecord>;

/// The records of all sessions.
pub(super) struct Sessions {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    /// Connections that were authenticated and have no session yet, and since when.
    accepted: Mutex<HashMap<ClientKey, (ClientAccess, Instant)>>,
}

impl Sessions {
    /// No session yet.
    pub(super) fn new() -> Sessions {
        Sessions {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            accepted: Mutex::default(),
        }
    }

    /// A client was authenticated.
    pub(super) fn accept(&self, key: &ClientKey, access: ClientAccess) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.insert(key.clone(), (access, Instant::now()));
    }

    /// Forgets connections that were authenticated and have got no session within this time.
    pub(super) fn forget_accepted(&self, after: Duration) {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        accepted.retain(|_, (_, since)| since.elapsed() < after);
    }

    /// What the client of this connection may do; none if another connection holds the session.
    pub(super) fn access(&self, key: &ClientKey) -> Option<ClientAccess> {
        let shard = self.shard(&key.client_id);
        let record = shard.get(&key.client_id).filter(|record| record.key == *key)?;
        record.access.clone()
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
    pub(super) fn open(&self, mut record: SessionRecord) -> Option<SessionRecord> {
        let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
        record.access = accepted.remove(&record.key).map(|(access, _)| access);
        drop(accepted);
        let client_id = record.key.client_id.clone();
        self.shard(&client_id).insert(client_id, record)
    }

    /// A session was restored; its client is not connected.
    pub(super) fn restore(&self, mut record: SessionRecord) {
        record.presence = Presence::Away;
        self.open(record);
    }

    /// The connection that holds a session has ended with DISCONNECT.
    pub(super) fn note_disconnect(&self, key: &ClientKey) {
        if let Some(record) = self.shard(&key.client_id).get_mut(&key.client_id)
            && record.key == *key
        {
            record.by_disconnect = true;
        }
    }

    /// A connection has ended. Returns none if another task emits its end.
    pub(super) fn close(&self, key: &ClientKey, presence: Presence) -> Option<Closing> {
        let mut shard = self.shard(&key.client_id);
        let record = shard.get_mut(&key.client_id).filter(|record| record.key == *key)?;
        if record.presence != Presence::Online {
            return None;
        }
        record.presence = presence;
        let before = record.clone();
        Some(Closing {
            record: before,
            emitting: record.emit(),
        })
    }

    /// A session has ended. Returns its record unless another task emits its end or another connection holds the
    /// session already. The record counts as a session until [`remove`](Self::remove).
    pub(super) fn end(&self, key: &ClientKey) -> Option<(SessionRecord, Emitting)> {
        let mut shard = self.shard(&key.client_id);
        let record = shard.get_mut(&key.client_id).filter(|record| record.key == *key)?;
        if record.presence == Presence::Ended {
            return None;
        }
        let before = record.clone();
        record.presence = Presence::Ended;
        Some((before, record.emit()))
    }

    /// The end of a session is emitted: removes its record unless another connection holds the session already.
    pub(super) fn remove(&self, key: &ClientKey) {
        if let MapEntry::Occupied(entry) = self.shard(&key.client_id).entry(key.client_id.clone())
            && entry.get().key == *key
        {
            entry.remove();
        }
    }

    /// The protocol version of a client; 0 if it has no session.
    pub(super) fn protocol_version(&self, client_id: &ByteString) -> u8 {
        self.shard(client_id)
            .get(client_id)
            .map_or(0, SessionRecord::protocol_version)
    }

    /// The client behind the connection of a session.
    pub(super) fn relayed(&self, key: &ClientKey) -> Option<Arc<RelayedClient>> {
        let shard = self.shard(&key.client_id);
        let record = shard.get(&key.client_id).filter(|record| record.key == *key)?;
        record.relayed.clone()
    }

    /// The will delay, in seconds, that this connection asked for.
    pub(super) fn will_delay(&self, key: &ClientKey) -> Option<u32> {
        let shard = self.shard(&key.client_id);
        let record = shard.get(&key.client_id).filter(|record| record.is_of(key))?;
        match &*record.info {
            ConnectInfo::V5(_, connect) => connect.last_will.as_ref()?.will_delay_interval_sec,
            ConnectInfo::V3(..) => None,
        }
    }

    /// Notes whether the filter of a SUBSCRIBE is new, until the subscription is active.
    pub(super) fn note_subscribe(&self, client_id: &ByteString, is_new: bool) {
        if let Some(record) = self.shard(client_id).get_mut(client_id) {
            record.pending_new = is_new;
        }
    }

    /// Whether the filter of the subscription that is now active is new.
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
#[path = "sessions_tests.rs"]
mod tests;
