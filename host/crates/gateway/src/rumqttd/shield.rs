//! What stands between a client and rumqttd: packets of the one become packets that the other can live with.
//!
//! To rumqttd every client speaks MQTT 5, with names and properties that it can handle (see `names` and `order`); to the
//! client it looks like a broker of the client's version that cannot do a few things and says so. Pure: packets in,
//! packets out. A packet that cannot be read never reaches rumqttd: it ends its connection.

use std::collections::{HashMap, HashSet};

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use rmqtt_codec::types::Publish;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Encoder;

use super::names;
use super::order::Order;
use crate::frame::{Frame, header};
use crate::packet::{self, Connack, Connect, Packet, Unreadable, is_topic, kind};
use hookhost_event::TopicFilter;

/// Keep alive towards rumqttd, which refuses 0; the gateway looks after that of the client itself.
const KEEP_ALIVE: u16 = u16::MAX;
/// Name that the gateway shows rumqttd.
pub(super) const USER: &str = "hookhost";
/// SUBSCRIBEs that may wait for an answer.
const MOST_SUBSCRIBING: usize = 1_000;
/// Filters that are remembered.
const MOST_FILTERS: usize = 100_000;

/// Packets that come of one packet.
#[derive(Default)]
pub(in super::super) struct Out {
    /// For rumqttd.
    pub(in super::super) up: Vec<u8>,
    /// For the client.
    pub(in super::super) down: Vec<u8>,
    /// Whether the connection to rumqttd is to be closed without a word.
    pub(in super::super) close: bool,
}

/// One connection's shield.
pub(in super::super) struct Shield {
    version: u8,
    client_id: ByteString,
    /// Whether the gateway has chosen the id.
    assigned: bool,
    session_expiry: u32,
    /// For each filter of a SUBSCRIBE: the code if it was refused here.
    subscribing: HashMap<u16, Vec<Option<u8>>>,
    /// Filters in force, as far as this connection has asked for them.
    subscribed: HashSet<ByteString>,
    resumed: bool,
    /// QoS 2 publishes of the client that rumqttd has and that are not released.
    incomplete: HashSet<u16>,
    /// What the client is to confirm: messages, and releases of QoS 2.
    messages: Order,
    releases: Order,
}

/// A CONNECT for rumqttd.
pub(in super::super) struct Opening {
    pub(in super::super) shield: Shield,
    /// The packet.
    pub(in super::super) connect: Vec<u8>,
    /// A packet that throws an older session away, to be sent first through a connection of its own.
    pub(in super::super) discard: Option<Vec<u8>>,
}

/// CONNECT of the one who watches rumqttd, under an id that no client's id is turned into.
pub(super) fn watcher(password: &str) -> Option<Vec<u8>> {
    let packet = v5::Connect {
        client_id: ByteString::from_static("watch"),
        ..connect(password)
    };
    let mut out = Vec::new();
    encode_v5(v5::Packet::Connect(Box::new(packet)), &mut out).ok()?;
    Some(out)
}

/// A CONNECT that rumqttd lets in.
fn connect(password: &str) -> v5::Connect {
    v5::Connect {
        clean_start: true,
        keep_alive: KEEP_ALIVE,
        username: Some(ByteString::from_static(USER)),
        password: Some(Bytes::copy_from_slice(password.as_bytes())),
        ..v5::Connect::default()
    }
}

impl Shield {
    /// A client's CONNECT, which says `connect`, in rumqttd's form; or the code to refuse it with. `id`: for a client
    /// that has none.
    pub(in super::super) fn open(
        connect: &Connect,
        password: &str,
        id: impl FnOnce() -> ByteString,
    ) -> Result<Opening, u8> {
        let assigned = connect.client_id.is_empty();
        let client_id = if assigned { id() } else { connect.client_id.clone() };
        if connect.authentication_method {
            return Err(140);
        }
        let last_will = match &connect.will {
            Some(will) => Some(v5::LastWill {
                qos: qos(will.qos),
                retain: will.retain,
                topic: names::inside(&will.topic)
                    .filter(|_| is_topic(&will.topic))
                    .ok_or(144)?,
                message: will.payload.clone(),
                will_delay_interval_sec: (will.delay > 0).then_some(will.delay),
                correlation_data: None,
                message_expiry_interval: None,
                content_type: None,
                user_properties: Vec::new(),
                is_utf8_payload: None,
                response_topic: None,
            }),
            None => None,
        };
        // rumqttd keeps the session of whoever does not ask for a clean one, and of nobody else.
        let clean = connect.session_expiry == 0;
        let packet = v5::Connect {
            clean_start: clean,
            session_expiry_interval_secs: connect.session_expiry,
            client_id: names::client_id(&client_id),
            last_will,
            ..self::connect(password)
        };
        let discard = (connect.clean_start && !clean).then(|| v5::Connect {
            clean_start: true,
            last_will: None,
            ..packet.clone()
        });
        let encoded = |packet: v5::Connect| {
            let mut out = Vec::new();
            encode_v5(v5::Packet::Connect(Box::new(packet)), &mut out).map(|()| out)
        };
        Ok(Opening {
            connect: encoded(packet).map_err(|Unreadable(code)| code)?,
            discard: discard.map(encoded).transpose().map_err(|Unreadable(code)| code)?,
            shield: Shield {
                version: connect.version,
                client_id,
                assigned,
                session_expiry: connect.session_expiry,
                subscribing: HashMap::new(),
                subscribed: HashSet::new(),
                resumed: false,
                incomplete: HashSet::new(),
                messages: Order::default(),
                releases: Order::default(),
            },
        })
    }

    /// What rumqttd's CONNACK, which says `answer`, means: the packet for the client, and what it says.
    pub(in super::super) fn connack(&mut self, answer: &Connack) -> Result<(Vec<u8>, Connack), Unreadable> {
        self.resumed = answer.session_present;
        let assigned = self.assigned.then(|| self.client_id.clone());
        let mut out = Vec::new();
        if self.version < 5 {
            if answer.code != 0 {
                out = packet::refusal(self.version, answer.code);
            } else {
                // Of MQTT 3.1 the byte is reserved.
                let found = answer.session_present && self.version > 3;
                out.extend([kind::CONNACK << 4, 2, u8::from(found), 0]);
            }
            let said = Connack {
                code: answer.code,
                session_present: answer.session_present,
                assigned_client_id: assigned,
                ..Connack::default()
            };
            return Ok((out, said));
        }
        let connack = v5::ConnectAck {
            session_present: answer.session_present,
            reason_code: answer.code.try_into().unwrap_or(v5::ConnectAckReason::UnspecifiedError),
            // It has no notion of time.
            session_expiry_interval_secs: (self.session_expiry > 0).then_some(u32::MAX),
            assigned_client_id: assigned,
            subscription_identifiers_available: false,
            shared_subscription_available: false,
            ..v5::ConnectAck::default()
        };
        encode_v5(v5::Packet::ConnectAck(Box::new(connack)), &mut out)?;
        let said = crate::frame::parse(&out)
            .ok_or(Unreadable(131))
            .and_then(|frame| packet::connack(5, frame.body))?;
        Ok((out, said))
    }

    /// A packet of the client.
    pub(in super::super) fn up(&mut self, frame: Frame<'_>, out: &mut Out) -> Result<(), Unreadable> {
        match frame.kind() {
            kind::PUBLISH => self.publish(frame, out),
            kind::PUBACK | kind::PUBREC => {
                let Packet::Ack { id, .. } = packet::read(self.version, frame)? else {
                    return Err(Unreadable(130));
                };
                confirm(&mut self.messages, id, frame.first, out);
                Ok(())
            }
            kind::PUBCOMP => {
                let Packet::Ack { id, .. } = packet::read(self.version, frame)? else {
                    return Err(Unreadable(130));
                };
                confirm(&mut self.releases, id, frame.first, out);
                Ok(())
            }
            kind::PUBREL => {
                let Packet::Ack { id, .. } = packet::read(self.version, frame)? else {
                    return Err(Unreadable(130));
                };
                if self.incomplete.remove(&id) {
                    short(&mut out.up, frame.first, id);
                } else {
                    // It would end the connection of whoever releases what it does not have.
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
                let Packet::Disconnect { code, .. } = packet::read(self.version, frame)? else {
                    return Err(Unreadable(130));
                };
                // It would throw the will away.
                out.close = code != 0;
                if code == 0 {
                    header(&mut out.up, frame.first, 0);
                }
                Ok(())
            }
            _ => Err(Unreadable(130)),
        }
    }

    /// A packet of rumqttd.
    pub(in super::super) fn down(&mut self, frame: Frame<'_>, out: &mut Out) -> Result<(), Unreadable> {
        match frame.kind() {
            kind::PUBLISH => {
                let v5::Packet::Publish(mut publish) = packet::decode_v5(frame.first, frame.body)? else {
                    return Err(Unreadable(130));
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
                let Packet::Ack { id, .. } = packet::read(5, frame)? else {
                    return Err(Unreadable(130));
                };
                if frame.kind() == kind::PUBREL {
                    self.releases.sent(id);
                }
                short(&mut out.down, frame.first, id);
                Ok(())
            }
            kind::SUBACK => {
                let Packet::Suback { id, codes } = packet::read(5, frame)? else {
                    return Err(Unreadable(130));
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
            // Answered here.
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
            _ => Err(Unreadable(130)),
        }
    }

    fn publish(&mut self, frame: Frame<'_>, out: &mut Out) -> Result<(), Unreadable> {
        let mut publish: Publish = if self.version == 5 {
            match packet::decode_v5(frame.first, frame.body)? {
                v5::Packet::Publish(publish) => *publish,
                _ => return Err(Unreadable(130)),
            }
        } else {
            match packet::decode_v3(frame.first, frame.body)? {
                v3::Packet::Publish(publish) => *publish,
                _ => return Err(Unreadable(130)),
            }
        };
        if let Some(properties) = &mut publish.properties {
            if properties.topic_alias.is_some() {
                return Err(Unreadable(148));
            }
            if !properties.subscription_ids.is_empty() {
                return Err(Unreadable(130));
            }
            // It can hold back messages that have time left.
            properties.message_expiry_interval = None;
        }
        if !is_topic(&publish.topic) {
            return Err(Unreadable(144));
        }
        publish.topic = names::inside(&publish.topic).ok_or(Unreadable(144))?;
        if publish.qos == v5::QoS::ExactlyOnce
            && let Some(id) = publish.packet_id
            && !self.incomplete.insert(id.get())
        {
            // It would be published twice.
            short(&mut out.down, kind::PUBREC << 4, id.get());
            return Ok(());
        }
        encode_v5(v5::Packet::Publish(Box::new(publish)), &mut out.up)
    }

    fn subscribe(&mut self, frame: Frame<'_>, out: &mut Out) -> Result<(), Unreadable> {
        let Packet::Subscribe {
            id,
            filters,
            identifier,
            ..
        } = packet::read(self.version, frame)?
        else {
            return Err(Unreadable(130));
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
            } else if self.subscribing.len() >= MOST_SUBSCRIBING || self.subscribed.len() >= MOST_FILTERS {
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
            packet_id: id.try_into().map_err(|_| Unreadable(129))?,
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

    fn unsubscribe(&mut self, frame: Frame<'_>, out: &mut Out) -> Result<(), Unreadable> {
        let Packet::Unsubscribe { id, filters, .. } = packet::read(self.version, frame)? else {
            return Err(Unreadable(130));
        };
        let names: Vec<_> = filters.iter().filter_map(|filter| names::inside(filter)).collect();
        let codes: Vec<u8> = filters
            .iter()
            // What a session of earlier days holds is not known here.
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
                packet_id: id.try_into().map_err(|_| Unreadable(129))?,
                user_properties: Vec::new(),
                topic_filters: names,
            };
            encode_v5(v5::Packet::Unsubscribe(packet), &mut out.up)?;
        }
        // rumqttd answers once for each filter that it knows, and not at all otherwise.
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

fn confirm(order: &mut Order, id: u16, first: u8, out: &mut Out) {
    for (id, first) in order.confirmed(id, first) {
        short(&mut out.up, first, id);
    }
}

/// A packet that holds nothing but its identifier.
fn short(out: &mut Vec<u8>, first: u8, id: u16) {
    header(out, first, 2);
    out.extend(id.to_be_bytes());
}

fn qos(qos: u8) -> v5::QoS {
    v5::QoS::try_from(qos).unwrap_or(v5::QoS::ExactlyOnce)
}

fn encode_v5(packet: v5::Packet, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let mut bytes = BytesMut::new();
    v5::Codec::default()
        .encode(packet, &mut bytes)
        .map_err(|_| Unreadable(131))?;
    out.extend_from_slice(&bytes);
    Ok(())
}

fn encode_v3(packet: v3::Packet, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let mut bytes = BytesMut::new();
    v3::Codec::default()
        .encode(packet, &mut bytes)
        .map_err(|_| Unreadable(131))?;
    out.extend_from_slice(&bytes);
    Ok(())
}

#[cfg(test)]
#[path = "shield_tests.rs"]
mod tests;
