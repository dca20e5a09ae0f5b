//! What MQTT forbids clients and RMQTT accepts. Pure.
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
//! | PUBLISH | topic alias 0, or one above the maximum if there is one | 148 |
//! | SUBSCRIBE | reserved bits before MQTT 5 | 129 |
//! | SUBSCRIBE | `no local` for a shared subscription | 130 |
//! | DISCONNECT | reserved bits | 129 |

use hookhost_relay::frame::Frame;
use hookhost_relay::packet::kind;

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

/// The code for a CONNECT that is forbidden; `body` is what follows the fixed header.
pub(super) fn connect(body: &[u8]) -> Option<u8> {
    read_connect(&mut Reader(body))?.err()
}

/// `None` if it cannot be read.
fn read_connect(at: &mut Reader<'_>) -> Option<Result<(), u8>> {
    at.text()?;
    let (level, flags) = (at.byte()?, at.byte()?);
    at.take(2)?;
    let has = |bit: u8| flags & bit != 0;
    let (will, password, username) = (has(0x04), has(0x40), has(0x80));
    if !will && has(0x38) || level < 5 && password && !username {
        return Some(Err(MALFORMED));
    }
    if level == 5 {
        let mut properties = at.properties()?;
        let (mut method, mut data) = (false, false);
        while let Some((id, _)) = properties.property() {
            method |= id == property::AUTHENTICATION_METHOD;
            data |= id == property::AUTHENTICATION_DATA;
        }
        if data && !method {
            return Some(Err(PROTOCOL_ERROR));
        }
    }
    let mut texts = vec![at.text()?];
    if will {
        if level == 5 {
            at.properties()?;
        }
        let topic = at.text()?;
        at.text()?;
        if topic.is_empty() || topic.contains(&b'+') || topic.contains(&b'#') {
            return Some(Err(TOPIC_INVALID));
        }
        texts.push(topic);
    }
    if username {
        texts.push(at.text()?);
    }
    if password {
        at.text()?;
    }
    let has_nul = texts.iter().any(|text| text.contains(&0));
    Some(if has_nul || !at.0.is_empty() {
        Err(MALFORMED)
    } else {
        Ok(())
    })
}

/// The code for a packet after CONNECT that is forbidden. `max_alias`: the topic aliases that the client may use.
pub(super) fn packet(version: u8, max_alias: u16, frame: Frame<'_>) -> Option<u8> {
    let mut at = Reader(frame.body);
    match frame.kind() {
        kind::PUBLISH if version == 5 => publish(frame.first, max_alias, &mut at)?.err(),
        kind::SUBSCRIBE => subscribe(version, &mut at)?.err(),
        kind::DISCONNECT if frame.first & 0x0f != 0 => Some(MALFORMED),
        _ => None,
    }
}

fn publish(first: u8, max_alias: u16, at: &mut Reader<'_>) -> Option<Result<(), u8>> {
    at.text()?;
    if first & 0x06 != 0 {
        at.take(2)?;
    }
    let mut properties = at.properties()?;
    while let Some((id, value)) = properties.property() {
        match id {
            property::SUBSCRIPTION_IDENTIFIER => return Some(Err(PROTOCOL_ERROR)),
            property::RESPONSE_TOPIC if value.contains(&b'+') || value.contains(&b'#') => {
                return Some(Err(PROTOCOL_ERROR));
            }
            property::TOPIC_ALIAS => {
                let alias = u16::from_be_bytes(value.try_into().ok()?);
                // As RMQTT, EMQX and NanoMQ, a broker that offers no aliases accepts them.
                if alias == 0 || max_alias > 0 && alias > max_alias {
                    return Some(Err(ALIAS_INVALID));
                }
            }
            _ => {}
        }
    }
    Some(Ok(()))
}

fn subscribe(version: u8, at: &mut Reader<'_>) -> Option<Result<(), u8>> {
    at.take(2)?;
    if version == 5 {
        at.properties()?;
    }
    while !at.0.is_empty() {
        let (filter, options) = (at.text()?, at.byte()?);
        if version < 5 && options & 0xfc != 0 {
            return Some(Err(MALFORMED));
        }
        if version == 5 && filter.starts_with(b"$share/") && options & 0x04 != 0 {
            return Some(Err(PROTOCOL_ERROR));
        }
    }
    Some(Ok(()))
}

/// Reads the fields of a packet; `None` if there are too few bytes.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    /// A text, or other bytes with their length before them.
    fn text(&mut self) -> Option<&'b [u8]> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        self.take(length.into())
    }

    fn variable(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// All properties of a packet.
    fn properties(&mut self) -> Option<Reader<'b>> {
        let length = self.variable()?;
        Some(Reader(self.take(length)?))
    }

    /// The next property and its value.
    fn property(&mut self) -> Option<(u8, &'b [u8])> {
        let id = self.byte()?;
        let value = match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => self.take(1)?,
            0x13 | 0x21 | 0x22 | 0x23 => self.take(2)?,
            0x02 | 0x11 | 0x18 | 0x27 => self.take(4)?,
            0x0b => {
                self.variable()?;
                &[]
            }
            0x26 => {
                self.text()?;
                self.text()?
            }
            _ => self.text()?,
        };
        Some((id, value))
    }
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
            (5, 0x30, b"\0\x01t", None),
            (4, 0x82, b"\0\x01\0\x01t\x01", None),
            (4, 0x82, b"\0\x01\0\x01t\x41", Some(129)),
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
