//! PUBLISH of the upstream, and what the client answers.
//!
//! The packet does not say who published the message: that is known if a gateway has written it into it (see
//! [`Stamp`]), or if the publish passed this gateway (see [`Publishers`]). A delivery above QoS 0 is kept until it is confirmed, in the memory of its session, so that one that
//! is repeated after the client has come back is the same message.

use std::sync::atomic::Ordering;

use super::aliases::Resolved;
use super::*;
use crate::memory::Unconfirmed;
use crate::packet::{Publish, topic};
use crate::publishers::WINDOW;
use hookhost_event::{Acknowledgement, Delivery, DeliveryDrop, DropReason, Properties};

impl Machine {
    /// `stamp`: what the packet has said about itself.
    pub(super) fn delivery(
        &mut self,
        frame: Frame<'_>,
        stamp: Option<Stamp>,
        host: &impl Host,
    ) -> Result<(), Unreadable> {
        let sent = topic(frame.body).ok_or(Unreadable(129))?;
        let (qos, dup) = (frame.first >> 1 & 3, frame.first & 8 != 0);
        if qos > 0 && !dup {
            self.handle.unconfirmed.fetch_add(1, Ordering::Relaxed);
        }
        let aliased = self.version() == 5 && (self.upstream_aliases.any() || sent.is_empty());
        if !aliased && !is_followed(sent, qos, host) {
            return Ok(());
        }
        let Packet::Publish(publish) = self.read(frame)? else {
            return Err(Unreadable(130));
        };
        let aliases = &mut self.upstream_aliases;
        match aliases.resolve(publish.topic.clone(), publish.alias, &mut self.budget) {
            Resolved::Topic(topic) => self.delivered(topic, publish, stamp, host),
            Resolved::OutOfRange => return Err(Unreadable(148)),
            Resolved::Unknown => return Err(Unreadable(130)),
        }
        Ok(())
    }

    fn delivered(&mut self, topic: ByteString, publish: Publish, stamp: Option<Stamp>, host: &impl Host) {
        if !is_followed(&topic, publish.qos, host) {
            return;
        }
        let (message, is_live) = self.origin(&topic, &publish, stamp, host);
        let (group, keeps_retain) = {
            let memory = self.memory();
            (memory.group(&topic), memory.keeps_retain())
        };
        let delivery = Delivery {
            receiver: self.client(),
            message,
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
            packet_id: publish.id,
            retained: publish.retain && !(keeps_retain && is_live),
            group,
            subscription_ids: publish.subscription_ids,
        };
        if host.wants(Hook::MessageDelivered, Some(&topic)) {
            host.tell(Detail::MessageDelivered(delivery.clone()));
        }
        if let Some(id) = publish.id
            && (host.wants(Hook::MessageAcked, Some(&topic)) || host.wants(Hook::DeliveryDropped, Some(&topic)))
            && !self.memory().keep(id, delivery)
        {
            host.count(Counted::Forgotten);
        }
    }

    /// The message as it was published, as far as that is known, and whether that was a moment ago.
    fn origin(
        &mut self,
        topic: &ByteString,
        publish: &Publish,
        stamp: Option<Stamp>,
        host: &impl Host,
    ) -> (Message, bool) {
        if let Some(id) = publish.id.filter(|_| publish.dup)
            && let Some(before) = self.memory().unconfirmed(id)
            && before.delivery.message.topic == *topic
            && before.delivery.message.payload == publish.payload
        {
            return (before.delivery.message.clone(), true);
        }
        let as_it_comes = |stamp: Stamp| Message {
            id: stamp.id,
            publisher: stamp.publisher,
            origin: stamp.origin,
            topic: topic.clone(),
            payload: publish.payload.clone(),
            qos: stamp.qos,
            retain: stamp.retain,
            dup: false,
            packet_id: None,
            received_at: stamp.received_at,
            properties: publish.properties.clone(),
        };
        if let Some(stamp) = stamp {
            // The clock may be another gateway's.
            let is_live = stamp.received_at.0.abs_diff(host.now().0) < WINDOW;
            return (as_it_comes(stamp), is_live);
        }
        let found = host
            .publishers()
            .and_then(|publishers| publishers.find(topic, &publish.payload, self.last_found, host.now()));
        if let Some((place, message)) = found {
            self.last_found = self.last_found.max(place);
            let message = Message {
                packet_id: None,
                ..message
            };
            return (message, true);
        }
        let unknown = Stamp {
            id: host.id(),
            publisher: Client::default(),
            origin: Origin::Client,
            qos: publish.qos,
            retain: publish.retain,
            received_at: host.now(),
        };
        (as_it_comes(unknown), false)
    }

    /// PUBACK, PUBREC or PUBCOMP of the client.
    pub(super) fn confirmation(&mut self, frame: Frame<'_>, host: &impl Host) -> Result<(), Unreadable> {
        let Packet::Ack { id, code, properties } = self.read(frame)? else {
            return Err(Unreadable(130));
        };
        let refused = code >= 128;
        if frame.kind() == kind::PUBREC && !refused {
            if let Some(unconfirmed) = self.memory().unconfirmed(id) {
                unconfirmed.received = Some((code, properties));
            }
            return Ok(());
        }
        let unconfirmed = &self.handle.unconfirmed;
        // A confirmation too many is the client's mistake and counts nothing.
        unconfirmed
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_sub(1))
            .ok();
        let Some(unconfirmed) = self.memory().confirmed(id) else {
            return Ok(());
        };
        let Unconfirmed { delivery, received } = *unconfirmed;
        match received {
            _ if refused && frame.kind() != kind::PUBCOMP => refuse(delivery, code, host),
            Some((code, properties)) => confirm(delivery, code, properties, host),
            None => confirm(delivery, code, properties, host),
        }
        Ok(())
    }
}

/// Whether any event may come of a delivery.
fn is_followed(topic: &str, qos: u8, host: &impl Host) -> bool {
    let wants = |hook| host.wants(hook, Some(topic));
    wants(Hook::MessageDelivered) || qos > 0 && (wants(Hook::MessageAcked) || wants(Hook::DeliveryDropped))
}

fn confirm(delivery: Delivery, code: u8, properties: Option<Box<Properties>>, host: &impl Host) {
    if host.wants(Hook::MessageAcked, Some(&delivery.message.topic)) {
        host.tell(Detail::MessageAcked(Acknowledgement {
            delivery,
            code,
            properties,
        }));
    }
}

fn refuse(delivery: Delivery, code: u8, host: &impl Host) {
    if host.wants(Hook::DeliveryDropped, Some(&delivery.message.topic)) {
        host.tell(Detail::DeliveryDropped(DeliveryDrop {
            delivery,
            reason: DropReason::Refused,
            code,
            text: None,
        }));
    }
}
