//! The translation between a client and rumqttd, after CONNACK.
//!
//! To rumqttd every client speaks MQTT 5, with names and properties that rumqttd can handle (see `names` and
//! `ack_order`). To the client rumqttd is a broker of the client's version that does not support some features and says
//! so. Pure: packets in, packets out. A packet that cannot be decoded never reaches rumqttd: it ends its connection.

use std::collections::{HashMap, HashSet};

use bytes::BytesMut;
use bytestring::ByteString;
use rmqtt_codec::types::Publish;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Encoder;

use super::ack_order::AckOrder;
use super::names;
use crate::frame::{Frame, header};
use crate::packet::{self, InvalidPacket, Packet, is_topic, kind};
use hookhost_event::TopicFilter;

/// SUBSCRIBEs that may await an answer.
const MAX_SUBSCRIBING: usize = 1_000;
/// Filters of active subscriptions that are remembered.
const MAX_FILTERS: usize = 100_000;

/// Packets that result from other packets.
#[derive(Default)]
pub(crate) struct Out {
    /// For rumqttd.
    pub(crate) up: Vec<u8>,
    /// For the client.
    pub(crate) down: Vec<u8>,
    /// Whether the connection to rumqttd has to be closed without DISCONNECT.
    pub(crate) close: bool,
}

/// One connection's shield.
pub(crate) struct Shield {
    version: u8,
    /// SUBSCRIBEs without an answer: for each filter the code, if it was refused here.
    subscribing: HashMap<u16, Vec<Option<u8>>>,
    /// Filters of the active subscriptions of this connection.
    subscribed: HashSet<ByteString>,
    /// Whether rumqttd has found the client's session.
    resumed: bool,
    /// QoS 2 publishes of the client that rumqttd has and the client has not released.
    incomplete: HashSet<u16>,
    /// What the client has to acknowledge: messages, and releases of QoS 2.
    messages: AckOrder,
    releases: AckOrder,
}

impl Shield {
    /// A shield for a client of this version. `resumed`: rumqttd has found its session.
    pub(super) fn new(version: u8, resumed: bool) -> Shield {
        Shield {
            version,
            resumed,
            subscribing: HashMap::new(),
            subscribed: HashSet::new(),
            incomplete: HashSet::new(),
            messages: AckOrder::default(),
            releases: AckOrder::default(),
        }
    }

    /// The client's protocol version: 3, 4 or 5.
    pub(super) fn version(&self) -> u8 {
        self.version
    }

    /// A packet of the client.
    pub(crate) fn up(&mut self, frame: Frame<'_>, out: &mut Out) -> Result<(), InvalidPacket> {
        match frame.kind() {
            kind::PUBLISH => self.publish(frame, out),
            kind::PUBACK | kind::PUBREC => {
                let Packet::Ack { id, .. } = packet::decode(self.version, frame)? else {
                    return Err(InvalidPacket(130));
                };
                acknowledge(&mut self.messages, id, frame.first, out);
                Ok(())
            }
            kind::PUBCOMP => {
                let Packet::Ack { id, .. } = packet::decode(self.version, frame)? else {
                    return Err(InvalidPacket(130));
                };
                acknowledge(&mut self.releases, id, frame.first, out);
                Ok(())
            }
            kind::PUBREL => {
                let Packet::Ack { id, .. } = packet::decode(self.version, frame)? else {
                    return Err(InvalidPacket(130));
                };
                if self.incomplete.remove(&id) {
                    short(&mut out.up, frame.first, id);
                } else {
                    // rumqttd ends the connection of a client that releases what rumqttd does not have.
                    short(&mut out.down, kind::PUBCOMP << 4, id);
                }
                Ok(())
            }
            kind::SUBSCRIBE => self.subscribe(frame, out),
            kind::UNSUBSCRIBE => self.unsubscribe(frame, out),
            kind::PINGREQ => {
                header(&mut out.up, frame.first, 0);
                Ok(())
            }
            kind::DISCONNECT => {
                let Packet::Disconnect { code, .. } = packet::decode(self.version, frame)? else {
                    return Err(InvalidPacket(130));
                };
                // rumqttd discards the will on any DISCONNECT.
                out.close = code != 0;
                if code == 0 {
                    header(&mut out.up, frame.first, 0);
                }
                Ok(())
            }
            _ => Err(InvalidPacket(130)),
        }
    }

    /// A packet of rumqttd.
    pub(crate) fn down(&mut self, frame: Frame<'_>, out: &mut Out) -> Result<(), InvalidPacket> {
        match frame.kind() {
            kind::PUBLISH => {
                let v5::Packet::Publish(mut publish) = packet::decode_v5(frame.first, frame.body)? else {
                    return Err(InvalidPacket(130));
                };
                let Some(topic) = names::outside(&publish.topic) else {
                    return Ok(());
                };
                publish.topic = topic.into();
                if let Some(id) = publish.packet_id {
                    self.messages.sent(id.get());
                }
                if self.version == 5 {
                    return encode_v5(v5::Packet::Publish(publish), &mut out.down);
                }
                publish.properties = None;
                encode_v3(v3::Packet::Publish(publish), &mut out.down)
            }
            kind::PUBACK | kind::PUBREC | kind::PUBREL | kind::PUBCOMP => {
                let Packet::Ack { id, .. } = packet::decode(5, frame)? else {
                    return Err(InvalidPacket(130));
                };
                if frame.kind() == kind::PUBREL {
                    self.releases.sent(id);
                }
                short(&mut out.down, frame.first, id);
                Ok(())
            }
            kind::SUBACK => {
                let Packet::Suback { id, codes } = packet::decode(5, frame)? else {
                    return Err(InvalidPacket(130));
                };
                let Some(asked) = self.subscribing.remove(&id) else {
                    return Ok(());
                };
                let mut codes = codes.into_iter();
                let merged: Vec<u8> = asked
                    .into_iter()
                    .map(|refused| refused.or_else(|| codes.next()).unwrap_or(128))
                    .collect();
                self.suback(id, &merged, out);
                Ok(())
            }
            // `unsubscribe` has answered already.
            kind::UNSUBACK => Ok(()),
            kind::PINGRESP => {
                header(&mut out.down, frame.first, 0);
                Ok(())
            }
            kind::DISCONNECT if self.version == 5 => {
                header(&mut out.down, frame.first, frame.body.len());
                out.down.extend_from_slice(frame.body);
                Ok(())
            }
            kind::DISCONNECT => Ok(()),
            _ => Err(InvalidPacket(130)),
        }
    }

    fn publish(&mut self, frame: Frame<'_>, out: &mut Out) -> Result<(), InvalidPacket> {
        let mut publish: Publish = if self.version == 5 {
            match packet::decode_v5(frame.first, frame.body)? {
                v5::Packet::Publish(publish) => *publish,
                _ => return Err(InvalidPacket(130)),
            }
        } else {
            match packet::decode_v3(frame.first, frame.body)? {
                v3::Packet::Publish(publish) => *publish,
                _ => return Err(InvalidPacket(130)),
            }
        };
        if let Some(properties) = &mut publish.properties {
            if properties.topic_alias.is_some() {
                return Err(InvalidPacket(148));
            }
            if !properties.subscription_ids.is_empty() {
                return Err(InvalidPacket(130));
            }
            // With an expiry rumqttd can hold back messages that have not expired.
            properties.message_expiry_interval = None;
        }
        if !is_topic(&publish.topic) {
            return Err(InvalidPacket(144));
        }
        publish.topic = names::inside(&publish.topic).ok_or(InvalidPacket(144))?;
        if publish.qos == v5::QoS::ExactlyOnce
            && let Some(id) = publish.packet_id
            && !self.incomplete.insert(id.get())
        {
            // rumqttd would publish it twice.
            short(&mut out.down, kind::PUBREC << 4, id.get());
            return Ok(());
        }
        encode_v5(v5::Packet::Publish(Box::new(publish)), &mut out.up)
    }

    fn subscribe(&mut self, frame: Frame<'_>, out: &mut Out) -> Result<(), InvalidPacket> {
        let Packet::Subscribe {
            id,
            filters,
            identifier,
            ..
        } = packet::decode(self.version, frame)?
        else {
            return Err(InvalidPacket(130));
        };
        let mut asked = Vec::with_capacity(filters.len());
        let mut wanted = Vec::new();
        for filter in filters {
            let refused = if filter.filter.starts_with("$share/") {
                Some(158)
            } else if identifier.is_some() {
                Some(161)
            } else if filter.filter.parse::<TopicFilter>().is_err() {
                Some(143)
            } else if self.subscribing.len() >= MAX_SUBSCRIBING || self.subscribed.len() >= MAX_FILTERS {
                Some(151)
            } else {
                match names::inside(&filter.filter) {
                    Some(name) => {
                        let options = v5::SubscriptionOptions {
                            qos: qos(filter.qos),
                            no_local: filter.no_local,
                            retain_as_published: filter.retain_as_published,
                            ..v5::SubscriptionOptions::default()
                        };
                        wanted.push((name, options));
                        self.subscribed.insert(ByteString::from(&*filter.filter));
                        None
                    }
                    None => Some(143),
                }
            };
            asked.push(refused);
        }
        if wanted.is_empty() {
            let codes: Vec<u8> = asked.into_iter().flatten().collect();
            self.suback(id, &codes, out);
            return Ok(());
        }
        self.subscribing.insert(id, asked);
        let packet = v5::Subscribe {
            packet_id: id.try_into().map_err(|_| InvalidPacket(129))?,
            id: None,
            user_properties: Vec::new(),
            topic_filters: wanted,
        };
        encode_v5(v5::Packet::Subscribe(packet), &mut out.up)
    }

    fn suback(&self, id: u16, codes: &[u8], out: &mut Out) {
        let properties = usize::from(self.version == 5);
        header(&mut out.down, kind::SUBACK << 4, 2 + properties + codes.len());
        out.down.extend(id.to_be_bytes());
        if properties == 1 {
            out.down.push(0);
        }
        // Before MQTT 5 there is one code for all refusals.
        let code = |code: &u8| if self.version < 5 { (*code).min(128) } else { *code };
        out.down.extend(codes.iter().map(code));
    }

    fn unsubscribe(&mut self, frame: Frame<'_>, out: &mut Out) -> Result<(), InvalidPacket> {
        let Packet::Unsubscribe { id, filters, .. } = packet::decode(self.version, frame)? else {
            return Err(InvalidPacket(130));
        };
        let names: Vec<_> = filters.iter().filter_map(|filter| names::inside(filter)).collect();
        let codes: Vec<u8> = filters
            .iter()
            // What the session holds from earlier connections is not known here.
            .map(|filter| {
                if self.subscribed.remove(filter) || self.resumed {
                    0
                } else {
                    17
                }
            })
            .collect();
        if !names.is_empty() {
            let packet = v5::Unsubscribe {
                packet_id: id.try_into().map_err(|_| InvalidPacket(129))?,
                user_properties: Vec::new(),
                topic_filters: names,
            };
            encode_v5(v5::Packet::Unsubscribe(packet), &mut out.up)?;
        }
        // rumqttd answers once for each filter that it knows, and not at all if it knows none.
        if self.version < 5 {
            short(&mut out.down, kind::UNSUBACK << 4, id);
        } else {
            header(&mut out.down, kind::UNSUBACK << 4, 3 + codes.len());
            out.down.extend(id.to_be_bytes());
            out.down.push(0);
            out.down.extend(codes);
        }
        Ok(())
    }
}

fn acknowledge(order: &mut AckOrder, id: u16, first: u8, out: &mut Out) {
    for (id, first) in order.acknowledged(id, first) {
        short(&mut out.up, first, id);
    }
}

/// A packet with nothing but its identifier.
fn short(out: &mut Vec<u8>, first: u8, id: u16) {
    header(out, first, 2);
    out.extend(id.to_be_bytes());
}

pub(super) fn qos(qos: u8) -> v5::QoS {
    v5::QoS::try_from(qos).unwrap_or(v5::QoS::ExactlyOnce)
}

pub(super) fn encode_v5(packet: v5::Packet, out: &mut Vec<u8>) -> Result<(), InvalidPacket> {
    let mut bytes = BytesMut::new();
    v5::Codec::default()
        .encode(packet, &mut bytes)
        .map_err(|_| InvalidPacket(131))?;
    out.extend_from_slice(&bytes);
    Ok(())
}

fn encode_v3(packet: v3::Packet, out: &mut Vec<u8>) -> Result<(), InvalidPacket> {
    let mut bytes = BytesMut::new();
    v3::Codec::default()
        .encode(packet, &mut bytes)
        .map_err(|_| InvalidPacket(131))?;
    out.extend_from_slice(&bytes);
    Ok(())
}

#[cfg(test)]
#[path = "shield_tests.rs"]
mod tests;
