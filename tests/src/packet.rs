//! MQTT packets as bytes, for both versions: packets and orders that the libraries cannot send.
//!
//! Only the sender's half is complete. Of received packets [`Packet`] has the type, the flags and the identifier.

use crate::Version;

/// Packet types, as the first nibble of a packet.
pub mod kind {
    #![allow(missing_docs, reason = "the names are those of the standard")]
    pub const CONNECT: u8 = 1;
    pub const CONNACK: u8 = 2;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const PUBREC: u8 = 5;
    pub const PUBREL: u8 = 6;
    pub const PUBCOMP: u8 = 7;
    pub const SUBSCRIBE: u8 = 8;
    pub const SUBACK: u8 = 9;
    pub const UNSUBSCRIBE: u8 = 10;
    pub const UNSUBACK: u8 = 11;
    pub const PINGREQ: u8 = 12;
    pub const PINGRESP: u8 = 13;
    pub const DISCONNECT: u8 = 14;
}

/// A received packet.
#[derive(Debug, Clone)]
pub struct Packet {
    /// Type and flags.
    pub first: u8,
    /// Everything after the remaining length.
    pub body: Vec<u8>,
}

impl Packet {
    /// The packet type, one of [`kind`].
    pub fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// The packet identifier of an acknowledgement, or of a publish.
    pub fn id(&self) -> u16 {
        let at = match self.kind() {
            kind::PUBLISH => 2 + usize::from(u16::from_be_bytes([self.body[0], self.body[1]])),
            _ => 0,
        };
        u16::from_be_bytes([self.body[at], self.body[at + 1]])
    }
}

/// CONNECT and its fields.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Protocol name.
    pub protocol: &'static str,
    /// Protocol level: 3, 4 or 5.
    pub level: u8,
    /// Client id, as bytes: it may be invalid.
    pub id: Vec<u8>,
    /// Clean session or clean start.
    pub clean: bool,
    /// Seconds.
    pub keep_alive: u16,
    /// Topic, payload, QoS and retain flag of the will.
    pub will: Option<(String, Vec<u8>, u8, bool)>,
    /// Properties of the will in MQTT 5, without their length.
    pub will_properties: Vec<u8>,
    /// User name, as bytes: it may be invalid.
    pub username: Option<Vec<u8>>,
    /// Password.
    pub password: Option<Vec<u8>>,
    /// Properties of MQTT 5, without their length.
    pub properties: Vec<u8>,
}

impl Connect {
    /// A client with default settings.
    pub fn new(version: Version, id: &str) -> Connect {
        Connect {
            protocol: "MQTT",
            level: version.level(),
            id: id.as_bytes().to_vec(),
            clean: true,
            keep_alive: 60,
            will: None,
            will_properties: Vec::new(),
            username: None,
            password: None,
            properties: Vec::new(),
        }
    }

    /// The packet.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        string(&mut body, self.protocol.as_bytes());
        body.push(self.level);
        let will = self
            .will
            .as_ref()
            .map_or(0, |(_, _, qos, retain)| 4 | qos << 3 | u8::from(*retain) << 5);
        let credentials = u8::from(self.username.is_some()) << 7 | u8::from(self.password.is_some()) << 6;
        body.push(u8::from(self.clean) << 1 | will | credentials);
        body.extend(self.keep_alive.to_be_bytes());
        if self.level == 5 {
            properties(&mut body, &self.properties);
        }
        string(&mut body, &self.id);
        if let Some((topic, payload, _, _)) = &self.will {
            if self.level == 5 {
                properties(&mut body, &self.will_properties);
            }
            string(&mut body, topic.as_bytes());
            string(&mut body, payload);
        }
        for text in [&self.username, &self.password].into_iter().flatten() {
            string(&mut body, text);
        }
        packet(kind::CONNECT << 4, &body)
    }
}

/// A publish and its fields.
#[derive(Debug, Clone)]
pub struct Publish<'a> {
    /// Topic, as bytes: it may be invalid.
    pub topic: &'a [u8],
    /// Quality of service.
    pub qos: u8,
    /// Packet identifier; not sent at QoS 0.
    pub id: u16,
    /// Retain flag.
    pub retain: bool,
    /// DUP flag.
    pub dup: bool,
    /// Properties of MQTT 5, without their length.
    pub properties: &'a [u8],
    /// Payload.
    pub payload: &'a [u8],
}

impl Publish<'_> {
    /// Adds the packet to a buffer.
    pub fn encode_to(&self, version: Version, buffer: &mut Vec<u8>) {
        let id = if self.qos > 0 { 2 } else { 0 };
        let mut lead = Vec::new();
        if version == Version::V5 {
            properties(&mut lead, self.properties);
        }
        buffer.push(kind::PUBLISH << 4 | u8::from(self.dup) << 3 | self.qos << 1 | u8::from(self.retain));
        length(buffer, 2 + self.topic.len() + id + lead.len() + self.payload.len());
        string(buffer, self.topic);
        if self.qos > 0 {
            buffer.extend(self.id.to_be_bytes());
        }
        buffer.extend(lead);
        buffer.extend(self.payload);
    }

    /// The packet.
    pub fn encode(&self, version: Version) -> Vec<u8> {
        let mut buffer = Vec::new();
        self.encode_to(version, &mut buffer);
        buffer
    }
}

/// A PUBLISH with neither flag.
pub fn publish(version: Version, topic: &str, qos: u8, id: u16, payload: &[u8]) -> Vec<u8> {
    Publish {
        topic: topic.as_bytes(),
        qos,
        id,
        retain: false,
        dup: false,
        properties: &[],
        payload,
    }
    .encode(version)
}

/// SUBSCRIBE; `options` is the QoS in 3.1.1 and the options byte in 5. A subscription identifier is for 5 only.
pub fn subscribe(version: Version, id: u16, filters: &[(&str, u8)], identifier: Option<u8>) -> Vec<u8> {
    let identifier = identifier.map(|identifier| vec![0x0b, identifier]);
    subscribe_with(version, id, filters, &identifier.unwrap_or_default())
}

/// SUBSCRIBE with properties, which are sent in MQTT 5 only.
pub fn subscribe_with(version: Version, id: u16, filters: &[(&str, u8)], props: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        properties(&mut body, props);
    }
    for (filter, options) in filters {
        string(&mut body, filter.as_bytes());
        body.push(*options);
    }
    packet(kind::SUBSCRIBE << 4 | 2, &body)
}

/// UNSUBSCRIBE from one filter.
pub fn unsubscribe(version: Version, id: u16, filter: &str) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == Version::V5 {
        properties(&mut body, &[]);
    }
    string(&mut body, filter.as_bytes());
    packet(kind::UNSUBSCRIBE << 4 | 2, &body)
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP.
pub fn ack(kind: u8, id: u16) -> Vec<u8> {
    let flags = if kind == kind::PUBREL { 2 } else { 0 };
    packet(kind << 4 | flags, &id.to_be_bytes())
}

/// PINGREQ.
pub fn ping() -> Vec<u8> {
    packet(kind::PINGREQ << 4, &[])
}

/// DISCONNECT without reason.
pub fn disconnect() -> Vec<u8> {
    packet(kind::DISCONNECT << 4, &[])
}

/// A packet of a type with flags, and its body.
pub fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    length(&mut packet, body.len());
    packet.extend(body);
    packet
}

/// A string with its length before it.
pub fn string(buffer: &mut Vec<u8>, text: &[u8]) {
    buffer.extend((text.len() as u16).to_be_bytes());
    buffer.extend(text);
}

/// Properties of MQTT 5 with their length before them.
pub fn properties(buffer: &mut Vec<u8>, properties: &[u8]) {
    length(buffer, properties.len());
    buffer.extend(properties);
}

fn length(buffer: &mut Vec<u8>, mut length: usize) {
    loop {
        let digit = (length % 128) as u8;
        length /= 128;
        buffer.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            return;
        }
    }
}

/// The first packet in a buffer and its length; `None` if it is not complete.
pub fn decode(buffer: &[u8]) -> Option<(Packet, usize)> {
    let (mut length, mut at) = (0, 1);
    loop {
        let byte = *buffer.get(at)?;
        length |= usize::from(byte & 0x7f) << (7 * (at - 1));
        at += 1;
        if byte & 0x80 == 0 {
            break;
        }
        assert!(at < 5, "the host sent a malformed length: {:?}", &buffer[..at]);
    }
    let body = buffer.get(at..at + length)?;
    Some((
        Packet {
            first: buffer[0],
            body: body.to_vec(),
        },
        at + length,
    ))
}
