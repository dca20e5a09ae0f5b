//! Limits of subscriptions: those of one client, and those of all.
//!
//! RMQTT has a limit for one client, which refuses with 0x80 and counts a filter that the client has already. This one
//! refuses with 151 (quota exceeded), which MQTT 3 clients get as 0x80, and only filters that are new.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use ::rmqtt::codec::v5::SubscribeAckReason;
use ::rmqtt::context::ServerContext;
use ::rmqtt::hook::{Handler, HookResult, Parameter, ReturnType, Type};
use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::types::{Subscribe, SubscribeReturn};

use super::limits::Limits;

/// Before the handlers that emit events.
const PRIORITY: u32 = 1;

/// Refuses subscriptions beyond the limits.
pub(super) struct SubscriptionLimits {
    engine: ServerContext,
    /// Of one client; 0: no limit.
    client: usize,
    /// Of all clients; 0: no limit.
    all: usize,
    refused: AtomicU64,
}

impl SubscriptionLimits {
    /// Registers the limits in an engine that has not started.
    pub(super) async fn register(engine: &ServerContext, limits: &Limits) -> Arc<SubscriptionLimits> {
        let limits = Arc::new(SubscriptionLimits {
            engine: engine.clone(),
            client: limits.max_subscriptions,
            all: limits.max_total_subscriptions,
            refused: AtomicU64::new(0),
        });
        let hooks = engine.extends.hook_mgr().register();
        let handler = Box::new(LimitHandler(Arc::clone(&limits)));
        hooks
            .add_priority(Type::ClientSubscribeCheckAcl, PRIORITY, handler)
            .await;
        hooks.start().await;
        limits
    }

    /// How many subscriptions were refused.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    async fn allows(&self, session: &RmqttSession, subscribe: &Subscribe) -> bool {
        let Ok(subscriptions) = session.subscriptions().await else {
            return true;
        };
        let subscriptions = subscriptions.read().await;
        if subscriptions.contains_key(&subscribe.topic_filter) {
            return true;
        }
        let has_room = |limit: usize, count: usize| limit == 0 || count < limit;
        if !has_room(self.client, subscriptions.len()) {
            return false;
        }
        let all = self.engine.extends.router().await.routes().count();
        has_room(self.all, usize::try_from(all).unwrap_or(0))
    }
}

struct LimitHandler(Arc<SubscriptionLimits>);

#[async_trait]
impl Handler for LimitHandler {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        if let Parameter::ClientSubscribeCheckAcl(session, subscribe) = parameter
            && acc.is_none()
            && !self.0.allows(session, subscribe).await
        {
            self.0.refused.fetch_add(1, Ordering::Relaxed);
            let refusal = SubscribeReturn::new_failure(SubscribeAckReason::QuotaExceeded);
            return (true, Some(HookResult::SubscribeAclResult(refusal)));
        }
        (true, acc)
    }
}
