//! CONNECT and CONNACK between a client and rumqttd. Pure: packets in, packets out.

use bytes::Bytes;
use bytestring::ByteString;
use rmqtt_codec::v5;

use super::names;
use super::shield::{Shield, encode_v5, qos};
use crate::frame::parse;
use crate::packet::{self, ConnackPacket, Connect, InvalidPacket, is_topic, kind};

/// Keep alive towards rumqttd, which refuses 0; the gateway watches the client's keep alive itself.
const KEEP_ALIVE: u16 = u16::MAX;
/// The user name that rumqttd accepts.
pub(super) const USER: &str = "hookhost";

/// A client's CONNECT in rumqttd's form.
pub(crate) struct ShieldedConnect {
    /// The packet.
    pub(crate) connect: Vec<u8>,
    /// A packet that discards an older session, to be sent first through a connection of its own.
    pub(super) discard: Option<Vec<u8>>,
    version: u8,
    /// The client's id, if the client has left it to the broker.
    assigned_client_id: Option<ByteString>,
    session_expiry: u32,
}

impl ShieldedConnect {
    /// Translates a CONNECT. `new_id`: an id for a client that has none.
    ///
    /// # Errors
    ///
    /// The code of MQTT 5 to refuse the client with.
    pub(crate) fn new(
        connect: &Connect,
        password: &str,
        new_id: impl FnOnce() -> ByteString,
    ) -> Result<ShieldedConnect, u8> {
        let assigned = connect.client_id.is_empty();
        let client_id = if assigned { new_id() } else { connect.client_id.clone() };
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
        // rumqttd keeps the session of a client without a clean start, and no other.
        let clean = connect.session_expiry == 0;
        let packet = v5::Connect {
            clean_start: clean,
            session_expiry_interval_secs: connect.session_expiry,
            client_id: names::client_id(&client_id),
            last_will,
            ..connect_to(password)
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
        Ok(ShieldedConnect {
            connect: encoded(packet).map_err(|InvalidPacket(code)| code)?,
            discard: discard.map(encoded).transpose().map_err(|InvalidPacket(code)| code)?,
            version: connect.version,
            assigned_client_id: assigned.then_some(client_id),
            session_expiry: connect.session_expiry,
        })
    }

    /// The shield for the packets after CONNACK. `resumed`: rumqttd has found the session.
    pub(super) fn shield(&self, resumed: bool) -> Shield {
        Shield::new(self.version, resumed)
    }

    /// The CONNACK for the client when rumqttd's CONNACK says `answer`: the packet, and its meaning in MQTT 5.
    pub(super) fn connack(&self, answer: &ConnackPacket) -> Result<(Vec<u8>, ConnackPacket), InvalidPacket> {
        let mut out = Vec::new();
        if self.version < 5 {
            if answer.code != 0 {
                out = packet::refusal(self.version, answer.code);
            } else {
                // Of MQTT 3.1 the byte is reserved.
                let found = answer.session_present && self.version > 3;
                out.extend([kind::CONNACK << 4, 2, u8::from(found), 0]);
            }
            let meaning = ConnackPacket {
                code: answer.code,
                session_present: answer.session_present,
                assigned_client_id: self.assigned_client_id.clone(),
                ..ConnackPacket::default()
            };
            return Ok((out, meaning));
        }
        let connack = v5::ConnectAck {
            session_present: answer.session_present,
            reason_code: answer.code.try_into().unwrap_or(v5::ConnectAckReason::UnspecifiedError),
            // rumqttd never expires a session.
            session_expiry_interval_secs: (self.session_expiry > 0).then_some(u32::MAX),
            assigned_client_id: self.assigned_client_id.clone(),
            subscription_identifiers_available: false,
            shared_subscription_available: false,
            ..v5::ConnectAck::default()
        };
        encode_v5(v5::Packet::ConnectAck(Box::new(connack)), &mut out)?;
        let meaning = parse(&out)
            .ok_or(InvalidPacket(131))
            .and_then(|frame| packet::connack(5, frame.body))?;
        Ok((out, meaning))
    }
}

/// CONNECT of the connection that watches rumqttd, with an id that no client gets.
pub(super) fn connect_of_watch(password: &str) -> Option<Vec<u8>> {
    let packet = v5::Connect {
        client_id: ByteString::from_static("watch"),
        ..connect_to(password)
    };
    let mut out = Vec::new();
    encode_v5(v5::Packet::Connect(Box::new(packet)), &mut out).ok()?;
    Some(out)
}

/// A CONNECT that rumqttd accepts.
fn connect_to(password: &str) -> v5::Connect {
    v5::Connect {
        clean_start: true,
        keep_alive: KEEP_ALIVE,
        username: Some(ByteString::from_static(USER)),
        password: Some(Bytes::copy_from_slice(password.as_bytes())),
        ..v5::Connect::default()
    }
}
