//! What RMQTT says about messages, turned into events.
//!
//! A call of a handler costs RMQTT more than most handlers do: a lock that all clients share, and two allocations. So
//! only authorisation has one for every publish, because that is where a topic can be refused. `message.publish`, and
//! whether nobody was subscribed, is told where messages are routed ([`Peers`](super::peers::Peers)): once for each
//! publish that is accepted, of whatever kind its sender is. All other handlers are there only while somebody asks
//! (`frequent`). Events share their texts and payload with RMQTT's messages, nothing is copied.

use std::sync::Arc;

use async_trait::async_trait;
use bytestring::ByteString;
use futures::future::BoxFuture;

use ::rmqtt::codec::v5::PublishAckReason;
use ::rmqtt::hook::{Handler, HookResult, Parameter, ReturnType};
use ::rmqtt::session::Session as Held;
use ::rmqtt::types::{From as Sender, Id as ClientKey, Publish, PublishAclResult, PublishResult, Reason};

use super::handler::Watch;
use super::reason::drop_reason;
use super::{oversize, translate};
use hookhost_event::{Access, Acknowledgement, Delivery, DeliveryDrop, Detail, DropReason, Hook, Message, MessageDrop};
use hookhost_hooks::Interested;

/// The hooks that tell about copies of a message, which have to be recognised as such.
const FOLLOWING: [Hook; 4] = [
    Hook::MessageDelivered,
    Hook::MessageAcked,
    Hook::DeliveryDropped,
    Hook::MessageQueued,
];

impl Watch {
    /// The publish with a tag, in place of what another handler left or of the publish itself.
    fn tagged(&self, publish: &Publish, acc: Option<HookResult>) -> Option<HookResult> {
        match acc {
            Some(HookResult::Publish(mut changed)) => {
                self.numbers.tag(&mut changed);
                Some(HookResult::Publish(changed))
            }
            None => {
                let mut publish = publish.clone();
                self.numbers.tag(&mut publish);
                Some(HookResult::Publish(publish))
            }
            other => other,
        }
    }

    /// A publish is accepted and about to be handed to its receivers, if there is one. What is left to wait for, if
    /// anything: this is done for every publish, so the usual case costs no future.
    pub(super) fn routed<'a>(
        self: &'a Arc<Watch>,
        sender: &'a Sender,
        publish: &'a Publish,
        anybody: bool,
    ) -> Option<BoxFuture<'a, ()>> {
        let topic = Some(&*publish.topic);
        let unwanted = !anybody && self.bus.wants(&[Hook::MessageDropped], topic);
        if unwanted || oversize::nearly_fills(publish, self.listening.limits.max_packet_size) {
            return Some(Box::pin(self.routed_unusually(sender, publish, unwanted)));
        }
        let to = self.wanting(sender, publish);
        if to.is_empty() {
            return None;
        }
        let event = self.clock.event(Detail::MessagePublish(self.accepted(sender, publish)));
        let waiting = self.bus.offer(to, event)?;
        Some(Box::pin(waiting.finish()))
    }

    /// The same for a publish that nobody gets and somebody wants to know of, or that may be too long for a receiver.
    async fn routed_unusually(self: &Arc<Watch>, sender: &Sender, publish: &Publish, unwanted: bool) {
        if oversize::nearly_fills(publish, self.listening.limits.max_packet_size) {
            self.oversize.look(self).await;
        }
        let to = self.wanting(sender, publish);
        if to.is_empty() && !unwanted {
            return;
        }
        // Both events are about one message, with one id.
        let message = self.accepted(sender, publish);
        if !to.is_empty() {
            let event = self.clock.event(Detail::MessagePublish(message.clone()));
            self.bus.emit(to, event).await;
        }
        if unwanted {
            self.tell(Hook::MessageDropped, Some(&publish.topic), || {
                Detail::MessageDropped(MessageDrop {
                    message,
                    reason: DropReason::NoSubscribers,
                    code: 16,
                    text: None,
                })
            })
            .await;
        }
    }

    /// Who wants to know that a publish is accepted, and has room.
    fn wanting(&self, sender: &Sender, publish: &Publish) -> Interested {
        self.bus
            .interested_with_room(Hook::MessagePublish, Some(&publish.topic), &sender.client_id)
    }

    /// A message as it is accepted.
    fn accepted(&self, sender: &Sender, publish: &Publish) -> Message {
        let version = self.sessions.protocol_version(&sender.client_id);
        translate::message(&self.numbers, sender, version, publish, true)
    }

    /// A message on its way, as its publisher's session, if there is one, lets it be told.
    fn message(&self, sender: &Sender, publish: &Publish) -> Message {
        let version = self.sessions.protocol_version(&sender.client_id);
        translate::message(&self.numbers, sender, version, publish, false)
    }

    async fn delivery(&self, held: &Held, sender: &Sender, publish: &Publish) -> Delivery {
        let receiver = translate::client(&held.id, held.protocol().await.unwrap_or(0));
        translate::delivery(receiver, self.message(sender, publish), publish)
    }

    async fn refused(&self, sender: &Sender, publish: &Publish, reason: &Reason) {
        self.tell(Hook::MessageRefused, Some(&publish.topic), || {
            let (reason, code, text) = drop_reason(reason, false);
            Detail::MessageRefused(MessageDrop {
                message: self.accepted(sender, publish),
                reason,
                code,
                text,
            })
        })
        .await;
    }

    async fn delivery_dropped(&self, receiver: &ClientKey, sender: &Sender, publish: &Publish, reason: &Reason) {
        let too_large = self.oversize.take(receiver);
        self.tell(Hook::DeliveryDropped, Some(&publish.topic), || {
            let version = self.sessions.protocol_version(&receiver.client_id);
            let receiver = translate::client(receiver, version);
            let delivery = translate::delivery(receiver, self.message(sender, publish), publish);
            let (reason, code, text) = if too_large {
                (DropReason::TooLarge, 149, None)
            } else {
                drop_reason(reason, true)
            };
            Detail::DeliveryDropped(DeliveryDrop {
                delivery,
                reason,
                code,
                text,
            })
        })
        .await;
    }
}

/// Gives messages their tags, before they are routed or kept.
pub(super) struct Tagging(pub(super) Arc<Watch>);

#[async_trait]
impl Handler for Tagging {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        match parameter {
            Parameter::MessagePublish(_, _, publish) if self.0.bus.wants(&FOLLOWING, Some(&publish.topic)) => {
                (true, self.0.tagged(publish, acc))
            }
            _ => (true, acc),
        }
    }
}

/// Authorisation of a publish, after everybody else; refuses topics that RMQTT lets pass and MQTT does not.
pub(super) struct Authorizing(pub(super) Arc<Watch>);

#[async_trait]
impl Handler for Authorizing {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let Parameter::MessagePublishCheckAcl(held, publish) = parameter else {
            return (true, acc);
        };
        let watch = &*self.0;
        let (allowed, judged) = match &acc {
            Some(HookResult::PublishAclResult(decision)) => (decision.is_allow(), true),
            _ => (true, false),
        };
        if allowed && !watch.listening.limits.is_topic(&publish.topic) {
            let text = ByteString::from_static("not a topic to publish to");
            let refusal = PublishResult::reason_code(PublishAckReason::TopicNameInvalid, Some(text), true);
            return (true, Some(HookResult::PublishAclResult(PublishAclResult(refusal))));
        }
        if watch.bus.wants(&[Hook::ClientAuthorized], Some(&publish.topic)) {
            // In a box, because this is done for every publish and its future would be ten times as large.
            Box::pin(watch.authorized(held, Access::Publish, &publish.topic, allowed, judged)).await;
        }
        (true, acc)
    }
}

/// The end of the work on any packet, of which PINGREQ is told.
pub(super) struct Pings(pub(super) Arc<Watch>);

#[async_trait]
impl Handler for Pings {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        if let Parameter::ClientKeepalive(held, true) = parameter {
            self.0.pinged(held).await;
        }
        (true, acc)
    }
}

/// Messages on their way to one receiver.
pub(super) struct Deliveries(pub(super) Arc<Watch>);

#[async_trait]
impl Handler for Deliveries {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        let (hook, held, sender, publish) = match parameter {
            Parameter::MessageDelivered(held, sender, publish) => (Hook::MessageDelivered, held, sender, publish),
            Parameter::MessageAcked(held, sender, publish) => (Hook::MessageAcked, held, sender, publish),
            Parameter::OfflineMessage(held, sender, publish) => (Hook::MessageQueued, held, sender, publish),
            _ => return (true, acc),
        };
        let watch = &*self.0;
        let topic = Some(&*publish.topic);
        let to = watch.bus.interested_with_room(hook, topic, &held.id.client_id);
        if !to.is_empty() {
            let delivery = watch.delivery(held, sender, publish).await;
            let detail = match hook {
                Hook::MessageDelivered => Detail::MessageDelivered(delivery),
                // RMQTT does not hand on the code of PUBACK or PUBREC.
                Hook::MessageAcked => Detail::MessageAcked(Acknowledgement {
                    delivery,
                    code: 0,
                    properties: None,
                }),
                _ => Detail::MessageQueued(delivery),
            };
            watch.bus.emit(to, watch.clock.event(detail)).await;
        }
        (true, acc)
    }
}

/// Messages that go no further.
pub(super) struct Drops(pub(super) Arc<Watch>);

#[async_trait]
impl Handler for Drops {
    async fn hook(&self, parameter: &Parameter, acc: Option<HookResult>) -> ReturnType {
        match parameter {
            Parameter::MessageDropped(Some(receiver), sender, publish, reason) => {
                self.0.delivery_dropped(receiver, sender, publish, reason).await;
            }
            Parameter::MessageDropped(None, sender, publish, reason) => {
                self.0.refused(sender, publish, reason).await;
            }
            _ => {}
        }
        (true, acc)
    }
}
