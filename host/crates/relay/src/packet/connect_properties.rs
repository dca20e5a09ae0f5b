//! Which properties the bytes of a CONNECT of MQTT 5 have.

use super::FieldReader;
use crate::properties::SentProperties;

/// The properties that a CONNECT has; `body` is what follows the fixed header. Ends at the first property that cannot be
/// read: the codec refuses such a packet.
pub(super) fn sent_properties(body: &[u8]) -> SentProperties {
    let mut sent = SentProperties::default();
    let Some(mut list) = property_list(body) else {
        return sent;
    };
    while let Some((id, _)) = list.property() {
        match id {
            0x11 => sent.session_expiry_interval = true,
            0x17 => sent.request_problem_information = true,
            0x19 => sent.request_response_information = true,
            0x22 => sent.topic_alias_maximum = true,
            _ => {}
        }
    }
    sent
}

fn property_list(body: &[u8]) -> Option<FieldReader<'_>> {
    let mut fields = FieldReader::new(body);
    fields.text()?;
    // Version, flags and keep alive.
    fields.take(4)?;
    fields.properties()
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
