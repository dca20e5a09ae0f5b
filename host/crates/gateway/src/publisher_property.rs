//! Who published a message, as a user property of the message itself: so every gateway before a broker knows the
//! publisher, also of messages that came through another gateway.
//!
//! A gateway removes the property from everything that its clients publish, wills included, so that no client can publish
//! in the name of another one, and inserts its own. It removes the property again from everything that the upstream
//! delivers, so that no client sees it. The property exists in MQTT 5 only; the upstream removes user properties for
//! older receivers. Pure: packets in, packets out. Only the list of properties is read, so the rest of a packet may be
//! anything. A publish whose list cannot be read must not pass, because brokers differ in what they can read
//! ([`is_readable`]). A gateway's own property is the last one of the list.

mod value;

use std::ops::Range;

use super::frame::{Frame, parse, variable_length};
use super::packet::{FieldReader, QOS_BITS};

pub(super) use value::PublisherProperty;

/// Name of the user property.
pub(super) const NAME: &str = "hookhost-publisher";
/// By how much a packet becomes longer at max_packet_size: the property, and the longer length fields.
pub(super) const MAX_ADDED_BYTES: usize = 5 + NAME.len() + value::MAX_BYTES + 6;
/// The longest body that a packet can have.
const MAX_BODY_BYTES: usize = 268_435_455;
/// Identifier of user properties.
const USER: u8 = 0x26;

/// A packet without the property.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Removed {
    /// The body without the property.
    pub(super) body: Vec<u8>,
    /// Its content; `None` if no gateway has written it.
    pub(super) property: Option<PublisherProperty>,
}

/// Removes the property from a PUBLISH of MQTT 5, each time that it occurs; `None` if it does not.
pub(super) fn remove(publish: Frame<'_>) -> Option<Removed> {
    remove_from(publish.body, of_publish(publish)?)
}

/// Whether the properties of a PUBLISH of MQTT 5 can be read to their end, and are properties of a PUBLISH.
pub(super) fn is_readable(publish: Frame<'_>) -> bool {
    let list = of_publish(publish).and_then(|place| publish.body.get(place.list));
    list.is_some_and(|mut list| {
        while let Some((_, rest)) = length_of(list).and_then(|length| list.split_at_checked(length)) {
            list = rest;
        }
        list.is_empty()
    })
}

/// Inserts the property into a PUBLISH of MQTT 5 that has none; returns the whole packet. `None` if the packet cannot be
/// read or would become longer than `max_packet_size` bytes.
pub(super) fn insert(publish: Frame<'_>, property: &PublisherProperty, max_packet_size: usize) -> Option<Vec<u8>> {
    insert_into(
        publish.first,
        publish.body,
        &of_publish(publish)?,
        property,
        max_packet_size,
    )
}

/// Removes the property from the will of a whole CONNECT packet; `None` if it is not there.
pub(super) fn remove_from_will(connect: &[u8]) -> Option<Vec<u8>> {
    let frame = parse(connect)?;
    let removed = remove_from(frame.body, of_will(frame.body)?)?;
    Some(
        Frame {
            first: frame.first,
            body: &removed.body,
        }
        .packet(),
    )
}

/// Inserts the property into the will of a whole CONNECT packet. `None` if it has no will of MQTT 5, or if it would become
/// longer than `max_packet_size` bytes.
pub(super) fn insert_into_will(
    connect: &[u8],
    property: &PublisherProperty,
    max_packet_size: usize,
) -> Option<Vec<u8>> {
    let frame = parse(connect)?;
    insert_into(
        frame.first,
        frame.body,
        &of_will(frame.body)?,
        property,
        max_packet_size,
    )
}

/// Where a list of properties is in a body.
struct Place {
    /// Where its length begins.
    start: usize,
    list: Range<usize>,
}

impl Place {
    /// Of the list that is read next from a body.
    fn next(body: &[u8], fields: &mut FieldReader<'_>) -> Option<Place> {
        let start = body.len() - fields.rest().len();
        let length = fields.properties()?.rest().len();
        let end = body.len() - fields.rest().len();
        Some(Place {
            start,
            list: end - length..end,
        })
    }
}

fn of_publish(publish: Frame<'_>) -> Option<Place> {
    let mut fields = FieldReader::new(publish.body);
    fields.text()?;
    if publish.first & QOS_BITS != 0 {
        fields.number()?;
    }
    Place::next(publish.body, &mut fields)
}

/// Where the properties of the will are in the body of a CONNECT; `None` without a will or before MQTT 5.
fn of_will(body: &[u8]) -> Option<Place> {
    const WILL: u8 = 0x04;
    let mut fields = FieldReader::new(body);
    // The name of the protocol.
    fields.text()?;
    let (level, flags) = (fields.byte()?, fields.byte()?);
    if level & 0x7f != 5 || flags & WILL == 0 {
        return None;
    }
    let _keep_alive = fields.number()?;
    let _of_connection = fields.properties()?;
    let _client_id = fields.text()?;
    Place::next(body, &mut fields)
}

/// Length of the property at the front of a list; `None` if it is not a property of PUBLISH or of a will.
fn length_of(list: &[u8]) -> Option<usize> {
    let mut fields = FieldReader::new(list);
    let (id, _) = fields.property()?;
    let is_of_message = matches!(id, 0x01 | 0x02 | 0x03 | 0x08 | 0x09 | 0x0b | 0x18 | 0x23 | USER);
    is_of_message.then(|| list.len() - fields.rest().len())
}

/// The value of a property, if it is ours.
fn ours(property: &[u8]) -> Option<&[u8]> {
    let mut fields = FieldReader::new(property);
    let is_ours = fields.byte()? == USER && fields.text()? == NAME.as_bytes();
    if is_ours { fields.text() } else { None }
}

fn remove_from(body: &[u8], place: Place) -> Option<Removed> {
    let mut list = body.get(place.list.clone())?;
    let mut kept: Vec<&[u8]> = Vec::new();
    let mut value = None;
    while !list.is_empty() {
        let (property, rest) = list.split_at_checked(length_of(list)?)?;
        match ours(property) {
            Some(found) => value = Some(found),
            None => kept.push(property),
        }
        list = rest;
    }
    let property = PublisherProperty::read(value?);
    Some(Removed {
        body: replaced(body, &place, &kept),
        property,
    })
}

fn insert_into(
    first: u8,
    body: &[u8],
    place: &Place,
    property: &PublisherProperty,
    max_packet_size: usize,
) -> Option<Vec<u8>> {
    let list = body.get(place.list.clone())?;
    let body = &replaced(body, place, &[list, &encoded(property)?]);
    if body.len() > MAX_BODY_BYTES {
        return None;
    }
    let packet = Frame { first, body }.packet();
    (packet.len() <= max_packet_size).then_some(packet)
}

/// The property in bytes; `None` if no gateway inserts it.
fn encoded(property: &PublisherProperty) -> Option<Vec<u8>> {
    let value = property.encode()?;
    let mut bytes = Vec::with_capacity(MAX_ADDED_BYTES);
    bytes.push(USER);
    for text in [NAME.as_bytes(), &value] {
        bytes.extend((text.len() as u16).to_be_bytes());
        bytes.extend_from_slice(text);
    }
    Some(bytes)
}

/// The body with another list of properties.
fn replaced(body: &[u8], place: &Place, list: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + MAX_ADDED_BYTES);
    out.extend_from_slice(body.get(..place.start).unwrap_or_default());
    variable_length(&mut out, list.iter().map(|part| part.len()).sum());
    list.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(body.get(place.list.end..).unwrap_or_default());
    out
}

#[cfg(test)]
#[path = "publisher_property_tests.rs"]
mod tests;
