//! What RMQTT's hooks say about clients and sessions, turned into events.
//!
//! A [`Watch`] is what all handlers share. Handlers run in the task of the client they are about, at the lowest
//! priority, so that they see what everybody else decided; they ask the bus whether anybody is interested before they
//! build anything, and wait for nothing but a full queue whose policy is to wait. What RMQTT does not say follows from
//! [`Sessions`]: which session was resumed, discarded or taken over, and which connection a newer one has replaced. The
//! old connection's end is told before anything about the new session, whatever order RMQTT's tasks have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytestring::ByteString;
use tokio::sync::Notify;

use ::rmqtt::context::ServerContext;
use ::rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use ::rmqtt::session::Session as Held;
use ::rmqtt::types::{AuthResult, ConnectInfo, Id as ClientKey, Reason};

use super::frequent::Frequent;
use super::messages::{Authorizing, Drops};
use super::oversize::Oversize;
use super::reason::{self, Context};
use super::sessions::{Live, Presence, Sessions};
use super::tag::Numbers;
use super::translate::{self, Listening};
use crate::clock::Clock;
use hookhost_event::{Authentication, Detail, Disconnection, End, Hook, Millis, Termination};
use hookhost_hooks::Bus;

/// What the handlers share.
pub(super) struct Watch {
    pub(super) engine: ServerContext,
    pub(super) bus: Bus,
    pub(super) clock: Clock,
    pub(super) numbers: Numbers,
    pub(super) sessions: Sessions,
    pub(super) oversize: Oversize,
    pub(super) listening: Listening,
    /// Whether the node is stopping: then a kick by an administrator is none.
    pub(super) stopping: AtomicBool,
    /// Whether there ever was a superuser, for whom RMQTT leaves out the hooks of authorisation.
    superusers: AtomicBool,
    /// A session has ended.
    pub(super) ended: Notify,
}

impl Watch {
    /// Nothing seen yet.
    pub(super) fn new(engine: ServerContext, bus: Bus, listening: Listening) -> Watch {
        let clock = Clock::new();
        Watch {
            bus,
            numbers: Numbers::new(clock.epoch()),
            clock,
            sessions: Sessions::new(),
            oversize: Oversize::new(engine.clone()),
            engine,
            listening,
            stopping: AtomicBool::new(false),
            superusers: AtomicBool::new(false),
            ended: Notify::new(),
        }
    }

    /// Registers what is always needed in an engine that has not started, and the rest when it is.
    pub(super) async fn register(self: &Arc<Watch>, engine: &ServerContext) {
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
            hooks.add(kind, Box::new(Clients(Arc::clone(self)))).await;
        }
        hooks
            .add(Type::MessagePublishCheckAcl, Box::new(Authorizing(Arc::clone(self))))
            .await;
        hooks.add(Type::MessageDropped, Box::new(Drops(Arc::clone(self)))).await;
        hooks.start().await;
        let frequent = Frequent::new(self);
        self.bus.on_demand(move |hooks| frequent.need(hooks));
    }

    /// Tells an event if anybody is interested; `detail` is built only then.
    pub(super) async fn tell(&self, hook: Hook, subject: Option<&str>, detail: impl FnOnce() -> Detail + Send) {
        let to = self.bus.interested(hook, subject);
        if !to.is_empty() {
            self.bus.emit(to, self.clock.event(detail())).await;
        }
    }

    /// Whether RMQTT leaves out the hooks of authorisation for this client.
    pub(super) async fn is_superuser(&self, held: &Held) -> bool {
        self.superusers.load(Ordering::Relaxed) && held.superuser().await.unwrap_or(false)
    }

    fn context(&self, discarded: bool) -> Context {
        Context {
            discarded,
            stopping: self.stopping.load(Ordering::Relaxed),
        }
    }

    async fn connect(&self, info: &ConnectInfo) {
        self.sessions.announce(info.client_id(), info.clean_start());
        self.tell(Hook::ClientConnect, None, || {
            Detail::ClientConnect(translate::connection(info, &self.listening))
        })
        .await;
        let limits = &self.listening.limits;
        let code = translate::refusal(info, limits).or_else(|| {
            self.skips_authentication(info)
                .then(|| translate::late_refusal(info, limits))
                .flatten()
        });
        if let Some(code) = code {
            self.refuse(info, code).await;
        }
    }

    /// Whether RMQTT asks nobody about this client.
    fn skips_authentication(&self, info: &ConnectInfo) -> bool {
        info.username().is_none() && self.listening.limits.allow_anonymous
    }

    async fn refuse(&self, info: &ConnectInfo, code: u8) {
        self.tell(Hook::ClientConnack, None, || {
            Detail::ClientConnack(translate::refused(info, &self.listening, code))
        })
        .await;
    }

    /// Tells what the authentication, which is over, has decided.
    async fn authenticate(&self, info: &ConnectInfo, decision: Option<&HookResult>) {
        let (code, superuser, judged) = match decision {
            Some(HookResult::AuthResult(AuthResult::Allow(superuser, _))) => (0, *superuser, true),
            Some(HookResult::AuthResult(AuthResult::BadUsernameOrPassword)) => (134, false, true),
            Some(HookResult::AuthResult(AuthResult::NotAuthorized)) => (135, false, true),
            _ if self.listening.limits.allow_anonymous => (0, false, false),
            _ => (135, false, false),
        };
        if superuser {
            self.superusers.store(true, Ordering::Relaxed);
        }
        self.authenticated(info, code, superuser, judged).await;
        let code = Some(code).filter(|code| *code > 0);
        if let Some(code) = code.or_else(|| translate::late_refusal(info, &self.listening.limits)) {
            self.refuse(info, code).await;
        }
    }

    async fn authenticated(&self, info: &ConnectInfo, code: u8, superuser: bool, judged: bool) {
        self.tell(Hook::ClientAuthenticated, None, || {
            Detail::ClientAuthenticated(Authentication {
                connection: translate::connection(info, &self.listening),
                code,
                anonymous: !judged && code == 0,
                superuser,
                source: ByteString::from_static(if judged { "rmqtt" } else { "default" }),
            })
        })
        .await;
    }

    /// A connection has got a session, which it found or which is new.
    async fn opened(&self, held: &Held, resumed: bool) {
        let Some(live) = live(held).await else { return };
        let (key, info, version, created_at) = (
            live.key.clone(),
            Arc::clone(&live.info),
            live.protocol_version(),
            live.created_at,
        );
        if let Some(old) = self.sessions.open(live) {
            self.replaced(old, resumed).await;
        }
        if self.skips_authentication(&info) {
            self.authenticated(&info, 0, false, false).await;
        }
        let session = || translate::session(&key, version, created_at);
        if resumed {
            self.tell(Hook::SessionResumed, None, || Detail::SessionResumed(session()))
                .await;
        } else {
            self.tell(Hook::SessionCreated, None, || Detail::SessionCreated(session()))
                .await;
        }
    }

    /// What became of the session that a client had, and of the connection that held it.
    async fn replaced(&self, old: Live, resumed: bool) {
        if old.presence == Presence::Online {
            let end = reason::end(&Reason::ConnectKicked(false), self.context(!resumed));
            self.disconnected(&old.info, end, old.connected_at, self.clock.now())
                .await;
        }
        let session = || translate::session(&old.key, old.protocol_version(), old.created_at);
        if !resumed {
            self.tell(Hook::SessionDiscarded, None, || Detail::SessionDiscarded(session()))
                .await;
        } else if old.presence != Presence::Away {
            self.tell(Hook::SessionTakenOver, None, || Detail::SessionTakenOver(session()))
                .await;
        }
    }

    async fn connected(&self, held: &Held) {
        let Ok(info) = held.connect_info().await else { return };
        let session_present = held.session_present().await.unwrap_or(false);
        let connected_at = held.connected_at().await.ok().and_then(translate::millis);
        if session_present {
            self.opened(held, true).await;
        }
        // RMQTT's own hook for CONNACK comes just before this one and does not know about the session.
        let connack = || translate::accepted(&info, &self.listening, session_present, connected_at);
        self.tell(Hook::ClientConnack, None, || Detail::ClientConnack(connack()))
            .await;
        self.tell(Hook::ClientConnected, None, || Detail::ClientConnected(connack()))
            .await;
    }

    async fn connection_ended(&self, held: &Held, reason: &Reason) {
        let presence = if is_superseded(reason) {
            Presence::Superseded
        } else {
            Presence::Away
        };
        let Some(discarded) = self.sessions.close(&held.id, presence) else {
            return;
        };
        let Ok(info) = held.connect_info().await else { return };
        let connected_at = held.connected_at().await.unwrap_or_default();
        let ended_at = held.disconnected_at().await.ok().and_then(translate::millis);
        let end = reason::end(reason, self.context(discarded));
        self.disconnected(&info, end, connected_at, ended_at.unwrap_or_else(|| self.clock.now()))
            .await;
    }

    async fn disconnected(&self, info: &ConnectInfo, end: End, connected_at: i64, disconnected_at: Millis) {
        self.tell(Hook::ClientDisconnected, None, || {
            Detail::ClientDisconnected(Disconnection {
                connection: translate::connection(info, &self.listening),
                end,
                connected_at: translate::millis(connected_at),
                disconnected_at,
            })
        })
        .await;
    }

    async fn session_ended(&self, key: &ClientKey, reason: &Reason) {
        if let Some(live) = self.sessions.end(key) {
            self.terminated(&live, reason).await;
        }
        self.ended.notify_waiters();
    }

    async fn terminated(&self, live: &Live, reason: &Reason) {
        self.tell(Hook::SessionTerminated, None, || {
            Detail::SessionTerminated(Termination {
                session: translate::session(&live.key, live.protocol_version(), live.created_at),
                end: reason::end(reason, self.context(false)),
            })
        })
        .await;
    }

    /// A session has gone without RMQTT saying so: tells what has not been told about it.
    pub(super) async fn lost(&self, key: &ClientKey, reason: &Reason) {
        let Some(live) = self.sessions.end(key) else { return };
        if live.presence == Presence::Online {
            let end = reason::end(reason, self.context(false));
            self.disconnected(&live.info, end, live.connected_at, self.clock.now())
                .await;
        }
        self.terminated(&live, reason).await;
        self.ended.notify_waiters();
    }
}

/// The entry of a session that a connection has just got.
async fn live(held: &Held) -> Option<Live> {
    let info = held.connect_info().await.ok()?;
    let created_at = held.created_at().await.unwrap_or_default();
    let connected_at = held.connected_at().await.unwrap_or_default();
    Some(Live::new(held.id.clone(), info, created_at, connected_at))
}

/// Whether a newer connection of the client ended this one.
fn is_superseded(reason: &Reason) -> bool {
    match reason {
        Reason::Reasons(reasons) => reasons.iter().any(is_superseded),
        reason => reason.is_kicked(false),
    }
}

/// Hooks about clients and sessions: rare, so one handler serves them all.
struct Clients(Arc<Watch>);

#[async_trait]
impl Handler for Clients {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let watch = &*self.0;
        match parameter {
            Parameter::ClientConnect(info) => {
                if info.max_packet_size().is_some() {
                    self.0.oversize.look(&self.0).await;
                }
                watch.connect(info).await;
            }
            Parameter::ClientAuthenticate(info) => watch.authenticate(info, acc.as_ref()).await,
            Parameter::SessionCreated(held) => watch.opened(held, false).await,
            Parameter::ClientConnected(held) => watch.connected(held).await,
            Parameter::ClientDisconnected(held, reason) => watch.connection_ended(held, reason).await,
            Parameter::SessionTerminated(held, reason) => watch.session_ended(&held.id, reason).await,
            Parameter::ClientSubscribe(held, subscribe) => watch.subscribe(held, subscribe).await,
            Parameter::ClientSubscribeCheckAcl(held, subscribe) => {
                let decision = match &acc {
                    Some(HookResult::SubscribeAclResult(decision)) => Some(decision),
                    _ => None,
                };
                watch.subscribe_judged(held, subscribe, decision).await;
            }
            Parameter::SessionSubscribed(held, subscribe) => {
                watch
                    .subscription(Hook::SessionSubscribed, held, subscribe, subscribe.opts.qos_value())
                    .await;
            }
            Parameter::ClientUnsubscribe(held, unsubscribe) => watch.unsubscribe(held, unsubscribe).await,
            Parameter::SessionUnsubscribed(held, unsubscribe) => {
                watch.unsubscription(Hook::SessionUnsubscribed, held, unsubscribe).await;
            }
            _ => {}
        }
        (true, acc)
    }
}
