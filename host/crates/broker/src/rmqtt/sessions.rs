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
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use ::rmqtt::types::{ConnectInfo, Id as ClientKey};
use hookhost_access::ClientAccess;
use hookhost_event::{End, Pairs, Session, last_connection};
use hookhost_listener::Peer;

use super::relayed::{self, RelayedClient};
use super::translate;

const SHARDS: usize = 64;

/// Where the client of a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// Connected.
    Online,
    /// A newer connection ended its connection; the task of the old connection emits the event.
    Superseded,
    /// Disconnected; the event is emitted.
    Away,
    /// The session has ended; the event is being emitted.
    Ended,
}

/// Held while the end of a connection or of a session is being emitted.
#[must_use = "the events of the client's next connection may come first once this is dropped"]
pub(super) struct Emitting(Option<OwnedMutexGuard<()>>);

impl Emitting {
    /// The events have reached the queues.
    pub(super) fn done(self) {
        drop(self.0);
    }
}

/// The end of a connection.
pub(super) struct Closing {
    /// The session's record.
    pub(super) record: SessionRecord,
    /// To be held until the event is emitted.
    pub(super) emitting: Emitting,
}

/// A session of RMQTT's.
#[derive(Debug, Clone)]
pub(super) struct SessionRecord {
    /// RMQTT's key of the connection that holds it, or held it last.
    pub(super) key: ClientKey,
    /// The CONNECT of that connection.
    pub(super) info: Arc<ConnectInfo>,
    /// The client behind the relay.
    relayed: Option<Arc<RelayedClient>>,
    /// When the session was created, in milliseconds.
    pub(super) created_at: i64,
    /// When the connection was accepted, in milliseconds.
    pub(super) connected_at: i64,
    /// Where the client is.
    pub(super) presence: Presence,
    /// What the client may do.
    access: Option<ClientAccess>,
    /// Locked while an end is being emitted.
    emitting: Option<Arc<AsyncMutex<()>>>,
    /// Whether that connection has ended with DISCONNECT.
    by_disconnect: bool,
    /// Whether the connection that is being accepted asked for a clean start.
    successor_clean: bool,
    /// Whether the filter of the SUBSCRIBE being handled is new, and the QoS of the subscription being removed.
    pending_new: bool,
    pending_qos: Option<u8>,
}

impl SessionRecord {
    /// A session whose client is connected.
    pub(super) fn new(
        key: ClientKey,
        info: Arc<ConnectInfo>,
        relayed: Option<Arc<RelayedClient>>,
        created_at: i64,
        connected_at: i64,
    ) -> SessionRecord {
        SessionRecord {
            key,
            info,
            relayed,
            created_at,
            connected_at,
            presence: Presence::Online,
            access: None,
            emitting: None,
            by_disconnect: false,
            successor_clean: false,
            pending_new: true,
            pending_qos: None,
        }
    }

    /// The protocol version of the client.
    pub(super) fn protocol_version(&self) -> u8 {
        self.info.proto_ver()
    }

    /// The client behind the relay.
    pub(super) fn relayed(&self) -> Option<&RelayedClient> {
        self.relayed.as_deref()
    }

    /// Where the client comes from, or came from last.
    pub(super) fn peer(&self) -> Peer {
        relayed::peer(&self.key, self.relayed.as_deref())
    }

    /// The session, as events show it.
    pub(super) fn session(&self) -> Session {
        let client = translate::client(&self.key, self.peer().address, self.protocol_version());
        translate::session(client, self.created_at)
    }

    /// Why the connection has ended, if RMQTT says `end`.
    pub(super) fn end(&self, end: End) -> End {
        match &self.relayed {
            Some(client) => client.true_end(end),
            None => end,
        }
    }

    /// Whether the connection's successor asked for a clean start.
    pub(super) fn is_succeeded_clean(&self) -> bool {
        self.successor_clean
    }

    /// Whether this is the key of the connection, RMQTT's or that of its messages.
    fn is_of(&self, key: &ClientKey) -> bool {
        self.key == *key || self.relayed.as_ref().is_some_and(|client| client.is_sender(key))
    }

    /// Waits until the end that another task is emitting has reached the queues.
    pub(super) async fn emitted(&self) {
        if let Some(emitting) = &self.emitting {
            drop(emitting.lock().await);
        }
    }

    /// Makes [`emitted`](Self::emitted) wait for what is emitted now.
    fn emit(&mut self) -> Emitting {
        let lock = Arc::new(AsyncMutex::new(()));
        self.emitting = Some(Arc::clone(&lock));
        Emitting(lock.try_lock_owned().ok())
    }

    /// What an event about the end of the session says about its last connection.
    pub(super) fn last_connection(&self) -> Pairs {
        last_connection(self.info.clean_start(), self.by_disconnect)
    }
}

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

    /// The client of a connection that has published its will and whose end is not emitted yet.
    pub(super) fn ending(&self, key: &ClientKey) -> Option<Arc<RelayedClient>> {
        let shard = self.shard(&key.client_id);
        let record = shard.get(&key.client_id).filter(|record| record.is_of(key))?;
        record.relayed.clone().filter(|_| record.presence == Presence::Online)
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
mod tests {
    use super::*;

    fn record(id: &str, connected_at: i64) -> SessionRecord {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], connected_at as u16));
        let key = ClientKey::new(1, 1, None, Some(address), id.into(), None);
        SessionRecord::new(
            key.clone(),
            Arc::new(ConnectInfo::from(key)),
            None,
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
        assert!(
            sessions.close(&old.key, Presence::Superseded).is_none(),
            "emitted when it was replaced"
        );
        assert!(sessions.end(&old.key).is_none());
        sessions.remove(&old.key);
        assert_eq!(sessions.all().len(), 1);
        assert!(sessions.end(&new.key).is_some());
    }

    #[test]
    fn a_session_counts_until_its_end_is_emitted_and_ends_once() {
        let sessions = Sessions::new();
        let only = record("c", 1);
        sessions.open(only.clone());
        let (_, emitting) = sessions.end(&only.key).expect("the first time");
        assert!(sessions.end(&only.key).is_none());
        assert!(!sessions.is_empty(), "its event is not in the queues yet");
        emitting.done();
        sessions.remove(&only.key);
        assert!(sessions.is_empty());
    }

    #[tokio::test]
    async fn a_successor_waits_for_the_end_that_the_old_connection_emits() {
        let sessions = Sessions::new();
        let (old, new) = (record("c", 1), record("c", 2));
        sessions.open(old.clone());
        let closing = sessions.close(&old.key, Presence::Superseded).expect("not emitted yet");
        let replaced = sessions.open(new).expect("the old one");
        let mut emitted = Box::pin(replaced.emitted());
        assert!(futures::poll!(&mut emitted).is_pending());
        closing.emitting.done();
        emitted.await;
    }

    #[test]
    fn an_end_is_told_once_and_knows_the_successor() {
        let sessions = Sessions::new();
        let old = record("c", 1);
        sessions.open(old.clone());
        sessions.announce(&"c".into(), true);
        let closing = sessions.close(&old.key, Presence::Superseded).expect("the first time");
        assert!(closing.record.is_succeeded_clean());
        assert!(sessions.close(&old.key, Presence::Superseded).is_none());
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
