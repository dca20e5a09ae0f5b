//! Packets as the gateway looks at them: one form for MQTT 3.1, 3.1.1 and 5, read by `rmqtt-codec`.
//!
//! Nothing here keeps a reference to the bytes that are being relayed: a packet that is read is copied first, once, and
//! its texts and payload share that copy. What the codec cannot read is [`Unreadable`]; that is the sender's affair and
//! that of the broker, not ours.

use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use rmqtt_codec::error::DecodeError;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Decoder;

use super::frame::{Frame, header};
use crate::broker::properties;
use crate::event::Properties;

/// Packet types.
pub(super) mod kind {
    pub(in super::super) const CONNECT: u8 = 1;
    pub(in super::super) const CONNACK: u8 = 2;
    pub(in super::super) const PUBLISH: u8 = 3;
    pub(in super::super) const PUBACK: u8 = 4;
    pub(in super::super) const PUBREC: u8 = 5;
    pub(in super::super) const PUBREL: u8 = 6;
    pub(in super::super) const PUBCOMP: u8 = 7;
    pub(in super::super) const SUBSCRIBE: u8 = 8;
    pub(in super::super) const SUBACK: u8 = 9;
    pub(in super::super) const UNSUBSCRIBE: u8 = 10;
    pub(in super::super) const UNSUBACK: u8 = 11;
    pub(in super::super) const PINGREQ: u8 = 12;
    pub(in super::super) const PINGRESP: u8 = 13;
    pub(in super::super) const DISCONNECT: u8 = 14;
    pub(in super::super) const AUTH: u8 = 15;
}

/// A packet that cannot be read, with the code of MQTT 5 that says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) u8);

/// CONNECT.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Connect {
    /// 3, 4 or 5.
    pub(super) version: u8,
    /// Whether the high bit of the version says that the client is a bridge.
    pub(super) bridge: bool,
    pub(super) client_id: ByteString,
    pub(super) username: Option<ByteString>,
    /// Whether anything in it proves who the client is.
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

/// Without the payload, which is nobody's business.
impl std::fmt::Debug for Will {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Will({}, {} bytes)", self.topic, self.payload.len())
    }
}

/// CONNACK.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Connack {
    /// Reason code of MQTT 5.
    pub(super) code: u8,
    pub(super) session_present: bool,
    pub(super) assigned_client_id: Option<ByteString>,
    pub(super) session_expiry: Option<u32>,
    pub(super) keep_alive: Option<u16>,
    pub(super) topic_alias_maximum: u16,
    pub(super) properties: Option<Box<Properties>>,
}

/// One filter of a SUBSCRIBE.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
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
        filters: Vec<Asked>,
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

fn why(error: &DecodeError) -> Unreadable {
    Unreadable(match error {
        DecodeError::InvalidProtocol | DecodeError::UnsupportedPacketType | DecodeError::PacketIdRequired => 130,
        DecodeError::UnsupportedProtocolLevel => 132,
        DecodeError::InvalidClientId => 133,
        DecodeError::InvalidTopicFilter => 143,
        DecodeError::InvalidTopicName => 144,
        DecodeError::MaxSizeExceeded { .. } => 149,
        DecodeError::InvalidLength
        | DecodeError::MalformedPacket
        | DecodeError::ConnectReservedFlagSet
        | DecodeError::InvalidConnectFlags
        | DecodeError::ConnAckReservedFlagSet
        | DecodeError::Utf8Error
        | DecodeError::Io(_) => 129,
    })
}

/// The packet in a buffer of its own, as the codec wants it, with room for what the codec reserves after it.
fn copied(first: u8, body: &[u8]) -> BytesMut {
    let mut head = Vec::with_capacity(5);
    header(&mut head, first, body.len());
    let mut bytes = BytesMut::with_capacity(head.len() + body.len() + 8);
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(body);
    bytes
}

/// Reads a packet of MQTT 3.
pub(super) fn decode_v3(first: u8, body: &[u8]) -> Result<v3::Packet, Unreadable> {
    match v3::Codec::new(0).decode(&mut copied(first, body)) {
        Ok(Some((packet, _))) => Ok(packet),
        Ok(None) => Err(Unreadable(129)),
        Err(error) => Err(why(&error)),
    }
}

/// Reads a packet of MQTT 5.
pub(super) fn decode_v5(first: u8, body: &[u8]) -> Result<v5::Packet, Unreadable> {
    match v5::Codec::new(0, 0).decode(&mut copied(first, body)) {
        Ok(Some((packet, _))) => Ok(packet),
        Ok(None) => Err(Unreadable(129)),
        Err(error) => Err(why(&error)),
    }
}

/// Reads CONNECT of any version.
pub(super) fn connect(body: &[u8]) -> Result<Connect, Unreadable> {
    let first = kind::CONNECT << 4;
    let name = usize::from(u16::from_be_bytes([
        *body.first().ok_or(Unreadable(129))?,
        *body.get(1).ok_or(Unreadable(129))?,
    ]));
    let level = *body.get(2 + name).ok_or(Unreadable(129))?;
    // Bridges set the high bit, which the codec does not know.
    let bridge = level & 0x80 != 0;
    let mut masked = Vec::new();
    let body = if bridge {
        masked.extend_from_slice(body);
        if let Some(level) = masked.get_mut(2 + name) {
            *level &= 0x7f;
        }
        &masked[..]
    } else {
        body
    };
    if level & 0x7f == 5 {
        match decode_v5(first, body)? {
            v5::Packet::Connect(connect) => Ok(connect_v5(*connect, bridge)),
            _ => Err(Unreadable(130)),
        }
    } else {
        match decode_v3(first, body)? {
            v3::Packet::Connect(connect) => Ok(connect_v3(*connect, bridge)),
            _ => Err(Unreadable(130)),
        }
    }
}

fn connect_v3(connect: v3::Connect, bridge: bool) -> Connect {
    Connect {
        version: connect.protocol.level(),
        bridge,
        has_credentials: connect.username.is_some() || connect.password.is_some(),
        authentication_method: false,
        username: connect.username,
        client_id: connect.client_id,
        clean_start: connect.clean_session,
        keep_alive: connect.keep_alive,
        session_expiry: if connect.clean_session { 0 } else { u32::MAX },
        receive_maximum: u16::MAX,
        topic_alias_maximum: 0,
        will: connect.last_will.map(|will| Will {
            topic: will.topic,
            payload: will.message,
            qos: will.qos.value(),
            retain: will.retain,
            delay: 0,
            properties: None,
        }),
        properties: None,
    }
}

fn connect_v5(connect: v5::Connect, bridge: bool) -> Connect {
    Connect {
        version: 5,
        bridge,
        properties: properties::of_connect(&connect),
        has_credentials: connect.username.is_some() || connect.password.is_some() || connect.auth_method.is_some(),
        authentication_method: connect.auth_method.is_some(),
        username: connect.username,
        client_id: connect.client_id,
        clean_start: connect.clean_start,
        keep_alive: connect.keep_alive,
        session_expiry: connect.session_expiry_interval_secs,
        receive_maximum: connect.receive_max.map_or(u16::MAX, |maximum| maximum.get()),
        topic_alias_maximum: connect.topic_alias_max,
        will: connect.last_will.map(|will| Will {
            delay: will.will_delay_interval_sec.unwrap_or(0),
            properties: properties::of_will(&will),
            topic: will.topic,
            payload: will.message,
            qos: will.qos.value(),
            retain: will.retain,
        }),
    }
}

/// Reads CONNACK.
pub(super) fn connack(version: u8, body: &[u8]) -> Result<Connack, Unreadable> {
    let first = kind::CONNACK << 4;
    if version == 5 {
        return match decode_v5(first, body)? {
            v5::Packet::ConnectAck(connack) => Ok(Connack {
                properties: properties::of_connack(&connack),
                code: connack.reason_code.into(),
                session_present: connack.session_present,
                assigned_client_id: connack.assigned_client_id,
                session_expiry: connack.session_expiry_interval_secs,
                keep_alive: connack.server_keepalive_sec,
                topic_alias_maximum: connack.topic_alias_max,
            }),
            _ => Err(Unreadable(130)),
        };
    }
    match decode_v3(first, body)? {
        v3::Packet::ConnectAck(connack) => Ok(Connack {
            code: code_of_v3(connack.return_code.into()),
            session_present: connack.session_present,
            ..Connack::default()
        }),
        _ => Err(Unreadable(130)),
    }
}

/// The code of MQTT 5 for a return code of CONNACK in 3.x.
fn code_of_v3(code: u8) -> u8 {
    match code {
        0 => 0,
        1 => 132,
        2 => 133,
        3 => 136,
        4 => 134,
        5 => 135,
        _ => 128,
    }
}

/// Reads a packet other than CONNECT, CONNACK and AUTH.
pub(super) fn read(version: u8, frame: Frame<'_>) -> Result<Packet, Unreadable> {
    if let (kind::PUBACK..=kind::PUBCOMP, [high, low]) = (frame.kind(), frame.body) {
        // What nearly every confirmation looks like.
        let id = u16::from_be_bytes([*high, *low]);
        return if id == 0 {
            Err(Unreadable(129))
        } else {
            Ok(Packet::Ack {
                id,
                code: 0,
                properties: None,
            })
        };
    }
    if version == 5 {
        read_v5(decode_v5(frame.first, frame.body)?)
    } else {
        read_v3(decode_v3(frame.first, frame.body)?)
    }
}

fn read_v3(packet: v3::Packet) -> Result<Packet, Unreadable> {
    use v3::Packet as P;
    Ok(match packet {
        P::Publish(publish) => Packet::Publish(published(*publish)),
        P::PublishAck { packet_id }
        | P::PublishReceived { packet_id }
        | P::PublishRelease { packet_id }
        | P::PublishComplete { packet_id } => ack(packet_id.get(), 0, None, Vec::new()),
        P::Subscribe {
            packet_id,
            topic_filters,
        } => Packet::Subscribe {
            id: packet_id.get(),
            filters: topic_filters
                .into_iter()
                .map(|(filter, qos)| Asked {
                    filter,
                    qos: qos.value(),
                    no_local: false,
                    retain_as_published: false,
                    retain_handling: 0,
                })
                .collect(),
            identifier: None,
            properties: None,
        },
        P::SubscribeAck { packet_id, status } => Packet::Suback {
            id: packet_id.get(),
            codes: status
                .into_iter()
                .map(|status| match status {
                    v3::SubscribeReturnCode::Success(qos) => qos.value(),
                    v3::SubscribeReturnCode::Failure => 128,
                })
                .collect(),
        },
        P::Unsubscribe {
            packet_id,
            topic_filters,
        } => Packet::Unsubscribe {
            id: packet_id.get(),
            filters: topic_filters,
            properties: None,
        },
        P::UnsubscribeAck { packet_id } => Packet::Unsuback {
            id: packet_id.get(),
            codes: Vec::new(),
        },
        P::Disconnect => Packet::Disconnect {
            code: 0,
            session_expiry: None,
            text: None,
            properties: None,
        },
        P::PingRequest | P::PingResponse => Packet::Ping,
        P::Connect(_) | P::ConnectAck(_) => return Err(Unreadable(130)),
    })
}

fn read_v5(packet: v5::Packet) -> Result<Packet, Unreadable> {
    use v5::Packet as P;
    Ok(match packet {
        P::Publish(publish) => Packet::Publish(published(*publish)),
        P::PublishAck(packet) | P::PublishReceived(packet) => ack(
            packet.packet_id.get(),
            packet.reason_code.into(),
            packet.reason_string,
            packet.properties,
        ),
        P::PublishRelease(packet) | P::PublishComplete(packet) => ack(
            packet.packet_id.get(),
            packet.reason_code.into(),
            packet.reason_string,
            packet.properties,
        ),
        P::Subscribe(packet) => {
            let identifier = packet.id.map(|id| id.get());
            let standard = identifier
                .map(crate::event::Property::SubscriptionIdentifier)
                .into_iter()
                .collect();
            Packet::Subscribe {
                id: packet.packet_id.get(),
                filters: packet
                    .topic_filters
                    .into_iter()
                    .map(|(filter, options)| Asked {
                        filter,
                        qos: options.qos.value(),
                        no_local: options.no_local,
                        retain_as_published: options.retain_as_published,
                        retain_handling: options.retain_handling.into(),
                    })
                    .collect(),
                identifier,
                properties: properties::some(standard, packet.user_properties),
            }
        }
        P::SubscribeAck(packet) => Packet::Suback {
            id: packet.packet_id.get(),
            codes: packet.status.into_iter().map(u8::from).collect(),
        },
        P::Unsubscribe(packet) => Packet::Unsubscribe {
            id: packet.packet_id.get(),
            filters: packet.topic_filters,
            properties: properties::some(Vec::new(), packet.user_properties),
        },
        P::UnsubscribeAck(packet) => Packet::Unsuback {
            id: packet.packet_id.get(),
            codes: packet.status.into_iter().map(u8::from).collect(),
        },
        P::Disconnect(packet) => Packet::Disconnect {
            code: packet.reason_code.into(),
            session_expiry: packet.session_expiry_interval_secs,
            text: packet.reason_string.clone(),
            properties: properties::of_disconnect(&packet),
        },
        P::PingRequest | P::PingResponse => Packet::Ping,
        P::Connect(_) | P::ConnectAck(_) | P::Auth(_) => return Err(Unreadable(130)),
    })
}

fn ack(id: u16, code: u8, reason: Option<ByteString>, user: Vec<(ByteString, ByteString)>) -> Packet {
    let standard = reason.map(crate::event::Property::ReasonString).into_iter().collect();
    Packet::Ack {
        id,
        code,
        properties: properties::some(standard, user),
    }
}

fn published(publish: rmqtt_codec::types::Publish) -> Publish {
    let properties = publish.properties.as_ref();
    Publish {
        alias: properties
            .and_then(|properties| properties.topic_alias)
            .map(|alias| alias.get()),
        subscription_ids: properties.map_or_else(Vec::new, |properties| {
            properties.subscription_ids.iter().map(|id| id.get()).collect()
        }),
        properties: properties.and_then(properties::of_publish),
        topic: publish.topic,
        payload: publish.payload,
        qos: publish.qos.value(),
        retain: publish.retain,
        dup: publish.dup,
        id: publish.packet_id.map(|id| id.get()),
    }
}

/// Whether MQTT lets anybody publish to this topic.
pub(super) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// The topic of a PUBLISH, read where it lies; none if there is none or it is no text.
pub(super) fn topic(body: &[u8]) -> Option<&str> {
    let (length, rest) = body.split_first_chunk::<2>()?;
    let topic = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    std::str::from_utf8(topic).ok()
}

/// The packet identifier of a PUBLISH above QoS 0, read where it lies.
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

/// A DISCONNECT of MQTT 5 in a client's name that ends its session and has its will published.
pub(super) const DISCONNECT_FOR_EVER: [u8; 9] = [kind::DISCONNECT << 4, 7, 4, 5, 0x11, 0, 0, 0, 0];

/// A DISCONNECT of MQTT 5 from the broker's side.
pub(super) fn disconnect(code: u8) -> [u8; 4] {
    [kind::DISCONNECT << 4, 2, code, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(out: &mut Vec<u8>, text: &str) {
        out.extend_from_slice(&(text.len() as u16).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }

    fn connect_body(name: &str, level: u8, flags: u8) -> Vec<u8> {
        let mut body = Vec::new();
        text(&mut body, name);
        body.extend([level, flags, 0, 60]);
        if level & 0x7f == 5 {
            body.push(0);
        }
        text(&mut body, "c");
        body
    }

    #[test]
    fn connects_of_all_versions() {
        for (name, level, version, bridge) in [
            ("MQIsdp", 3, 3, false),
            ("MQIsdp", 0x83, 3, true),
            ("MQTT", 4, 4, false),
            ("MQTT", 0x84, 4, true),
            ("MQTT", 5, 5, false),
        ] {
            let packet = connect(&connect_body(name, level, 0)).unwrap();
            assert_eq!(
                (
                    packet.version,
                    packet.bridge,
                    packet.client_id.as_ref(),
                    packet.keep_alive
                ),
                (version, bridge, "c", 60)
            );
            let expiry = if version == 5 { 0 } else { u32::MAX };
            assert_eq!((packet.clean_start, packet.session_expiry), (false, expiry));
        }
        for body in [
            &b""[..],
            b"\0",
            b"\0\x04MQTT",
            b"\0\x04MQTT\x06\0\0\0\0\0",
            b"\xff\xffMQTT\x04",
        ] {
            assert!(connect(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn return_codes_of_3_become_reason_codes_and_back() {
        for (old, new) in [(0, 0), (1, 132), (2, 133), (3, 136), (4, 134), (5, 135)] {
            assert_eq!(connack(4, &[0, old]).unwrap().code, new);
            if old > 0 {
                assert_eq!(refusal(4, new), [0x20, 2, 0, old]);
                assert_eq!(connack(5, &refusal(5, new)[2..]).unwrap().code, new);
            }
        }
    }

    #[test]
    fn topic_and_identifier_are_read_in_place() {
        let body = b"\0\x03a/b\0\x07payload";
        let frame = |first| Frame { first, body };
        assert_eq!(topic(body), Some("a/b"));
        assert_eq!(publish_id(frame(0x32)), Some(7));
        assert_eq!(publish_id(frame(0x30)), None);
        for body in [&b""[..], b"\0", b"\0\x03a", b"\0\x01\xff"] {
            assert_eq!(topic(body), None, "{body:?}");
        }
        assert_eq!(
            publish_id(Frame {
                first: 0x32,
                body: b"\0\x01a\0"
            }),
            None
        );
        assert_eq!(
            publish_id(Frame {
                first: 0x32,
                body: b"\0\x01a\0\0"
            }),
            None
        );
    }

    #[test]
    fn short_and_long_confirmations() {
        let read = |version, body| read(version, Frame { first: 0x40, body });
        let plain = Packet::Ack {
            id: 7,
            code: 0,
            properties: None,
        };
        assert_eq!(read(4, b"\0\x07"), Ok(plain.clone()));
        assert_eq!(read(5, b"\0\x07"), Ok(plain));
        assert_eq!(
            read(5, b"\0\x07\x10"),
            Ok(Packet::Ack {
                id: 7,
                code: 16,
                properties: None
            })
        );
        assert_eq!(read(5, b"\0\0"), Err(Unreadable(129)));
        assert_eq!(read(4, b"\0\x07\x10"), Err(Unreadable(129)));
    }
}
