//! Packets in one form for MQTT 3.1, 3.1.1 and 5, decoded by `rmqtt-codec`.
//!
//! Nothing here refers to the bytes that are being relayed: a packet is copied once before it is decoded, and its texts
//! and payload share that copy. A packet that the codec cannot decode is an [`InvalidPacket`].

mod connect_properties;
mod decode;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use bytestring::ByteString;

use super::frame::Frame;
use hookhost_event::Properties;

pub(super) use self::decode::{connack, connect, decode, decode_v3, decode_v5};

/// Packet types.
pub(super) mod kind {
    pub(crate) const CONNECT: u8 = 1;
    pub(crate) const CONNACK: u8 = 2;
    pub(crate) const PUBLISH: u8 = 3;
    pub(crate) const PUBACK: u8 = 4;
    pub(crate) const PUBREC: u8 = 5;
    pub(crate) const PUBREL: u8 = 6;
    pub(crate) const PUBCOMP: u8 = 7;
    pub(crate) const SUBSCRIBE: u8 = 8;
    pub(crate) const SUBACK: u8 = 9;
    pub(crate) const UNSUBSCRIBE: u8 = 10;
    pub(crate) const UNSUBACK: u8 = 11;
    pub(crate) const PINGREQ: u8 = 12;
    pub(crate) const PINGRESP: u8 = 13;
    pub(crate) const DISCONNECT: u8 = 14;
    pub(crate) const AUTH: u8 = 15;
}

/// A packet that cannot be decoded, with the reason code of MQTT 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InvalidPacket(pub(super) u8);

/// CONNECT.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Connect {
    /// 3, 4 or 5.
    pub(super) version: u8,
    /// Whether the high bit of the version says that the client is a bridge.
    pub(super) bridge: bool,
    pub(super) client_id: ByteString,
    pub(super) username: Option<ByteString>,
    /// Whether it has a user name, a password or extended authentication.
    pub(super) has_credentials: bool,
    /// Whether it asks for extended authentication.
    pub(super) authentication_method: bool,
    pub(super) clean_start: bool,
    pub(super) keep_alive: u16,
    /// In seconds; for 3.x what clean session amounts to.
    pub(super) session_expiry: u32,
    pub(super) receive_maximum: u16,
    pub(super) topic_alias_maximum: u16,
    pub(super) will: Option<Will>,
    pub(super) properties: Option<Box<Properties>>,
}

/// The will in a CONNECT.
#[derive(Clone, PartialEq)]
pub(super) struct Will {
    pub(super) topic: ByteString,
    pub(super) payload: Bytes,
    pub(super) qos: u8,
    pub(super) retain: bool,
    /// Seconds between the end of the connection and its publication.
    pub(super) delay: u32,
    pub(super) properties: Option<Box<Properties>>,
}

/// Without the payload, which must not be logged.
impl std::fmt::Debug for Will {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Will({}, {} bytes)", self.topic, self.payload.len())
    }
}

/// CONNACK.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ConnackPacket {
    /// Reason code of MQTT 5.
    pub(super) code: u8,
    pub(super) session_present: bool,
    pub(super) assigned_client_id: Option<ByteString>,
    pub(super) session_expiry: Option<u32>,
    pub(super) keep_alive: Option<u16>,
    pub(super) topic_alias_maximum: u16,
    /// The longest packet that the upstream accepts, in bytes.
    pub(super) maximum_packet_size: Option<u32>,
    pub(super) properties: Option<Box<Properties>>,
}

/// One filter of a SUBSCRIBE.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RequestedFilter {
    /// As sent, with `$share/…/`.
    pub(super) filter: ByteString,
    pub(super) qos: u8,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    pub(super) retain_handling: u8,
}

/// PUBLISH.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Publish {
    /// Empty if an alias stands for it.
    pub(super) topic: ByteString,
    pub(super) alias: Option<u16>,
    pub(super) payload: Bytes,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) id: Option<u16>,
    pub(super) subscription_ids: Vec<u32>,
    pub(super) properties: Option<Box<Properties>>,
}

/// A packet other than CONNECT, CONNACK and AUTH.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Packet {
    Publish(Publish),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP, which the kind tells.
    Ack {
        id: u16,
        code: u8,
        properties: Option<Box<Properties>>,
    },
    Subscribe {
        id: u16,
        filters: Vec<RequestedFilter>,
        identifier: Option<u32>,
        properties: Option<Box<Properties>>,
    },
    Suback {
        id: u16,
        codes: Vec<u8>,
    },
    Unsubscribe {
        id: u16,
        filters: Vec<ByteString>,
        properties: Option<Box<Properties>>,
    },
    /// Without codes before MQTT 5.
    Unsuback {
        id: u16,
        codes: Vec<u8>,
    },
    Disconnect {
        code: u8,
        session_expiry: Option<u32>,
        text: Option<ByteString>,
        properties: Option<Box<Properties>>,
    },
    Ping,
}

/// Whether MQTT allows to publish to this topic.
pub(super) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// The topic of a PUBLISH, read in place; `None` if it is missing or not UTF-8.
pub(super) fn topic(body: &[u8]) -> Option<&str> {
    let (length, rest) = body.split_first_chunk::<2>()?;
    let topic = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    std::str::from_utf8(topic).ok()
}

/// The packet identifier of a PUBLISH above QoS 0, read in place.
pub(super) fn publish_id(frame: Frame<'_>) -> Option<u16> {
    if frame.first & 0b0110 == 0 {
        return None;
    }
    let (length, rest) = frame.body.split_first_chunk::<2>()?;
    let rest = rest.get(usize::from(u16::from_be_bytes(*length))..)?;
    rest.first_chunk::<2>()
        .map(|id| u16::from_be_bytes(*id))
        .filter(|id| *id > 0)
}

/// A CONNACK that refuses, with a reason code of MQTT 5.
pub(super) fn refusal(version: u8, code: u8) -> Vec<u8> {
    if version == 5 {
        return vec![kind::CONNACK << 4, 3, 0, code, 0];
    }
    let code = match code {
        132 => 1,
        133 => 2,
        134 => 4,
        135 | 138 => 5,
        _ => 3,
    };
    vec![kind::CONNACK << 4, 2, 0, code]
}

/// A DISCONNECT of MQTT 5 in a client's name that ends its session and publishes its will.
pub(super) const DISCONNECT_END_SESSION: [u8; 9] = [kind::DISCONNECT << 4, 7, 4, 5, 0x11, 0, 0, 0, 0];

/// A DISCONNECT of MQTT 5 from the broker's side.
pub(super) fn disconnect(code: u8) -> [u8; 4] {
    [kind::DISCONNECT << 4, 2, code, 0]
}
