//! Turns RMQTT's hooks about subscriptions and permissions into events.
//!
//! RMQTT's own hook for SUBSCRIBE runs before authorisation. `client.subscribe` is emitted by the hook of authorisation,
//! the last one before the subscription is in force, because that one knows the result. RMQTT does not pass on whether
//! a filter is new or which QoS a subscription had; both are looked up in an earlier hook and noted in
//! [`Sessions`](super::sessions::Sessions).

use std::sync::atomic::Ordering;

use bytestring::ByteString;

use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::types::{Id as ClientKey, Publish, Subscribe, SubscribeAclResult, Unsubscribe};

use super::handler::EventSource;
use super::translate;
use hookhost_event::{Access, Authorization, Detail, Hook, OtherEvent};

/// What a client asks permission for.
pub(super) struct AccessRequest<'a> {
    pub(super) access: Access,
    pub(super) topic: &'a ByteString,
    pub(super) qos: u8,
    pub(super) retain: bool,
}

impl<'a> AccessRequest<'a> {
    pub(super) fn of_publish(publish: &'a Publish) -> AccessRequest<'a> {
        AccessRequest {
            access: Access::Publish,
            topic: &publish.topic,
            qos: publish.qos.value(),
            retain: publish.retain,
        }
    }
}

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
        if self.is_superuser(session).await {
            self.subscription(Hook::ClientSubscribe, session, subscribe, subscribe.opts.qos_value())
                .await;
        }
    }

    /// Runs in the last hook before a subscription is in force, which RMQTT does not call for superusers.
    pub(super) async fn subscribe_judged(
        &self,
        session: &RmqttSession,
        subscribe: &Subscribe,
        decision: Option<&SubscribeAclResult>,
    ) {
        let filter = subscribe.topic_filter.as_ref();
        let refused = decision.filter(|decision| decision.failure());
        let request = AccessRequest {
            access: Access::Subscribe,
            topic: &subscribe.topic_filter,
            qos: subscribe.opts.qos_value(),
            retain: false,
        };
        self.authorized(&session.id, request, refused.is_none(), decision.is_some())
            .await;
        if !self.emitter.interested(Hook::ClientSubscribe, Some(filter)).is_empty() {
            let code = refused.map_or(subscribe.opts.qos_value(), |refused| u8::from(refused.ack_reason));
            self.subscription(Hook::ClientSubscribe, session, subscribe, code).await;
        }
    }

    pub(super) async fn subscription(&self, hook: Hook, session: &RmqttSession, subscribe: &Subscribe, code: u8) {
        let version = session.protocol().await.unwrap_or(0);
        self.emitter
            .emit(hook, Some(&subscribe.topic_filter), || {
                let client = self.client(&session.id, version);
                let is_new = self.sessions.was_new(&session.id.client_id);
                let subscription =
                    translate::subscription(client, &subscribe.topic_filter, &subscribe.opts, code, is_new);
                if hook == Hook::ClientSubscribe {
                    Detail::ClientSubscribe(subscription)
                } else {
                    Detail::SessionSubscribed(subscription)
                }
            })
            .await;
    }

    /// Emits the decision of authorisation; `judged`: a handler made it, rather than the default.
    pub(super) async fn authorized(&self, key: &ClientKey, request: AccessRequest<'_>, allowed: bool, judged: bool) {
        let AccessRequest {
            access,
            topic,
            qos,
            retain,
        } = request;
        let to = self.emitter.interested(Hook::ClientAuthorized, Some(topic));
        if to.is_empty() {
            return;
        }
        let version = self.sessions.protocol_version(&key.client_id);
        let authorization = Authorization {
            client: self.client(key, version),
            access,
            topic: topic.clone(),
            qos,
            retain,
            allowed,
            source: ByteString::from_static(if judged { "rmqtt" } else { "default" }),
        };
        self.emitter.emit_to(to, Detail::ClientAuthorized(authorization)).await;
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
                let unsubscription = translate::unsubscription(self.client(&session.id, version), unsubscribe, had);
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
