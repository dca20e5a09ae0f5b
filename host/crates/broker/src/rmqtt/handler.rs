//! Turns RMQTT's hooks about clients and sessions into events.
//!
//! All handlers share an [`EventSource`]. A handler runs in the task of its client. It builds an event only if a module is interested, and waits only for a
//! full queue whose policy is to wait. RMQTT does not say which session was resumed, discarded or taken over, nor which
//! connection a newer one has replaced; [`Sessions`] does. The end of the old connection is emitted before anything
//! about the new session, in whatever order RMQTT's tasks run; [`sessions`](super::sessions) says how.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::Notify;

use ::rmqtt::context::ServerContext;
use ::rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::types::{AuthResult, ConnectInfo, From as Sender, FromType, Id as ClientKey, Reason};

use super::frequent::OnDemandHandlers;
use super::limits::Limits;
use super::messages::{AuthorizationHandler, DropHandler};
use super::oversize::Oversize;
use super::persistent::PersistentSessions;
use super::queue_group;
use super::reason::{self, EndContext};
use super::relayed::{RelayedClient, RelayedClients, is_relay_address, peer, with_own_address};
use super::sessions::{Closing, Presence, SessionRecord, Sessions};
use super::tag::MessageNumbers;
use super::translate;
use crate::{BrokerSettings, Conventions};
use hookhost_access::AccessControl;
use hookhost_event::{
    Client, Connection, Detail, Disconnection, End, EndReason, Hook, Millis, Pairs, Termination, assigned_client_id,
};
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

    /// Whether a subscription to `$queue/FILTER` is a shared subscription.
    pub(super) fn has_queue_groups(&self) -> bool {
        self.limits.shared_subscription && self.conventions.has_queue_groups()
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
        let connection = translate::connection(info, &peer(info.id(), client.as_deref()), &self.limits);
        completed(connection, client.as_deref())
    }

    /// An event tells the answer to a CONNECT.
    pub(super) fn is_answered(&self, info: &ConnectInfo) {
        if let Some(client) = self.clients.of(info.id()) {
            client.is_answered.store(true, Ordering::Relaxed);
        }
    }

    fn context(&self, discarded: bool) -> EndContext {
        EndContext {
            discarded,
            stopping: self.stopping.load(Ordering::Relaxed),
        }
    }

    /// A session was restored at the start.
    pub(super) async fn restored(&self, session: &RmqttSession) {
        if let Some(record) = session_record(session, None).await {
            self.sessions.restore(record);
        }
    }

    /// A connection has its session, resumed or new.
    async fn opened(&self, session: &RmqttSession, resumed: bool) {
        let Some(record) = session_record(session, self.clients.of(&session.id)).await else {
            return;
        };
        let (info, neutral) = (Arc::clone(&record.info), record.session());
        if let Some(old) = self.sessions.open(record) {
            self.replaced(old, resumed).await;
        }
        if info.username().is_none()
            && let Some(access) = self.sessions.access(&session.id)
        {
            self.authenticated(&info, &access).await;
        }
        let neutral = || neutral.clone();
        if resumed {
            self.emitter
                .emit(Hook::SessionResumed, None, || Detail::SessionResumed(neutral()))
                .await;
        } else {
            self.emitter
                .emit(Hook::SessionCreated, None, || Detail::SessionCreated(neutral()))
                .await;
        }
    }

    /// Emits the end of the connection that held the client's session, and what became of that session.
    async fn replaced(&self, old: SessionRecord, resumed: bool) {
        old.emitted().await;
        if old.presence == Presence::Ended {
            return;
        }
        if old.presence == Presence::Online {
            let end = reason::end(&Reason::ConnectKicked(false), self.context(!resumed));
            self.disconnected(&old, end, self.emitter.now()).await;
        }
        let neutral = || old.session();
        if !resumed {
            self.session_gone(&old, Hook::SessionDiscarded, || Detail::SessionDiscarded(neutral()))
                .await;
        } else if old.presence != Presence::Away {
            self.emitter
                .emit(Hook::SessionTakenOver, None, || Detail::SessionTakenOver(neutral()))
                .await;
        }
    }

    async fn connected(&self, session: &RmqttSession) {
        let Ok(info) = session.connect_info().await else { return };
        let session_present = session.session_present().await.unwrap_or(false);
        let connected_at = session.connected_at().await.ok().and_then(translate::millis);
        if session_present {
            self.opened(session, true).await;
        }
        // RMQTT's own hook for CONNACK runs just before this one and does not know whether a session is present.
        self.is_answered(&info);
        let client = self.client_behind(&session.id);
        let peer = peer(&session.id, client.as_deref());
        let connack = || {
            let mut connack = translate::accepted(&info, &peer, &self.limits, session_present, connected_at);
            connack.connection = completed(connack.connection, client.as_deref());
            connack
        };
        let extras = || connect_extras(client.as_deref());
        self.emitter
            .emit_with_extras(Hook::ClientConnack, None, || {
                (Detail::ClientConnack(connack()), extras())
            })
            .await;
        self.emitter
            .emit_with_extras(Hook::ClientConnected, None, || {
                (Detail::ClientConnected(connack()), extras())
            })
            .await;
    }

    async fn connection_ended(&self, session: &RmqttSession, reason: &Reason) {
        let client = self.client_behind(&session.id);
        if self.conventions.reports_subscriptions_last() {
            self.release(client.as_deref()).await;
        }
        self.connection_closed(session, reason).await;
        self.release(client.as_deref()).await;
    }

    /// Emits the events of a client that were held back.
    pub(super) async fn release(&self, client: Option<&RelayedClient>) {
        for event in client.map(RelayedClient::release).unwrap_or_default() {
            self.emitter.emit_event(event).await;
        }
    }

    async fn connection_closed(&self, session: &RmqttSession, reason: &Reason) {
        let presence = if is_superseded(reason) {
            Presence::Superseded
        } else {
            Presence::Away
        };
        if let Some(client) = self.clients.of(&session.id) {
            // The relay sends this reason to the client in DISCONNECT, also if the session is closed already.
            client.ended(reason::end(reason, self.context(false)));
        }
        let Some(Closing { record, emitting }) = self.sessions.close(&session.id, presence) else {
            return;
        };
        let ended_at = session.disconnected_at().await.ok().and_then(translate::millis);
        let end = record.end(reason::end(reason, self.context(record.is_succeeded_clean())));
        if end.reason == EndReason::Disconnect {
            self.sessions.note_disconnect(&session.id);
        }
        self.disconnected(&record, end, ended_at.unwrap_or_else(|| self.emitter.now()))
            .await;
        emitting.done();
    }

    async fn disconnected(&self, record: &SessionRecord, end: End, disconnected_at: Millis) {
        self.emitter
            .emit(Hook::ClientDisconnected, None, || {
                let connection = translate::connection(&record.info, &record.peer(), &self.limits);
                let connection = completed(connection, record.relayed());
                Detail::ClientDisconnected(Disconnection {
                    connection,
                    end,
                    connected_at: translate::millis(record.connected_at),
                    disconnected_at,
                })
            })
            .await;
    }

    async fn session_ended(&self, key: &ClientKey, reason: &Reason) {
        if let Some((record, emitting)) = self.sessions.end(key) {
            self.terminated(&record, reason).await;
            emitting.done();
            self.sessions.remove(key);
        }
        self.ended.notify_waiters();
    }

    async fn terminated(&self, record: &SessionRecord, reason: &Reason) {
        if self.stopping.load(Ordering::Relaxed) && self.persistent.survives(&record.key.client_id) {
            return;
        }
        self.session_gone(record, Hook::SessionTerminated, || {
            Detail::SessionTerminated(Termination {
                session: record.session(),
                end: record.end(reason::end(reason, self.context(false))),
            })
        })
        .await;
    }

    /// Emits the end of a session, with what is known of its last connection.
    async fn session_gone(&self, record: &SessionRecord, hook: Hook, detail: impl FnOnce() -> Detail + Send) {
        self.emitter
            .emit_with_extras(hook, None, || (detail(), record.last_connection()))
            .await;
    }

    /// A session has ended without a hook: emits the events that are still missing.
    pub(super) async fn lost(&self, key: &ClientKey, reason: &Reason) {
        let Some((record, emitting)) = self.sessions.end(key) else {
            return;
        };
        record.emitted().await;
        if record.presence == Presence::Online {
            let end = record.end(reason::end(reason, self.context(false)));
            self.disconnected(&record, end, self.emitter.now()).await;
            self.release(record.relayed()).await;
        }
        self.terminated(&record, reason).await;
        emitting.done();
        self.sessions.remove(key);
        self.ended.notify_waiters();
    }
}

/// The record of a session that a connection has just got.
async fn session_record(session: &RmqttSession, client: Option<Arc<RelayedClient>>) -> Option<SessionRecord> {
    let info = session.connect_info().await.ok()?;
    let created_at = session.created_at().await.unwrap_or_default();
    let connected_at = session.connected_at().await.unwrap_or_default();
    Some(SessionRecord::new(
        session.id.clone(),
        info,
        client,
        created_at,
        connected_at,
    ))
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

/// Whether a newer connection of the client ended this one.
fn is_superseded(reason: &Reason) -> bool {
    match reason {
        Reason::Reasons(reasons) => reasons.iter().any(is_superseded),
        reason => reason.is_kicked(false),
    }
}

/// Hooks about clients and sessions; they are rare, so one handler serves them all.
struct ClientHandler(Arc<EventSource>);

#[async_trait]
impl Handler for ClientHandler {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let source = &*self.0;
        let shared = source.has_queue_groups();
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
