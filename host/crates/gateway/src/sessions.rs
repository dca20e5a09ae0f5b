//! The session table: sessions of connected clients, and sessions that outlive their connections.
//!
//! The table has one entry for each session, by client id. It decides which connection reports what when a client has two
//! connections: if the upstream ends a connection while a successor is being accepted, the successor reports that end,
//! between its own client-connect and its other events. Entries of clients that are away are bounded in number; the
//! entry that has been away longest is dropped first. An entry ends with the session's expiry interval.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::session_state::SessionState;
use super::subscribed_filters::SubscribedFilters;
use hookhost_event::{Connection, End, Message, Millis};

const SHARDS: usize = 64;
/// Sessions of clients that are away, in each shard.
const MAX_AWAY: usize = 4_096;

/// Where the client of a session is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Presence {
    /// Connected.
    Online,
    /// The upstream has ended its connection, and a successor has to report that.
    EndPending(End),
    /// Not connected since this time, and that is reported.
    Away(Millis),
}

/// How to reach the task of a connection.
#[derive(Default)]
pub(super) struct ConnectionHandle {
    /// Notified when an administrator ends the connection.
    pub(super) kick: Notify,
    /// Active subscriptions.
    pub(super) subscriptions: AtomicUsize,
    /// Deliveries that the client has not acknowledged.
    pub(super) unacknowledged: AtomicUsize,
}

/// A session.
#[derive(Clone)]
pub(super) struct SessionEntry {
    /// Number of the connection that has the session, or had it last.
    pub(super) number: u64,
    /// What that connection asked for.
    pub(super) connection: Arc<Connection>,
    /// When the session was created, if that is known.
    pub(super) created_at: Option<Millis>,
    /// When the connection was accepted.
    pub(super) connected_at: Option<Millis>,
    /// The will of the connection.
    pub(super) will: Option<Arc<Message>>,
    /// What outlives the connection.
    pub(super) state: Arc<Mutex<SessionState>>,
    /// How to reach the connection's task.
    pub(super) handle: Arc<ConnectionHandle>,
    /// Where the client is.
    pub(super) presence: Presence,
    /// Set when the client has sent DISCONNECT and the upstream has not yet closed: the end to report then, and how long
    /// the session remains, in seconds.
    pub(super) leaving: Option<(End, u32)>,
    /// Whether the client has sent DISCONNECT.
    pub(super) by_disconnect: bool,
    /// The connections of the client that are being accepted.
    pub(super) successors: SmallVec<[u64; 1]>,
}

impl SessionEntry {
    /// A session whose client is connected.
    pub(super) fn new(
        number: u64,
        connection: Arc<Connection>,
        handle: Arc<ConnectionHandle>,
        state: Arc<Mutex<SessionState>>,
    ) -> SessionEntry {
        SessionEntry {
            number,
            connection,
            created_at: None,
            connected_at: None,
            will: None,
            state,
            handle,
            presence: Presence::Online,
            leaving: None,
            by_disconnect: false,
            successors: SmallVec::new(),
        }
    }
}

/// Locks a shard of the session table. The caller emits its events before it drops this, so that the events of a session
/// have the order of the changes, whichever connections report them. Never held across an await.
pub(super) struct ShardGuard<'a> {
    _shard: MutexGuard<'a, Shard>,
}

/// A client id, or the number of a connection whose id only the upstream knows.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key(ByteString, u64);

#[derive(Default)]
struct Shard {
    sessions: HashMap<Key, SessionEntry>,
    /// Since when clients are away, and who.
    away: BTreeSet<(Millis, u64)>,
    keys: HashMap<u64, Key>,
}

/// The sessions that this gateway knows.
pub(super) struct Sessions {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    /// Sessions of clients that are away, in each shard.
    max_away: usize,
    /// The filters of all of them, for gateways that see every client.
    filters: Option<Arc<SubscribedFilters>>,
}

impl Sessions {
    /// An empty table. `sees_all_clients`: every client of the upstream comes through this gateway.
    pub(super) fn new(sees_all_clients: bool) -> Sessions {
        Sessions {
            filters: sees_all_clients.then(Arc::default),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            max_away: MAX_AWAY,
        }
    }

    /// The state of a new session.
    pub(super) fn new_state(&self) -> Arc<Mutex<SessionState>> {
        Arc::new(Mutex::new(SessionState::new(self.filters.clone())))
    }

    /// The filters of all sessions, if this gateway knows every client of the upstream.
    pub(super) fn filters(&self) -> Option<&SubscribedFilters> {
        self.filters.as_deref()
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the index is a remainder by the number of shards, which is not 0"
    )]
    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let at = self.hasher.hash_one(key) as usize % self.shards.len();
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection is being accepted. Noted only if the client has a session.
    pub(super) fn announce(&self, client_id: &ByteString, number: u64) {
        let key = key(client_id, number);
        if let Some(entry) = self.shard(&key).sessions.get_mut(&key) {
            entry.successors.push(number);
        }
    }

    /// A connection that was announced is not accepted after all. Returns the entry whose end it would have reported, if
    /// no other successor can.
    pub(super) fn retract(
        &self,
        client_id: &ByteString,
        number: u64,
        now: Millis,
    ) -> Option<(SessionEntry, ShardGuard<'_>)> {
        let key = key(client_id, number);
        let mut shard = self.shard(&key);
        let entry = shard.sessions.get_mut(&key)?;
        let before = entry.successors.len();
        entry.successors.retain(|successor| *successor != number);
        let was_last = before > 0 && entry.successors.is_empty();
        if !was_last || !matches!(entry.presence, Presence::EndPending(_)) {
            return None;
        }
        let reported = entry.clone();
        if entry.connection.session_expiry == 0 {
            shard.remove(&key);
        } else {
            entry.presence = Presence::Away(now);
            shard.set_away(&key, now, self.max_away);
        }
        Some((reported, ShardGuard { _shard: shard }))
    }

    /// A connection is accepted. Returns the entry that it replaces.
    pub(super) fn open(&self, entry: SessionEntry) -> (Option<SessionEntry>, ShardGuard<'_>) {
        let key = key(&entry.connection.client.id, entry.number);
        let mut shard = self.shard(&key);
        let old = shard.remove(&key);
        let mut entry = entry;
        if let Some(old) = &old {
            let others = old.successors.iter().filter(|successor| **successor != entry.number);
            entry.successors = others.copied().collect();
        }
        shard.keys.insert(entry.number, key.clone());
        shard.sessions.insert(key, entry);
        (old, ShardGuard { _shard: shard })
    }

    /// The session of a client before its next connection is accepted.
    pub(super) fn find(&self, client_id: &ByteString, number: u64) -> Option<SessionEntry> {
        let key = key(client_id, number);
        self.shard(&key).sessions.get(&key).cloned()
    }

    /// A connection has ended. `None` if another connection has reported that or will. `by_upstream`: the end, if a
    /// successor that is being accepted may report it. `session_expiry`: how long the session remains, in seconds; 0
    /// removes its entry.
    pub(super) fn close(
        &self,
        client_id: &ByteString,
        number: u64,
        by_upstream: Option<&End>,
        session_expiry: u32,
        now: Millis,
    ) -> Option<ShardGuard<'_>> {
        let key = key(client_id, number);
        let mut shard = self.shard(&key);
        let entry = shard.sessions.get_mut(&key).filter(|entry| entry.number == number)?;
        if entry.presence != Presence::Online {
            return None;
        }
        if let (Some(end), true) = (by_upstream, !entry.successors.is_empty()) {
            entry.presence = Presence::EndPending(end.clone());
            return None;
        }
        if session_expiry == 0 {
            shard.remove(&key);
        } else {
            if entry.connection.session_expiry != session_expiry {
                let mut connection = Connection::clone(&entry.connection);
                connection.session_expiry = session_expiry;
                entry.connection = Arc::new(connection);
            }
            entry.presence = Presence::Away(now);
            entry.leaving = None;
            entry.will = None;
            entry.state.lock().unwrap_or_else(PoisonError::into_inner).trim();
            shard.set_away(&key, now, self.max_away);
        }
        Some(ShardGuard { _shard: shard })
    }

    /// The client has sent DISCONNECT; its end is reported when the upstream has closed.
    pub(super) fn leave(&self, client_id: &ByteString, number: u64, end: &End, session_expiry: u32) {
        let key = key(client_id, number);
        if let Some(entry) = self
            .shard(&key)
            .sessions
            .get_mut(&key)
            .filter(|entry| entry.number == number)
        {
            entry.leaving = Some((end.clone(), session_expiry));
            entry.by_disconnect = true;
        }
    }

    /// Whether the client has not connected again since that connection.
    pub(super) fn is_away_since(&self, client_id: &ByteString, number: u64) -> bool {
        let key = key(client_id, number);
        match self.shard(&key).sessions.get(&key) {
            Some(entry) => entry.number == number,
            // Its session has ended with the connection, and there is no new one.
            None => true,
        }
    }

    /// Removes and returns the sessions whose expiry interval has passed.
    pub(super) fn expire(&self, now: Millis) -> Vec<SessionEntry> {
        let mut expired = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let over = |entry: &SessionEntry| match entry.presence {
                Presence::Away(since) => {
                    let seconds = entry.connection.session_expiry;
                    seconds < u32::MAX && since.0 + u64::from(seconds) * 1000 <= now.0
                }
                _ => false,
            };
            let keys: Vec<_> = shard
                .away
                .iter()
                .filter_map(|(_, number)| shard.keys.get(number))
                .filter(|key| shard.sessions.get(key).is_some_and(over))
                .cloned()
                .collect();
            expired.extend(keys.iter().filter_map(|key| shard.remove(key)));
        }
        expired
    }

    /// A client's session.
    pub(super) fn of(&self, client_id: &str) -> Option<SessionEntry> {
        self.find(&ByteString::from(client_id), 0)
    }

    /// Removes the session of a client that is away.
    pub(super) fn forget(&self, client_id: &ByteString, number: u64) -> Option<(SessionEntry, ShardGuard<'_>)> {
        let key = key(client_id, number);
        let mut shard = self.shard(&key);
        let away = |entry: &&SessionEntry| entry.number == number && matches!(entry.presence, Presence::Away(_));
        shard.sessions.get(&key).filter(away)?;
        let entry = shard.remove(&key)?;
        Some((entry, ShardGuard { _shard: shard }))
    }

    /// All sessions, one shard at a time.
    pub(super) fn all(&self) -> Vec<SessionEntry> {
        let list = |shard: &Mutex<Shard>| -> Vec<SessionEntry> {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.sessions.values().cloned().collect()
        };
        self.shards.iter().flat_map(list).collect()
    }

    /// The session of a connection.
    pub(super) fn of_connection(&self, number: u64) -> Option<SessionEntry> {
        self.shards.iter().find_map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.keys.get(&number).and_then(|key| shard.sessions.get(key)).cloned()
        })
    }
}

impl Shard {
    fn remove(&mut self, key: &Key) -> Option<SessionEntry> {
        let entry = self.sessions.remove(key)?;
        self.keys.remove(&entry.number);
        if let Presence::Away(since) = entry.presence {
            self.away.remove(&(since, entry.number));
        }
        Some(entry)
    }

    /// The client of this session is away. Drops the sessions that have been away longest, if there are too many.
    fn set_away(&mut self, key: &Key, since: Millis, max: usize) {
        if let Some(entry) = self.sessions.get(key) {
            self.away.insert((since, entry.number));
        }
        while self.away.len() > max {
            let Some((_, number)) = self.away.pop_first() else {
                return;
            };
            if let Some(key) = self.keys.remove(&number) {
                self.sessions.remove(&key);
            }
        }
    }
}

fn key(client_id: &ByteString, number: u64) -> Key {
    let number = if client_id.is_empty() { number } else { 0 };
    Key(client_id.clone(), number)
}

#[cfg(test)]
#[path = "sessions_tests.rs"]
mod tests;
