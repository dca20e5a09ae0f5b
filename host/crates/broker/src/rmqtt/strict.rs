//! What MQTT forbids clients and RMQTT accepts, or refuses without its own reason. Pure.
//!
//! The relay ends a connection with such a packet before RMQTT gets it. Everything else is left to RMQTT, also packets that
//! cannot be read.
//!
//! | packet | forbidden | code |
//! | --- | --- | --- |
//! | CONNECT | flags of a will without a will; a password without user name before MQTT 5; bytes after the last field; U+0000 in a text | 129 |
//! | CONNECT | authentication data without a method | 130 |
//! | CONNECT | a will without topic, or for a topic with a wildcard | 144 |
//! | PUBLISH | a subscription identifier, or a response topic with a wildcard | 130 |
//! | PUBLISH | QoS 3 | 155 |
//! | PUBLISH | topic alias 0, or one above `max_topic_aliases` unless that is 0 | 148 |
//! | SUBSCRIBE | reserved bits before MQTT 5; U+0000 in a filter | 129 |
//! | SUBSCRIBE | `no local` for a shared subscription | 130 |
//! | DISCONNECT | reserved bits | 129 |

use hookhost_relay::frame::Frame;
use hookhost_relay::packet::{FieldReader, QOS_BITS, QOS_NOT_SUPPORTED, has_invalid_qos, kind};

const MALFORMED: u8 = 129;
const PROTOCOL_ERROR: u8 = 130;
const TOPIC_INVALID: u8 = 144;
const ALIAS_INVALID: u8 = 148;

/// Identifiers of properties.
mod property {
    pub(super) const RESPONSE_TOPIC: u8 = 0x08;
    pub(super) const SUBSCRIPTION_IDENTIFIER: u8 = 0x0b;
    pub(super) const AUTHENTICATION_METHOD: u8 = 0x15;
    pub(super) const AUTHENTICATION_DATA: u8 = 0x16;
    pub(super) const TOPIC_ALIAS: u8 = 0x23;
}

/// The code for a CONNECT that is forbidden; `body` is what follows the fixed header. `None` also for a CONNECT that cannot
/// be read.
pub(super) fn connect(body: &[u8]) -> Option<u8> {
    let mut fields = FieldReader::new(body);
    let _name = fields.text()?;
    let (level, flags) = (fields.byte()?, fields.byte()?);
    let _keep_alive = fields.number()?;
    let has = |bit: u8| flags & bit != 0;
    let (will, password, username) = (has(0x04), has(0x40), has(0x80));
    if !will && has(0x38) || level < 5 && password && !username {
        return Some(MALFORMED);
    }
    if level == 5 {
        let mut properties = fields.properties()?;
        let (mut method, mut data) = (false, false);
        while let Some((id, _)) = properties.property() {
            method |= id == property::AUTHENTICATION_METHOD;
            data |= id == property::AUTHENTICATION_DATA;
        }
        if data && !method {
            return Some(PROTOCOL_ERROR);
        }
    }
    let mut texts = vec![fields.text()?];
    if will {
        if level == 5 {
            fields.properties()?;
        }
        let topic = fields.text()?;
        let _payload = fields.text()?;
        if topic.is_empty() || has_wildcard(topic) {
            return Some(TOPIC_INVALID);
        }
        texts.push(topic);
    }
    if username {
        texts.push(fields.text()?);
    }
    if password {
        fields.text()?;
    }
    let has_nul = texts.iter().any(|text| text.contains(&0));
    (has_nul || !fields.is_empty()).then_some(MALFORMED)
}

/// The code for a packet after CONNECT that is forbidden. `max_alias`: the topic aliases that the client may use.
pub(super) fn packet(version: u8, max_alias: u16, frame: Frame<'_>) -> Option<u8> {
    match frame.kind() {
        kind::PUBLISH if has_invalid_qos(frame) => Some(QOS_NOT_SUPPORTED),
        kind::PUBLISH if version == 5 => publish(max_alias, frame),
        kind::SUBSCRIBE => subscribe(version, frame),
        kind::DISCONNECT if frame.first & 0x0f != 0 => Some(MALFORMED),
        _ => None,
    }
}

fn publish(max_alias: u16, frame: Frame<'_>) -> Option<u8> {
    let mut fields = FieldReader::new(frame.body);
    let _topic = fields.text()?;
    if frame.first & QOS_BITS != 0 {
        fields.number()?;
    }
    let mut properties = fields.properties()?;
    while let Some((id, value)) = properties.property() {
        match id {
            property::SUBSCRIPTION_IDENTIFIER => return Some(PROTOCOL_ERROR),
            property::RESPONSE_TOPIC if has_wildcard(value.get(2..)?) => return Some(PROTOCOL_ERROR),
            property::TOPIC_ALIAS => {
                let alias = FieldReader::new(value).number()?;
                // As RMQTT, EMQX and NanoMQ, a broker that offers no aliases ignores them next to a topic.
                if alias == 0 || max_alias > 0 && alias > max_alias {
                    return Some(ALIAS_INVALID);
                }
            }
            _ => {}
        }
    }
    None
}

fn subscribe(version: u8, frame: Frame<'_>) -> Option<u8> {
    let mut fields = FieldReader::new(frame.body);
    let _packet_id = fields.number()?;
    if version == 5 {
        fields.properties()?;
    }
    while !fields.is_empty() {
        let (filter, options) = (fields.text()?, fields.byte()?);
        if filter.contains(&0) || version < 5 && options & 0xfc != 0 {
            return Some(MALFORMED);
        }
        if version == 5 && filter.starts_with(b"$share/") && options & 0x04 != 0 {
            return Some(PROTOCOL_ERROR);
        }
    }
    None
}

fn has_wildcard(topic: &[u8]) -> bool {
    topic.contains(&b'+') || topic.contains(&b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A CONNECT with these flags and payload, and properties for MQTT 5.
    fn connect_of(level: u8, flags: u8, properties: &[u8], payload: &[u8]) -> Option<u8> {
        let mut body = b"\0\x04MQTT".to_vec();
        body.extend([level, flags, 0, 60]);
        if level == 5 {
            body.push(properties.len() as u8);
            body.extend(properties);
        }
        body.extend(payload);
        connect(&body)
    }

    #[test]
    fn connects() {
        for (level, flags, properties, payload, expected) in [
            (5, 0x02, &b""[..], &b"\0\x01c"[..], None),
            (4, 0x02, b"", b"\0\x01c", None),
            (4, 0x0a, b"", b"\0\x01c", Some(129)),
            (5, 0x22, b"", b"\0\x01c", Some(129)),
            (4, 0x42, b"", b"\0\x01c\0\x01p", Some(129)),
            (5, 0x42, b"", b"\0\x01c\0\x01p", None),
            (4, 0xc2, b"", b"\0\x01c\0\x01u\0\x01\0", None),
            (4, 0xc2, b"", b"\0\x01c\0\x01\0\0\x01p", Some(129)),
            (4, 0x02, b"", b"\0\x01c\0\x01u", Some(129)),
            (5, 0x02, b"", b"\0\x01\0", Some(129)),
            (5, 0x06, b"", b"\0\x01c\0\0\x01w\0\x01m", None),
            (4, 0x06, b"", b"\0\x01c\0\x01w\0\x01m", None),
            (4, 0x06, b"", b"\0\x01c\0\0\0\x01m", Some(144)),
            (5, 0x06, b"", b"\0\x01c\0\0\x03w/#\0\x01m", Some(144)),
            (5, 0x02, b"\x16\0\x01d", b"\0\x01c", Some(130)),
            (5, 0x02, b"\x15\0\x01m\x16\0\x01d", b"\0\x01c", None),
            (5, 0x02, b"\x26\0\x01a\0\x01b\x11\0\0\0\x05", b"\0\x01c", None),
            // It cannot be read.
            (4, 0x06, b"", b"\0\x01c", None),
        ] {
            let found = connect_of(level, flags, properties, payload);
            assert_eq!(found, expected, "{level} {flags:#x} {properties:?} {payload:?}");
        }
        assert_eq!(connect(b""), None);
    }

    #[test]
    fn packets() {
        for (version, first, body, expected) in [
            (5, 0x30, &b"\0\x01t\0x"[..], None),
            (5, 0x30, b"\0\x01t\x02\x0b\x01x", Some(130)),
            (5, 0x30, b"\0\x01t\x06\x08\0\x03a/#x", Some(130)),
            (5, 0x30, b"\0\x01t\x06\x08\0\x03a/bx", None),
            (5, 0x32, b"\0\x01t\0\x01\x03\x23\0\x05x", None),
            (5, 0x32, b"\0\x01t\0\x01\x03\x23\0\x06x", Some(148)),
            (5, 0x30, b"\0\x01t\x03\x23\0\0x", Some(148)),
            (4, 0x30, b"\0\x01t\x02\x0b\x01x", None),
            (4, 0x36, b"\0\x01t\0\x07x", Some(155)),
            (5, 0x36, b"\0\x01t\0\x07\0x", Some(155)),
            (5, 0x30, b"\0\x01t", None),
            (4, 0x82, b"\0\x01\0\x01t\x01", None),
            (4, 0x82, b"\0\x01\0\x01t\x41", Some(129)),
            (4, 0x82, b"\0\x01\0\x01t\0\0\x03a\0b\0", Some(129)),
            (5, 0x82, b"\0\x01\0\0\x03a\0b\x01", Some(129)),
            (5, 0x82, b"\0\x01\0\0\x01t\x05", None),
            (5, 0x82, b"\0\x01\0\0\x0a$share/g/t\x01", None),
            (5, 0x82, b"\0\x01\0\0\x0a$share/g/t\x05", Some(130)),
            (5, 0xe0, b"", None),
            (5, 0xe1, b"", Some(129)),
            (5, 0xc0, b"", None),
        ] {
            let found = packet(version, 5, Frame { first, body });
            assert_eq!(found, expected, "{version} {first:#x} {body:?}");
        }
    }
}
