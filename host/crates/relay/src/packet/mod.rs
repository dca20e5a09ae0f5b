//! Packets in one form for MQTT 3.1, 3.1.1 and 5, decoded by `rmqtt-codec`.
//!
//! Nothing here refers to the bytes that are being relayed: a packet is copied once before it is decoded, and its texts
//! and payload share that copy. A packet that the codec cannot decode is an [`InvalidPacket`].

mod connect_properties;
mod decode;
mod decode_connect;
mod publish;
mod reader;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use bytestring::ByteString;

use hookhost_event::{Client, Connection, Properties};
use hookhost_listener::Peer;

pub use self::decode::{decode, decode_v3, decode_v5};
pub use self::decode_connect::{connack, connect, with_clean_start};
pub use self::publish::{QOS_BITS, QOS_NOT_SUPPORTED, has_invalid_qos, is_topic, payload, publish_id, topic};
pub use self::reader::FieldReader;

/// Packet types, by their names in the standard.
#[allow(missing_docs, reason = "the names of the standard")]
pub mod kind {
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
    pub const AUTH: u8 = 15;
}

/// A packet that cannot be decoded, with the reason code of MQTT 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidPacket(pub u8);

/// CONNECT.
#[derive(Debug, Clone, PartialEq)]
pub struct Connect {
    /// 3, 4 or 5.
    pub version: u8,
    /// Whether the high bit of the version says that the client is a bridge.
    pub bridge: bool,
    /// Client id; empty if the broker has to assign one.
    pub client_id: ByteString,
    /// User name.
    pub username: Option<ByteString>,
    /// Password.
    pub password: Option<Password>,
    /// Whether it has a user name, a password or extended authentication.
    pub has_credentials: bool,
    /// Whether it asks for extended authentication.
    pub authentication_method: bool,
    /// Clean start, or clean session before MQTT 5.
    pub clean_start: bool,
    /// Keep alive in seconds; 0: none.
    pub keep_alive: u16,
    /// In seconds; for 3.x what clean session amounts to.
    pub session_expiry: u32,
    /// How many unacknowledged messages the client accepts.
    pub receive_maximum: u16,
    /// The highest topic alias that the client accepts.
    pub topic_alias_maximum: u16,
    /// The will.
    pub will: Option<Will>,
    /// Its properties, as events show them.
    pub properties: Option<Box<Properties>>,
}

/// The will in a CONNECT.
#[derive(Clone, PartialEq)]
pub struct Will {
    /// Its topic.
    pub topic: ByteString,
    /// Its bytes.
    pub payload: Bytes,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
    /// Seconds between the end of the connection and its publication.
    pub delay: u32,
    /// Its properties, as events show them.
    pub properties: Option<Box<Properties>>,
}

/// Without the payload, which must not be logged.
impl std::fmt::Debug for Will {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Will({}, {} bytes)", self.topic, self.payload.len())
    }
}

/// The password in a CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub Bytes);

/// Without the password, which must not be logged.
impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

impl Connect {
    /// The connection that it asks for, as events show it.
    pub fn connection(&self, peer: &Peer) -> Connection {
        Connection {
            client: Client {
                id: self.client_id.clone(),
                username: self.username.clone(),
                peer: peer.address,
                protocol_version: self.version,
                node: None,
                attributes: Vec::new(),
            },
            listener: peer.listener.clone(),
            transport: peer.transport(),
            local: peer.local,
            protocol_name: ByteString::from_static(if self.version == 3 { "MQIsdp" } else { "MQTT" }),
            bridge: self.bridge,
            keep_alive: self.keep_alive,
            clean_start: self.clean_start,
            session_expiry: self.session_expiry,
            receive_maximum: self.receive_maximum,
            mountpoint: None,
            certificate: peer.event_certificate(),
            properties: self.properties.clone(),
        }
    }
}

/// CONNACK.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConnackPacket {
    /// Reason code of MQTT 5.
    pub code: u8,
    /// Whether a session was found.
    pub session_present: bool,
    /// The client id that the broker has assigned.
    pub assigned_client_id: Option<ByteString>,
    /// Seconds that the session outlives the connection, if the broker changes them.
    pub session_expiry: Option<u32>,
    /// Keep alive in seconds, if the broker changes it.
    pub keep_alive: Option<u16>,
    /// The highest topic alias that the broker accepts.
    pub topic_alias_maximum: u16,
    /// The longest packet that the upstream accepts, in bytes.
    pub maximum_packet_size: Option<u32>,
    /// Its properties, as events show them.
    pub properties: Option<Box<Properties>>,
}

/// One filter of a SUBSCRIBE.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestedFilter {
    /// As sent, with `$share/…/`.
    pub filter: ByteString,
    /// The highest QoS.
    pub qos: u8,
    /// Whether the client's own messages are excluded.
    pub no_local: bool,
    /// Whether messages keep their retain flag.
    pub retain_as_published: bool,
    /// When retained messages are sent: 0, 1 or 2.
    pub retain_handling: u8,
}

/// PUBLISH.
#[derive(Debug, Clone, PartialEq)]
pub struct Publish {
    /// Empty if an alias stands for it.
    pub topic: ByteString,
    /// Topic alias.
    pub alias: Option<u16>,
    /// Its bytes.
    pub payload: Bytes,
    /// 0, 1 or 2.
    pub qos: u8,
    /// Retain flag.
    pub retain: bool,
    /// Whether it is sent again.
    pub dup: bool,
    /// Packet identifier, above QoS 0.
    pub id: Option<u16>,
    /// Subscription identifiers.
    pub subscription_ids: Vec<u32>,
    /// Its other properties, as events show them.
    pub properties: Option<Box<Properties>>,
}

/// A packet other than CONNECT, CONNACK and AUTH.
#[allow(missing_docs, reason = "the packets of the standard and their fields")]
#[derive(Debug, Clone, PartialEq)]
pub enum Packet {
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

/// A CONNACK that refuses, with a reason code of MQTT 5.
pub fn refusal(version: u8, code: u8) -> Vec<u8> {
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
pub const DISCONNECT_END_SESSION: [u8; 9] = [kind::DISCONNECT << 4, 7, 4, 5, 0x11, 0, 0, 0, 0];

/// A DISCONNECT of MQTT 5 from the broker's side. For [`QOS_NOT_SUPPORTED`] it has the code of a malformed packet, as MQTT 5
/// demands for QoS 3.
pub fn disconnect(code: u8) -> [u8; 4] {
    let code = match code {
        QOS_NOT_SUPPORTED => 129,
        code => code,
    };
    [kind::DISCONNECT << 4, 2, code, 0]
}
