//! The packets that a gate changes or creates.

use super::{DeniedBy, NOT_AUTHORIZED};
use crate::frame::Frame;
use crate::packet::FieldReader;

/// An acknowledgement: before MQTT 5 it cannot say that the publish was denied.
pub(super) fn ack(kind: u8, id: u16, version: u8) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if version == 5 {
        body.push(NOT_AUTHORIZED);
    }
    let first = kind << 4;
    Frame { first, body: &body }.packet()
}

/// Where the properties of a SUBSCRIBE or SUBACK end, which come after its packet identifier.
pub(super) fn properties_end(body: &[u8], version: u8) -> Option<usize> {
    let mut fields = FieldReader::new(body);
    fields.number()?;
    if version == 5 {
        fields.properties()?;
    }
    Some(body.len() - fields.rest().len())
}

/// A PUBLISH that has only an alias, with the topic in it.
pub(super) fn with_topic(frame: Frame<'_>, topic: &str) -> Vec<u8> {
    let rest = frame.body.get(2..).unwrap_or_default();
    // A topic that came in a packet has at most 65,535 bytes.
    let length = u16::try_from(topic.len()).unwrap_or(u16::MAX);
    let mut body = length.to_be_bytes().to_vec();
    body.extend_from_slice(topic.as_bytes());
    body.extend_from_slice(rest);
    let first = frame.first;
    Frame { first, body: &body }.packet()
}

/// A SUBSCRIBE without the filters that are denied; `None` if it is malformed.
pub(super) fn without_filters(frame: Frame<'_>, version: u8, denied: &[DeniedBy]) -> Option<Vec<u8>> {
    let start = properties_end(frame.body, version)?;
    let (head, mut filters) = frame.body.split_at_checked(start)?;
    let mut body = head.to_vec();
    for denied in denied {
        let mut fields = FieldReader::new(filters);
        let (_filter, _options) = (fields.text()?, fields.byte()?);
        let (requested, rest) = filters.split_at_checked(filters.len() - fields.rest().len())?;
        if denied.is_none() {
            body.extend_from_slice(requested);
        }
        filters = rest;
    }
    let first = frame.first;
    Some(Frame { first, body: &body }.packet())
}
