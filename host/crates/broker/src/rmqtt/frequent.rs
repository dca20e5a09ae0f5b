//! Handlers that RMQTT calls for every packet or every delivery. Each call costs something, so a handler is registered
//! only when a module first wants its events; it stays registered from then on.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::executor::block_on;

use ::rmqtt::hook::{Handler, Type};

use super::handler::EventSource;
use super::message_handlers::{DeliveryHandler, PacketHandler, TagHandler};
use hookhost_event::Hook;

/// Registers handlers on demand.
pub(super) struct OnDemandHandlers {
    /// Weak, because the bus owns this, and the source owns the bus.
    source: Weak<EventSource>,
    registered: Mutex<Vec<Type>>,
}

impl OnDemandHandlers {
    /// No handler is registered yet.
    pub(super) fn new(source: &Arc<EventSource>) -> OnDemandHandlers {
        OnDemandHandlers {
            source: Arc::downgrade(source),
            registered: Mutex::default(),
        }
    }

    /// Registers the handlers that these hooks need; when it returns, RMQTT calls them.
    pub(super) fn need(&self, hooks: &[Hook]) {
        let Some(source) = self.source.upgrade() else { return };
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = |hook: &Hook| match hook {
            Hook::SessionSubscribed if source.conventions.reports_subscriptions_last() => &[Type::ClientKeepalive],
            hook => kinds(*hook),
        };
        for kind in hooks.iter().flat_map(kinds) {
            if !registered.contains(kind) {
                registered.push(*kind);
                // Nothing else is registered for this type, so its lock is held for a read at most.
                block_on(register(&source, *kind));
            }
        }
    }
}

async fn register(source: &Arc<EventSource>, kind: Type) {
    let share = Arc::clone(source);
    let handler: Box<dyn Handler> = match kind {
        Type::ClientKeepalive => Box::new(PacketHandler(share)),
        Type::MessagePublish => Box::new(TagHandler(share)),
        _ => Box::new(DeliveryHandler(share)),
    };
    let hooks = source.engine.extends.hook_mgr().register();
    hooks.add(kind, handler).await;
    hooks.start().await;
}

/// The handlers that a hook needs.
fn kinds(hook: Hook) -> &'static [Type] {
    match hook {
        Hook::MessageDelivered => &[Type::MessagePublish, Type::MessageDelivered],
        Hook::MessageAcked => &[Type::MessagePublish, Type::MessageAcked],
        Hook::MessageQueued => &[Type::MessagePublish, Type::OfflineMessage],
        Hook::DeliveryDropped => &[Type::MessagePublish],
        Hook::Other => &[Type::ClientKeepalive],
        _ => &[],
    }
}
