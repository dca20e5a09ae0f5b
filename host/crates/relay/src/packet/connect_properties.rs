//! Which properties the bytes of a CONNECT of MQTT 5 have.

use crate::properties::SentProperties;

/// The properties that a CONNECT has; `body` is what follows the fixed header. Ends at the first property that cannot be
/// read: the codec refuses such a packet.
pub(super) fn sent_properties(body: &[u8]) -> SentProperties {
    let mut sent = SentProperties::default();
    let mut rest = property_bytes(body).unwrap_or_default();
    while let Some((id, after)) = next_property(rest) {
        match id {
            0x11 => sent.session_expiry_interval = true,
            0x17 => sent.request_problem_information = true,
            0x19 => sent.request_response_information = true,
            0x22 => sent.topic_alias_maximum = true,
            _ => {}
        }
        rest = after;
    }
    sent
}

/// The bytes of all properties, without their length.
fn property_bytes(body: &[u8]) -> Option<&[u8]> {
    let after_name = after_text(body)?;
    // Version, flags and keep alive.
    let mut rest = after_name.get(4..)?;
    let mut length = 0;
    for shift in [0, 7, 14, 21] {
        let (byte, after) = rest.split_first()?;
        rest = after;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return rest.get(..length);
        }
    }
    None
}

/// The identifier of the first property, and the bytes after it.
fn next_property(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (id, value) = bytes.split_first()?;
    let after = match id {
        0x17 | 0x19 => value.get(1..),
        0x21 | 0x22 => value.get(2..),
        0x11 | 0x27 => value.get(4..),
        0x15 | 0x16 => after_text(value),
        0x26 => after_text(value).and_then(after_text),
        _ => None,
    };
    Some((*id, after?))
}

/// What follows a text, or other bytes with a length of two bytes.
fn after_text(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    rest.get(usize::from(u16::from_be_bytes(*length))..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(properties: &[u8]) -> Vec<u8> {
        let mut body = b"\0\x04MQTT\x05\x02\0\x3c".to_vec();
        body.push(properties.len() as u8);
        body.extend_from_slice(properties);
        body.extend_from_slice(b"\0\x01c");
        body
    }

    #[test]
    fn defaults_that_were_sent() {
        let none = SentProperties::default();
        for (properties, expected) in [
            (&b""[..], none),
            (
                b"\x17\x01",
                SentProperties {
                    request_problem_information: true,
                    ..none
                },
            ),
            (
                b"\x26\0\x01\x17\0\x01\x17\x21\0\x14\x27\0\0\x01\0\x22\0\0",
                SentProperties {
                    topic_alias_maximum: true,
                    ..none
                },
            ),
            (
                b"\x11\0\0\0\0\x15\0\x01m\x16\0\x01\x17\x19\0",
                SentProperties {
                    session_expiry_interval: true,
                    request_response_information: true,
                    ..none
                },
            ),
            // An unknown property.
            (b"\x7f\x17\x01", none),
        ] {
            assert_eq!(sent_properties(&connect(properties)), expected, "{properties:?}");
        }
    }

    #[test]
    fn a_packet_without_all_its_properties_has_none() {
        let body = connect(b"\x17\x01\x11\0\0\0\0");
        for length in 0..body.len() - 3 {
            assert_eq!(sent_properties(&body[..length]), SentProperties::default(), "{length}");
        }
        let whole = sent_properties(&body[..body.len() - 3]);
        assert!(whole.request_problem_information && whole.session_expiry_interval);
    }
}
