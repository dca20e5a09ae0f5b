//! One session of RMQTT's, as [`Sessions`](super::sessions::Sessions) keeps it.

use std::sync::Arc;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use ::rmqtt::types::{ConnectInfo, Id as ClientKey};
use hookhost_access::ClientAccess;
use hookhost_event::{End, Pairs, Session, last_connection};
use hookhost_listener::Peer;

use super::relayed;
use super::relayed_client::RelayedClient;
use super::translate;

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
    pub(super) relayed: Option<Arc<RelayedClient>>,
    /// When the session was created, in milliseconds.
    pub(super) created_at: i64,
    /// When the connection was accepted, in milliseconds.
    pub(super) connected_at: i64,
    /// Where the client is.
    pub(super) presence: Presence,
    /// What the client may do.
    pub(super) access: Option<ClientAccess>,
    /// Locked while an end is being emitted.
    emitting: Option<Arc<AsyncMutex<()>>>,
    /// Whether that connection has ended with DISCONNECT.
    pub(super) by_disconnect: bool,
    /// Whether the connection that is being accepted asked for a clean start.
    pub(super) successor_clean: bool,
    /// Whether the filter of the SUBSCRIBE being handled is new, and the QoS of the subscription being removed.
    pub(super) pending_new: bool,
    pub(super) pending_qos: Option<u8>,
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
    pub(super) fn is_of(&self, key: &ClientKey) -> bool {
        self.key == *key || self.relayed.as_ref().is_some_and(|client| client.is_sender(key))
    }

    /// Waits until the end that another task is emitting has reached the queues.
    pub(super) async fn emitted(&self) {
        if let Some(emitting) = &self.emitting {
            drop(emitting.lock().await);
        }
    }

    /// Makes [`emitted`](Self::emitted) wait for what is emitted now.
    pub(super) fn emit(&mut self) -> Emitting {
        let lock = Arc::new(AsyncMutex::new(()));
        self.emitting = Some(Arc::clone(&lock));
        Emitting(lock.try_lock_owned().ok())
    }

    /// What an event about the end of the session says about its last connection.
    pub(super) fn last_connection(&self) -> Pairs {
        last_connection(self.info.clean_start(), self.by_disconnect)
    }
}
