//! The sessions that this gateway knows: those of connected clients, and those that will be found again.
//!
//! One entry for each, by client id. From these follow the events that tell about two connections of one client, and
//! their order: a connection that the upstream ends while another one of its client is being accepted leaves its end to
//! be told by that one, between its own client-connect and everything else. Entries of clients that are away are
//! bounded in number, the one that has been away longest goes first, and end with the session's time.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytestring::ByteString;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::filters::Filters;
use super::memory::Memory;
use hookhost_event::{Connection, End, Message, Millis};

const SHARDS: usize = 64;
/// Sessions of clients that are away, in each shard.
const AWAY: usize = 4_096;

/// Where the client of a session is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Presence {
    /// Connected.
    Online,
    /// Its connection has ended, and its successor is to tell that.
    Left(End),
    /// Gone, and that has been told.
    Away(Millis),
}

/// How to reach the task of a connection.
#[derive(Default)]
pub(super) struct Handle {
    /// The connection is to be ended: by an administrator, unless `superseded`.
    pub(super) kick: Notify,
    /// Another connection of the client waits for its end.
    pub(super) superseded: AtomicBool,
    /// Subscriptions in force.
    pub(super) subscriptions: AtomicUsize,
    /// Deliveries that the client has not confirmed.
    pub(super) unconfirmed: AtomicUsize,
}

/// A session.
#[derive(Clone)]
pub(super) struct Live {
    /// The connection that holds it, or held it last.
    pub(super) number: u64,
    /// What that connection asked for.
    pub(super) connection: Arc<Connection>,
    /// When the session was created, if that is known.
    pub(super) created_at: Option<Millis>,
    /// When the connection was accepted.
    pub(super) connected_at: Option<Millis>,
    /// The will of the connection.
    pub(super) will: Option<Arc<Message>>,
    /// What is remembered of the session.
    pub(super) memory: Arc<Mutex<Memory>>,
    /// How to reach the connection's task.
    pub(super) handle: Arc<Handle>,
    /// Where the client is.
    pub(super) presence: Presence,
    /// The client has sent DISCONNECT, and the upstream has not yet closed: what is to be told then, and how long the
    /// session remains.
    pub(super) leaving: Option<(End, u32)>,
    /// The connections of the client that are being accepted.
    pub(super) successors: SmallVec<[u64; 1]>,
}

impl Live {
    /// A session whose client is connected.
    pub(super) fn new(
        number: u64,
        connection: Arc<Connection>,
        handle: Arc<Handle>,
        memory: Arc<Mutex<Memory>>,
    ) -> Live {
        Live {
            number,
            connection,
            created_at: None,
            connected_at: None,
            will: None,
            memory,
            handle,
            presence: Presence::Online,
            leaving: None,
            successors: SmallVec::new(),
        }
    }
}

/// As long as this lives, nothing else happens to sessions of this shard: so that what is told about a session has the
/// order in which it happened, whichever connections tell it. Never held while anything is waited for.
pub(super) struct Moment<'a> {
    _shard: MutexGuard<'a, Shard>,
}

/// A client id, or the number of a connection whose id only the upstream knows.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key(ByteString, u64);

#[derive(Default)]
struct Shard {
    sessions: HashMap<Key, Live>,
    /// Since when clients are away, and who.
    away: BTreeSet<(Millis, u64)>,
    keys: HashMap<u64, Key>,
}

/// The sessions that this gateway knows.
pub(super) struct Sessions {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    /// Sessions of clients that are away, in each shard.
    away: usize,
    /// The filters of all of them, for gateways that see every client.
    filters: Option<Arc<Filters>>,
}

impl Sessions {
    /// None yet; `sees_all`: every client of the upstream will be among them.
    pub(super) fn new(sees_all: bool) -> Sessions {
        Sessions {
            filters: sees_all.then(Arc::default),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            away: AWAY,
        }
    }

    /// What a new session is to be remembered in.
    pub(super) fn memory(&self) -> Arc<Mutex<Memory>> {
        Arc::new(Mutex::new(Memory::new(self.filters.clone())))
    }

    /// Whether any session subscribes to a topic; always so if not every client is among them.
    pub(super) fn subscribed(&self, topic: &str) -> bool {
        self.filters.as_ref().is_none_or(|filters| filters.matches(topic))
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the index is a remainder by the number of shards, which is not 0"
    )]
    fn shard(&self, key: &Key) -> MutexGuard<'_, Shard> {
        let at = self.hasher.hash_one(key) as usize % self.shards.len();
        self.shards[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection is being accepted; noted only if there is a session for it to find.
    pub(super) fn announce(&self, client_id: &ByteString, number: u64) {
        let key = key(client_id, number);
        if let Some(live) = self.shard(&key).sessions.get_mut(&key) {
            live.successors.push(number);
        }
    }

    /// A connection that was announced will not be accepted. Gives the session whose end it should have told, if it was
    /// the last one that could.
    pub(super) fn retract(&self, client_id: &ByteString, number: u64, now: Millis) -> Option<(Live, Moment<'_>)> {
        let key = key(client_id, number);
        let mut shard = self.shard(&key);
        let live = shard.sessions.get_mut(&key)?;
        let before = live.successors.len();
        live.successors.retain(|successor| *successor != number);
        let was_last = before > 0 && live.successors.is_empty();
        if !was_last || !matches!(live.presence, Presence::Left(_)) {
            return None;
        }
        let told = live.clone();
        if live.connection.session_expiry == 0 {
            shard.remove(&key);
        } else {
            live.presence = Presence::Away(now);
            shard.rest(&key, now, self.away);
        }
        Some((told, Moment { _shard: shard }))
    }

    /// A connection is accepted and has got its session; gives the entry that was there.
    pub(super) fn open(&self, live: Live) -> (Option<Live>, Moment<'_>) {
        let key = key(&live.connection.client.id, live.number);
        let mut shard = self.shard(&key);
        let old = shard.remove(&key);
        let mut live = live;
        if let Some(old) = &old {
            let others = old.successors.iter().filter(|successor| **successor != live.number);
            live.successors = others.copied().collect();
        }
        shard.keys.insert(live.number, key.clone());
        shard.sessions.insert(key, live);
        (old, Moment { _shard: shard })
    }

    /// The session of a client before its next connection is accepted.
    pub(super) fn find(&self, client_id: &ByteString, number: u64) -> Option<Live> {
        let key = key(client_id, number);
        self.shard(&key).sessions.get(&key).cloned()
    }

    /// A connection has ended; none if somebody else has told that, or will. `by_upstream`: then a successor that is
    /// being accepted tells it. `session_expiry`: how long the session remains, in seconds; with 0 its entry goes.
    pub(super) fn close(
        &self,
        client_id: &ByteString,
        number: u64,
        by_upstream: Option<&End>,
        session_expiry: u32,
        now: Millis,
    ) -> Option<Moment<'_>> {
        let key = key(client_id, number);
        let mut shard = self.shard(&key);
        let live = shard.sessions.get_mut(&key).filter(|live| live.number == number)?;
        if live.presence != Presence::Online {
            return None;
        }
        if let (Some(end), true) = (by_upstream, !live.successors.is_empty()) {
            live.presence = Presence::Left(end.clone());
            return None;
        }
        if session_expiry == 0 {
            shard.remove(&key);
        } else {
            if live.connection.session_expiry != session_expiry {
                let mut connection = Connection::clone(&live.connection);
                connection.session_expiry = session_expiry;
                live.connection = Arc::new(connection);
            }
            live.presence = Presence::Away(now);
            live.leaving = None;
            live.will = None;
            live.memory.lock().unwrap_or_else(PoisonError::into_inner).rest();
            shard.rest(&key, now, self.away);
        }
        Some(Moment { _shard: shard })
    }

    /// The client has said that it leaves; its end is told when the upstream has closed.
    pub(super) fn leave(&self, client_id: &ByteString, number: u64, end: &End, session_expiry: u32) {
        let key = key(client_id, number);
        if let Some(live) = self
            .shard(&key)
            .sessions
            .get_mut(&key)
            .filter(|live| live.number == number)
        {
            live.leaving = Some((end.clone(), session_expiry));
        }
    }

    /// Whether the client is as that connection has left it.
    pub(super) fn is_away_since(&self, client_id: &ByteString, number: u64) -> bool {
        let key = key(client_id, number);
        match self.shard(&key).sessions.get(&key) {
            Some(live) => live.number == number,
            // Its session has ended with it, and nobody has come since.
            None => true,
        }
    }

    /// Takes the sessions out whose time is up.
    pub(super) fn expire(&self, now: Millis) -> Vec<Live> {
        let mut expired = Vec::new();
        for shard in &self.shards {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            let over = |live: &Live| match live.presence {
                Presence::Away(since) => {
                    let seconds = live.connection.session_expiry;
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
    pub(super) fn of(&self, client_id: &str) -> Option<Live> {
        self.find(&ByteString::from(client_id), 0)
    }

    /// Takes a session of a client that is away out.
    pub(super) fn forget(&self, client_id: &ByteString, number: u64) -> Option<(Live, Moment<'_>)> {
        let key = key(client_id, number);
        let mut shard = self.shard(&key);
        let away = |live: &&Live| live.number == number && matches!(live.presence, Presence::Away(_));
        shard.sessions.get(&key).filter(away)?;
        let live = shard.remove(&key)?;
        Some((live, Moment { _shard: shard }))
    }

    /// All sessions, one shard at a time.
    pub(super) fn all(&self) -> Vec<Live> {
        let list = |shard: &Mutex<Shard>| -> Vec<Live> {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.sessions.values().cloned().collect()
        };
        self.shards.iter().flat_map(list).collect()
    }

    /// The session that a connection holds.
    pub(super) fn held_by(&self, number: u64) -> Option<Live> {
        self.shards.iter().find_map(|shard| {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            shard.keys.get(&number).and_then(|key| shard.sessions.get(key)).cloned()
        })
    }
}

impl Shard {
    fn remove(&mut self, key: &Key) -> Option<Live> {
        let live = self.sessions.remove(key)?;
        self.keys.remove(&live.number);
        if let Presence::Away(since) = live.presence {
            self.away.remove(&(since, live.number));
        }
        Some(live)
    }

    /// The client of this session is away; if there are too many such, the oldest one is forgotten.
    fn rest(&mut self, key: &Key, since: Millis, most: usize) {
        if let Some(live) = self.sessions.get(key) {
            self.away.insert((since, live.number));
        }
        while self.away.len() > most {
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
