//! The handlers of RMQTT's hooks about messages; [`messages`](super::messages) says which of them are always registered.

use std::sync::Arc;

use async_trait::async_trait;
use bytestring::ByteString;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::codec::v5::PublishAckReason;
use ::rmqtt::hook::{Handler, HookResult, Parameter, ReturnType};
use ::rmqtt::types::{PublishAclResult, PublishResult, Reason};

use super::handler::EventSource;
use super::messages::{FOLLOWING, operation};
use hookhost_access::{Decision, DenyAction};
use hookhost_event::{Acknowledgement, Detail, Hook};

/// Gives messages their tags, before they are routed or kept.
pub(super) struct TagHandler(pub(super) Arc<EventSource>);

#[async_trait]
impl Handler for TagHandler {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        match parameter {
            Parameter::MessagePublish(_, _, publish) if self.0.emitter.wants(&FOLLOWING, Some(&publish.topic)) => {
                (true, self.0.tagged(publish, acc))
            }
            _ => (true, acc),
        }
    }
}

/// Authorisation of a publish; refuses also topics that RMQTT accepts although MQTT forbids them.
pub(super) struct AuthorizationHandler(pub(super) Arc<EventSource>);

#[async_trait]
impl Handler for AuthorizationHandler {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let Parameter::MessagePublishCheckAcl(session, publish) = parameter else {
            return (true, acc);
        };
        let source = &*self.0;
        if publish.dup
            && publish.qos == QoS::ExactlyOnce
            && let Some(repeated) = source.persistent.repeated(&session.id.client_id, publish)
        {
            Box::pin(source.repeated(&session.id, publish, repeated)).await;
            let repeated = PublishResult::reason_code(PublishAckReason::NoMatchingSubscribers, None, false);
            return (true, Some(HookResult::PublishAclResult(PublishAclResult(repeated))));
        }
        if !source.limits.is_topic(&publish.topic) {
            let text = ByteString::from_static("not a topic to publish to");
            let disconnects = source.conventions.disconnects_for_wildcards() || !has_wildcard(&publish.topic);
            let refusal = PublishResult::reason_code(PublishAckReason::TopicNameInvalid, Some(text), disconnects);
            return (true, Some(HookResult::PublishAclResult(PublishAclResult(refusal))));
        }
        if source.access.limits_publishes()
            && let Some(access) = source.sessions.access(&session.id)
            && !access.count_publish(publish.topic.len() + publish.payload.len())
        {
            let text = ByteString::from_static("publishes too fast");
            let refusal = PublishResult::reason_code(PublishAckReason::QuotaExceeded, Some(text), true);
            return (true, Some(HookResult::PublishAclResult(PublishAclResult(refusal))));
        }
        // Boxed, because this runs for every publish, and the futures would be ten times as large.
        let decision = if source.access.is_unrestricted() {
            Decision::UNRESTRICTED
        } else {
            Box::pin(source.decide(&session.id, &operation(publish))).await
        };
        if source.emitter.wants(&[Hook::ClientAuthorized], Some(&publish.topic)) {
            Box::pin(source.authorized(&session.id, &publish.topic, &operation(publish), decision)).await;
        }
        if decision.allowed {
            return (true, acc);
        }
        let disconnects = source.access.deny_action() == DenyAction::Disconnect;
        let refusal = PublishAclResult::rejected(disconnects, Some(ByteString::from_static("not authorized")));
        (true, Some(HookResult::PublishAclResult(refusal)))
    }
}

fn has_wildcard(topic: &str) -> bool {
    topic.contains(['+', '#'])
}

/// Runs after every packet: emits the events that its handling has held back, and an event for PINGREQ.
pub(super) struct PacketHandler(pub(super) Arc<EventSource>);

#[async_trait]
impl Handler for PacketHandler {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        if let Parameter::ClientKeepalive(session, is_ping) = parameter {
            self.0.handled(session).await;
            if *is_ping {
                self.0.pinged(session).await;
            }
        }
        (true, acc)
    }
}

/// Messages on their way to one receiver.
pub(super) struct DeliveryHandler(pub(super) Arc<EventSource>);

#[async_trait]
impl Handler for DeliveryHandler {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let (hook, session, sender, publish) = match parameter {
            Parameter::MessageDelivered(session, sender, publish) => {
                // The packet as another handler has changed it.
                let publish = match &acc {
                    Some(HookResult::Publish(changed)) => changed,
                    _ => *publish,
                };
                (Hook::MessageDelivered, session, sender, publish)
            }
            Parameter::MessageAcked(session, sender, publish) => (Hook::MessageAcked, session, sender, *publish),
            Parameter::OfflineMessage(session, sender, publish) => (Hook::MessageQueued, session, sender, *publish),
            _ => return (true, acc),
        };
        let source = &*self.0;
        let topic = Some(&*publish.topic);
        let to = source.emitter.interested_with_room(hook, topic, &session.id.client_id);
        if !to.is_empty() {
            let delivery = source.delivery(session, sender, publish).await;
            let detail = match hook {
                Hook::MessageDelivered => Detail::MessageDelivered(delivery),
                // RMQTT does not pass on the code of PUBACK or PUBREC.
                Hook::MessageAcked => Detail::MessageAcked(Acknowledgement {
                    delivery,
                    code: 0,
                    properties: None,
                }),
                _ => Detail::MessageQueued(delivery),
            };
            source.emitter.emit_to(to, detail).await;
        }
        (true, acc)
    }
}

/// Messages that were dropped or refused.
pub(super) struct DropHandler(pub(super) Arc<EventSource>);

#[async_trait]
impl Handler for DropHandler {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        match parameter {
            Parameter::MessageDropped(Some(receiver), sender, publish, reason) => {
                self.0.delivery_dropped(receiver, sender, publish, reason).await;
            }
            // A repetition of a publish: it was delivered before.
            Parameter::MessageDropped(None, _, publish, Reason::PublishResult(result))
                if publish.dup && result.reason_code == PublishAckReason::NoMatchingSubscribers => {}
            Parameter::MessageDropped(None, sender, publish, reason) => {
                self.0.refused(sender, publish, reason).await;
            }
            _ => {}
        }
        (true, acc)
    }
}
