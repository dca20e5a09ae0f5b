//! What RMQTT's hooks say about subscriptions and permissions, turned into events.
//!
//! RMQTT tells of a SUBSCRIBE before it asks whether the client may; here it is told by the hook of authorisation, the
//! last one before the subscription comes into force, which knows the answer. What RMQTT does not hand on from one hook
//! to the next, whether a filter is new and which QoS a subscription had, is looked up in time and noted.

use bytestring::ByteString;

use ::rmqtt::session::Session as Held;
use ::rmqtt::types::{Subscribe, SubscribeAclResult, Unsubscribe};

use super::handler::Watch;
use super::translate;
use hookhost_event::{Access, Authorization, Detail, Hook, OtherEvent};

impl Watch {
    pub(super) async fn subscribe(&self, held: &Held, subscribe: &Subscribe) {
        let filter = Some(subscribe.topic_filter.as_ref());
        let wanted = [Hook::ClientSubscribe, Hook::SessionSubscribed].map(|hook| self.bus.interested(hook, filter));
        if wanted.iter().all(|to| to.is_empty()) {
            return;
        }
        let held_before = match held.subscriptions().await {
            Ok(subscriptions) => subscriptions.read().await.contains_key(&subscribe.topic_filter),
            Err(_) => false,
        };
        self.sessions.note_subscribe(&held.id.client_id, !held_before);
        if self.is_superuser(held).await {
            self.subscription(Hook::ClientSubscribe, held, subscribe, subscribe.opts.qos_value())
                .await;
        }
    }

    /// The last hook before a subscription comes into force; superusers do not come by.
    pub(super) async fn subscribe_judged(
        &self,
        held: &Held,
        subscribe: &Subscribe,
        decision: Option<&SubscribeAclResult>,
    ) {
        let filter = subscribe.topic_filter.as_ref();
        let refused = decision.filter(|decision| decision.failure());
        self.authorized(
            held,
            Access::Subscribe,
            &subscribe.topic_filter,
            refused.is_none(),
            decision.is_some(),
        )
        .await;
        if !self.bus.interested(Hook::ClientSubscribe, Some(filter)).is_empty() {
            let code = refused.map_or(subscribe.opts.qos_value(), |refused| u8::from(refused.ack_reason));
            self.subscription(Hook::ClientSubscribe, held, subscribe, code).await;
        }
    }

    pub(super) async fn subscription(&self, hook: Hook, held: &Held, subscribe: &Subscribe, code: u8) {
        let version = held.protocol().await.unwrap_or(0);
        self.tell(hook, Some(&subscribe.topic_filter), || {
            let client = translate::client(&held.id, version);
            let is_new = self.sessions.was_new(&held.id.client_id);
            let subscription = translate::subscription(client, &subscribe.topic_filter, &subscribe.opts, code, is_new);
            if hook == Hook::ClientSubscribe {
                Detail::ClientSubscribe(subscription)
            } else {
                Detail::SessionSubscribed(subscription)
            }
        })
        .await;
    }

    /// Tells what authorisation, which is over, has decided.
    pub(super) async fn authorized(
        &self,
        held: &Held,
        access: Access,
        topic: &ByteString,
        allowed: bool,
        judged: bool,
    ) {
        let to = self.bus.interested(Hook::ClientAuthorized, Some(topic));
        if to.is_empty() {
            return;
        }
        let version = held.protocol().await.unwrap_or(0);
        let authorization = Authorization {
            client: translate::client(&held.id, version),
            access,
            topic: topic.clone(),
            allowed,
            source: ByteString::from_static(if judged { "rmqtt" } else { "default" }),
        };
        self.bus
            .emit(to, self.clock.event(Detail::ClientAuthorized(authorization)))
            .await;
    }

    pub(super) async fn unsubscribe(&self, held: &Held, unsubscribe: &Unsubscribe) {
        let filter = Some(unsubscribe.topic_filter.as_ref());
        let wanted = [Hook::ClientUnsubscribe, Hook::SessionUnsubscribed].map(|hook| self.bus.interested(hook, filter));
        if wanted.iter().all(|to| to.is_empty()) {
            return;
        }
        let had = match held.subscriptions().await {
            Ok(subscriptions) => subscriptions
                .read()
                .await
                .get(&unsubscribe.topic_filter)
                .map(|options| options.qos_value()),
            Err(_) => None,
        };
        self.sessions.note_unsubscribe(&held.id.client_id, had);
        self.unsubscription(Hook::ClientUnsubscribe, held, unsubscribe).await;
    }

    pub(super) async fn unsubscription(&self, hook: Hook, held: &Held, unsubscribe: &Unsubscribe) {
        let version = held.protocol().await.unwrap_or(0);
        self.tell(hook, Some(&unsubscribe.topic_filter), || {
            let had = self.sessions.had_qos(&held.id.client_id);
            let unsubscription = translate::unsubscription(translate::client(&held.id, version), unsubscribe, had);
            if hook == Hook::ClientUnsubscribe {
                Detail::ClientUnsubscribe(unsubscription)
            } else {
                Detail::SessionUnsubscribed(unsubscription)
            }
        })
        .await;
    }

    /// A client has asked whether the broker is there.
    pub(super) async fn pinged(&self, held: &Held) {
        const NAME: &str = "client.ping";
        let version = held.protocol().await.unwrap_or(0);
        self.tell(Hook::Other, Some(NAME), || {
            Detail::Other(OtherEvent {
                name: ByteString::from_static(NAME),
                client: Some(translate::client(&held.id, version)),
                data: ByteString::from_static("{}"),
            })
        })
        .await;
    }
}
