//! PUBLISH of the upstream, and the acknowledgements of the client.
//!
//! The packet does not say who published the message: that is known if a gateway has added the [`PublisherProperty`], or
//! if the publish passed this gateway (see [`RecentPublishes`](crate::recent_publishes::RecentPublishes)). A
//! delivery above QoS 0 is kept until it is acknowledged, in the state of its session, so that a delivery that is
//! repeated after the client has come back is recognised as the same message.

use std::sync::atomic::Ordering;

use super::aliases::Aliases;
use super::connection_state::ConnectionState;
use super::step::{Counter, Step};
use super::wanted_publish::WantedPublish;
use crate::frame::Frame;
use crate::packet::{InvalidPacket, Packet, Publish, kind, topic};
use crate::publisher_property::PublisherProperty;
use crate::recent_publishes::WINDOW_MILLIS;
use crate::session_state::PendingDelivery;
use hookhost_event::{
    Acknowledgement, ByteString, Client, Delivery, DeliveryDrop, Detail, DropReason, Hook, Message, Origin, Properties,
};
use hookhost_hooks::InterestedIn;

/// All hooks that a delivery may concern.
const DELIVERY_HOOKS: [Hook; 3] = [Hook::MessageDelivered, Hook::MessageAcked, Hook::DeliveryDropped];

/// Deliveries to the client.
#[derive(Default)]
pub(super) struct Deliveries {
    /// Aliases that the upstream sets.
    aliases: Aliases,
    /// Place of the last delivery's publish in the order of publishes.
    last_found: u64,
}

impl Deliveries {
    /// No deliveries; the client accepts aliases up to this maximum.
    pub(super) fn new(alias_maximum: u16) -> Deliveries {
        Deliveries {
            aliases: Aliases::new(alias_maximum),
            last_found: 0,
        }
    }

    /// PUBLISH of the upstream. `property`: the property that the packet carried. Costs one look-up of interests.
    pub(super) fn delivery(
        &mut self,
        state: &mut ConnectionState,
        frame: Frame<'_>,
        property: Option<PublisherProperty>,
        step: &mut Step<'_>,
    ) -> Result<(), InvalidPacket> {
        let sent = topic(frame.body).ok_or(InvalidPacket(129))?;
        let (qos, dup) = (frame.first >> 1 & 3, frame.first & 8 != 0);
        if qos > 0 && !dup {
            state.handle.unacknowledged.fetch_add(1, Ordering::Relaxed);
        }
        let is_needed = |interested: &InterestedIn, _: &Step<'_>| is_needed(interested, qos);
        let wanted = WantedPublish::decode(frame, sent, &DELIVERY_HOOKS, is_needed, &mut self.aliases, state, step)?;
        if let Some(wanted) = wanted {
            self.delivered(state, wanted, property, step);
        }
        Ok(())
    }

    fn delivered(
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
        let (message, is_live) = self.message(state, &topic, &publish, property, step);
        let (group, keeps_retain) = {
            let session = state.session();
            (session.group(&topic), session.keeps_retain())
        };
        let delivery = Delivery {
            receiver: state.client(),
            message,
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
            packet_id: publish.id,
            retained: publish.retain && !(keeps_retain && is_live),
            group,
            subscription_ids: publish.subscription_ids,
        };
        step.emit_to(&interested, Hook::MessageDelivered, || {
            Detail::MessageDelivered(delivery.clone())
        });
        if let Some(id) = publish.id
            && (interested.wants(Hook::MessageAcked) || interested.wants(Hook::DeliveryDropped))
            && !state.session().keep(id, delivery)
        {
            step.count(Counter::Forgotten);
        }
    }

    /// The message as it was published, as far as that is known, and whether that was a moment ago.
    fn message(
        &mut self,
        state: &ConnectionState,
        topic: &ByteString,
        publish: &Publish,
        property: Option<PublisherProperty>,
        step: &Step<'_>,
    ) -> (Message, bool) {
        if let Some(id) = publish.id.filter(|_| publish.dup)
            && let Some(before) = state.session().pending(id)
            && before.delivery.message.topic == *topic
            && before.delivery.message.payload == publish.payload
        {
            return (before.delivery.message.clone(), true);
        }
        let published_by = |property: PublisherProperty| Message {
            id: property.id,
            publisher: property.publisher,
            origin: property.origin,
            topic: topic.clone(),
            payload: publish.payload.clone(),
            qos: property.qos,
            retain: property.retain,
            dup: false,
            packet_id: None,
            received_at: property.received_at,
            properties: publish.properties.clone(),
            republishes: 0,
        };
        if let Some(property) = property {
            // The clock may be that of another gateway.
            let is_live = property.received_at.0.abs_diff(step.now.0) < WINDOW_MILLIS;
            return (published_by(property), is_live);
        }
        let found = step
            .publishes
            .and_then(|publishes| publishes.find(topic, &publish.payload, self.last_found, step.now));
        if let Some((place, message)) = found {
            self.last_found = self.last_found.max(place);
            let message = Message {
                packet_id: None,
                ..message
            };
            return (message, true);
        }
        let unknown = PublisherProperty {
            id: step.new_id(),
            publisher: Client::default(),
            origin: Origin::Client,
            qos: publish.qos,
            retain: publish.retain,
            received_at: step.now,
        };
        (published_by(unknown), false)
    }

    /// PUBACK, PUBREC or PUBCOMP of the client.
    pub(super) fn acknowledgement(
        &mut self,
        state: &mut ConnectionState,
        frame: Frame<'_>,
        step: &mut Step<'_>,
    ) -> Result<(), InvalidPacket> {
        let Packet::Ack { id, code, properties } = state.decode(frame)? else {
            return Err(InvalidPacket(130));
        };
        let is_refused = code >= 128;
        if frame.kind() == kind::PUBREC && !is_refused {
            if let Some(pending) = state.session().pending(id) {
                pending.received = Some((code, properties));
            }
            return Ok(());
        }
        // An acknowledgement too many is the client's mistake and is not counted.
        state
            .handle
            .unacknowledged
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1))
            .ok();
        let Some(pending) = state.session().acknowledged(id) else {
            return Ok(());
        };
        let PendingDelivery { delivery, received } = *pending;
        if is_refused && frame.kind() != kind::PUBCOMP {
            refuse(delivery, code, step);
        } else {
            let (code, properties) = received.unwrap_or((code, properties));
            acknowledge(delivery, code, properties, step);
        }
        Ok(())
    }
}

/// Whether a delivery may cause any event, now or later.
fn is_needed(interested: &InterestedIn, qos: u8) -> bool {
    interested.wants(Hook::MessageDelivered)
        || qos > 0 && (interested.wants(Hook::MessageAcked) || interested.wants(Hook::DeliveryDropped))
}

fn acknowledge(delivery: Delivery, code: u8, properties: Option<Box<Properties>>, step: &mut Step<'_>) {
    let topic = delivery.message.topic.clone();
    step.emit(Hook::MessageAcked, Some(&topic), || {
        Detail::MessageAcked(Acknowledgement {
            delivery,
            code,
            properties,
        })
    });
}

fn refuse(delivery: Delivery, code: u8, step: &mut Step<'_>) {
    let topic = delivery.message.topic.clone();
    step.emit(Hook::DeliveryDropped, Some(&topic), || {
        Detail::DeliveryDropped(DeliveryDrop {
            delivery,
            reason: DropReason::Refused,
            code,
            text: None,
        })
    });
}
