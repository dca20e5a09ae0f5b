//! CONNECT and CONNACK, decoded by `rmqtt-codec`.

use rmqtt_codec::{v3, v5};

use super::connect_properties::sent_properties;
use super::{ConnackPacket, Connect, FieldReader, InvalidPacket, Password, Will, decode_v3, decode_v5, kind};
use crate::properties::{self, SentProperties};

/// Decodes CONNECT of any version.
pub fn connect(body: &[u8]) -> Result<Connect, InvalidPacket> {
    let first = kind::CONNECT << 4;
    let mut fields = FieldReader::new(body);
    let name = fields.text().ok_or(InvalidPacket(129))?.len();
    let level = fields.byte().ok_or(InvalidPacket(129))?;
    // Bridges set the high bit, which the codec does not support.
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
        let (decoded, clean_start) = match decode_v5(first, body) {
            // The codec refuses an empty client id without clean start, which MQTT 5 allows.
            Err(InvalidPacket(133)) => {
                let changed = with_clean_start(body).ok_or(InvalidPacket(129))?;
                (decode_v5(first, &changed)?, false)
            }
            decoded => (decoded?, true),
        };
        match decoded {
            v5::Packet::Connect(connect) => {
                let connect = connect_v5(*connect, bridge, sent_properties(body));
                Ok(Connect {
                    clean_start: connect.clean_start && clean_start,
                    ..connect
                })
            }
            _ => Err(InvalidPacket(130)),
        }
    } else {
        match decode_v3(first, body)? {
            v3::Packet::Connect(connect) => Ok(connect_v3(*connect, bridge)),
            _ => Err(InvalidPacket(130)),
        }
    }
}

/// The body of a CONNECT with the flag for a clean start; `None` if it is too short.
pub fn with_clean_start(body: &[u8]) -> Option<Vec<u8>> {
    const CLEAN_START: u8 = 0b10;
    let mut fields = FieldReader::new(body);
    let (_name, _level) = (fields.text()?, fields.byte()?);
    let mut changed = body.to_vec();
    *changed.get_mut(body.len() - fields.rest().len())? |= CLEAN_START;
    Some(changed)
}

fn connect_v3(connect: v3::Connect, bridge: bool) -> Connect {
    Connect {
        version: connect.protocol.level(),
        bridge,
        has_credentials: connect.username.is_some() || connect.password.is_some(),
        authentication_method: false,
        username: connect.username,
        password: connect.password.map(Password),
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

fn connect_v5(connect: v5::Connect, bridge: bool, sent: SentProperties) -> Connect {
    Connect {
        version: 5,
        bridge,
        properties: properties::of_connect(&connect, sent),
        has_credentials: connect.username.is_some() || connect.password.is_some() || connect.auth_method.is_some(),
        authentication_method: connect.auth_method.is_some(),
        username: connect.username,
        password: connect.password.map(Password),
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

/// Decodes CONNACK.
pub fn connack(version: u8, body: &[u8]) -> Result<ConnackPacket, InvalidPacket> {
    let first = kind::CONNACK << 4;
    if version == 5 {
        return match decode_v5(first, body)? {
            v5::Packet::ConnectAck(connack) => Ok(ConnackPacket {
                properties: properties::of_connack(&connack),
                code: connack.reason_code.into(),
                session_present: connack.session_present,
                assigned_client_id: connack.assigned_client_id,
                session_expiry: connack.session_expiry_interval_secs,
                keep_alive: connack.server_keepalive_sec,
                topic_alias_maximum: connack.topic_alias_max,
                maximum_packet_size: connack.max_packet_size,
            }),
            _ => Err(InvalidPacket(130)),
        };
    }
    match decode_v3(first, body)? {
        v3::Packet::ConnectAck(connack) => Ok(ConnackPacket {
            code: code_of_v3(connack.return_code.into()),
            session_present: connack.session_present,
            ..ConnackPacket::default()
        }),
        _ => Err(InvalidPacket(130)),
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
