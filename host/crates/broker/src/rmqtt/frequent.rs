//! Handlers for what happens with every packet or every delivery: registered when the first one wants to know what they
//! tell, because RMQTT's calls cost something, and then they stay.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::executor::block_on;

use ::rmqtt::hook::{Handler, Type};

use super::handler::Watch;
use super::messages::{Deliveries, Pings, Tagging};
use hookhost_event::Hook;

/// Registers them.
pub(super) struct Frequent {
    /// The bus has this, and the watch has the bus.
    watch: Weak<Watch>,
    registered: Mutex<Vec<Type>>,
}

impl Frequent {
    /// None is registered.
    pub(super) fn new(watch: &Arc<Watch>) -> Frequent {
        Frequent {
            watch: Arc::downgrade(watch),
            registered: Mutex::default(),
        }
    }

    /// Registers those that these hooks need; returns when RMQTT calls them.
    pub(super) fn need(&self, hooks: &[Hook]) {
        let Some(watch) = self.watch.upgrade() else { return };
        let mut registered = self.registered.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in hooks.iter().flat_map(|hook| kinds(*hook)) {
            if !registered.contains(kind) {
                registered.push(*kind);
                // Nothing else is registered for this type, so nobody holds its lock for longer than a look.
                block_on(register(&watch, *kind));
            }
        }
    }
}

async fn register(watch: &Arc<Watch>, kind: Type) {
    let share = Arc::clone(watch);
    let handler: Box<dyn Handler> = match kind {
        Type::ClientKeepalive => Box::new(Pings(share)),
        Type::MessagePublish => Box::new(Tagging(share)),
        _ => Box::new(Deliveries(share)),
    };
    let hooks = watch.engine.extends.hook_mgr().register();
    hooks.add(kind, handler).await;
    hooks.start().await;
}

/// What RMQTT has to call for a hook.
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
