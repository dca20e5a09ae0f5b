//! The engine RMQTT, in process.
//!
//! [`Broker`] starts, queries and stops it. Clients connect to the host's own listeners, and a relay (`front`) connects each
//! of them to RMQTT. RMQTT listens on a loopback port, which refuses all other connections. RMQTT has no function to stop:
//! stopping aborts the task of its listener and kicks its clients one by one. A second task removes what RMQTT leaves
//! behind: sessions whose client disconnected while it was being accepted, and expired retained messages.
//!
//! - `limits` has the settings; `subscription_limits` refuses subscriptions beyond them;
//! - `handler`, `authentication`, `messages` and `subscriptions` turn hooks into events; `translate` and `reason` convert the types;
//! - `front` is the relay, and `relayed` knows the client of each of its connections;
//! - `connect_start` reads what it can of a CONNECT that is refused;
//! - `expected_acks` and `repeated` hold acknowledgements back until requests are on disk;
//! - `sessions`, `sent`, `tag`, `decisions` and `oversize` keep what RMQTT's hooks do not say;
//! - `retained` is RMQTT's store of retained messages;
//! - `persistent` has the messages of sessions that outlive their connection, and keeps them on disk;
//! - `peers` and `backlog` bound the messages that wait for a client;
//! - `fitter` and `queue_group` fix RMQTT's keep alive and its subscriptions to `$queue/…`.

mod authentication;
mod backlog;
mod client_entry;
mod clients;
mod connect_start;
mod decisions;
mod expected_acks;
mod filters;
mod fitter;
mod frequent;
mod front;
mod front_inspector;
mod handler;
mod limits;
mod messages;
mod oversize;
mod peers;
mod persistent;
mod queue_group;
mod reason;
mod relayed;
mod repeated;
mod retained;
mod sent;
mod sessions;
mod strict;
mod subscription_limits;
mod subscriptions;
mod sweep;
mod tag;
mod translate;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::context::ServerContext;
use ::rmqtt::server::MqttServer;
use ::rmqtt::session::SessionState;
use ::rmqtt::types::{CodecPublish, From as Sender, Id as ClientKey, Publish, Reason};

use self::backlog::Backlogs;
use self::clients::{disconnect_all, keys, kick, state};
use self::fitter::ClientFitters;
use self::front::Front;
use self::handler::EventSource;
use self::peers::ClientTable;
use self::persistent::PersistentSessions;
use self::relayed::RelayedClients;
use self::retained::RetainedStore;
use self::subscription_limits::SubscriptionLimits;
use self::translate::module_listener;
use super::{BrokerSettings, ClientState, Engine, HostMessage, PublishError, StartError};
use hookhost_access::AccessControl;
use hookhost_event::Origin;
use hookhost_hooks::Bus;
use hookhost_listener::{Address, BindError, Kind, ListenerState, Listeners, Serving, TlsFiles};
use hookhost_relay::properties;
use hookhost_sessions::{Contents, Store};

pub use self::limits::{Limits, SharedStrategy};

/// Name of RMQTT's listener, in RMQTT's logs.
const LISTENER: &str = "engine";
/// How long the relay may take to say farewell to clients when the host stops.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long RMQTT may take to tell the ends of sessions after the last one.
const LAST_ENDS: Duration = Duration::from_secs(2);
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

/// Where RMQTT itself listens if there is no relay.
fn bare_address(settings: &BrokerSettings) -> Result<SocketAddr, StartError> {
    let tcp = settings.listeners.iter().find(|listener| listener.kind == Kind::Tcp);
    tcp.and_then(|listener| listener.address.network())
        .ok_or_else(|| StartError::Engine("without hooks it needs a plain TCP listener".to_owned()))
}

impl Broker {
    /// Starts it and listens.
    pub(super) async fn start(settings: &BrokerSettings, bus: Option<Bus>) -> Result<Broker, StartError> {
        let limits = &settings.limits;
        if let Some((key, problem)) = limits.check().into_iter().next() {
            return Err(StartError::Limit { key, problem });
        }
        let plugin = "rmqtt-shared-subscription";
        let engine = ServerContext::new()
            .node_id(settings.node.id.into())
            .busy_check_enable(limits.busy_check)
            .mqtt_max_sessions(isize::try_from(limits.max_sessions).unwrap_or(isize::MAX))
            .plugins_config_map_add(plugin, format!("strategy = \"{}\"", limits.shared_strategy.name()))
            .build()
            .await;
        let refused = |error: ::rmqtt::Error| StartError::Engine(error.to_string());
        if limits.shared_subscription {
            rmqtt_shared_subscription::register(&engine, true, false)
                .await
                .map_err(refused)?;
        }
        let (store, mut contents) = match &settings.data {
            Some(folder) => {
                let (store, contents) = Store::open(folder)?;
                (Some(store), contents)
            }
            None => (None, Contents::default()),
        };
        let backlogs = Arc::new(Backlogs::new(limits));
        let clients = Arc::new(RelayedClients::new());
        let persistent = Arc::new(PersistentSessions::new(
            engine.clone(),
            Arc::clone(&clients),
            Arc::clone(&backlogs),
            limits,
            store,
        ));
        *engine.extends.session_mgr_mut().await = Box::new(persistent::Manager(Arc::clone(&persistent)));
        persistent::register(&persistent, &engine).await;
        let subscriptions = SubscriptionLimits::register(&engine, limits).await;
        let (listeners, listen) = match &bus {
            Some(_) => {
                let listeners = Listeners::bind(&settings.listeners, &limits.sockets())?;
                (Some(listeners), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            }
            None => (None, bare_address(settings)?),
        };
        let listener = limits
            // With listeners, the hook of authentication decides about every client.
            .builder(LISTENER, listen, listeners.is_none())
            .bind()
            .map_err(|error| BindError::Address {
                name: LISTENER.to_owned(),
                address: Address::Network(listen),
                source: system_error(error),
            })?
            .tcp()
            .map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let source = match bus {
            Some(bus) => {
                let source = Arc::new(EventSource::new(
                    engine.clone(),
                    bus,
                    settings,
                    clients,
                    Arc::clone(&persistent),
                ));
                source.register(&engine).await;
                Some(source)
            }
            None => None,
        };
        let retained = RetainedStore::new(limits, &persistent, source.clone());
        *engine.extends.retain_mut().await = Box::new(retained.clone());
        *engine.extends.fitter_mgr_mut().await = Box::new(ClientFitters {
            window: limits.window(),
        });
        let peers = ClientTable::new(
            engine.clone(),
            Arc::clone(&backlogs),
            Arc::clone(&persistent),
            source.clone(),
            limits.shared_subscription && settings.conventions.has_queue_groups(),
        );
        *engine.extends.shared_mut().await = Box::new(peers);
        let server = MqttServer::new(engine.clone())
            .listener_by_id(listener, LISTENER_ID)
            .build();
        if settings.data.is_some() {
            retained.restore(std::mem::take(&mut contents.retained));
            restore(&engine, &persistent, source.as_deref(), contents).await?;
        }
        let accepting = tokio::spawn(async move {
            if let Err(error) = server.run().await {
                tracing::error!(%error, "the MQTT listener has ended");
            }
        });
        let sweeping = tokio::spawn(sweep::sweep(
            engine.clone(),
            source.clone(),
            Arc::clone(&persistent),
            retained.clone(),
            backlogs,
            limits.handshake_timeout,
        ));
        let doors = match (listeners, &source) {
            (Some(listeners), Some(source)) => {
                let front = Arc::new(Front::new(Arc::clone(source), limits.clone(), address));
                let serve = Arc::clone(&front);
                let listeners = listeners.serve(move |client| Arc::clone(&serve).serve(client));
                Doors::Front { listeners, front }
            }
            _ => Doors::Bare([ListenerState {
                name: LISTENER.into(),
                kind: Kind::Tcp,
                address: Address::Network(address),
            }]),
        };
        Ok(Broker {
            engine,
            limits: limits.clone(),
            source,
            persistent,
            retained,
            subscriptions,
            doors,
            access: settings.access.clone(),
            accepting,
            sweeping,
        })
    }
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
            // RMQTT never tells the end of a session whose client closed while it was ended: see below.
            drop(tokio::time::timeout(LAST_ENDS, self.all_ended()).await);
        };
        if tokio::time::timeout_at(deadline, everything).await.is_err() {
            tracing::warn!(?grace, "clients were still connected at the end of the grace period");
        }
        if let Some(source) = &self.source {
            for record in source.sessions.all() {
                source.lost(&record.key, &Reason::ConnectKicked(true)).await;
            }
            // Clients get their DISCONNECT; those that do not close in time are left.
            let farewell = deadline.min(Instant::now() + FAREWELL);
            drop(tokio::time::timeout_at(farewell, source.clients.empty()).await);
        }
        self.persistent.close().await;
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

impl Broker {
    /// Waits until the end of every session is emitted.
    async fn all_ended(&self) {
        let Some(source) = &self.source else { return };
        loop {
            let ended = source.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if source.sessions.is_empty() {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.accepting.abort();
        self.sweeping.abort();
    }
}

/// Brings stored sessions back.
async fn restore(
    engine: &ServerContext,
    persistent: &Arc<PersistentSessions>,
    source: Option<&EventSource>,
    contents: Contents,
) -> Result<(), StartError> {
    let Some(listener) = engine
        .listen_cfgs
        .get(&LISTENER_ID)
        .map(|listener| listener.value().clone())
    else {
        return Ok(());
    };
    let count = contents.sessions.len();
    for stored in contents.sessions {
        let session = persistent
            .restore(stored, &listener, LISTENER_ID)
            .await
            .map_err(|error| StartError::Engine(error.to_string()))?;
        if let Some(source) = source {
            source.restored(&session).await;
        }
    }
    if count > 0 {
        tracing::info!(sessions = count, "restored MQTT sessions");
    }
    Ok(())
}

/// The system's error, if there is one.
fn system_error(error: ::rmqtt::Error) -> io::Error {
    error
        .downcast::<io::Error>()
        .unwrap_or_else(|error| io::Error::other(error.to_string()))
}
