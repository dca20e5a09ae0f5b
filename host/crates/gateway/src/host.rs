//! Messages of the host's own: published through a connection to the upstream that lives as long as it takes.

use std::io;
use std::sync::Arc;

use bytestring::ByteString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::frame::{self, Frame, header};
use super::machine::{Host, announce};
use super::packet::{self, Unreadable, kind};
use super::rumqttd::shield::{Out, Shield};
use super::shared::{Shared, Teller};
use super::stream::Stream;
use hookhost_broker::{HostMessage, PublishError};
use hookhost_event::{Client, Message, Origin};

/// The longest answer.
const ANSWER: usize = 256 << 10;
/// Packet identifier of the only publish of a connection.
const ID: [u8; 2] = [0, 1];

/// Publishes a message and waits until the upstream has it.
pub(super) async fn publish(shared: &Arc<Shared>, message: HostMessage) -> Result<(), PublishError> {
    if !packet::is_topic(&message.topic) || message.topic.len() > 65_535 {
        return Err(PublishError::Topic);
    }
    if message.qos > 2 {
        return Err(PublishError::Qos);
    }
    if message.topic.len() + message.payload.len() + 16 > shared.limits.max_packet_size as usize {
        return Err(PublishError::TooLarge);
    }
    if matches!(message.origin, Origin::Client | Origin::Will) {
        return Err(PublishError::Origin);
    }
    for place in shared.upstreams.order() {
        let Ok(Ok(mut upstream)) = timeout(shared.settings.connect_timeout, greet(shared, place)).await else {
            shared.upstreams.failed(place);
            continue;
        };
        // Before the upstream has it, as with every publish.
        let mut teller = Teller::new(shared);
        let published = Message {
            id: teller.id(),
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
            received_at: teller.now(),
            properties: None,
        };
        announce(published, &teller);
        teller.flush().await;
        return match timeout(shared.settings.connect_timeout, hand_over(&mut upstream, &message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(PublishError::Engine),
        };
    }
    Err(PublishError::Engine)
}

/// A connection to the upstream.
struct Line {
    upstream: Stream,
    shield: Option<Shield>,
}

/// Connects as a client of MQTT 3.1.1 with an id of its own.
async fn greet(shared: &Arc<Shared>, place: usize) -> io::Result<Line> {
    let upstream = shared.upstreams.connect(place, shared.address, shared.address).await?;
    let mut line = Line { upstream, shield: None };
    let id = format!("hookhost-{}", Teller::new(shared).id());
    let mut body = b"\0\x04MQTT\x04\x02\0\x3c".to_vec();
    text(&mut body, id.as_bytes());
    let Some(rumqttd) = shared.upstreams.rumqttd() else {
        send(&mut line, kind::CONNECT << 4, &body).await?;
        return match &answer(&mut line, kind::CONNACK).await?[..] {
            [_, 0] => Ok(line),
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        };
    };
    let connect = packet::connect(&body).map_err(|Unreadable(_)| io::ErrorKind::InvalidData)?;
    let opened = Shield::open(&connect, rumqttd.password(), ByteString::new).map_err(|_| io::ErrorKind::InvalidData)?;
    line.upstream.write_all(&opened.connect).await?;
    answer(&mut line, kind::CONNACK).await?;
    line.shield = Some(opened.shield);
    Ok(line)
}

/// Publishes, and sees it through as its QoS demands.
async fn hand_over(upstream: &mut Line, message: &HostMessage) -> io::Result<()> {
    let mut body = Vec::with_capacity(message.topic.len() + message.payload.len() + 4);
    text(&mut body, message.topic.as_bytes());
    if message.qos > 0 {
        body.extend(ID);
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
            send(upstream, kind::PUBREL << 4 | 2, &ID).await?;
            answer(upstream, kind::PUBCOMP).await?;
        }
        _ => {}
    }
    send(upstream, kind::DISCONNECT << 4, &[]).await?;
    if upstream.shield.is_some() {
        // rumqttd closes by itself, and must not be hurried.
        drop(upstream.upstream.read_to_end(&mut Vec::new()).await);
        return Ok(());
    }
    upstream.upstream.shutdown().await
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes());
    out.extend_from_slice(text);
}

async fn send(line: &mut Line, first: u8, body: &[u8]) -> io::Result<()> {
    let mut packet = Vec::with_capacity(body.len() + 5);
    if let Some(shield) = &mut line.shield {
        let mut out = Out::default();
        shield
            .up(Frame { first, body }, &mut out)
            .map_err(|Unreadable(_)| io::ErrorKind::InvalidData)?;
        packet = out.up;
    } else {
        header(&mut packet, first, body.len());
        packet.extend_from_slice(body);
    }
    line.upstream.write_all(&packet).await?;
    line.upstream.flush().await
}

/// The body of the next packet, which must be of this type.
async fn answer(line: &mut Line, kind: u8) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let whole = frame::whole(&bytes, ANSWER).map_err(|frame::NoPacket| io::ErrorKind::InvalidData)?;
        if let Some(frame) = whole.and_then(|length| frame::parse(bytes.get(..length)?)) {
            return if frame.kind() == kind {
                Ok(frame.body.to_vec())
            } else {
                Err(io::ErrorKind::InvalidData.into())
            };
        }
        if line.upstream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}
