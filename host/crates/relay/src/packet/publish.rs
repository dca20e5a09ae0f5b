//! Fields of a PUBLISH, read in place: without decoding the packet, and whatever the rest of it is.

use super::{FieldReader, kind};
use crate::frame::Frame;

/// Whether MQTT allows to publish to this topic.
pub fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#', '\0'])
}

/// The topic of a PUBLISH, read in place; `None` if it is missing or not UTF-8.
pub fn topic(body: &[u8]) -> Option<&str> {
    std::str::from_utf8(FieldReader::new(body).text()?).ok()
}

/// The packet identifier of a PUBLISH above QoS 0, read in place.
pub fn publish_id(frame: Frame<'_>) -> Option<u16> {
    if frame.first & QOS_BITS == 0 {
        return None;
    }
    let mut fields = FieldReader::new(frame.body);
    fields.text()?;
    fields.number().filter(|id| *id > 0)
}

/// The payload of a PUBLISH, read in place; `None` if what comes before it cannot be read.
pub fn payload(version: u8, frame: Frame<'_>) -> Option<&[u8]> {
    let mut fields = FieldReader::new(frame.body);
    fields.text()?;
    if frame.first & QOS_BITS != 0 {
        fields.number()?;
    }
    if version == 5 {
        fields.properties()?;
    }
    Some(fields.rest())
}

/// The bits of the QoS in the first byte of a PUBLISH.
pub const QOS_BITS: u8 = 0b0110;

/// The reason code for a PUBLISH with QoS 3. Events have it, because brokers tell it from other malformed packets.
pub const QOS_NOT_SUPPORTED: u8 = 155;

/// Whether a packet is a PUBLISH with QoS 3.
pub fn has_invalid_qos(frame: Frame<'_>) -> bool {
    frame.kind() == kind::PUBLISH && frame.first & QOS_BITS == QOS_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_a_publish() {
        for (version, first, body, id, payload_read) in [
            (4, 0x30, &b"\0\x01tx"[..], None, Some(&b"x"[..])),
            (4, 0x32, b"\0\x01t\0\x07x", Some(7), Some(b"x")),
            (5, 0x32, b"\0\x01t\0\x07\x02\x01\x01x", Some(7), Some(b"x")),
            (5, 0x30, b"\0\x01t\0", None, Some(b"")),
            (4, 0x32, b"\0\x01t\0\0x", None, Some(b"x")),
            (5, 0x32, b"\0\x01t\0\x07\x02\x01", Some(7), None),
            (4, 0x32, b"\0\x01t\0", None, None),
            (4, 0x30, b"\0\x02t", None, None),
        ] {
            let frame = Frame { first, body };
            assert_eq!(publish_id(frame), id, "{version} {body:?}");
            assert_eq!(payload(version, frame), payload_read, "{version} {body:?}");
        }
        assert_eq!(topic(b"\0\x01tx"), Some("t"));
        assert_eq!(topic(b"\0\x01\xff"), None);
    }

    #[test]
    fn only_a_publish_can_have_an_invalid_qos() {
        for (first, expected) in [(0x36, true), (0x3f, true), (0x34, false), (0x32, false), (0x66, false)] {
            assert_eq!(has_invalid_qos(Frame { first, body: &[] }), expected, "{first:#x}");
        }
    }
}
