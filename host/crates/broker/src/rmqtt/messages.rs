//! Turns RMQTT's hooks about messages into events.
//!
//! Calling a handler costs RMQTT a lock that all clients share and two allocations, more than most handlers do
//! themselves. So only authorisation has a handler for every publish, because only there can a topic be refused.
//! `message.publish` and `message.dropped` are emitted where messages are routed
//! ([`ClientTable`](super::peers::ClientTable)): once for each accepted publish, of clients and of others. All other
//! handlers are registered on demand (`frequent`). Events share texts and payloads with RMQTT's messages; nothing is
//! copied.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytestring::ByteString;
use futures::future::BoxFuture;

use ::rmqtt::codec::types::QoS;
use ::rmqtt::codec::v5::PublishAckReason;
use ::rmqtt::hook::{Handler, HookResult, Parameter, ReturnType};
use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::types::{
    From as Sender, FromType, Id as ClientKey, Publish, PublishAclResult, PublishResult, Reason, SubscriptionOptions,
};

use super::handler::EventSource;
use super::reason::drop_reason;
use super::{oversize, peers, translate};
use hookhost_access::rules::{Action, Operation};
use hookhost_access::{Decision, DenyAction};
use hookhost_contract::Completion;
use hookhost_event::{
    Acknowledgement, Delivery, DeliveryDrop, Detail, DropReason, Hook, Message, MessageDrop, Property, TopicFilter,
};
use hookhost_hooks::Recipients;

/// The hooks about copies of a message, which need the message's tag to have its id.
const FOLLOWING: [Hook; 4] = [
    Hook::MessageDelivered,
    Hook::MessageAcked,
    Hook::DeliveryDropped,
    Hook::MessageQueued,
];

impl EventSource {
    /// The publish with a tag; if another handler has changed the publish, that one is tagged.
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

    /// Emits the events of an accepted publish that is about to be routed; `anybody`: it has receivers. Returns a future
    /// only if there is something to wait for, because this runs for every publish. The future returns what the
    /// publisher's acknowledgement has to wait for.
    pub(super) fn routed<'a>(
        self: &'a Arc<EventSource>,
        sender: &'a Sender,
        publish: &'a Publish,
        anybody: bool,
    ) -> Option<BoxFuture<'a, Option<Completion>>> {
        let topic = Some(&*publish.topic);
        let unwanted = !anybody && self.emitter.wants(&[Hook::MessageDropped], topic);
        let may_exclude = self.no_local.load(Ordering::Relaxed) && matches!(sender.typ(), FromType::Custom);
        if unwanted || may_exclude || is_will(sender) || oversize::nearly_fills(publish, self.limits.max_packet_size) {
            return Some(Box::pin(self.routed_unusually(sender, publish, unwanted, may_exclude)));
        }
        let mut to = self.wanting(sender, publish);
        if to.is_empty() {
            return None;
        }
        let held = hold(&mut to, sender, publish);
        let detail = Detail::MessagePublish(self.accepted(sender, publish));
        let waiting = self.emitter.offer_to(to, detail);
        if waiting.is_none() && held.is_none() {
            return None;
        }
        Some(Box::pin(async {
            if let Some(waiting) = waiting {
                waiting.finish().await;
            }
            held
        }))
    }

    /// The same for a publish without receivers when a module wants `message.dropped`, for one whose sender may have
    /// excluded its own messages, for a will, and for one that may be too long for a receiver.
    async fn routed_unusually(
        self: &Arc<EventSource>,
        sender: &Sender,
        publish: &Publish,
        unwanted: bool,
        may_exclude: bool,
    ) -> Option<Completion> {
        if oversize::nearly_fills(publish, self.limits.max_packet_size) {
            self.oversize.register(self).await;
        }
        if is_will(sender) {
            // RMQTT publishes a will without asking; it was checked at CONNECT.
            let operation = operation(publish);
            self.authorized(&sender.id, &publish.topic, &operation, Decision::UNRESTRICTED)
                .await;
        }
        let excluded = if may_exclude {
            self.excluded(sender, publish).await
        } else {
            Vec::new()
        };
        let unwanted = unwanted && excluded.is_empty();
        let mut to = self.wanting(sender, publish);
        if to.is_empty() && !unwanted && excluded.is_empty() {
            return None;
        }
        let held = hold(&mut to, sender, publish);
        // All events are about one message, with one id.
        let message = self.accepted(sender, publish);
        if !to.is_empty() {
            let event = self.emitter.event(Detail::MessagePublish(message.clone()));
            let is_last = is_will(sender) && self.conventions.reports_wills_last();
            match self.sessions.ending(&sender.id).filter(|_| is_last) {
                Some(client) => {
                    // A connection has one will.
                    client.hold(event);
                }
                None => self.emitter.emit_event_to(to, event).await,
            }
        }
        for options in excluded {
            self.not_sent_back(&message, publish, &options).await;
        }
        if unwanted {
            self.emitter
                .emit(Hook::MessageDropped, Some(&publish.topic), || {
                    Detail::MessageDropped(MessageDrop {
                        message,
                        reason: DropReason::NoSubscribers,
                        code: 16,
                        text: None,
                    })
                })
                .await;
        }
        held
    }

    /// The options of the sender's subscriptions to this topic that exclude its own messages.
    async fn excluded(&self, sender: &Sender, publish: &Publish) -> Vec<SubscriptionOptions> {
        let entry = self.engine.extends.shared().await.entry(sender.id.clone());
        let Some(session) = entry.session().filter(|session| session.id == sender.id) else {
            return Vec::new();
        };
        let Ok(subscriptions) = session.subscriptions().await else {
            return Vec::new();
        };
        let subscriptions = subscriptions.read().await;
        let excluding = subscriptions.iter().filter(|(filter, options)| {
            let filter = || filter.parse::<TopicFilter>();
            options.no_local() == Some(true) && filter().is_ok_and(|filter| filter.matches(&publish.topic))
        });
        excluding.map(|(_, options)| options.clone()).collect()
    }

    /// Emits that a client does not get its own message, because of a subscription with these options.
    async fn not_sent_back(&self, message: &Message, publish: &Publish, options: &SubscriptionOptions) {
        self.emitter
            .emit(Hook::DeliveryDropped, Some(&publish.topic), || {
                let ids = options.subscription_identifier().map(|id| vec![id]);
                let copy = peers::copy(publish, options, ids);
                Detail::DeliveryDropped(DeliveryDrop {
                    delivery: translate::delivery(message.publisher.clone(), message.clone(), &copy),
                    reason: DropReason::NoLocal,
                    code: 0,
                    text: None,
                })
            })
            .await;
    }

    /// The modules that want `message.publish` for it and have room.
    pub(super) fn wanting(&self, sender: &Sender, publish: &Publish) -> Recipients {
        self.emitter
            .interested_with_room(Hook::MessagePublish, Some(&publish.topic), &sender.client_id)
    }

    /// A message as it is accepted.
    pub(super) fn accepted(&self, sender: &Sender, publish: &Publish) -> Message {
        self.message_of(sender, publish, true)
    }

    /// A message on its way to a receiver.
    fn message(&self, sender: &Sender, publish: &Publish) -> Message {
        self.message_of(sender, publish, false)
    }

    fn message_of(&self, sender: &Sender, publish: &Publish, published: bool) -> Message {
        let version = self.sessions.protocol_version(&sender.client_id);
        let publisher = self.own_key(&sender.id);
        let mut message = translate::message(&self.numbers, sender, &publisher, version, publish, published);
        // RMQTT does not keep it with the will; it is known as long as the session is.
        if is_will(sender)
            && let Some(delay) = self.sessions.will_delay(&sender.id)
        {
            let properties = message.properties.get_or_insert_default();
            properties.standard.push(Property::WillDelayInterval(delay));
        }
        message
    }

    async fn delivery(&self, session: &RmqttSession, sender: &Sender, publish: &Publish) -> Delivery {
        let receiver = self.client(&session.id, session.protocol().await.unwrap_or(0));
        translate::delivery(receiver, self.message(sender, publish), publish)
    }

    async fn refused(&self, sender: &Sender, publish: &Publish, reason: &Reason) {
        self.emitter
            .emit(Hook::MessageRefused, Some(&publish.topic), || {
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
        self.emitter
            .emit(Hook::DeliveryDropped, Some(&publish.topic), || {
                let version = self.sessions.protocol_version(&receiver.client_id);
                let receiver = self.client(receiver, version);
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

/// Gives a ticket to the modules with a durable interest, if the publish is acknowledged at all. Returns what the
/// acknowledgement waits for.
pub(super) fn hold(to: &mut Recipients, sender: &Sender, publish: &Publish) -> Option<Completion> {
    let is_acknowledged = publish.packet_id.is_some() && matches!(sender.typ(), FromType::Custom);
    if is_acknowledged { to.hold() } else { None }
}

/// What a publish asks permission for.
fn operation(publish: &Publish) -> Operation<'_> {
    Operation {
        action: Action::Publish,
        topic: &publish.topic,
        qos: publish.qos.value(),
        retain: publish.retain,
    }
}

fn has_wildcard(topic: &str) -> bool {
    topic.contains(['+', '#'])
}

fn is_will(sender: &Sender) -> bool {
    matches!(sender.typ(), FromType::LastWill)
}

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
