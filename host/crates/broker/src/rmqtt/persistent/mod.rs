//! Sessions that outlive their connection: MQTT 3 without clean session, MQTT 5 with an expiry interval.
//!
//! RMQTT loses messages of such sessions in several places: between two connections, when a socket fails, and with the
//! process. It also sends what was unacknowledged in reverse order after a reconnect. So the QoS 1 and 2 messages of
//! these sessions are kept here, and RMQTT gets only as many at a time as the client may leave unacknowledged.
//!
//! - [`queue`] is the queue of one session;
//! - [`session`] is one session, [`connection`] its connection: how RMQTT gets messages and how their acknowledgement
//!   becomes known;
//! - [`routing`] is one publish on its way to sessions: one commit for all, which the publisher waits for;
//! - [`publishes`] recognises repeated QoS 2 publishes;
//! - [`hooks`] are RMQTT's hooks that matter for this, [`manager`] is where RMQTT makes sessions;
//! - [`restore`] and [`convert`] bring sessions back at the start.
//!
//! With a data folder all this is in the store of the crate `hookhost-sessions`. Without one it ends with the process.
//! Messages with QoS 0 and all other sessions take RMQTT's own way, and cost nothing here.

mod connection;
mod convert;
mod hooks;
mod manager;
mod publishes;
mod queue;
mod restore;
mod routing;
mod session;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytestring::ByteString;
use tokio::sync::OnceCell;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::context::ServerContext;
use ::rmqtt::types::{Id as ClientKey, Publish, Reason};

use hookhost_contract::Completion;
use hookhost_listener::Peer;
use hookhost_sessions::Store;

pub(super) use self::connection::sequence;
pub(super) use self::convert::{message, message_record, session_record};
pub(super) use self::hooks::register;
pub(super) use self::manager::Manager;
pub(super) use self::publishes::RepeatedPublish;
pub(super) use self::routing::{Routing, concerns_sender};
pub(super) use self::session::PersistentSession;
use self::session::{Dropped, QueueLimits, Shared};
use super::backlog::Backlogs;
use super::limits::Limits;
use super::relayed::{self, RelayedClients};

/// How long stopping may wait for the disk.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// All persistent sessions.
pub(super) struct PersistentSessions {
    shared: Arc<Shared>,
    /// Where the session of a client is found.
    backlogs: Arc<Backlogs>,
    /// Knows the addresses of clients behind the relay.
    clients: Arc<RelayedClients>,
    engine: ServerContext,
    /// Whether the hooks for QoS 2 are registered.
    exact: OnceCell<()>,
    /// The number of the next session without a store.
    next: AtomicU64,
}

impl PersistentSessions {
    /// No session yet.
    pub(super) fn new(
        engine: ServerContext,
        clients: Arc<RelayedClients>,
        backlogs: Arc<Backlogs>,
        limits: &Limits,
        store: Option<Store>,
    ) -> PersistentSessions {
        PersistentSessions {
            shared: Arc::new(Shared {
                store,
                limits: QueueLimits::new(limits),
                messages: AtomicUsize::new(0),
                bytes: AtomicUsize::new(0),
                dropped: AtomicU64::new(0),
                is_stopping: AtomicBool::new(false),
            }),
            backlogs,
            clients,
            engine,
            exact: OnceCell::new(),
            next: AtomicU64::new(0),
        }
    }

    /// Where the client of a connection comes from.
    pub(super) fn peer(&self, key: &ClientKey) -> Peer {
        relayed::peer(key, self.clients.of(key).as_deref())
    }

    /// The session of a client.
    pub(super) fn get(&self, client_id: &ByteString) -> Option<Arc<PersistentSession>> {
        self.backlogs.persistent(client_id)
    }

    /// The store, if there is a data folder.
    pub(super) fn store(&self) -> Option<&Store> {
        self.shared.store.as_ref()
    }

    /// The session of a client, new if it has none.
    fn get_or_insert(&self, key: &ClientKey) -> Arc<PersistentSession> {
        if let Some(session) = self.get(&key.client_id) {
            return session;
        }
        let number = match &self.shared.store {
            Some(store) => store.new_session(),
            None => self.next.fetch_add(1, Ordering::Relaxed),
        };
        let session = Arc::new(PersistentSession::new(&self.shared, number, key.clone()));
        self.backlogs.set_persistent(&key.client_id, Some(Arc::clone(&session)));
        session
    }

    /// Ends a session, unless the host is stopping. Returns what its client did not get.
    fn end(&self, client_id: &ByteString) -> Vec<Dropped> {
        if self.shared.is_stopping() {
            return Vec::new();
        }
        let Some(session) = self.get(client_id) else {
            return Vec::new();
        };
        self.backlogs.set_persistent(client_id, None);
        session.end()
    }

    /// A session is discarded: by a clean start or by an administrator.
    pub(super) fn discard(&self, client_id: &ByteString) {
        drop(self.end(client_id));
    }

    /// Whether the session of a client survives the end of this process.
    pub(super) fn survives(&self, client_id: &ByteString) -> bool {
        self.shared.store.is_some() && self.get(client_id).is_some()
    }

    /// The publish from before the client's reconnect that this QoS 2 publish repeats; `None` if it is a new one.
    pub(super) fn repeated(&self, client_id: &ByteString, publish: &Publish) -> Option<RepeatedPublish> {
        self.get(client_id)?.repeated(publish)
    }

    /// The acknowledgement of a publish that is about to be routed has to wait, also if the client repeats it (QoS 2).
    pub(super) fn hold_next_publish(&self, client_id: &ByteString, publish: &Publish, completion: &Completion) {
        if publish.qos == QoS::ExactlyOnce
            && let (Some(packet_id), Some(session)) = (publish.packet_id, self.get(client_id))
        {
            session.hold_next_publish(packet_id.get(), completion.clone());
        }
    }

    /// The acknowledgement of a QoS 2 publish that was repeated has to wait.
    pub(super) fn hold_publish(&self, client_id: &ByteString, publish: &Publish, completion: &Completion) {
        if let (Some(packet_id), Some(session)) = (publish.packet_id, self.get(client_id)) {
            session.hold_publish(packet_id.get(), completion.clone());
        }
    }

    /// The host is about to stop: from now on RMQTT ends sessions that stay in the store.
    pub(super) fn stop(&self) {
        if self.shared.store.is_some() {
            self.shared.is_stopping.store(true, Ordering::Relaxed);
        }
    }

    /// Writes everything and closes the file.
    pub(super) async fn close(&self) {
        if let Some(store) = self.store() {
            let written = tokio::time::timeout(CLOSE_TIMEOUT, store.last_commit().finished()).await;
            if written.is_err() {
                tracing::error!("the last changes of sessions were not written in time");
            }
            store.close();
        }
    }

    /// Emits that messages were dropped because of a limit.
    async fn emit_dropped(&self, dropped: Vec<Dropped>) {
        if dropped.is_empty() {
            return;
        }
        self.shared.dropped.fetch_add(dropped.len() as u64, Ordering::Relaxed);
        for Dropped { receiver, sender, copy } in dropped {
            let hooks = self.engine.extends.hook_mgr();
            hooks
                .message_dropped(Some(receiver), sender, copy, Reason::MessageQueueFull)
                .await;
        }
    }

    /// Counters, by name.
    pub(super) fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut counters = vec![
            (
                "sessions.queued_messages",
                self.shared.messages.load(Ordering::Relaxed) as u64,
            ),
            (
                "sessions.queued_bytes",
                self.shared.bytes.load(Ordering::Relaxed) as u64,
            ),
            ("sessions.dropped_messages", self.shared.dropped.load(Ordering::Relaxed)),
        ];
        if let Some(store) = self.store() {
            let of_store = store.counters();
            counters.push(("sessions.commits", of_store.commits));
            counters.push(("sessions.commit_failures", of_store.failures));
        }
        counters
    }
}
