//! PUBLISH of the client, and the answer of the upstream.
//!
//! A publish is reported when it passes, before the upstream has it: so it comes before its deliveries, and a publish
//! that the upstream then refuses is reported as both. Only MQTT 5 says that there are no subscribers or that a publish
//! is refused, and only above QoS 0.

use std::collections::HashMap;

use super::aliases::Aliases;
use super::connection_state::{ConnectionState, message_bytes};
use super::step::{Action, Counter, Step};
use super::wanted_publish::WantedPublish;
use crate::frame::Frame;
use crate::packet::{InvalidPacket, Packet, is_topic, kind, publish_id, topic};
use crate::publisher_property::PublisherProperty;
use hookhost_event::{Access, Authorization, ByteString, Detail, DropReason, Hook, Message, MessageDrop, Origin};
use hookhost_hooks::InterestedIn;

/// Hooks whose events need to know who published a message.
const NEED_PUBLISHER: [Hook; 4] = [
    Hook::MessageDelivered,
    Hook::MessageAcked,
    Hook::DeliveryDropped,
    Hook::MessageQueued,
];

/// All hooks that a publish may concern.
const PUBLISH_HOOKS: [Hook; 8] = [
    Hook::MessagePublish,
    Hook::MessageRefused,
    Hook::MessageDropped,
    Hook::ClientAuthorized,
    Hook::MessageDelivered,
    Hook::MessageAcked,
    Hook::DeliveryDropped,
    Hook::MessageQueued,
];

/// Publishes of the client.
#[derive(Default)]
pub(super) struct Publishes {
    /// Aliases that the client sets.
    aliases: Aliases,
    /// Publishes that the upstream has not answered and whose answer may be an event, by packet identifier.
    unanswered: HashMap<u16, Message>,
}

impl Publishes {
    /// No publishes; the upstream accepts aliases up to this maximum.
    pub(super) fn new(alias_maximum: u16) -> Publishes {
        Publishes {
            aliases: Aliases::new(alias_maximum),
            unanswered: HashMap::new(),
        }
    }

    /// PUBLISH of the client. `property`: the property that the packet will carry. Costs one look-up of interests.
    pub(super) fn publish(
        &mut self,
        state: &mut ConnectionState,
        frame: Frame<'_>,
        property: Option<PublisherProperty>,
        step: &mut Step<'_>,
    ) -> Result<(), InvalidPacket> {
        let sent = topic(frame.body).ok_or(InvalidPacket(129))?;
        let qos = frame.first >> 1 & 3;
        if qos == 2
            && let Some(id) = publish_id(frame)
            && !state.session().begin(id)
        {
            match state.session().completion(id) {
                // Its requests are lost, so it counts as a new publish.
                Some(completion) if completion.is_lost() => {}
                Some(completion) => {
                    step.push(Action::HoldAck(id, completion));
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
        let is_needed = |interested: &InterestedIn, step: &Step<'_>| is_needed(interested, qos, step);
        let wanted = WantedPublish::decode(frame, sent, &PUBLISH_HOOKS, is_needed, &mut self.aliases, state, step)?;
        if let Some(wanted) = wanted {
            self.published(state, wanted, property, step);
        }
        Ok(())
    }

    fn published(
        &mut self,
        state: &mut ConnectionState,
        wanted: WantedPublish,
        property: Option<PublisherProperty>,
        step: &mut Step<'_>,
    ) {
        let WantedPublish {
            publish,
            topic,
            interested,
        } = wanted;
        let (id, received_at) = match property {
            Some(property) => (property.id, property.received_at),
            None => (step.new_id(), step.now),
        };
        let message = Message {
            id,
            publisher: state.client(),
            origin: Origin::Client,
            topic,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
            packet_id: publish.id,
            received_at,
            properties: publish.properties,
            republishes: 0,
        };
        if !is_topic(&message.topic) {
            state.fault = Some(144);
            refused(message, DropReason::Invalid, 144, &interested, step);
            return;
        }
        remember(&message, &interested, step);
        let mut to = interested.of(Hook::MessagePublish);
        if let Some(id) = message.packet_id
            && let Some(completion) = to.hold()
        {
            if message.qos == 2 {
                state.session().hold_ack(id, completion.clone());
            }
            step.push(Action::HoldAck(id, completion));
        }
        if !to.is_empty() {
            step.push(Action::Emit(Detail::MessagePublish(message.clone()), to));
        }
        match message.packet_id.filter(|_| state.version() == 5) {
            Some(id) => self.await_answer(state, id, message, &interested, step),
            None => without_subscribers(message, &interested, step),
        }
    }

    /// Keeps a publish whose answer may be an event.
    fn await_answer(
        &mut self,
        state: &mut ConnectionState,
        id: u16,
        message: Message,
        interested: &InterestedIn,
        step: &mut Step<'_>,
    ) {
        let hooks = [Hook::MessageDropped, Hook::MessageRefused, Hook::ClientAuthorized];
        if !hooks.into_iter().any(|hook| interested.wants(hook)) {
            return;
        }
        if let Some(old) = self.unanswered.remove(&id) {
            state.budget.give_back(message_bytes(&old));
        }
        if state.budget.take(message_bytes(&message)) {
            self.unanswered.insert(id, message);
        } else {
            step.count(Counter::Forgotten);
        }
    }

    /// PUBACK, PUBREC or PUBCOMP of the upstream.
    pub(super) fn answer(
        &mut self,
        state: &mut ConnectionState,
        frame: Frame<'_>,
        step: &mut Step<'_>,
    ) -> Result<(), InvalidPacket> {
        let kind = frame.kind();
        if self.unanswered.is_empty() && kind == kind::PUBACK {
            return Ok(());
        }
        let Packet::Ack { id, code, .. } = state.decode(frame)? else {
            return Err(InvalidPacket(130));
        };
        if kind == kind::PUBCOMP || kind == kind::PUBREC && code >= 128 {
            state.session().complete(id);
        }
        if kind == kind::PUBCOMP {
            return Ok(());
        }
        let Some(message) = self.unanswered.remove(&id) else {
            return Ok(());
        };
        state.budget.give_back(message_bytes(&message));
        if code == 16 {
            let interested = step.interested_in(&[Hook::MessageDropped], Some(&message.topic));
            dropped(message, &interested, step);
        } else if code >= 128 {
            let hooks = [Hook::ClientAuthorized, Hook::MessageRefused];
            let interested = step.interested_in(&hooks, Some(&message.topic));
            if code == 135 {
                step.emit_to(&interested, Hook::ClientAuthorized, || {
                    Detail::ClientAuthorized(Authorization {
                        client: state.client(),
                        access: Access::Publish,
                        topic: message.topic.clone(),
                        allowed: false,
                        source: ByteString::from_static("upstream"),
                    })
                });
            }
            refused(message, drop_reason(code), code, &interested, step);
        }
        Ok(())
    }
}

/// Emits the events of a publish that the host's own rules deny. `source`: what has decided.
pub(super) fn denied(
    state: &ConnectionState,
    frame: Frame<'_>,
    topic: ByteString,
    source: &'static str,
    step: &mut Step<'_>,
) -> Result<(), InvalidPacket> {
    let hooks = [Hook::ClientAuthorized, Hook::MessageRefused];
    let interested = step.interested_in(&hooks, Some(&topic));
    step.emit_to(&interested, Hook::ClientAuthorized, || {
        Detail::ClientAuthorized(Authorization {
            client: state.client(),
            access: Access::Publish,
            topic: topic.clone(),
            allowed: false,
            source: ByteString::from_static(source),
        })
    });
    if !interested.wants(Hook::MessageRefused) {
        return Ok(());
    }
    let Packet::Publish(publish) = state.decode(frame)? else {
        return Err(InvalidPacket(130));
    };
    let message = Message {
        id: step.new_id(),
        publisher: state.client(),
        origin: Origin::Client,
        topic,
        payload: publish.payload,
        qos: publish.qos,
        retain: publish.retain,
        dup: publish.dup,
        packet_id: publish.id,
        received_at: step.now,
        properties: publish.properties,
        republishes: 0,
    };
    refused(message, DropReason::NotAuthorized, 135, &interested, step);
    Ok(())
}

/// Whether a publish may cause any event, now or later.
fn is_needed(interested: &InterestedIn, qos: u8, step: &Step<'_>) -> bool {
    interested.wants(Hook::MessagePublish)
        || interested.wants(Hook::MessageRefused)
        || (qos > 0 || step.sees_all_clients()) && interested.wants(Hook::MessageDropped)
        || step.publishes.is_some() && needs_publisher(interested)
}

fn needs_publisher(interested: &InterestedIn) -> bool {
    NEED_PUBLISHER.into_iter().any(|hook| interested.wants(hook))
}

/// Has the publisher of a message remembered, if an event may need it.
fn remember(message: &Message, interested: &InterestedIn, step: &mut Step<'_>) {
    if step.publishes.is_some() && needs_publisher(interested) {
        step.push(Action::RememberPublish(message.clone()));
    }
}

/// Reports that a message that no client has sent is published now: a will or a message of the host's own.
pub(crate) fn announce_publish(message: Message, step: &mut Step<'_>) {
    let interested = step.interested_in(&PUBLISH_HOOKS, Some(&message.topic));
    remember(&message, &interested, step);
    step.emit_to(&interested, Hook::MessagePublish, || {
        Detail::MessagePublish(message.clone())
    });
    without_subscribers(message, &interested, step);
}

/// Reports that a message has no subscribers, if this gateway knows every client and the upstream will not report it.
fn without_subscribers(message: Message, interested: &InterestedIn, step: &mut Step<'_>) {
    if interested.wants(Hook::MessageDropped) && step.has_no_subscriber(&message.topic) {
        dropped(message, interested, step);
    }
}

fn dropped(message: Message, interested: &InterestedIn, step: &mut Step<'_>) {
    step.emit_to(interested, Hook::MessageDropped, || {
        Detail::MessageDropped(MessageDrop {
            message,
            reason: DropReason::NoSubscribers,
            code: 16,
            text: None,
        })
    });
}

fn refused(message: Message, reason: DropReason, code: u8, interested: &InterestedIn, step: &mut Step<'_>) {
    step.emit_to(interested, Hook::MessageRefused, || {
        Detail::MessageRefused(MessageDrop {
            message,
            reason,
            code,
            text: None,
        })
    });
}

/// The reason behind the code of a PUBACK or PUBREC.
fn drop_reason(code: u8) -> DropReason {
    match code {
        135 => DropReason::NotAuthorized,
        144 | 153 => DropReason::Invalid,
        145 => DropReason::PacketIdInUse,
        147 => DropReason::ReceiveMaximumExceeded,
        151 => DropReason::LimitExceeded,
        _ => DropReason::Other,
    }
}
