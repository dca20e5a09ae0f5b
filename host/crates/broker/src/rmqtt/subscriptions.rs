//! Turns RMQTT's hooks about subscriptions and permissions into events.
//!
//! RMQTT's own hook for SUBSCRIBE runs before authorisation. `client.subscribe` is emitted by the hook of authorisation,
//! the last one before the subscription is active, because that one knows the result. RMQTT does not pass on whether
//! a filter is new or which QoS a subscription had; both are looked up in an earlier hook and noted in
//! [`Sessions`](super::sessions::Sessions).

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytestring::ByteString;

use ::rmqtt::codec::v5::SubscribeAckReason;
use ::rmqtt::hook::HookResult;
use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::types::{Id as ClientKey, Subscribe, SubscribeAclResult, Unsubscribe};

use super::handler::EventSource;
use super::translate;
use hookhost_access::Decision;
use hookhost_access::rules::{Action, Operation};
use hookhost_event::{Access, Authorization, Detail, Hook, OtherEvent, Pairs, Subscription, repeated_decision};

impl EventSource {
    pub(super) async fn subscribe(&self, session: &RmqttSession, subscribe: &Subscribe) {
        if subscribe.opts.no_local() == Some(true) {
            self.no_local.store(true, Ordering::Relaxed);
        }
        let filter = Some(subscribe.topic_filter.as_ref());
        let wanted = [Hook::ClientSubscribe, Hook::SessionSubscribed].map(|hook| self.emitter.interested(hook, filter));
        if wanted.iter().all(|to| to.is_empty()) {
            return;
        }
        let was_subscribed = match session.subscriptions().await {
            Ok(subscriptions) => subscriptions.read().await.contains_key(&subscribe.topic_filter),
            Err(_) => false,
        };
        self.sessions.note_subscribe(&session.id.client_id, !was_subscribed);
    }

    /// Decides about one filter, in the last hook before a subscription is active, and emits the decision. `limited` is
    /// the code if a limit does not allow it. Returns what RMQTT has to do, if it is not to accept the filter.
    pub(super) async fn authorize_subscription(
        &self,
        session: &RmqttSession,
        subscribe: &Subscribe,
        limited: Option<SubscribeAckReason>,
    ) -> Option<HookResult> {
        let filter = &subscribe.topic_filter;
        let operation = Operation {
            action: Action::Subscribe,
            topic: filter,
            qos: subscribe.opts.qos_value(),
            retain: false,
        };
        let decision = self.decide(&session.id, &operation).await;
        self.authorized(&session.id, filter, &operation, decision).await;
        let refused = if decision.allowed {
            limited.or_else(|| has_invalid_group(subscribe).then_some(SubscribeAckReason::TopicFilterInvalid))
        } else {
            Some(match self.access.denied_subscription_code() {
                128 => SubscribeAckReason::UnspecifiedError,
                _ => SubscribeAckReason::NotAuthorized,
            })
        };
        let code = refused.map_or(subscribe.opts.qos_value(), u8::from);
        let to = self.emitter.interested(Hook::ClientSubscribe, Some(filter));
        if !to.is_empty() {
            let subscription = self.subscription(session, subscribe, code).await;
            self.emitter.emit_to(to, Detail::ClientSubscribe(subscription)).await;
        }
        refused.map(|reason| HookResult::SubscribeAclResult(SubscribeAclResult::new_failure(reason)))
    }

    /// Whether a client may do something. A connection that is not known any more may do nothing, unless all may.
    pub(super) async fn decide(&self, key: &ClientKey, operation: &Operation<'_>) -> Decision {
        match self.sessions.access(key) {
            Some(access) => access.authorize(operation).await,
            None if self.access.is_unrestricted() => Decision::UNRESTRICTED,
            None => Decision {
                allowed: false,
                source: "default",
            },
        }
    }

    /// A subscription is active.
    pub(super) async fn subscribed(&self, session: &RmqttSession, subscribe: &Subscribe) {
        let filter = Some(subscribe.topic_filter.as_ref());
        let to = self.emitter.interested(Hook::SessionSubscribed, filter);
        if to.is_empty() {
            return;
        }
        let subscription = self.subscription(session, subscribe, subscribe.opts.qos_value()).await;
        let detail = Detail::SessionSubscribed(subscription);
        match self.client_behind(&session.id) {
            Some(client) if self.conventions.reports_subscriptions_last() => {
                self.emit_events(Some(client.hold(self.emitter.event(detail)))).await;
            }
            _ => self.emitter.emit_to(to, detail).await,
        }
    }

    /// A packet is handled: emits the events that were held back until then.
    pub(super) async fn handled(&self, session: &RmqttSession) {
        if self.conventions.reports_subscriptions_last() {
            let client = self.client_behind(&session.id);
            self.emit_events(client.map(|client| client.release())).await;
        }
    }

    async fn subscription(&self, session: &RmqttSession, subscribe: &Subscribe, code: u8) -> Subscription {
        let version = session.protocol().await.unwrap_or(0);
        let client = self.client(&session.id, version);
        let is_new = self.sessions.was_new(&session.id.client_id);
        translate::subscription(
            client,
            subscribe,
            code,
            is_new,
            self.sent_user(session, true, &subscribe.topic_filter),
        )
    }

    /// The user properties of the SUBSCRIBE, or UNSUBSCRIBE, of a filter.
    fn sent_user(&self, session: &RmqttSession, subscribes: bool, filter: &str) -> Pairs {
        let client = self.clients.of(&session.id);
        client
            .map(|client| client.user_properties(subscribes, filter))
            .unwrap_or_default()
    }

    /// Emits the decision of authorisation.
    pub(super) async fn authorized(
        &self,
        key: &ClientKey,
        topic: &ByteString,
        operation: &Operation<'_>,
        decision: Decision,
    ) {
        let to = self.emitter.interested(Hook::ClientAuthorized, Some(topic));
        if to.is_empty() {
            return;
        }
        let version = self.sessions.protocol_version(&key.client_id);
        let authorization = Authorization {
            client: self.client(key, version),
            access: match operation.action {
                Action::Publish => Access::Publish,
                Action::Subscribe => Access::Subscribe,
            },
            topic: topic.clone(),
            allowed: decision.allowed,
            source: ByteString::from_static(decision.source),
        };
        let mut event = self.emitter.event(Detail::ClientAuthorized(authorization));
        if self.is_repeated(key, operation, decision.allowed) {
            event.extras = repeated_decision();
        }
        self.emitter.emit_event_to(to, event).await;
    }

    /// Whether the same connection has got the same decision a short time ago. Remembers this one.
    fn is_repeated(&self, key: &ClientKey, operation: &Operation<'_>, allowed: bool) -> bool {
        self.client_behind(key).is_some_and(|client| {
            let mut decisions = client.decisions.lock().unwrap_or_else(PoisonError::into_inner);
            decisions.is_repeated(operation, allowed, Instant::now())
        })
    }

    pub(super) async fn unsubscribe(&self, session: &RmqttSession, unsubscribe: &Unsubscribe) {
        let filter = Some(unsubscribe.topic_filter.as_ref());
        let wanted =
            [Hook::ClientUnsubscribe, Hook::SessionUnsubscribed].map(|hook| self.emitter.interested(hook, filter));
        if wanted.iter().all(|to| to.is_empty()) {
            return;
        }
        let had = match session.subscriptions().await {
            Ok(subscriptions) => subscriptions
                .read()
                .await
                .get(&unsubscribe.topic_filter)
                .map(|options| options.qos_value()),
            Err(_) => None,
        };
        self.sessions.note_unsubscribe(&session.id.client_id, had);
        self.unsubscription(Hook::ClientUnsubscribe, session, unsubscribe).await;
    }

    pub(super) async fn unsubscription(&self, hook: Hook, session: &RmqttSession, unsubscribe: &Unsubscribe) {
        let version = session.protocol().await.unwrap_or(0);
        self.emitter
            .emit(hook, Some(&unsubscribe.topic_filter), || {
                let had = self.sessions.had_qos(&session.id.client_id);
                let user = self.sent_user(session, false, &unsubscribe.topic_filter);
                let client = self.client(&session.id, version);
                let unsubscription = translate::unsubscription(client, unsubscribe, had, user);
                if hook == Hook::ClientUnsubscribe {
                    Detail::ClientUnsubscribe(unsubscription)
                } else {
                    Detail::SessionUnsubscribed(unsubscription)
                }
            })
            .await;
    }

    /// A client has sent PINGREQ.
    pub(super) async fn pinged(&self, session: &RmqttSession) {
        const NAME: &str = "client.ping";
        let version = session.protocol().await.unwrap_or(0);
        self.emitter
            .emit(Hook::Other, Some(NAME), || {
                Detail::Other(OtherEvent {
                    name: ByteString::from_static(NAME),
                    client: Some(self.client(&session.id, version)),
                    data: ByteString::from_static("{}"),
                })
            })
            .await;
    }
}

/// Whether a shared subscription has a group that MQTT does not allow; RMQTT accepts any.
fn has_invalid_group(subscribe: &Subscribe) -> bool {
    let group = subscribe.opts.shared_group();
    group.is_some_and(|group| group.is_empty() || group.contains(['+', '#']))
}
