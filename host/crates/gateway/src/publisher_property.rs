//! Who published a message, as a user property of the message itself: so every gateway before a broker knows the
//! publisher, also of messages that came through another gateway.
//!
//! A gateway removes the property from everything that its clients publish, wills included, so that no client can publish
//! in the name of another one, and inserts its own. It removes the property again from everything that the upstream
//! delivers, so that no client sees it. The property exists in MQTT 5 only; the upstream removes user properties for
//! older receivers. Pure: packets in, packets out. Only the list of properties is read, so the rest of a packet may be
//! anything. A publish whose list cannot be read must not pass, because brokers differ in what they can read
//! ([`is_readable`]). A gateway's own property is the last one of the list.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::frame::{Frame, header, parse};
use hookhost_event::{Client, Id, Millis, Origin};

/// Name of the user property.
pub(super) const NAME: &str = "hookhost-publisher";
/// The longest value that a gateway inserts. A longer value, of a client with long names, is left out.
const MAX_VALUE_BYTES: usize = 1024;
/// By how much a packet becomes longer at max_packet_size: the property, and the longer length fields.
pub(super) const MAX_ADDED_BYTES: usize = 5 + NAME.len() + MAX_VALUE_BYTES + 6;
/// The longest body that a packet can have.
const MAX_BODY_BYTES: usize = 268_435_455;
/// Identifier of user properties.
const USER: u8 = 0x26;

/// Who published a message, and as what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublisherProperty {
    pub(super) id: Id,
    pub(super) publisher: Client,
    /// A client's message or its will.
    pub(super) origin: Origin,
    pub(super) qos: u8,
    pub(super) retain: bool,
    pub(super) received_at: Millis,
}

/// The value: what `docs/events.md` calls a message, without what the packet says itself.
#[derive(Serialize, Deserialize)]
struct Value<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    publisher: Publisher<'a>,
    #[serde(borrow)]
    origin: Cow<'a, str>,
    qos: u8,
    retain: bool,
    received_at: u64,
}

#[derive(Serialize, Deserialize)]
struct Publisher<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    username: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    protocol_version: u8,
}

impl PublisherProperty {
    /// The property in bytes; `None` if it would be too long, or if the origin has no name.
    fn encode(&self) -> Option<Vec<u8>> {
        let value = serde_json::to_vec(&Value {
            id: self.id.to_string().into(),
            publisher: Publisher {
                id: (&*self.publisher.id).into(),
                username: self.publisher.username.as_ref().map(|name| (&**name).into()),
                peer: self.publisher.peer,
                protocol_version: self.publisher.protocol_version,
            },
            origin: name_of(self.origin)?.into(),
            qos: self.qos,
            retain: self.retain,
            received_at: self.received_at.0,
        });
        let value = value.ok().filter(|value| value.len() <= MAX_VALUE_BYTES)?;
        let mut property = Vec::with_capacity(MAX_ADDED_BYTES);
        property.push(USER);
        for text in [NAME.as_bytes(), &value] {
            property.extend((text.len() as u16).to_be_bytes());
            property.extend_from_slice(text);
        }
        Some(property)
    }

    /// Reads a value; `None` if no gateway has written it.
    fn read(value: &[u8]) -> Option<PublisherProperty> {
        let value: Value<'_> = serde_json::from_slice(value).ok()?;
        Some(PublisherProperty {
            id: Id(u128::from_str_radix(&value.id, 16).ok()?),
            publisher: Client {
                id: (&*value.publisher.id).into(),
                username: value.publisher.username.map(|name| (&*name).into()),
                peer: value.publisher.peer,
                protocol_version: value.publisher.protocol_version,
                ..Client::default()
            },
            origin: origin_of(&value.origin)?,
            qos: Some(value.qos).filter(|qos| *qos <= 2)?,
            retain: value.retain,
            received_at: Millis(value.received_at),
        })
    }
}

fn name_of(origin: Origin) -> Option<&'static str> {
    match origin {
        Origin::Client => Some("client"),
        Origin::Will => Some("will"),
        _ => None,
    }
}

fn origin_of(name: &str) -> Option<Origin> {
    match name {
        "client" => Some(Origin::Client),
        "will" => Some(Origin::Will),
        _ => None,
    }
}

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
    /// Of a list whose length begins at `start`.
    fn at(body: &[u8], start: usize) -> Option<Place> {
        let (length, digits) = variable(body.get(start..)?)?;
        let begin = start + digits;
        let list = begin..begin + length;
        body.get(list.clone())?;
        Some(Place { start, list })
    }
}

fn of_publish(publish: Frame<'_>) -> Option<Place> {
    let id = if publish.first & 0b0110 == 0 { 0 } else { 2 };
    Place::at(publish.body, field(publish.body, 0)? + id)
}

/// Where the properties of the will are in the body of a CONNECT; `None` without a will or before MQTT 5.
fn of_will(body: &[u8]) -> Option<Place> {
    const WILL: u8 = 0x04;
    // Name of the protocol, then level, flags and keep alive, then the properties of the connection, then the client id.
    let name = field(body, 0)?;
    let (level, flags) = (*body.get(name)?, *body.get(name + 1)?);
    if level & 0x7f != 5 || flags & WILL == 0 {
        return None;
    }
    let properties = Place::at(body, name + 4)?;
    Place::at(body, field(body, properties.list.end)?)
}

/// Where a field ends that begins at `start` with its length in two bytes.
fn field(body: &[u8], start: usize) -> Option<usize> {
    let length = body.get(start..)?.first_chunk::<2>()?;
    let end = start + 2 + usize::from(u16::from_be_bytes(*length));
    (end <= body.len()).then_some(end)
}

/// A variable byte integer at the front, and how many bytes it takes.
pub(crate) fn variable(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(4).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some((value, place + 1));
        }
    }
    None
}

/// Length of the property at the front of a list; `None` if it is not a property of PUBLISH or of a will.
fn length_of(list: &[u8]) -> Option<usize> {
    let value = list.get(1..)?;
    let length = match *list.first()? {
        0x01 => 1,
        0x23 => 2,
        0x02 | 0x18 => 4,
        0x0b => variable(value)?.1,
        0x03 | 0x08 | 0x09 => field(value, 0)?,
        USER => field(value, field(value, 0)?)?,
        _ => return None,
    };
    (length <= value.len()).then_some(1 + length)
}

/// The value of a property, if it is ours.
fn ours(property: &[u8]) -> Option<&[u8]> {
    let (USER, texts) = property.split_first().map(|(id, texts)| (*id, texts))? else {
        return None;
    };
    let end = field(texts, 0)?;
    (texts.get(2..end)? == NAME.as_bytes()).then_some(())?;
    texts.get(end + 2..)
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
    let body = &replaced(body, place, &[list, &property.encode()?]);
    if body.len() > MAX_BODY_BYTES {
        return None;
    }
    let packet = Frame { first, body }.packet();
    (packet.len() <= max_packet_size).then_some(packet)
}

/// The body with another list of properties.
fn replaced(body: &[u8], place: &Place, list: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + MAX_ADDED_BYTES);
    out.extend_from_slice(body.get(..place.start).unwrap_or_default());
    length(&mut out, list.iter().map(|part| part.len()).sum());
    list.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(body.get(place.list.end..).unwrap_or_default());
    out
}

/// A variable byte integer.
fn length(out: &mut Vec<u8>, length: usize) {
    let mut digits = Vec::with_capacity(5);
    header(&mut digits, 0, length);
    out.extend(digits.iter().skip(1));
}

#[cfg(test)]
#[path = "publisher_property_tests.rs"]
mod tests;
