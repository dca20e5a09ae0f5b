//! PUBLISH of the client, and what the upstream answers.
//!
//! A publish is told when it passes, before the upstream has it: so it comes before its deliveries, and a publish that
//! the upstream then refuses is told as both. Only MQTT 5 says that nobody subscribes or that a publish is refused, and
//! only above QoS 0.

use super::aliases::Resolved;
use super::*;
use crate::packet::{Publish, is_topic, publish_id, topic};
use hookhost_event::{Access, Authorization, DropReason, MessageDrop};

/// Hooks that want to know who published a message.
const FOLLOWING: [Hook; 4] = [
    Hook::MessageDelivered,
    Hook::MessageAcked,
    Hook::DeliveryDropped,
    Hook::MessageQueued,
];

impl Machine {
    /// `stamp`: what the packet will say about itself.
    pub(super) fn publish(
        &mut self,
        frame: Frame<'_>,
        stamp: Option<Stamp>,
        host: &impl Host,
    ) -> Result<(), Unreadable> {
        let sent = topic(frame.body).ok_or(Unreadable(129))?;
        let qos = frame.first >> 1 & 3;
        if qos == 2
            && let Some(id) = publish_id(frame)
            && !self.memory().begin(id)
        {
            return Ok(());
        }
        // With aliases the topic is known after reading only, and a packet that sets one must be read in any case.
        let aliased = self.version() == 5 && (self.client_aliases.any() || sent.is_empty());
        if !aliased && !self.is_followed(sent, qos, host) {
            return Ok(());
        }
        let Packet::Publish(publish) = self.read(frame)? else {
            return Err(Unreadable(130));
        };
        let aliases = &mut self.client_aliases;
        match aliases.resolve(publish.topic.clone(), publish.alias, &mut self.budget) {
            Resolved::Topic(topic) => self.published(topic, publish, stamp, host),
            Resolved::OutOfRange => return Err(Unreadable(148)),
            Resolved::Unknown => return Err(Unreadable(130)),
        }
        Ok(())
    }

    /// Whether any event may come of a publish.
    fn is_followed(&self, topic: &str, qos: u8, host: &impl Host) -> bool {
        let wants = |hook| host.wants(hook, Some(topic));
        wants(Hook::MessagePublish)
            || wants(Hook::MessageRefused)
            || (qos > 0 || host.sees_all()) && wants(Hook::MessageDropped)
            || host.publishers().is_some() && FOLLOWING.into_iter().any(wants)
    }

    fn published(&mut self, topic: ByteString, publish: Publish, stamp: Option<Stamp>, host: &impl Host) {
        if !self.is_followed(&topic, publish.qos, host) {
            return;
        }
        let (id, received_at) = match stamp {
            Some(stamp) => (stamp.id, stamp.received_at),
            None => (host.id(), host.now()),
        };
        let message = Message {
            id,
            publisher: self.client(),
            origin: Origin::Client,
            topic,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
            packet_id: publish.id,
            received_at,
            properties: publish.properties,
        };
        if !is_topic(&message.topic) {
            self.fault = Some(144);
            refused(message, DropReason::Invalid, 144, host);
            return;
        }
        passed(&message, host);
        if host.wants(Hook::MessagePublish, Some(&message.topic)) {
            host.tell(Detail::MessagePublish(message.clone()));
        }
        match message.packet_id.filter(|_| self.version() == 5) {
            Some(id) => self.await_answer(id, message, host),
            None => unwanted(message, host),
        }
    }

    /// Keeps a publish whose answer may be an event.
    fn await_answer(&mut self, id: u16, message: Message, host: &impl Host) {
        let wants = |hook| host.wants(hook, Some(&message.topic));
        if !(wants(Hook::MessageDropped) || wants(Hook::MessageRefused) || wants(Hook::ClientAuthorized)) {
            return;
        }
        if let Some(old) = self.unanswered.remove(&id) {
            self.budget.give(weight(&old));
        }
        if self.budget.take(weight(&message)) {
            self.unanswered.insert(id, message);
        } else {
            host.count(Counted::Forgotten);
        }
    }

    /// PUBACK, PUBREC or PUBCOMP of the upstream.
    pub(super) fn answer(&mut self, frame: Frame<'_>, host: &impl Host) -> Result<(), Unreadable> {
        let kind = frame.kind();
        if self.unanswered.is_empty() && kind == kind::PUBACK {
            return Ok(());
        }
        let Packet::Ack { id, code, .. } = self.read(frame)? else {
            return Err(Unreadable(130));
        };
        if kind == kind::PUBCOMP || kind == kind::PUBREC && code >= 128 {
            self.memory().complete(id);
        }
        if kind == kind::PUBCOMP {
            return Ok(());
        }
        let Some(message) = self.unanswered.remove(&id) else {
            return Ok(());
        };
        self.budget.give(weight(&message));
        match code {
            16 => dropped(message, host),
            128.. => {
                if code == 135 && host.wants(Hook::ClientAuthorized, Some(&message.topic)) {
                    host.tell(Detail::ClientAuthorized(Authorization {
                        client: self.client(),
                        access: Access::Publish,
                        topic: message.topic.clone(),
                        allowed: false,
                        source: ByteString::from_static("upstream"),
                    }));
                }
                refused(message, reason_of(code), code, host);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Remembers who published a message, if that will be asked.
fn passed(message: &Message, host: &impl Host) {
    let wanted = |hook| host.wants(hook, Some(&message.topic));
    if let Some(publishers) = host.publishers()
        && FOLLOWING.into_iter().any(wanted)
    {
        publishers.passed(message, host.now());
    }
}

/// Tells that a message that no client has sent is published now.
pub(in super::super) fn announce(message: Message, host: &impl Host) {
    passed(&message, host);
    if host.wants(Hook::MessagePublish, Some(&message.topic)) {
        host.tell(Detail::MessagePublish(message.clone()));
    }
    unwanted(message, host);
}

/// Tells that nobody subscribes to a message, if this gateway knows everybody and the upstream will not say it.
fn unwanted(message: Message, host: &impl Host) {
    if host.sees_all()
        && host.wants(Hook::MessageDropped, Some(&message.topic))
        && !host.sessions().subscribed(&message.topic)
    {
        dropped(message, host);
    }
}

fn dropped(message: Message, host: &impl Host) {
    if host.wants(Hook::MessageDropped, Some(&message.topic)) {
        host.tell(Detail::MessageDropped(MessageDrop {
            message,
            reason: DropReason::NoSubscribers,
            code: 16,
            text: None,
        }));
    }
}

fn refused(message: Message, reason: DropReason, code: u8, host: &impl Host) {
    if host.wants(Hook::MessageRefused, Some(&message.topic)) {
        host.tell(Detail::MessageRefused(MessageDrop {
            message,
            reason,
            code,
            text: None,
        }));
    }
}

/// The reason behind the code of a PUBACK or PUBREC.
fn reason_of(code: u8) -> DropReason {
    match code {
        135 => DropReason::NotAuthorized,
        144 | 153 => DropReason::Invalid,
        145 => DropReason::PacketIdInUse,
        147 => DropReason::ReceiveMaximumExceeded,
        151 => DropReason::LimitExceeded,
        _ => DropReason::Other,
    }
}
