//! Messages of the host's own: each is published through a connection of its own to the upstream.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::emitter::Emitter;
use super::frame::{self, header, variable_length};
use super::packet::{self, kind};
use super::protocol::{Lookup, announce_publish};
use super::shared::Shared;
use super::stream::UpstreamStream;
use super::upstream::Target;
use super::wire::{PacketReadError, read_packet};
use hookhost_broker::{HostMessage, PublishError};
use hookhost_event::{Client, Message, Origin, Properties, Property};

/// The longest answer.
const MAX_ANSWER_BYTES: usize = 256 << 10;
/// Identifier of a user property.
const USER_PROPERTY: u8 = 0x26;
/// Packet identifier of the only publish of a connection.
const PACKET_ID: [u8; 2] = [0, 1];

/// Publishes a message and waits until the upstream has acknowledged it, as its QoS demands.
pub(super) async fn publish(shared: &Arc<Shared>, message: HostMessage) -> Result<(), PublishError> {
    if !packet::is_topic(&message.topic) {
        return Err(PublishError::Topic);
    }
    if message.qos > 2 {
        return Err(PublishError::Qos);
    }
    if !message.fits(shared.limits.max_packet_size) {
        return Err(PublishError::TooLarge);
    }
    if matches!(message.origin, Origin::Client | Origin::Will) {
        return Err(PublishError::Origin);
    }
    // Only MQTT 5 has properties, and not every upstream has MQTT 5.
    let version = if message.properties == Properties::default() {
        4
    } else {
        5
    };
    let limit = shared.settings.connect_timeout;
    for target in shared.upstreams.order(None) {
        let _guard = target.enter();
        let connecting = timeout(limit, connect(shared, &target, version)).await;
        let mut upstream = match connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(upstream) => upstream,
            Err(error) => {
                // A refusal, an end without an answer or another answer may be about this connection alone.
                if !matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionAborted | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) {
                    shared.upstreams.failed(&target, &error.to_string());
                }
                continue;
            }
        };
        // Reported before the upstream has it, as every publish.
        let published = Message {
            id: shared.new_id(),
            publisher: Client {
                id: message.sender.clone(),
                ..Client::default()
            },
            origin: message.origin,
            topic: message.topic.clone(),
            payload: message.payload.clone(),
            qos: message.qos,
            retain: message.retain,
            dup: false,
            packet_id: None,
            received_at: shared.now(),
            properties: (version == 5).then(|| Box::new(message.properties.clone())),
            republishes: message.republishes,
        };
        let mut emitter = Emitter::new(shared);
        emitter.run(|step| announce_publish(published, step));
        emitter.flush().await;
        return match timeout(limit, send_publish(&mut *upstream, &message, version)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(PublishError::Engine),
        };
    }
    Err(PublishError::Engine)
}

/// Connects as a client with an id of its own. Version 4 is MQTT 3.1.1.
async fn connect(shared: &Shared, target: &Target, version: u8) -> io::Result<Box<dyn UpstreamStream>> {
    let connecting = shared.upstreams.connect(target, None);
    let mut upstream = connecting.await?;
    let mut body = b"\0\x04MQTT".to_vec();
    body.extend([version, 2, 0, 60]);
    if version == 5 {
        // No properties.
        body.push(0);
    }
    text(&mut body, format!("hookhost-{}", shared.new_id()).as_bytes());
    send(&mut *upstream, kind::CONNECT << 4, &body).await?;
    match &answer(&mut *upstream, kind::CONNACK).await?[..] {
        [_, 0, ..] => Ok(upstream),
        _ => Err(io::ErrorKind::ConnectionAborted.into()),
    }
}

/// The properties of PUBLISH, without their length.
fn encoded(properties: &Properties) -> Vec<u8> {
    let mut out = Vec::new();
    for property in &properties.standard {
        match property {
            Property::PayloadFormatIndicator(format) => out.extend([0x01, *format]),
            Property::MessageExpiryInterval(seconds) => {
                out.push(0x02);
                out.extend(seconds.to_be_bytes());
            }
            Property::ContentType(kind) => {
                out.push(0x03);
                text(&mut out, kind.as_bytes());
            }
            Property::ResponseTopic(topic) => {
                out.push(0x08);
                text(&mut out, topic.as_bytes());
            }
            Property::CorrelationData(data) => {
                out.push(0x09);
                text(&mut out, data);
            }
            _ => {}
        }
    }
    for (name, value) in &properties.user {
        out.push(USER_PROPERTY);
        text(&mut out, name.as_bytes());
        text(&mut out, value.as_bytes());
    }
    out
}

/// Sends PUBLISH and whatever its QoS demands, then DISCONNECT.
async fn send_publish(upstream: &mut dyn UpstreamStream, message: &HostMessage, version: u8) -> io::Result<()> {
    let mut body = Vec::with_capacity(message.topic.len() + message.payload.len() + 4);
    text(&mut body, message.topic.as_bytes());
    if message.qos > 0 {
        body.extend(PACKET_ID);
    }
    if version == 5 {
        let mut properties = encoded(&message.properties);
        variable_length(&mut body, properties.len());
        body.append(&mut properties);
    }
    body.extend_from_slice(&message.payload);
    let first = kind::PUBLISH << 4 | message.qos << 1 | u8::from(message.retain);
    send(upstream, first, &body).await?;
    match message.qos {
        1 => {
            answer(upstream, kind::PUBACK).await?;
        }
        2 => {
            answer(upstream, kind::PUBREC).await?;
            send(upstream, kind::PUBREL << 4 | 2, &PACKET_ID).await?;
            answer(upstream, kind::PUBCOMP).await?;
        }
        _ => {}
    }
    send(upstream, kind::DISCONNECT << 4, &[]).await?;
    upstream.shutdown().await
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(text);
}

async fn send(upstream: &mut dyn UpstreamStream, first: u8, body: &[u8]) -> io::Result<()> {
    let mut packet = Vec::with_capacity(body.len() + 5);
    header(&mut packet, first, body.len());
    packet.extend_from_slice(body);
    upstream.write_all(&packet).await?;
    upstream.flush().await
}

/// The body of the next packet, which must be of this type.
async fn answer(upstream: &mut dyn UpstreamStream, kind: u8) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let is_expected = |first: u8| first >> 4 == kind;
    match read_packet(upstream, &mut bytes, MAX_ANSWER_BYTES, is_expected).await {
        Ok(length) => {
            let frame = bytes.get(..length).and_then(frame::parse);
            Ok(frame.map(|frame| frame.body.to_vec()).unwrap_or_default())
        }
        Err(PacketReadError::Closed) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(PacketReadError::NotMqtt) => Err(io::ErrorKind::InvalidData.into()),
    }
}
