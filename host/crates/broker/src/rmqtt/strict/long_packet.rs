//! The same rules for packets that are too long to be collected: they are checked field by field while they pass. Pure.
//!
//! The first bytes of a packet reach RMQTT before its last field is checked. That does no harm: RMQTT handles a packet only
//! when it is complete, and the connection ends before its last byte passes.

use hookhost_relay::frame::Frame;
use hookhost_relay::packet::{FieldReader, QOS_BITS, kind};

use super::{filter_rule, property_rule};

/// The longest field: a user property, with two texts of 65,535 bytes and their lengths.
const MAX_FIELD_BYTES: usize = 1 + 2 * (2 + 65_535);

/// Checks one packet of a client. Keeps at most the longest field and one piece of input.
pub(in super::super) struct LongPacket {
    version: u8,
    max_alias: u16,
    first: u8,
    next: Part,
    /// The beginning of the next field.
    pending: Vec<u8>,
}

/// What comes next in the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Topic,
    PacketId,
    PropertiesLength,
    /// This many bytes of properties.
    Properties(usize),
    /// Filters with their options, to the end.
    Filters,
    /// Nothing that is checked, or what cannot be read.
    Rest,
}

impl LongPacket {
    /// Begins a packet with this first byte. The other parameters are those of [`packet`](super::packet). Returns the code
    /// if the first byte is forbidden.
    pub(in super::super) fn new(version: u8, max_alias: u16, first: u8) -> Result<LongPacket, u8> {
        let frame = Frame { first, body: &[] };
        if let Some(code) = super::packet(version, max_alias, frame) {
            return Err(code);
        }
        let next = match frame.kind() {
            kind::PUBLISH if version == 5 => Part::Topic,
            kind::SUBSCRIBE => Part::PacketId,
            _ => Part::Rest,
        };
        Ok(LongPacket {
            version,
            max_alias,
            first,
            next,
            pending: Vec::new(),
        })
    }

    /// Checks the bytes that come next. Returns the code if something in them is forbidden.
    pub(in super::super) fn check(&mut self, bytes: &[u8]) -> Option<u8> {
        if self.next == Part::Rest {
            return None;
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(bytes);
        let mut fields = FieldReader::new(&pending);
        while self.next != Part::Rest {
            let before = fields;
            match self.field(&mut fields) {
                Some(Ok(next)) => self.next = next,
                Some(Err(code)) => {
                    self.next = Part::Rest;
                    return Some(code);
                }
                None if before.rest().len() > MAX_FIELD_BYTES => self.next = Part::Rest,
                None => {
                    // Only what was read is removed: a long field is not copied again with each piece of it.
                    let read = pending.len() - before.rest().len();
                    pending.drain(..read);
                    self.pending = pending;
                    break;
                }
            }
        }
        None
    }

    /// Reads the next field; returns what follows it, or the code if it is forbidden. `None`: it is not complete.
    fn field(&self, fields: &mut FieldReader<'_>) -> Option<Result<Part, u8>> {
        let is_subscribe = self.first >> 4 == kind::SUBSCRIBE;
        Some(match self.next {
            Part::Topic => {
                fields.text()?;
                Ok(match self.first & QOS_BITS {
                    0 => Part::PropertiesLength,
                    _ => Part::PacketId,
                })
            }
            Part::PacketId => {
                fields.number()?;
                Ok(match self.version {
                    5 => Part::PropertiesLength,
                    _ => Part::Filters,
                })
            }
            Part::PropertiesLength => Ok(Part::Properties(fields.variable()?)),
            Part::Properties(0) if is_subscribe => Ok(Part::Filters),
            Part::Properties(0) => Ok(Part::Rest),
            // Those of a SUBSCRIBE are not checked.
            Part::Properties(left) if is_subscribe => {
                let skipped = left.min(fields.rest().len());
                fields.take(skipped).filter(|skipped| !skipped.is_empty())?;
                Ok(Part::Properties(left - skipped))
            }
            Part::Properties(left) => {
                let before = fields.rest().len();
                let (id, value) = fields.property()?;
                match (property_rule(self.max_alias, id, value), before - fields.rest().len()) {
                    (Some(code), _) => Err(code),
                    (None, length) => Ok(left.checked_sub(length).map_or(Part::Rest, Part::Properties)),
                }
            }
            Part::Filters => {
                let (filter, options) = (fields.text()?, fields.byte()?);
                filter_rule(self.version, filter, options).map_or(Ok(Part::Filters), Err)
            }
            Part::Rest => Ok(Part::Rest),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::packet;
    use super::*;

    #[test]
    fn reserved_bits_of_disconnect_are_malformed_at_any_length() {
        assert_eq!(LongPacket::new(5, 5, 0xe1).err(), Some(129));
        assert!(LongPacket::new(5, 5, 0xe0).is_ok());
    }

    /// The code for a packet that comes in pieces of these lengths.
    fn checked(version: u8, first: u8, mut body: &[u8], cuts: &[usize]) -> Option<u8> {
        let mut long = match LongPacket::new(version, 5, first) {
            Ok(long) => long,
            Err(code) => return Some(code),
        };
        let mut cuts = cuts.iter().cycle();
        while !body.is_empty() {
            let (piece, rest) = body.split_at((*cuts.next().unwrap()).min(body.len()));
            body = rest;
            if let Some(code) = long.check(piece) {
                return Some(code);
            }
            assert!(long.pending.len() <= MAX_FIELD_BYTES);
        }
        None
    }

    fn text(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
    }

    #[test]
    fn what_cannot_be_read_is_not_kept() {
        // A property that MQTT does not define, and a length without end.
        for head in [&b"\0\x01t\x90\x4e\x7f"[..], b"\0\x01t\xff\xff\xff\xff\xff"] {
            let mut long = LongPacket::new(5, 5, 0x30).ok().unwrap();
            assert_eq!(long.check(head), None);
            for _ in 0..100 {
                assert_eq!(long.check(&[0; 4096]), None);
            }
            assert_eq!((long.next, long.pending.len()), (Part::Rest, 0));
        }
    }

    #[test]
    fn a_payload_is_not_kept() {
        let mut long = LongPacket::new(5, 5, 0x30).ok().unwrap();
        assert_eq!(long.check(b"\0\x01t\0payload"), None);
        assert_eq!((long.next, long.pending.len()), (Part::Rest, 0));
    }

    /// Properties of a PUBLISH, some of them forbidden.
    fn property() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            8 => (0usize..300).prop_map(|length| [vec![0x26], text(&vec![b'n'; length]), text(b"v")].concat()),
            2 => Just(b"\x01\x01".to_vec()),
            1 => prop::sample::select(vec![b"\x08\0\x03a/b".to_vec(), b"\x08\0\x03a/#".to_vec()]),
            1 => prop::sample::select(vec![b"\x23\0\x05".to_vec(), b"\x23\0\x06".to_vec(), b"\x23\0\0".to_vec()]),
            1 => Just(b"\x0b\x80\x01".to_vec()),
        ]
    }

    /// A filter with its options, some of them forbidden.
    fn filter() -> impl Strategy<Value = Vec<u8>> {
        let filters: Vec<&[u8]> = vec![b"a/+", b"$share/g/t", b"a\0b", b"\xc3\xa4"];
        (
            prop::sample::select(filters),
            0usize..300,
            prop::sample::select(vec![0, 1, 2, 5, 0x41]),
        )
            .prop_map(|(filter, length, options)| {
                [text(&[filter, &vec![b'x'; length]].concat()), vec![options]].concat()
            })
    }

    proptest! {
        #[test]
        fn the_pieces_of_a_publish_have_the_code_of_the_whole(
            version in prop::sample::select(vec![4, 5]),
            first in prop::sample::select(vec![0x30, 0x32, 0x34, 0x36, 0x3d]),
            properties in proptest::collection::vec(property(), 0..6),
            cuts in proptest::collection::vec(1usize..400, 1..6),
        ) {
            let mut body = text(b"topic");
            if first & QOS_BITS != 0 {
                body.extend(b"\0\x07");
            }
            if version == 5 {
                let properties = properties.concat();
                hookhost_relay::frame::variable_length(&mut body, properties.len());
                body.extend(properties);
            }
            body.extend([b'x'; 500]);
            let whole = packet(version, 5, Frame { first, body: &body });
            prop_assert_eq!(checked(version, first, &body, &cuts), whole);
        }

        #[test]
        fn the_pieces_of_a_subscribe_have_the_code_of_the_whole(
            version in prop::sample::select(vec![4, 5]),
            filters in proptest::collection::vec(filter(), 1..8),
            cuts in proptest::collection::vec(1usize..400, 1..6),
        ) {
            let mut body = b"\0\x09".to_vec();
            if version == 5 {
                body.extend(b"\x0a\x26\0\x03abc\0\x02de");
            }
            body.extend(filters.concat());
            let whole = packet(version, 5, Frame { first: 0x82, body: &body });
            prop_assert_eq!(checked(version, 0x82, &body, &cuts), whole);
        }

        #[test]
        fn any_bytes_are_checked_without_a_panic(
            version in prop::sample::select(vec![4, 5]),
            first: u8,
            body in proptest::collection::vec(any::<u8>(), 0..400),
            cuts in proptest::collection::vec(1usize..90, 1..6),
        ) {
            checked(version, first, &body, &cuts);
        }
    }
}
