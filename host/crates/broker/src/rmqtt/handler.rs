//! Receives RMQTT's hooks about clients and sessions.
//!
//! All handlers share an [`EventSource`]. A handler runs in the task of its client. It builds an event only if a module is
//! interested, and waits only for a full queue whose policy is to wait. `lifecycle`, `authentication`, `subscriptions` and
//! `messages` turn the hooks into events.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::Notify;

use ::rmqtt::context::ServerContext;
use ::rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use ::rmqtt::types::{AuthResult, ConnectInfo, From as Sender, FromType, Id as ClientKey};

use super::frequent::OnDemandHandlers;
use super::limits::Limits;
use super::message_handlers::{AuthorizationHandler, DropHandler};
use super::oversize::Oversize;
use super::persistent::PersistentSessions;
use super::queue_group;
use super::relayed::{RelayedClients, is_relay_address, peer, with_own_address};
use super::relayed_client::RelayedClient;
use super::sessions::Sessions;
use super::tag::MessageNumbers;
use super::{connect, translate};
use crate::{BrokerSettings, Conventions};
use hookhost_access::AccessControl;
use hookhost_event::{Client, Connection, Hook, Pairs, assigned_client_id};
use hookhost_hooks::{Bus, Emitter};
use hookhost_listener::Peer;

/// What the handlers share: RMQTT, the emitter, and what has to be remembered between hooks.
pub(super) struct EventSource {
    pub(super) engine: ServerContext,
    pub(super) emitter: Emitter,
    pub(super) numbers: MessageNumbers,
    pub(super) sessions: Sessions,
    pub(super) persistent: Arc<PersistentSessions>,
    pub(super) oversize: Oversize,
    pub(super) limits: Limits,
    pub(super) conventions: Conventions,
    /// Whether a subscription to `$queue/FILTER` is a shared subscription.
    queue_groups: bool,
    /// The clients behind the relay.
    pub(super) clients: Arc<RelayedClients>,
    /// Whether the node is stopping: a kick is then a shutdown, not the act of an administrator.
    pub(super) stopping: AtomicBool,
    /// Decides who may connect, and who may do what.
    pub(super) access: AccessControl,
    /// Whether any client ever subscribed with no local.
    pub(super) no_local: AtomicBool,
    /// A session has ended.
    pub(super) ended: Notify,
}

impl EventSource {
    /// A source without sessions.
    pub(super) fn new(
        engine: ServerContext,
        bus: Bus,
        settings: &BrokerSettings,
        clients: Arc<RelayedClients>,
        persistent: Arc<PersistentSessions>,
    ) -> EventSource {
        let emitter = Emitter::new(bus);
        let limits = settings.limits.clone();
        EventSource {
            numbers: MessageNumbers::new(emitter.epoch()),
            emitter,
            sessions: Sessions::new(),
            persistent,
            oversize: Oversize::new(engine.clone()),
            engine,
            limits,
            conventions: settings.conventions,
            queue_groups: settings.has_queue_groups(),
            clients,
            stopping: AtomicBool::new(false),
            access: settings.access.clone(),
            no_local: AtomicBool::new(false),
            ended: Notify::new(),
        }
    }

    /// Registers the handlers that are always needed, in an engine that has not started; the others on demand.
    pub(super) async fn register(self: &Arc<EventSource>, engine: &ServerContext) {
        let hooks = engine.extends.hook_mgr().register();
        for kind in [
            Type::ClientConnect,
            Type::ClientAuthenticate,
            Type::ClientConnected,
            Type::ClientDisconnected,
            Type::SessionCreated,
            Type::SessionTerminated,
            Type::ClientSubscribe,
            Type::ClientSubscribeCheckAcl,
            Type::SessionSubscribed,
            Type::ClientUnsubscribe,
            Type::SessionUnsubscribed,
        ] {
            hooks.add(kind, Box::new(ClientHandler(Arc::clone(self)))).await;
        }
        hooks
            .add(
                Type::MessagePublishCheckAcl,
                Box::new(AuthorizationHandler(Arc::clone(self))),
            )
            .await;
        hooks
            .add(Type::MessageDropped, Box::new(DropHandler(Arc::clone(self))))
            .await;
        hooks.start().await;
        let frequent = OnDemandHandlers::new(self);
        self.emitter.on_demand(move |hooks| frequent.need(hooks));
    }

    /// The client behind a connection: that of its relay, or of its session once the relay has ended.
    pub(super) fn client_behind(&self, key: &ClientKey) -> Option<Arc<RelayedClient>> {
        // Messages have the client's own address.
        let _relay = key.remote_addr.filter(|address| is_relay_address(*address))?;
        self.clients.of(key).or_else(|| self.sessions.relayed(key))
    }

    /// Where the client of a connection comes from.
    pub(super) fn peer(&self, key: &ClientKey) -> Peer {
        peer(key, self.client_behind(key).as_deref())
    }

    /// A client, as events show it.
    pub(super) fn client(&self, key: &ClientKey, protocol_version: u8) -> Client {
        let client = self.client_behind(key);
        Client {
            attributes: attributes(client.as_deref()),
            ..translate::client(key, peer(key, client.as_deref()).address, protocol_version)
        }
    }

    /// The key of a connection with the client's own address.
    pub(super) fn own_key(&self, key: &ClientKey) -> ClientKey {
        with_own_address(key, self.client_behind(key).as_deref())
    }

    /// A sender with its own address, which its messages keep.
    pub(super) fn own_sender(&self, sender: Sender) -> Sender {
        let id = self.own_key(&sender.id);
        match sender.typ() {
            FromType::Custom => Sender::from_custom(id),
            FromType::LastWill => Sender::from_lastwill(id),
            FromType::Admin | FromType::System | FromType::Bridge => sender,
        }
    }

    /// A connection, as events show it.
    pub(super) fn connection(&self, info: &ConnectInfo) -> Connection {
        let client = self.client_behind(info.id());
        let connection = connect::connection(info, &peer(info.id(), client.as_deref()), &self.limits);
        completed(connection, client.as_deref())
    }

    /// An event tells the answer to a CONNECT.
    pub(super) fn is_answered(&self, info: &ConnectInfo) {
        if let Some(client) = self.clients.of(info.id()) {
            client.is_answered.store(true, Ordering::Relaxed);
        }
    }
}

/// Names and values that authentication attached to a client behind the relay.
fn attributes(client: Option<&RelayedClient>) -> Pairs {
    client.map(RelayedClient::attributes).unwrap_or_default()
}

/// A connection with what only the client behind the relay has.
pub(super) fn completed(mut connection: Connection, client: Option<&RelayedClient>) -> Connection {
    if let Some(client) = client {
        connection.client.attributes = client.attributes();
        connection.properties = client.connect.properties.clone();
    }
    connection
}

/// The extras of the events of a CONNECT.
pub(super) fn connect_extras(client: Option<&RelayedClient>) -> Pairs {
    match client {
        Some(client) if client.connect.has_assigned_id => assigned_client_id(),
        _ => Pairs::new(),
    }
}

/// Hooks about clients and sessions; they are rare, so one handler serves them all.
struct ClientHandler(Arc<EventSource>);

#[async_trait]
impl Handler for ClientHandler {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let source = &*self.0;
        let shared = source.queue_groups;
        match parameter {
            // Another program of this machine: it is refused in the hook of authentication.
            Parameter::ClientConnect(info) if source.clients.of(info.id()).is_none() => {}
            Parameter::ClientAuthenticate(info) if source.clients.of(info.id()).is_none() => {
                return (false, Some(HookResult::AuthResult(AuthResult::NotAuthorized)));
            }
            Parameter::ClientConnect(info) => {
                if info.max_packet_size().is_some() {
                    self.0.oversize.register(&self.0).await;
                }
                source.connect(info).await;
            }
            Parameter::ClientAuthenticate(info) => return (true, Some(source.authenticate(info).await)),
            Parameter::SessionCreated(session) => source.opened(session, false).await,
            Parameter::ClientConnected(session) => source.connected(session).await,
            Parameter::ClientDisconnected(session, reason) => source.connection_ended(session, reason).await,
            Parameter::SessionTerminated(session, reason) => source.session_ended(&session.id, reason).await,
            Parameter::ClientSubscribe(session, subscribe) => {
                source.subscribe(session, &queue_group::shared(subscribe, shared)).await;
            }
            Parameter::ClientSubscribeCheckAcl(session, subscribe) => {
                let subscribe = queue_group::shared(subscribe, shared);
                let limited = match acc {
                    Some(HookResult::SubscribeAclResult(limit)) if limit.failure() => Some(limit.ack_reason),
                    _ => None,
                };
                let decided = source.authorize_subscription(session, &subscribe, limited);
                return (true, decided.await);
            }
            Parameter::SessionSubscribed(session, subscribe) => {
                source
                    .subscribed(session, &queue_group::shared(subscribe, shared))
                    .await;
            }
            Parameter::ClientUnsubscribe(session, unsubscribe) => {
                let unsubscribe = queue_group::shared_end(unsubscribe, shared);
                source.unsubscribe(session, &unsubscribe).await;
            }
            Parameter::SessionUnsubscribed(session, unsubscribe) => {
                let unsubscribe = queue_group::shared_end(unsubscribe, shared);
                source
                    .unsubscription(Hook::SessionUnsubscribed, session, &unsubscribe)
                    .await;
            }
            _ => {}
        }
        (true, acc)
    }
}
