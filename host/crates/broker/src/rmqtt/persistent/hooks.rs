//! RMQTT's hooks about persistent sessions.
//!
//! The hooks in [`register`] are rare. Those of [`register_exact`] are called for every delivery of every client, so
//! they are registered when the first QoS 2 message waits for a persistent session.

use std::num::NonZeroU16;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::context::ServerContext;
use ::rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::types::{ConnectInfo, Publish, Reason};
use ::rmqtt::utils::timestamp_millis;

use super::queue::FIRST_EXACT_ID;
use super::session::Dropped;
use super::{PersistentSessions, convert, sequence};

/// Before the handlers that emit events.
const PRIORITY: u32 = 1;

/// Registers the hooks that are always needed.
pub(in crate::rmqtt) async fn register(sessions: &Arc<PersistentSessions>, engine: &ServerContext) {
    let hooks = engine.extends.hook_mgr().register();
    for kind in [Type::ClientDisconnected, Type::SessionTerminated, Type::MessageDropped] {
        let handler = Box::new(SessionHandler(Arc::downgrade(sessions)));
        hooks.add_priority(kind, PRIORITY, handler).await;
    }
    hooks.start().await;
}

/// Registers the hooks for QoS 2, if they are not registered yet.
pub(super) async fn register_exact(sessions: &Arc<PersistentSessions>) {
    let add = || async {
        let hooks = sessions.engine.extends.hook_mgr().register();
        for kind in [Type::MessageDelivered, Type::MessageAcked] {
            let handler = Box::new(ExactHandler(Arc::downgrade(sessions)));
            // The handlers that emit events see the packet as it will be sent.
            hooks.add_priority(kind, PRIORITY, handler).await;
        }
        hooks.start().await;
    };
    sessions.exact.get_or_init(add).await;
}

/// Ends of connections and sessions, and dropped messages. RMQTT's context owns the handlers and is owned by the
/// sessions, so the reference is weak.
struct SessionHandler(Weak<PersistentSessions>);

#[async_trait]
impl Handler for SessionHandler {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let Some(sessions) = self.0.upgrade() else {
            return (true, acc);
        };
        match parameter {
            Parameter::ClientDisconnected(session, _) => disconnected(&sessions, session).await,
            Parameter::SessionTerminated(session, reason) => {
                let is_current = sessions
                    .get(&session.id.client_id)
                    .is_some_and(|known| known.has_key(&session.id));
                if is_current {
                    let dropped = sessions.end(&session.id.client_id);
                    let hooks = sessions.engine.extends.hook_mgr();
                    for Dropped { receiver, sender, copy } in dropped {
                        hooks
                            .message_dropped(Some(receiver), sender, copy, reason.clone())
                            .await;
                    }
                }
            }
            Parameter::MessageDropped(Some(receiver), _, copy, reason) => {
                if let Some(sequence) = sequence(copy)
                    && let Some(session) = sessions.get(&receiver.client_id)
                {
                    if sessions.shared.is_stopping() {
                        return (false, acc);
                    }
                    if matches!(reason, Reason::MessageQueueFull) {
                        session.take_back(sequence);
                        return (false, acc);
                    }
                    session.remove(sequence);
                }
            }
            _ => {}
        }
        (true, acc)
    }
}

/// A connection has ended: notes when, for how long the session goes on, and whether its will is still to be published.
pub(super) async fn disconnected(sessions: &PersistentSessions, session: &RmqttSession) {
    let Some(known) = sessions.get(&session.id.client_id) else {
        return;
    };
    let in_flight = session.out_inflight().write().await.clone_inflight_messages();
    let disconnect = session.disconnect().await.unwrap_or(None);
    let left = session.fitter.session_expiry_interval(disconnect.as_ref());
    let is_delayed = will_delay(session).await.is_some_and(|delay| !delay.is_zero());
    known.disconnected(&session.id, in_flight, |record| {
        record.disconnected_at = Some(timestamp_millis());
        record.expiry = convert::expiry(left);
        if disconnect.is_some() || !is_delayed {
            record.will = None;
        }
    });
}

async fn will_delay(session: &RmqttSession) -> Option<Duration> {
    let info = session.connect_info().await.ok()?;
    match &*info {
        ConnectInfo::V3(..) => None,
        ConnectInfo::V5(_, connect) => {
            let delay = connect.last_will.as_ref()?.will_delay_interval_sec?;
            Some(Duration::from_secs(delay.into()))
        }
    }
}

/// Deliveries and acknowledgements while QoS 2 is used.
struct ExactHandler(Weak<PersistentSessions>);

#[async_trait]
impl Handler for ExactHandler {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let (receiver, publish, is_acked) = match parameter {
            Parameter::MessageDelivered(session, _, publish) => (session, publish, false),
            Parameter::MessageAcked(session, _, publish) => (session, publish, true),
            _ => return (true, acc),
        };
        let Some(sequence) = sequence(publish) else {
            return (true, acc);
        };
        let session = self
            .0
            .upgrade()
            .and_then(|sessions| sessions.get(&receiver.id.client_id));
        let Some(session) = session else { return (true, acc) };
        if is_acked {
            session.acknowledged(sequence);
            return (true, acc);
        }
        let changed = match publish.qos {
            QoS::ExactlyOnce => session.about_to_send(sequence).map(|was_sent| {
                let mut changed = (*publish).clone();
                changed.dup = was_sent;
                changed
            }),
            _ => other_id(receiver, publish).await,
        };
        match changed {
            Some(changed) => (true, Some(HookResult::Publish(changed))),
            None => (true, acc),
        }
    }
}

/// A QoS 1 message with a packet id below those of QoS 2, if it has one of them.
async fn other_id(session: &RmqttSession, publish: &Publish) -> Option<Publish> {
    let id = publish
        .packet_id
        .filter(|id| id.get() >= FIRST_EXACT_ID && !publish.dup)?;
    let window = session.out_inflight().read().await;
    let ids = (id.get() - FIRST_EXACT_ID + 1..FIRST_EXACT_ID).chain(1..FIRST_EXACT_ID);
    let free = ids.into_iter().find(|id| !window.exist(id))?;
    let mut changed = publish.clone();
    changed.packet_id = NonZeroU16::new(free);
    Some(changed)
}
