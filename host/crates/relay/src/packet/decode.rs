//! From bytes to packets, by `rmqtt-codec`.

use bytes::BytesMut;
use bytestring::ByteString;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Decoder;

use super::{InvalidPacket, Packet, Publish, QOS_NOT_SUPPORTED, RequestedFilter, has_invalid_qos, kind};
use crate::decode_error;
use crate::frame::{Frame, header};
use crate::properties;
use hookhost_event::Property;

/// The packet in a buffer of its own, as the codec requires, with the room that the codec reserves after it.
fn copied(first: u8, body: &[u8]) -> BytesMut {
    let mut head = Vec::with_capacity(5);
    header(&mut head, first, body.len());
    let mut bytes = BytesMut::with_capacity(head.len() + body.len() + 8);
    bytes.extend_from_slice(&head);
    bytes.extend_from_slice(body);
    bytes
}

/// Decodes a packet of MQTT 3.
pub fn decode_v3(first: u8, body: &[u8]) -> Result<v3::Packet, InvalidPacket> {
    match v3::Codec::new(0).decode(&mut copied(first, body)) {
        Ok(Some((packet, _))) => Ok(packet),
        Ok(None) => Err(InvalidPacket(129)),
        Err(error) => Err(InvalidPacket(decode_error::code(&error))),
    }
}

/// Decodes a packet of MQTT 5.
pub fn decode_v5(first: u8, body: &[u8]) -> Result<v5::Packet, InvalidPacket> {
    match v5::Codec::new(0, 0).decode(&mut copied(first, body)) {
        Ok(Some((packet, _))) => Ok(packet),
        Ok(None) => Err(InvalidPacket(129)),
        Err(error) => Err(InvalidPacket(decode_error::code(&error))),
    }
}

/// Decodes a packet other than CONNECT, CONNACK and AUTH.
pub fn decode(version: u8, frame: Frame<'_>) -> Result<Packet, InvalidPacket> {
    if let (kind::PUBACK..=kind::PUBCOMP, [high, low]) = (frame.kind(), frame.body) {
        // Nearly every acknowledgement has this form.
        let id = u16::from_be_bytes([*high, *low]);
        return if id == 0 {
            Err(InvalidPacket(129))
        } else {
            Ok(Packet::Ack {
                id,
                code: 0,
                properties: None,
            })
        };
    }
    if has_invalid_qos(frame) {
        return Err(InvalidPacket(QOS_NOT_SUPPORTED));
    }
    if version == 5 {
        read_v5(decode_v5(frame.first, frame.body)?)
    } else {
        read_v3(decode_v3(frame.first, frame.body)?)
    }
}

fn read_v3(packet: v3::Packet) -> Result<Packet, InvalidPacket> {
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
                .map(|(filter, qos)| RequestedFilter {
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
        P::Connect(_) | P::ConnectAck(_) => return Err(InvalidPacket(130)),
    })
}

fn read_v5(packet: v5::Packet) -> Result<Packet, InvalidPacket> {
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
            let standard = identifier.map(Property::SubscriptionIdentifier).into_iter().collect();
            Packet::Subscribe {
                id: packet.packet_id.get(),
                filters: packet
                    .topic_filters
                    .into_iter()
                    .map(|(filter, options)| RequestedFilter {
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
        P::Connect(_) | P::ConnectAck(_) | P::Auth(_) => return Err(InvalidPacket(130)),
    })
}

fn ack(id: u16, code: u8, reason: Option<ByteString>, user: Vec<(ByteString, ByteString)>) -> Packet {
    let standard = reason.map(Property::ReasonString).into_iter().collect();
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
