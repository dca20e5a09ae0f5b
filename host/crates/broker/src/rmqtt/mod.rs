//! The engine RMQTT, in process.
//!
//! [`Broker`] starts, queries and stops it. Clients connect to the host's own listeners, and a relay (`front`) connects each
//! of them to RMQTT. RMQTT listens on a loopback port, which refuses all other connections. RMQTT has no function to stop:
//! stopping aborts the task of its listener and kicks its clients one by one. A second task removes what RMQTT leaves
//! behind: sessions whose client disconnected while it was being accepted, and expired retained messages.
//!
//! - `limits` has the settings, `listener_limits` checks them; `subscription_limits` refuses subscriptions beyond them;
//! - `start` starts everything;
//! - `handler` and `message_handlers` receive RMQTT's hooks, `frequent` registers most of the latter on demand; `lifecycle`,
//!   `authentication`, `messages` and `subscriptions` turn hooks into events; `connect`, `translate` and `reason` convert
//!   the types;
//! - `front` is the relay, `engine_stream` its connection to RMQTT; `front_inspector` reads the packets that pass, `strict` and `filters` find those that must not;
//!   `relayed` and `relayed_client` have the client of each connection of the relay;
//! - `refusals` refuses a CONNECT without RMQTT; `connect_start` reads what it can of it;
//! - `expected_acks` and `repeated` hold acknowledgements back until requests are on disk;
//! - `sessions` and `session_record`, `sent`, `tag`, `decisions` and `oversize` keep what RMQTT's hooks do not say;
//! - `clients` lists, kicks and disconnects clients; `sweep` removes what RMQTT leaves behind;
//! - `retained` is RMQTT's store of retained messages;
//! - `persistent` has the messages of sessions that outlive their connection, and keeps them on disk;
//! - `peers`, `client_entry` and `backlog` bound the messages that wait for a client;
//! - `fitter` and `queue_group` fix RMQTT's keep alive and its subscriptions to `$queue/…`.

mod authentication;
mod backlog;
mod client_entry;
mod clients;
mod connect;
mod connect_start;
mod decisions;
mod engine_stream;
mod expected_acks;
mod filters;
mod fitter;
mod frequent;
mod front;
mod front_inspector;
mod handler;
mod lifecycle;
mod limits;
mod listener_limits;
mod message_handlers;
mod messages;
mod oversize;
mod peers;
mod persistent;
mod queue_group;
mod reason;
mod refusals;
mod relayed;
mod relayed_client;
mod repeated;
mod retained;
mod sent;
mod session_record;
mod sessions;
mod start;
mod strict;
mod subscription_limits;
mod subscriptions;
mod sweep;
mod tag;
mod translate;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::context::ServerContext;
use ::rmqtt::session::SessionState;
use ::rmqtt::types::{CodecPublish, From as Sender, Id as ClientKey, Publish, Reason};

use self::clients::{disconnect_all, keys, kick, state};
use self::front::Front;
use self::handler::EventSource;
use self::persistent::PersistentSessions;
use self::retained::RetainedStore;
use self::subscription_limits::SubscriptionLimits;
use self::translate::module_listener;
use super::{ClientState, Engine, HostMessage, PublishError};
use hookhost_access::AccessControl;
use hookhost_event::Origin;
use hookhost_listener::{ListenerState, Serving, TlsFiles};
use hookhost_relay::{TrafficCounts, properties};

pub use self::limits::{Limits, SharedStrategy};

/// How long the relay may take to send the last packets to clients when the host stops.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);
/// RMQTT's number of the listener.
const LISTENER_ID: u16 = 1;

/// RMQTT, running.
pub(super) struct Broker {
    engine: ServerContext,
    limits: Limits,
    source: Option<Arc<EventSource>>,
    persistent: Arc<PersistentSessions>,
    retained: RetainedStore,
    subscriptions: Arc<SubscriptionLimits>,
    doors: Doors,
    access: AccessControl,
    accepting: JoinHandle<()>,
    sweeping: JoinHandle<()>,
}

/// How clients get in.
enum Doors {
    /// Through the host's listeners and the relay.
    Front { listeners: Serving, front: Arc<Front> },
    /// At RMQTT's own listener, without hooks: for benches.
    Bare([ListenerState; 1]),
}

#[async_trait]
impl Engine for Broker {
    fn name(&self) -> &'static str {
        "rmqtt"
    }

    fn listeners(&self) -> &[ListenerState] {
        match &self.doors {
            Doors::Front { listeners, .. } => listeners.states(),
            Doors::Bare(listener) => listener,
        }
    }

    fn tls_files(&self) -> Vec<TlsFiles> {
        match &self.doors {
            Doors::Front { listeners, .. } => listeners.tls_files(),
            Doors::Bare(_) => Vec::new(),
        }
    }

    async fn clients(&self) -> Vec<ClientState> {
        let mut states = Vec::new();
        for key in keys(&self.engine).await {
            let session = self.engine.extends.shared().await.entry(key).session();
            if let Some(session) = session
                && let Some(state) = state(&session, &self.persistent, self.source.as_deref()).await
            {
                states.push(state);
            }
        }
        states
    }

    async fn disconnect(&self, client_id: &str) -> bool {
        let any = ClientKey::from(self.engine.node.id(), client_id.into());
        let Some(session) = self.engine.extends.shared().await.entry(any).session() else {
            return false;
        };
        kick(&self.engine, self.source.as_deref(), session.id.clone()).await
    }

    async fn publish(&self, message: HostMessage) -> Result<(), PublishError> {
        if !self.limits.is_topic(&message.topic) {
            return Err(PublishError::Topic);
        }
        if message.qos > self.limits.max_qos_allowed {
            return Err(PublishError::Qos);
        }
        if !message.fits(self.limits.max_packet_size) {
            return Err(PublishError::TooLarge);
        }
        let key = |listener| {
            ClientKey::new(
                self.engine.node.id(),
                listener,
                None,
                None,
                message.sender.clone(),
                None,
            )
        };
        let sender = match message.origin {
            Origin::Admin => Sender::from_admin(key(LISTENER_ID)),
            Origin::Module => Sender::from_admin(key(module_listener(message.republishes))),
            Origin::System => Sender::from_system(key(LISTENER_ID)),
            Origin::Bridge => Sender::from_bridge(key(LISTENER_ID)),
            Origin::Client | Origin::Will => return Err(PublishError::Origin),
        };
        let publish = Publish::from(CodecPublish {
            dup: false,
            retain: message.retain,
            qos: QoS::try_from(message.qos).map_err(|_| PublishError::Qos)?,
            topic: message.topic,
            packet_id: None,
            payload: message.payload,
            properties: properties::to_publish(message.properties),
        })
        .create_time(::rmqtt::utils::timestamp_millis());
        let hooks = self.engine.extends.hook_mgr();
        let publish = hooks
            .message_publish(None, sender.clone(), &publish)
            .await
            .unwrap_or(publish);
        let routed = SessionState::forwards(&self.engine, sender.clone(), publish, false, None).await;
        routed.map_err(|_| PublishError::Engine)
    }

    async fn stop(mut self: Box<Self>, grace: Duration) {
        let deadline = Instant::now() + grace;
        self.sweeping.abort();
        if let Doors::Front { listeners, .. } = &mut self.doors {
            listeners.close().await;
        }
        self.accepting.abort();
        // The socket closes when the task has ended.
        if let Err(error) = (&mut self.accepting).await
            && error.is_panic()
        {
            tracing::error!(%error, "the MQTT listener has panicked");
        }
        if let Some(source) = &self.source {
            source.stopping.store(true, Ordering::Relaxed);
        }
        self.persistent.stop();
        let source = self.source.clone();
        let everything = async {
            // A client that was being accepted gets its session after the first round.
            while disconnect_all(&self.engine, source.as_ref()).await > 0 {}
            // RMQTT calls no hook for a session whose client closed while it was ended: see below.
            if let Some(source) = &self.source {
                source.all_ended().await;
            }
        };
        if tokio::time::timeout_at(deadline, everything).await.is_err() {
            tracing::warn!(?grace, "clients were still connected at the end of the grace period");
        }
        if let Some(source) = &self.source {
            for record in source.sessions.all() {
                source.lost(&record.key, &Reason::ConnectKicked(true)).await;
            }
            // Clients get their DISCONNECT; those that do not close in time are left.
            let closing_deadline = deadline.min(Instant::now() + CLOSING_TIMEOUT);
            drop(tokio::time::timeout_at(closing_deadline, source.clients.empty()).await);
        }
        self.persistent.close().await;
    }

    fn traffic(&self) -> TrafficCounts {
        match &self.doors {
            Doors::Front { front, .. } => front.traffic(),
            Doors::Bare(_) => TrafficCounts::default(),
        }
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut all = self.persistent.counters();
        all.extend(self.retained.counters());
        all.extend(self.access.counters().named());
        all.push(("subscriptions.refused", self.subscriptions.refused()));
        match &self.doors {
            Doors::Front { listeners, front } => {
                all.extend(listeners.counters());
                all.extend(front.counters());
            }
            Doors::Bare(_) => {}
        }
        all
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.accepting.abort();
        self.sweeping.abort();
    }
}
