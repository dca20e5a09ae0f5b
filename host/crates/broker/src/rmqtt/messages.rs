//! Turns RMQTT's hooks about messages into events.
//!
//! Calling a handler costs RMQTT a lock that all clients share and two allocations, more than most handlers do
//! themselves. So only authorisation has a handler for every publish, because only there can a topic be refused.
//! `message.publish` and `message.dropped` are emitted where messages are routed
//! ([`ClientTable`](super::peers::ClientTable)): once for each accepted publish, of clients and of others. All other
//! handlers (`message_handlers`) are registered on demand (`frequent`). Events share texts and payloads with RMQTT's messages; nothing is
//! copied.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::BoxFuture;

use ::rmqtt::hook::HookResult;
use ::rmqtt::session::Session as RmqttSession;
use ::rmqtt::types::{From as Sender, FromType, Id as ClientKey, Publish, Reason, SubscriptionOptions};

use super::handler::EventSource;
use super::reason::drop_reason;
use super::{oversize, peers, translate};
use hookhost_access::Decision;
use hookhost_access::rules::{Action, Operation};
use hookhost_contract::Completion;
use hookhost_event::{Delivery, DeliveryDrop, Detail, DropReason, Hook, Message, MessageDrop, Property, TopicFilter};
use hookhost_hooks::Recipients;

/// The hooks about copies of a message, which need the message's tag to have its id.
pub(super) const FOLLOWING: [Hook; 4] = [
    Hook::MessageDelivered,
    Hook::MessageAcked,
    Hook::DeliveryDropped,
    Hook::MessageQueued,
];

impl EventSource {
    /// The publish with a tag; if another handler has changed the publish, that one is tagged.
    pub(super) fn tagged(&self, publish: &Publish, acc: Option<HookResult>) -> Option<HookResult> {
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
            let ending = if is_last { self.client_behind(&sender.id) } else { None };
            match ending {
                Some(client) => self.emit_events(Some(client.hold(event))).await,
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

    pub(super) async fn delivery(&self, session: &RmqttSession, sender: &Sender, publish: &Publish) -> Delivery {
        let receiver = self.client(&session.id, session.protocol().await.unwrap_or(0));
        translate::delivery(receiver, self.message(sender, publish), publish)
    }

    pub(super) async fn refused(&self, sender: &Sender, publish: &Publish, reason: &Reason) {
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

    pub(super) async fn delivery_dropped(
        &self,
        receiver: &ClientKey,
        sender: &Sender,
        publish: &Publish,
        reason: &Reason,
    ) {
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
pub(super) fn operation(publish: &Publish) -> Operation<'_> {
    Operation {
        action: Action::Publish,
        topic: &publish.topic,
        qos: publish.qos.value(),
        retain: publish.retain,
    }
}

fn is_will(sender: &Sender) -> bool {
    matches!(sender.typ(), FromType::LastWill)
}
